"""Deliver stream items that a policy created, such as a substitute for a failed answer, or that it held back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.dialects import substitute
from aws_bedrock_inference.flow import ABANDONED, Head, give

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_bedrock_inference.call import Outcome
    from aws_bedrock_inference.flow import Flow
    from aws_bedrock_inference.made import Made


def given(outcome: Outcome, items: Iterable[Any]) -> Flow:
    """Deliver `items` of a stream to the caller. Return the `outcome` with the number of delivered items."""
    emitted = outcome.emitted
    for item in items:
        emitted += 1
        if not (yield from give(item)):
            return outcome._replace(fault=ABANDONED, emitted=emitted)
    return outcome._replace(emitted=emitted)


def handed_over(response: dict[str, Any], failed: Outcome, made: Made) -> Flow:
    """Deliver a complete response of Converse as a stream. The response replaces the answer of a call that failed
    before it delivered anything. `failed` is the outcome of that call. `made` describes how the response was produced.
    """
    events = substitute.events(response)
    whole = failed._replace(value=substitute.transcript_of(events), fault=None, made=made)
    return (yield from given(whole, [Head({"ResponseMetadata": response["ResponseMetadata"]}), *events]))
