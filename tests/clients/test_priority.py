"""The priority of a call, and the service tier that it requests."""

from __future__ import annotations

from typing import Any

import pytest

from aws_bedrock_inference import BedrockClient, InvalidRequest
from aws_bedrock_inference.clients.request import Prompt
from aws_bedrock_inference.testing import simulator


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


MODEL = "amazon.nova-lite-v1:0"


@pytest.mark.parametrize(
    ("priority", "tier"), [("interactive", "priority"), ("normal", "default"), ("batch", "flex"), (1.5, "flex")]
)
def test_a_matching_tier_is_requested_with_the_priority(priority: Any, tier: str) -> None:
    with simulator() as service, BedrockClient(MODEL, endpoint_url=service.url, region_name="us-east-1") as client:
        call = client._invoke_call("converse", Prompt("Why?", tier="match"), priority)
    assert call.params["serviceTier"] == {"type": tier}
    assert call.priority == client_number(priority)


def test_a_tier_is_requested_by_name_and_omitted_without_a_name() -> None:
    with simulator() as service, BedrockClient(MODEL, endpoint_url=service.url, region_name="us-east-1") as client:
        assert "serviceTier" not in client._invoke_call("converse", Prompt("Why?", tier=None), None).params
        call = client._invoke_call("converse", Prompt("Why?", tier="reserved"), None)
    assert call.params["serviceTier"] == {"type": "reserved"}


def test_the_priority_of_a_client_applies_to_its_calls_unless_a_call_sets_another() -> None:
    options: Any = {"region_name": "us-east-1", "priority": "batch"}
    with simulator() as service, BedrockClient(MODEL, endpoint_url=service.url, **options) as client:
        assert client._make_call("converse", {"messages": []}).priority == 2.0
        assert client._invoke_call("converse", Prompt("Why?", tier=None), "interactive").priority == 0.0
        assert client.invoke("Why?", max_tokens=20, priority="interactive").stop_reason


def test_an_unknown_priority_or_tier_is_refused_with_the_valid_names() -> None:
    with pytest.raises(ValueError, match="interactive, normal, batch"):
        BedrockClient(MODEL, region_name="us-east-1", priority="urgent")  # type: ignore[arg-type]
    with simulator() as service, BedrockClient(MODEL, endpoint_url=service.url, region_name="us-east-1") as client:
        with pytest.raises(InvalidRequest, match="tier=<str>: pass one of priority, default, flex"):
            client.invoke("Why?", tier="fast")  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest, match="tier='flux': pass one of priority, default, flex"):
            client.invoke("Why?", tier="flux")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="priority=<str>: pass a number"):
            client.invoke("Why?", priority="urgent")  # type: ignore[arg-type]


def client_number(priority: Any) -> Any:
    return {"interactive": 0.0, "normal": 1.0, "batch": 2.0}.get(priority, priority)
