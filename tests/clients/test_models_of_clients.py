"""How clients use the account's model lists: wrong IDs, ends of life, profiles, and models that are not ready yet."""

from __future__ import annotations

import logging
import warnings
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import session

from aws_bedrock_inference import (
    Denied,
    GeographicProfile,
    InvalidByService,
    InvalidRequest,
    Models,
    NotFound,
    NotReady,
    Pipeline,
    Quota,
    standard,
)
from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.clients import listed
from aws_bedrock_inference.clients.listed import EndOfLifeWarning
from aws_bedrock_inference.events import CallEnded, ProfileChosen, ReadinessAwaited
from aws_bedrock_inference.foundation import remembered
from aws_bedrock_inference.testing import Simulator, simulator
from aws_bedrock_inference.tokens.max_tokens_warning import Warned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOVA = "amazon.nova-lite-v1:0"
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
IMPORTED = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghijkl"
RETIRED = "anthropic.claude-3-sonnet-20240229-v1:0"
SOON, LATER = (str(datetime.now(UTC).date() + timedelta(days=days)) for days in (30, 200))
TABLES: dict[str, Any] = {
    "foundation": [
        {"id": NOVA},
        {"id": HAIKU, "on_demand": False},
        {"id": "amazon.old-v1:0", "end_of_life": SOON},
        {"id": "amazon.older-v1:0", "end_of_life": LATER},
        {"id": "amazon.waiting-v1:0", "agreement": "PENDING"},
        {"id": "amazon.locked-v1:0", "authorized": False},
        {"id": RETIRED, "end_of_life": "2026-07-30"},
    ],
    "profiles": [
        {"id": f"us.{HAIKU}", "model": HAIKU, "regions": ["us-east-1", "us-west-2"]},
        {"id": f"global.{HAIKU}", "model": HAIKU, "everywhere": True},
    ],
}


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with simulator(TABLES) as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def account(running: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Simulator:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(remembered, "_synced", {})
    for name in ("ENDING", "UNLISTED"):
        monkeypatch.setattr(listed, name, Warned())
    running.scenario(TABLES)
    return running


def models(account: Simulator, **options: Any) -> Models:
    return Models(session(), endpoint_url=account.url, **options)


def ask(face: Any, client: Any, **options: Any) -> Any:
    return face.get(client.invoke("Hi", max_tokens=9, **options))


class TestWrongIds:
    def test_a_fresh_list_refuses_an_unknown_id_unsent_and_names_the_nearest(
        self, face: Any, account: Simulator
    ) -> None:
        models(account).sync()
        sent = account.stats()["arrived"]
        client = face.open(account.url)
        for wrong, right in (("amazon.nova-light-v1:0", NOVA), (f"eu.{HAIKU}", f"us.{HAIKU}")):
            with pytest.raises(
                InvalidRequest, match=f"no model or inference profile {wrong}. The most similar id is {right}"
            ):
                face.get(client.converse(modelId=wrong, messages=[]))
        assert account.stats()["arrived"] == sent
        assert ask(face, client).text

    def test_a_client_with_an_unlisted_id_refuses_calls_until_the_list_contains_it(
        self, face: Any, account: Simulator
    ) -> None:
        models(account).sync()
        client = face.make("amazon.launched-v1:0", session=session(), endpoint_url=account.url)
        with pytest.raises(InvalidRequest, match="launched"):
            ask(face, client)
        account.scenario(TABLES, foundation=[{"id": "amazon.launched-v1:0"}])
        models(account).sync()
        assert ask(face, client).text
        face.get(client.aclose()) if hasattr(client, "aclose") else client.close()

    def test_without_a_list_of_this_account_and_region_nothing_is_refused(self, face: Any, account: Simulator) -> None:
        models(account, region_name="eu-west-1").sync()
        client = face.open(account.url)
        with pytest.raises(NotFound, match="identifier is invalid"):
            face.get(client.converse(modelId="amazon.nova-light-v1:0", messages=[{"role": "user", "content": []}]))

    def test_an_incomplete_list_and_an_arn_refuse_nothing(self, face: Any, account: Simulator) -> None:
        denied = {"kind": "error", "code": "AccessDeniedException", "operation": "ListInferenceProfiles"}
        account.scenario(TABLES, faults=[denied])
        models(account).sync()
        account.scenario()
        client = face.open(account.url)
        assert face.get(client.converse(modelId=f"us.{NOVA}", messages=[{"role": "user", "content": [{"text": "x"}]}]))
        models(account).sync()
        face.get(client.converse(modelId=IMPORTED, messages=[{"role": "user", "content": [{"text": "x"}]}]))

    def test_an_older_list_only_logs_the_unknown_id_once(
        self, face: Any, account: Simulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        models(account, clock=lambda: clocks.wall() - 90_000).sync()
        account.scenario()
        client = face.open(account.url)
        with caplog.at_level(logging.WARNING, "aws_bedrock_inference"):
            for _ in range(2):
                face.get(
                    client.converse(modelId="amazon.new-v9:0", messages=[{"role": "user", "content": [{"text": "x"}]}])
                )
        lines = [each.getMessage() for each in caplog.records if "older than 24 hours" in each.getMessage()]
        [line] = lines
        assert line.startswith("amazon.new-v9:0: the stored list of the models in us-east-1 does not contain")


class TestEndOfLife:
    def test_a_model_near_its_end_of_life_warns_once_with_the_date(self, face: Any, account: Simulator) -> None:
        models(account).sync()
        with pytest.warns(EndOfLifeWarning, match=f"the last day of amazon.old-v1:0 is {SOON}") as caught:
            face.make("amazon.old-v1:0", session=session(), endpoint_url=account.url)
        assert [each.filename for each in caught] == [__file__]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            face.make("amazon.old-v1:0", session=session(), endpoint_url=account.url)
            face.make("amazon.older-v1:0", session=session(), endpoint_url=account.url)
            face.make(RETIRED, session=session(), endpoint_url=account.url)  # a simulator is not AWS

    def test_the_documented_end_of_life_is_warned_of_without_any_list(self, face: Any) -> None:
        with pytest.warns(EndOfLifeWarning, match=r"is 2026-07-30\. .*Its successor is anthropic\.claude-sonnet-5-5"):
            face.make(RETIRED, session=session())

    def test_the_answer_for_a_retired_model_names_the_successor(self, face: Any, account: Simulator) -> None:
        client = face.open(account.url)
        with pytest.raises(NotFound) as caught:
            face.get(client.converse(modelId=RETIRED, messages=[{"role": "user", "content": [{"text": "x"}]}]))
        assert caught.value.cause == "model-end-of-life"
        told = f"The last day of {RETIRED} is 2026-07-30 in most Regions. Its successor is anthropic.claude-sonnet-5-5."
        assert told in str(caught.value)
        assert told in caught.value.advice


class TestProfiles:
    def test_a_call_is_not_moved_to_a_profile_unless_profiles_is_set(self, face: Any, account: Simulator) -> None:
        client = face.open(account.url)
        with pytest.raises(InvalidByService) as caught:
            face.get(client.converse(modelId=HAIKU, messages=[{"role": "user", "content": [{"text": "x"}]}]))
        assert caught.value.cause == "on-demand-not-supported-use-inference-profile"

    @pytest.mark.parametrize("stream", [False, True])
    def test_with_profiles_a_call_uses_the_geographic_profile_and_remembers_it(
        self, face: Any, account: Simulator, *, stream: bool
    ) -> None:
        quota = Quota(rpm=600_000)
        client = face.open(account.url, pipeline=standard(quota, profiles=models(account)))
        client.model_id = HAIKU
        events: list[Any] = []
        client.listen(events.append)
        first = ask(face, client, stream=stream)
        assert first.text
        assert ask(face, client, stream=stream).attempts == 1
        chosen = [each for each in events if isinstance(each, ProfileChosen)]
        assert [(str(each.route), each.profile) for each in chosen] == [(f"{HAIKU} in us-east-1", f"us.{HAIKU}")]
        assert [each.attempts for each in events if isinstance(each, CallEnded)] == [2, 1]
        pools = account.stats()["pools"]
        assert [name for name, pool in pools.items() if pool["answered"]] == [
            name for name in pools if "geographic" in name
        ]
        assert face.whole(client.invoke_stream("Hi", max_tokens=9))

    def test_without_a_profile_inside_the_allowed_regions_the_error_is_raised(
        self, face: Any, account: Simulator
    ) -> None:
        policy = GeographicProfile(models(account), within="eu-*")
        client = face.open(account.url, pipeline=Pipeline(policy))
        client.model_id = HAIKU
        with pytest.raises(InvalidByService):
            ask(face, client)

    def test_without_permission_to_list_profiles_the_error_is_raised(self, face: Any, account: Simulator) -> None:
        denied = {"kind": "error", "code": "AccessDeniedException", "operation": "List*"}
        account.scenario(TABLES, faults=[denied])
        client = face.open(account.url, pipeline=Pipeline(GeographicProfile(models(account))))
        client.model_id = HAIKU
        with pytest.raises(InvalidByService):
            ask(face, client)

    def test_an_invalid_value_of_profiles_is_refused(self) -> None:
        with pytest.raises(ValueError, match="pass a Models"):
            GeographicProfile("us.")  # type: ignore[arg-type]


class TestReadiness:
    def open(self, face: Any, account: Simulator, model: str) -> tuple[Any, list[Any]]:
        client = face.open(account.url)
        client.model_id = model
        events: list[Any] = []
        client.listen(lambda event: events.append(event) if isinstance(event, ReadinessAwaited) else None)
        return client, events

    def test_wait_until_ready_waits_for_a_pending_agreement(self, face: Any, account: Simulator) -> None:
        account.scenario(TABLES, faults=[{"kind": "access-pending", "first": 1}])
        client, events = self.open(face, account, NOVA)
        assert face.get(client.wait_until_ready(timeout=0.05)) is None
        (event,) = events
        assert event.fault.cause == "marketplace-agreement-pending"
        assert event.wait <= 0.05  # of 900 s no more than is left
        assert ask(face, client).text

    def test_wait_until_ready_raises_the_last_exception_after_its_timeout(self, face: Any, account: Simulator) -> None:
        client, events = self.open(face, account, "amazon.waiting-v1:0")
        with pytest.raises(Denied) as caught:
            face.get(client.wait_until_ready(timeout=0.1))
        assert caught.value.cause == "marketplace-agreement-pending"
        assert caught.value.retry_after == 900
        assert len(events) == 1

    def test_wait_until_ready_raises_a_permanent_fault_immediately(self, face: Any, account: Simulator) -> None:
        client, events = self.open(face, account, "amazon.locked-v1:0")
        with pytest.raises(Denied):
            face.get(client.wait_until_ready())
        assert events == []

    def test_wait_until_ready_loads_an_imported_model(self, face: Any, account: Simulator) -> None:
        account.scenario(faults=[{"kind": "not-ready", "first": 1}])
        client, events = self.open(face, account, IMPORTED)
        face.get(client.wait_until_ready(timeout=0.05))
        assert [each.fault.code for each in events] == ["ModelNotReadyException"]
        account.scenario(faults=[{"kind": "not-ready"}])
        with pytest.raises(NotReady):
            face.get(client.wait_until_ready(timeout=0.1))

    def test_a_model_that_is_ready_costs_one_call_of_one_token(self, face: Any, account: Simulator) -> None:
        client, events = self.open(face, account, NOVA)
        before = account.stats()["arrived"]
        face.get(client.wait_until_ready())
        assert account.stats()["arrived"] == before + 1
        assert account.stats()["tokens"]["output"] <= 1
        assert events == []

    @pytest.mark.parametrize("timeout", [0, -1, "x", None])
    def test_an_invalid_timeout_is_refused(self, face: Any, account: Simulator, timeout: Any) -> None:
        client, _ = self.open(face, account, NOVA)
        with pytest.raises(ValueError, match="pass seconds above 0"):
            face.get(client.wait_until_ready(timeout))
