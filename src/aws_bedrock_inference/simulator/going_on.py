"""A simulated model goes on with an answer of its own that broke off.

It knows its answer by what it has written of it: a conversation whose last message of the assistant is the beginning of
the answer to what came before. It goes on if that message is the last one (a prefill), or if the user's next message
quotes the end of it. It reads no words of any client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXACTLY, LOOSELY, OTHERWISE = "exactly", "loosely", "otherwise"
"""Begin with what is quoted and go on; repeat more, or say something first; go on with other words than before."""

_LEAST = 8  # characters that are a quotation
_MOST = 400
_PREFILL = 200  # characters of a prefill that may be the user's own
_FURTHER = 160  # characters before the quotation that may be repeated, too

_LEADS = ("Of course. ", "Sorry about that!\n\n", "Continuing where we were:\n", '"', "... ")


class Broken(NamedTuple):
    """The end of a conversation: how many parts of its text come before the assistant's last message, what that says,
    and what the user says after it; None for a prefill. `prefilled` is what the user has written of the answer.
    """

    parts: int
    written: str
    said: str | None
    prefilled: tuple[str, ...] = ()

    def readings(self) -> Iterator[Broken]:
        """Yield the ways to read it. The beginning of a prefill may be the user's, and only what follows an answer."""
        yield self
        if self.said is None:
            for end in range(1, min(len(self.written) - _LEAST, _PREFILL)):
                yield self._replace(written=self.written[end:], prefilled=(self.written[:end],))


def continuation(broken: Broken, whole: str, other: Callable[[], str], how: str, chance: float) -> str | None:
    """Return the text after what is written of the `whole` answer; None if the conversation does not go on with it.
    `chance`, from 0 to 1, draws how much is repeated; `other` makes other words.
    """
    written = broken.written
    if broken.said is None:
        written = written.rstrip()
    if not written or not whole.startswith(written):
        return None
    rest = other() if how == OTHERWISE else whole[len(written) :]
    if broken.said is None:
        return rest
    quoted = _quoted(written, broken.said)
    if not quoted:
        return None
    if how != LOOSELY or chance < 0.25:  # noqa: PLR2004 - a quarter does as it is asked
        return written[-quoted:] + rest
    if chance < 0.6:  # noqa: PLR2004 - a third repeats more
        return written[-quoted - round(_FURTHER * (chance - 0.25) / 0.35) :] + rest
    return _LEADS[int((chance - 0.6) / 0.4 * len(_LEADS)) % len(_LEADS)] + written[-quoted:] + rest


def _quoted(written: str, said: str) -> int:
    """Return how many characters at the end of `written` the user quotes; 0 for none."""
    for length in range(min(len(written), _MOST), 0, -1):
        if written[-length:] in said:
            return length if length >= min(_LEAST, len(written)) else 0
    return 0
