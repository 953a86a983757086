"""A model that has emptied the Region's day stops the calls to the others: they are not sent."""

from __future__ import annotations

from typing import Any

import pytest
from support.answers import REPLY, fault
from support.client_faces import at_once
from support.wire import Wire, answer

from aws_bedrock_inference import Quota, QuotaExhausted, Throttled

EMPTY = fault(429, "ThrottlingException", "Too many tokens per day, please wait before trying again.")


def test_the_other_models_of_a_client_and_of_its_quota_are_stopped(face: Any) -> None:
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


def test_a_model_that_never_answered_stops_itself_alone(face: Any) -> None:
    with Wire(EMPTY, answer(REPLY)) as wire:
        client = face.open(wire.url, pipeline=at_once(Quota(rpm=600_000, tpm=1_000_000)), timeout=60)
        with pytest.raises(Throttled):
            face.get(client.invoke("Why?", max_tokens=9))
        face.get(client.invoke("Why?", max_tokens=9, modelId="us.anthropic.claude-haiku-4-5-20251001-v1:0"))
        with pytest.raises(QuotaExhausted):
            face.get(client.invoke("Why?", max_tokens=9))
    assert len(wire.received) == 2
