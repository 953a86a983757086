"""Split an input into pieces, such as lines. A piece is not yet validated as a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The runtime accepts bodies of up to 25,000,000 bytes (botocore 1.44.5, service model); escapes make a line longer.
LONGEST_LINE = 40_000_000

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ProblemError(Exception):
    """Raised for a piece that is not a record. The message contains the problem and the remedy."""


class Piece(NamedTuple):
    """A piece of an input. It contains a line of JSON (bytes), the fields of a record (a dictionary), or an error.

    `number` is the line of `file` in which the piece starts. It is 0 if the complete file is the piece.
    """

    file: str
    number: int
    content: bytes | dict[str, Any] | ProblemError


def bounded_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield each line of the blocks, without its line end.

    A line that is longer than `LONGEST_LINE` bytes is truncated to `LONGEST_LINE + 1` bytes, so that a huge line does
    not fill the memory. The additional byte remains, so that `text_of` recognizes and refuses the line.
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
                yield line[: longest + 1]
        begun += rest[: longest + 1 - len(begun)]
    if begun:
        yield bytes(begun)


def text_of(line: bytes) -> str:
    """Return the text of a line or of a file, decoded as UTF-8. Raises `ProblemError` if the text is too long or not
    UTF-8.
    """
    if len(line) > LONGEST_LINE:
        raise ProblemError(
            f"the text of the record is longer than {LONGEST_LINE:,} bytes. Bedrock accepts at most 25,000,000 bytes. "
            "Shorten the record"
        )
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise ProblemError(f"byte {error.start + 1} is not UTF-8. Save the file as UTF-8") from None
