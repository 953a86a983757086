"""A model that exhausted the Region's tokens per day stops calls to the other models: they are not sent."""

from __future__ import annotations

from typing import Any

import pytest
from support.answers import REPLY, fault
from support.client_faces import at_once
from support.wire import Wire, answer

from aws_bedrock_inference import Decision, Quota, QuotaExhausted, Throttled, standard

EMPTY = fault(429, "ThrottlingException", "Too many tokens per day, please wait before trying again.")


def test_an_exhausted_day_stops_the_other_models_of_the_same_quota(face: Any) -> None:
    quota = Quota(rpm=600_000, tpm=1_000_000)
    with Wire(answer(REPLY), EMPTY) as wire:
        client = face.open(wire.url, pipeline=at_once(quota), timeout=60)
        face.get(client.invoke("Why?", max_tokens=9))
        with pytest.raises(Throttled):
            face.get(client.invoke("Why?", max_tokens=9))
        for other in (client, face.open(wire.url, pipeline=at_once(quota), timeout=60)):
            with pytest.raises(QuotaExhausted, match="all models of us-east-1 share, is exhausted"):
                face.get(other.invoke("Why?", max_tokens=9, modelId="us.anthropic.claude-haiku-4-5-20251001-v1:0"))
    assert len(wire.received) == 2


def test_an_exhausted_day_of_a_model_that_never_answered_stops_that_model_alone(face: Any) -> None:
    with Wire(EMPTY, answer(REPLY)) as wire:
        client = face.open(wire.url, pipeline=at_once(Quota(rpm=600_000, tpm=1_000_000)), timeout=60)
        with pytest.raises(Throttled):
            face.get(client.invoke("Why?", max_tokens=9))
        face.get(client.invoke("Why?", max_tokens=9, modelId="us.anthropic.claude-haiku-4-5-20251001-v1:0"))
        with pytest.raises(QuotaExhausted):
            face.get(client.invoke("Why?", max_tokens=9))
    assert len(wire.received) == 2


@pytest.mark.parametrize("stated", [0, 60, 5000])
def test_the_first_refusal_of_an_exhausted_day_says_when_to_retry(face: Any, stated: int) -> None:
    """The caller that owns the retries learns it without a second call."""
    header: Any = {"Retry_After": str(stated)} if stated else {}
    message = "Too many tokens per day, please wait before trying again."
    empty = answer({"message": message}, status="429 X", x_amzn_ErrorType="ThrottlingException", **header)
    with Wire(empty) as wire:
        pipeline = standard(Quota(rpm=600_000, tpm=1_000_000), retry="outside")
        client = face.open(wire.url, pipeline=pipeline, timeout=60)
        with pytest.raises(Throttled) as first:
            face.get(client.invoke("Why?", max_tokens=9))
        with pytest.raises(QuotaExhausted) as second:
            face.get(client.invoke("Why?", max_tokens=9))
    assert len(wire.received) == 1
    assert first.value.retry_after == pytest.approx(max(900.0, stated), abs=5)
    assert second.value.retry_after == pytest.approx(900.0, abs=30)
    assert first.value.decision is Decision.RETRY_LIMITED
