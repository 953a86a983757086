"""Create the plan of the answer to an admitted request: the model's text, its timing, and the effect of a fault."""

from __future__ import annotations

from dataclasses import replace
from math import exp
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.simulator import frames, plan, speech
from aws_bedrock_inference.simulator.answers import FILTERED, GUARDRAIL, Answer, answer, count
from aws_bedrock_inference.simulator.embeddings import embedding_format
from aws_bedrock_inference.simulator.error_texts import ERRORS, text
from aws_bedrock_inference.simulator.model_rules import matches
from aws_bedrock_inference.simulator.wishes import has_effort

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.simulator.answers import Prompt, Usage
    from aws_bedrock_inference.simulator.embeddings import Format
    from aws_bedrock_inference.simulator.plan import Plan, Step
    from aws_bedrock_inference.simulator.request import Asked
    from aws_bedrock_inference.simulator.settings import FaultRule, Scenario

_PLAIN: dict[str, Any] = {"tool": None, "reasoning": "", "cited": None}

_QUICKEST = 0.159
"""The shortest latency that an answer reports, in seconds. It is the lowest of 480 recorded latencies (2026-11-29); no
recorded latency was 0.
"""

HARMLESS = {"stall", "content-filtered", "guardrail"}
"""The faults with which a request still gets a complete answer."""


def reply(
    scenario: Scenario,
    asked: Asked,
    prompt: Prompt,
    usage: Usage,
    *,
    limit: int,
    fault: FaultRule | None,
    over: Callable[[float, int], None],
) -> Plan:
    """Return the plan of the answer. At the end of the answer, `over` is called with two values: the share of the
    answer that was sent, and the number of tokens in the complete answer.
    """
    if form := embedding_format(asked.format, asked.base):
        return _numbers(scenario, form, asked, prompt, fault=fault, over=over)
    generated = answer(
        prompt,
        seed=scenario.seed,
        model=asked.base,
        limit=limit,
        settings=scenario.answers,
        reasons=not asked.native and (matches(asked.base, scenario.models.reasoning) or has_effort(asked.body)),
    )
    if fault:
        generated = _filtered(generated, fault)
    usage = usage._replace(output=generated.tokens)
    latency = scenario.latency
    first = latency.first_token * exp(generated.normal * latency.spread)
    seconds = first + generated.tokens / latency.tokens_per_second
    reported = max(seconds, _QUICKEST)
    if asked.streaming:
        track = _track(speech.events(asked, generated, usage, reported), fault)
        pause = (seconds - first) / max(1, len(track))
        headers = [("x-amzn-bedrock-content-type", "application/json")] if asked.native else []
        return plan.stream(track, headers, wait=first, pause=pause, on_done=lambda share: over(share, generated.tokens))
    headers, body = speech.whole(asked, generated, usage, reported)
    if fault and fault.kind == "malformed":
        body = body[: len(body) // 2]
    return plan.whole(200, body, headers, wait=seconds, on_done=lambda: over(1.0, generated.tokens))


def _numbers(
    scenario: Scenario,
    form: Format,
    asked: Asked,
    prompt: Prompt,
    *,
    fault: FaultRule | None,
    over: Callable[[float, int], None],
) -> Plan:
    """Return the plan of an answer that consists of numbers, such as an embedding. Only input tokens are charged."""
    wait = scenario.latency.first_token
    body = speech.written(form.body(asked.body, prompt.tokens))
    if fault and fault.kind == "malformed":
        body = body[: len(body) // 2]
    headers = [("x-amzn-bedrock-invocation-latency", str(round(max(wait, _QUICKEST) * 1000)))]
    if form.counts:
        headers.append(("x-amzn-bedrock-input-token-count", str(prompt.tokens)))
    return plan.whole(200, body, headers, wait=wait, on_done=lambda: over(1.0, 0))


def _filtered(generated: Answer, fault: FaultRule) -> Answer:
    if fault.kind == "content-filtered":
        kept = generated.text[: len(generated.text) // 2]
        return replace(generated, text=kept, tokens=count(kept), stop=FILTERED, stop_sequence=None, **_PLAIN)
    if fault.kind == "guardrail":
        blocked = text("guardrail", "blocked")
        return replace(generated, text=blocked, tokens=count(blocked), stop=GUARDRAIL, stop_sequence=None, **_PLAIN)
    return generated


def _track(events: list[tuple[str, bytes]], fault: FaultRule | None) -> list[Step]:
    """Return the frames (encoded events) of a stream, changed by the fault.

    If `fault.after` is set, the fault occurs after this number of events, but always before the last two events of the
    stream. If `fault.after` is not set, the kind of the fault decides:

    * An exception occurs before the first event, so it replaces the whole stream.
    * A stall does not change the frames, because it delays the whole answer.
    * Any other fault occurs in the middle of the stream.
    """
    track: list[Step] = [frames.event(name, frames.padded(payload)) for name, payload in events]
    if fault is None or (fault.kind == "stall" and fault.after is None):  # such a stall is before the first byte
        return track
    usual = 0 if fault.kind == "exception" else len(events) // 2
    at = min(usual if fault.after is None else fault.after, max(0, len(events) - 2))
    rest = track[at:]
    match fault.kind:
        case "exception":
            rest = [_exception(fault)]
        case "truncate":
            rest = []
        case "reset":
            rest = [plan.Break.RESET]
        case "stall":
            rest = [fault.seconds, *rest]
        case "malformed":
            name, payload = events[at]
            rest = [frames.event(name, payload[: len(payload) // 2]), *rest[1:]]
    return track[:at] + rest


def _exception(fault: FaultRule) -> bytes:
    known = ERRORS.get(fault.code[:1].upper() + fault.code[1:], {})
    return speech.exception(fault.code, fault.message or known.get("message", ""))
