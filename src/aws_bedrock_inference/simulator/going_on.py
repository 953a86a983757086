"""Let a simulated model continue its own answer after an interruption.

The simulator can compute the complete answer again from the original prompt. A client can request the missing rest in
two ways:
* The last message of the request is the interrupted answer, as a message of the assistant (a *prefill*).
* The interrupted answer is followed by a user message that quotes the last words of this answer. The other words of the
  user message do not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXACTLY, LOOSELY, OTHERWISE = "exactly", "loosely", "otherwise"
"""The ways in which a model continues an answer. `exactly`: begin with the quotation and continue. `loosely`: repeat
more, or write something before the quotation. `otherwise`: continue with other words than before.
"""

_LEAST = 8  # minimum length of a quotation, in characters
_MOST = 400
_PREFILL = 200  # maximum characters of a prefill that the user may have written
_FURTHER = 160  # maximum characters before the quotation that may be repeated

_LEADS = ("Of course. ", "Sorry about that!\n\n", "Continuing where we were:\n", '"', "... ")


class Broken(NamedTuple):
    """The end of a conversation whose last answer was interrupted.

    * `parts` is the number of texts in the request before the interrupted answer.
    * `written` is the text that the model wrote before the interruption.
    * `said` is the text of the user message after the interrupted answer. It is None if no message follows (a prefill).
    * `prefilled` contains the beginning of the answer if the user wrote this beginning. Otherwise it is empty.
    """

    parts: int
    written: str
    said: str | None
    prefilled: tuple[str, ...] = ()

    def readings(self) -> Iterator[Broken]:
        """Yield the possible interpretations of a conversation.

        If the assistant's message is the last message, the request does not show who wrote it. Either the model wrote
        all of it, or the user wrote its first characters and the model wrote the rest. Each possible number of these
        first characters is a separate interpretation.
        """
        yield self
        if self.said is None:
            for end in range(1, min(len(self.written) - _LEAST, _PREFILL)):
                yield self._replace(written=self.written[end:], prefilled=(self.written[:end],))


def continuation(broken: Broken, whole: str, other: Callable[[], str], how: str, chance: float) -> str | None:
    """Return what the model writes after an interruption. `whole` is the complete answer.

    Return None if the interrupted answer is not the beginning of `whole`. Also return None if a user message follows
    and does not quote the end of the interrupted answer.

    `how` is the scenario's setting `goes_on`. It decides how the model answers a user message with a quotation:

    * `exactly`: the model repeats the quotation, then writes the rest of `whole`.
    * `loosely`: the model writes the same as with `exactly`, or starts the repetition before the quotation, or writes
      a remark before the quotation. The number `chance`, from 0 to 1, selects one of these three answers.
    * `otherwise`: the model repeats the quotation, then writes a different text, which the function `other` returns.

    After a prefill, the model repeats nothing. It writes the rest of `whole`, or the different text with `otherwise`.
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
    if how != LOOSELY or chance < 0.25:  # noqa: PLR2004 - a quarter follow the instruction exactly
        return written[-quoted:] + rest
    if chance < 0.6:  # noqa: PLR2004 - about a third repeat more
        return written[-quoted - round(_FURTHER * (chance - 0.25) / 0.35) :] + rest
    return _LEADS[int((chance - 0.6) / 0.4 * len(_LEADS)) % len(_LEADS)] + written[-quoted:] + rest


def _quoted(written: str, said: str) -> int:
    """Return the length of the quotation in `said`, or 0 if `said` contains no quotation.

    `written` is an interrupted answer, and `said` is the user's next message. A quotation is a text that is the end of
    `written` and occurs in `said`.
    """
    for length in range(min(len(written), _MOST), 0, -1):
        if written[-length:] in said:
            return length if length >= min(_LEAST, len(written)) else 0
    return 0
