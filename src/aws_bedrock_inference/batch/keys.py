"""A compact set for millions of record ids."""

from __future__ import annotations

from array import array
from hashlib import blake2b


class Keys:
    """A set of record ids. It stores a digest of 8 bytes for each id, and uses about 20 MB for a million ids.

    Two ids with the same digest would be treated as one id. For 10 million ids, the probability that this happens at
    all is 3 in a million.
    """

    def __init__(self) -> None:
        self._table = array("Q", bytes(8 * 1024))
        self._count = 0

    def add(self, key: str) -> bool:
        """Add `key`; return False if the set already contained it."""
        if 3 * self._count >= 2 * len(self._table):
            self._grow()
        digest = _digest(key)
        place = self._place(digest)
        if self._table[place]:
            return False
        self._table[place] = digest
        self._count += 1
        return True

    def __contains__(self, key: str) -> bool:
        return self._table[self._place(_digest(key))] != 0

    def __len__(self) -> int:
        return self._count

    def _place(self, digest: int) -> int:
        table, mask = self._table, len(self._table) - 1
        place = digest & mask
        while table[place] not in (0, digest):
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        old = self._table
        self._table = array("Q", bytes(16 * len(old)))
        for digest in old:
            if digest:
                self._table[self._place(digest)] = digest


def _digest(key: str) -> int:
    # 0 marks an empty entry of the table, so it is not a hash.
    return int.from_bytes(blake2b(key.encode(errors="surrogatepass"), digest_size=8).digest()) or 1
