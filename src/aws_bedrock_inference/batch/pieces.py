"""The pieces that an input consists of, before anybody has looked whether they are records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The runtime takes bodies of up to 25,000,000 bytes (botocore 1.44.5, service model); escapes make a line longer.
LONGEST_LINE = 40_000_000

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ProblemError(Exception):
    """A piece that is no record; the message says what is wrong with it and what to do."""


class Piece(NamedTuple):
    """A line of JSON (bytes), the members of a record (a dictionary), or what is wrong in their place.

    `number` is the line of `file` in which it begins, 0 where the whole file is the piece.
    """

    file: str
    number: int
    content: bytes | dict[str, Any] | ProblemError


def bounded_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield each line of the blocks, without its end; of one longer than `LONGEST_LINE`, the first bytes beyond that.

    Memory holds a block and one such line, however long the lines are.
    """
    longest = LONGEST_LINE
    begun = bytearray()
    for block in blocks:
        *ended, rest = block.split(b"\n")
        for line in ended:
            if begun:
                begun += line[: longest + 1 - len(begun)]
                yield bytes(begun)
                begun = bytearray()
            else:
                yield line
        begun += rest[: longest + 1 - len(begun)]
    if begun:
        yield bytes(begun)


def text_of(line: bytes) -> str:
    """Return the text of a line or of a whole file. Raises `ProblemError` if it is too long, or not UTF-8."""
    if len(line) > LONGEST_LINE:
        raise ProblemError(f"longer than {LONGEST_LINE:,} bytes; Bedrock accepts 25,000,000. Shorten it")
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise ProblemError(f"byte {error.start + 1} is not UTF-8. Save the file as UTF-8") from None
