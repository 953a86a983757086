"""Find the output line of each record of a job. The lines can be in any order, and each line is used once.

The id alone does not identify a record: an input in S3 can use an id twice, or have no ids. The id and the body
together identify it. If an output line is read before its record, a temporary file stores the line. The memory contains
only the id, a fingerprint and the position of each stored line.
"""

from __future__ import annotations

import hashlib
import json
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_FINGERPRINT = 16


class Outputs:
    """The output lines of a job, which are read from `lines`. To find the line of a record, an object of this class
    reads lines until the line is found. The file `aside` stores the other lines for later records.
    """

    def __init__(self, lines: Iterator[dict[str, Any]], aside: IO[bytes]) -> None:
        self.found = 0
        self._lines = lines
        self._aside = aside
        self._places: dict[str, dict[bytes, int]] = {}  # by id and fingerprint
        self._taken: set[tuple[str, bytes]] = set()
        self._alike: dict[bytes, list[str]] | None = None

    def take(self, record_id: str, body: Any) -> dict[str, Any] | None:
        """Return the output line with the id and the body of a record. If an earlier call returned this line, return
        None, because each line is used once.

        If no line has both the id and the body, return an unused line with the same id and another body. Return None if
        no unused line has the id.
        """
        own = _fingerprint(body)
        if (record_id, own) in self._taken:
            return None
        if own in self._places.get(record_id, ()):
            return self._taken_from(record_id, own)
        for line in self._read():
            if id_of(line) == record_id and _fingerprint(line.get("modelInput")) == own:
                self._taken.add((record_id, own))
                return line
            self._put(line)
        others = self._places.get(record_id)
        return self._taken_from(record_id, next(iter(others))) if others else None

    def took(self, record_id: str, body: Any) -> bool:
        """Return whether an output line with this id and this body was already used. If it was, the input
        contains the record twice, and the line was used for the first of the two.
        """
        return (record_id, _fingerprint(body)) in self._taken

    def take_like(self, body: Any) -> dict[str, Any] | None:
        """Return an unused output line with this body. Return None if no unused line has this body.

        This method finds the output of a record without an id. AWS generates an id for the output line of such a
        record, so only the body identifies this line. Call the method only after all records with ids have their
        outputs, because an earlier call could return the output of a record with an id.
        """
        if self._alike is None:
            self._alike = {}
            self._put_all()
            for record_id, places in self._places.items():
                for own in places:
                    self._alike.setdefault(own, []).append(record_id)
        own = _fingerprint(body)
        ids = self._alike.get(own)
        return self._taken_from(ids.pop(0), own) if ids else None

    def others(self) -> Iterator[dict[str, Any]]:
        """Yield all unused output lines."""
        self._put_all()
        for record_id, own in [(record_id, own) for record_id, places in self._places.items() for own in places]:
            yield self._taken_from(record_id, own)

    def _read(self) -> Iterator[dict[str, Any]]:
        for line in self._lines:
            self.found += 1
            yield line

    def _put_all(self) -> None:
        for line in self._read():
            self._put(line)

    def _put(self, line: dict[str, Any]) -> None:
        record_id, own = id_of(line) or "", _fingerprint(line.get("modelInput"))
        places = self._places.setdefault(record_id, {})
        if own not in places and (record_id, own) not in self._taken:
            places[own] = self._aside.seek(0, 2)
            self._aside.write(json.dumps(line).encode() + b"\n")

    def _taken_from(self, record_id: str, own: bytes) -> dict[str, Any]:
        self._taken.add((record_id, own))
        self._aside.seek(self._places[record_id].pop(own))
        line: dict[str, Any] = json.loads(self._aside.readline())
        return line


def id_of(line: dict[str, Any]) -> str | None:
    """Return the id of a line as text. Return None if the line has no id.

    If a line of the input has no id, AWS generates an id for its output line.
    """
    record_id = line.get("recordId")
    return None if record_id is None else str(record_id)


def _fingerprint(body: Any) -> bytes:
    written = json.dumps(body, sort_keys=True).encode()
    return hashlib.blake2b(written, digest_size=_FINGERPRINT).digest()
