"""The policy for answers with filtered content. The policy returns such an answer unchanged, replaces the answer with a
message, or raises an exception.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.dialects import substitute
from aws_bedrock_inference.dialects.filtered import cause_of, ends_filtered, filtered_by, filtered_of, reason_of
from aws_bedrock_inference.dialects.stream import text_in
from aws_bedrock_inference.events import ContentFiltered
from aws_bedrock_inference.fault import Category, Decision, Fault, Kind
from aws_bedrock_inference.flow import Head, emit, passing
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.made import FilteredContent, Replaced
from aws_bedrock_inference.policies.order import Ordered
from aws_bedrock_inference.policies.substitutes import given, handed_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.call import Call, Outcome
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Flow, Step

OnFiltered: TypeAlias = "str | Callable[[FilteredContent], Any]"
"""The ways to handle filtered content: `return`, `raise`, a message, or a function that returns the message."""

_WORDS = ("return", "raise")
_CONVERSE = frozenset({"converse", "converse_stream"})
_NATIVE = frozenset({"invoke_model", "invoke_model_with_response_stream"})


class Filtered(Ordered):
    """A policy for answers whose content a guardrail, a provider's filter or the model itself withheld.

    * `on_filtered`, default `return`: what the caller receives. `return` delivers the answer as the service sent it.
      `raise` raises `ContentFilteredError`. Any other text is a message that replaces the answer. A function is
      called with the `FilteredContent`, and returns the message.
    * `message`: a message that replaces the answer, even if its text is `return` or `raise`. If it is set,
      `on_filtered` is ignored.

    If only some words or pictures were removed, the answer is delivered without a replacement.

    The format of an InvokeModel answer differs between models. Therefore a message cannot replace such an answer, and
    the answer is delivered unchanged. A function can replace it: it returns the body as bytes or a dictionary.

    Does not repeat a call, because the same content would be filtered again. Refuses no call. Emits `ContentFiltered`.
    Raises `ValueError` for invalid options.
    """

    def __init__(self, on_filtered: OnFiltered = "return", *, message: str | None = None) -> None:
        if message is None and isinstance(on_filtered, str):
            word = on_filtered.strip().lower()
            if word in _WORDS and on_filtered not in _WORDS:
                raise ValueError(
                    f"Filtered({shown(on_filtered)}): write {word!r}; if this text is the message to return, write "
                    f"Filtered(message={shown(on_filtered)})"
                )
        choice: Any = on_filtered if message is None else message  # it may have any type
        if not (isinstance(choice, str) and choice.strip()) and (message is not None or not _is_plain(choice)):
            raise ValueError(
                f"Filtered({shown(choice)}): pass 'return', 'raise', the message to return, or a function that gets "
                "the FilteredContent and returns a message; an async function cannot be used"
            )
        self.on_filtered = None if message is None and choice in _WORDS else choice
        self.raises = message is None and choice == "raise"

    def around(self, step: Step, clock: Clock) -> Step:  # noqa: ARG002 - nothing here takes time
        """Return a step that runs `step` (the rest of the pipeline), and handles the filtered content in its answers.
        If `on_filtered` is `return`, return `step` unchanged.
        """
        if self.on_filtered is None and not self.raises:
            return step

        def flow(call: Call) -> Flow:
            if call.operation in _CONVERSE:
                return self._stream(step, call) if call.streams else self._answer(step, call)
            return self._native(step, call) if call.operation in _NATIVE else step(call)

        return flow

    def _answer(self, step: Step, call: Call) -> Flow:
        outcome = yield from step(call)
        filtered = _why(outcome)
        if filtered is None:
            return outcome
        message = self._message(filtered, str)
        yield from emit(ContentFiltered(call.route, filtered, message is not None))
        if message is None:
            return _refused(outcome, filtered, outcome.value if outcome.fault is None else {})
        if outcome.fault is None:
            return _replaced(outcome, {**outcome.value, "output": substitute.said(message)})
        return _replaced(outcome, _in_place_of(outcome.fault, message, filtered))

    def _native(self, step: Step, call: Call) -> Flow:
        outcome = yield from step(call)
        body: Any = None
        if outcome.fault is not None:
            filtered = _why(outcome)
        elif call.streams:
            filtered = filtered_of({"stop_reason": outcome.value.stop_reason})
        else:
            again, body = substitute.read_again(outcome.value)
            outcome = outcome._replace(value=again)
            filtered = _blocked(filtered_of(body)) if isinstance(body, dict) else None
        if filtered is None:
            return outcome
        own = None if call.streams else self._message(filtered, (bytes, dict))
        if own is None and not self.raises and outcome.fault is None:
            return outcome
        yield from emit(ContentFiltered(call.route, filtered, own is not None))
        if own is not None:
            return _replaced(outcome, substitute.native_response(own, request_id=_request_id(outcome)))
        refused = _refused(outcome, filtered, {} if call.streams or outcome.fault is not None else outcome.value)
        return refused if call.streams or outcome.fault is not None else refused._replace(value=body)

    def _stream(self, step: Step, call: Call) -> Flow:
        held = _Held()
        outcome = yield from passing(step(call), held.take)
        filtered = _why(outcome)
        if filtered is None:
            return outcome if outcome.fault is not None else (yield from given(outcome, held.items))
        message = self._message(filtered, str)
        yield from emit(ContentFiltered(call.route, filtered, message is not None))
        if message is None:
            return _refused(outcome, filtered, held.head)
        made = replace(outcome.made, replaced=True)
        if outcome.fault is not None and not outcome.emitted:
            return (yield from handed_over(_in_place_of(outcome.fault, message, filtered), outcome, made))
        end = held.items
        if outcome.fault is not None:
            end = substitute.events(_in_place_of(outcome.fault, message, filtered))[-2:]
        text = substitute.text_events(message)
        items = [Replaced(message, filtered, held.shown)] if held.begun else text
        whole = outcome._replace(value=substitute.transcript_of([*text, *end]), fault=None, made=made)
        return (yield from given(whole, [*items, *end]))

    def _message(self, filtered: FilteredContent, form: Any) -> Any:
        """Return the message that replaces filtered content, or None if no message replaces it. `form` is the type that
        the message must have, such as `str`, or a tuple of such types. A message of another type is not used.
        """
        message: Any = self.on_filtered
        if callable(message):
            try:
                message = message(filtered)
            except Exception:  # noqa: BLE001 - the function is the caller's
                LOGGER.exception("the function of Filtered failed; ContentFilteredError is raised instead")
                return None
        return message if isinstance(message, form) else None

    def __repr__(self) -> str:
        what = "'raise'" if self.raises else "'return'" if self.on_filtered is None else "..."
        return f"Filtered({what})"


class _Held:
    """Delivers the items of a stream until an item reports that the answer ended because its content was filtered. This
    item and all later items are held back, so that a message can be delivered before them.
    """

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.head: dict[str, Any] = {}
        self.begun = False
        self.shown = 0

    def take(self, item: Any) -> Iterator[Any]:
        if isinstance(item, dict):
            if self.items or ends_filtered(item):
                self.items.append(item)
                return
            self.begun = self.begun or "contentBlockDelta" in item or "contentBlockStart" in item
            self.shown += len(text_in(item))
        elif isinstance(item, Head):
            self.head = item.response
        yield item


def _is_plain(function: Any) -> bool:
    return callable(function) and not inspect.iscoroutinefunction(function)


def _why(outcome: Outcome) -> FilteredContent | None:
    """Return the `FilteredContent` of an answer or an error: it states why the content was filtered. Return None if
    nothing was filtered, or if only a part of the answer was filtered.
    """
    if outcome.fault is not None:
        return filtered_by(outcome.fault)
    value = outcome.value
    return _blocked(filtered_of(value if isinstance(value, dict) else value.response({})))


def _blocked(filtered: FilteredContent | None) -> FilteredContent | None:
    return None if filtered is None or filtered.partial else filtered


def _replaced(outcome: Outcome, response: dict[str, Any]) -> Outcome:
    return outcome._replace(value=response, fault=None, made=replace(outcome.made, replaced=True))


def _in_place_of(fault: Fault, message: str, filtered: FilteredContent) -> dict[str, Any]:
    return substitute.response(message, stop_reason=reason_of(filtered), request_id=fault.request_id)


def _request_id(outcome: Outcome) -> str | None:
    if outcome.fault is not None:
        return outcome.fault.request_id
    found: str | None = outcome.value.get("ResponseMetadata", {}).get("RequestId")
    return found


def _refused(outcome: Outcome, filtered: FilteredContent, head: dict[str, Any]) -> Outcome:
    """Return the outcome of a filtered answer, with a fault that reports the filtered content. The received content
    remains in the outcome. `head` is the response of boto3. Its `ResponseMetadata` is copied to the fault.

    If the outcome already has a fault, return the outcome unchanged.
    """
    if outcome.fault is not None:
        return outcome
    metadata = head.get("ResponseMetadata", {})
    fault = Fault(
        code="ContentFiltered",
        message=f"content filtering: {filtered}",  # programs that follow AWS's documentation search for these words
        kind=Kind.INVALID,
        decision=Decision.FAIL,
        category=Category.PERMANENT,
        cause=cause_of(filtered),
        advice="Change the prompt, or the guardrail if it blocks too much. The same content would be filtered again.",
        status=200,
        request_id=metadata.get("RequestId"),
        response={"ResponseMetadata": metadata},
    )
    return outcome._replace(fault=fault)
