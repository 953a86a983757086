"""`Models` over boto3 against the simulator: lists, checks, the cache, and the behaviour without permissions."""

from __future__ import annotations

import stat
from threading import Event
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from foundation.conftest import CLAUDE, GLOBAL, LAST, NOVA, OLD, OWN, TABLES, denied

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.foundation import remembered
from aws_bedrock_inference.foundation.listing import FoundationModel, InferenceProfile, Listing
from aws_bedrock_inference.foundation.models import Models
from aws_bedrock_inference.foundation.remembered import recall, remember
from aws_bedrock_inference.foundation.resolving import NotResolvable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aws_bedrock_inference.testing import Simulator

    Make = Callable[..., Models]


def asked(account: Simulator) -> int:
    number: int = account.stats()["arrived"]
    return number


class TestLists:
    def test_models_and_profiles_have_the_field_values_of_aws(self, models: Make) -> None:
        found = models()
        assert [each.id for each in found.all()][:3] == [NOVA, CLAUDE, OLD]
        nova = found.get(NOVA)
        assert isinstance(nova, FoundationModel)
        assert (nova.inputs, nova.on_demand, nova.lifecycle) == (("TEXT", "IMAGE"), True, "ACTIVE")
        profile = found.get(f"eu.{CLAUDE}")
        assert isinstance(profile, InferenceProfile)
        assert (profile.kind, profile.base, profile.pool) == ("system", CLAUDE, "geographic")
        assert profile.regions == ("eu-central-1", "eu-north-1", "eu-west-1")
        own = found.get(OWN)
        assert isinstance(own, InferenceProfile)
        assert (own.kind, own.base, own.pool) == ("application", CLAUDE, "on-demand")
        assert found.get(f"arn:aws:bedrock:eu-west-1::foundation-model/{NOVA}") == nova
        assert found.get("amazon.nothing-v1:0") is None
        assert found.missing == ()

    def test_the_end_of_life_is_the_last_day_of_a_model(self, models: Make) -> None:
        old = models().get(OLD)
        assert isinstance(old, FoundationModel)
        assert (old.lifecycle, old.end_of_life) == ("LEGACY", LAST)


class TestCache:
    def test_lists_are_read_once_and_are_valid_for_other_programs_for_a_day(
        self, models: Make, account: Simulator
    ) -> None:
        assert len(models().all()) == 8
        requests = asked(account)
        again = models()
        assert len(again.all()) == 8
        assert len(again.profiles()) == 6
        assert asked(account) == requests
        later = models(clock=lambda: clocks.wall() + 86_500)
        assert len(later.all()) == 8
        assert asked(account) > requests

    def test_only_the_owner_can_read_the_file_and_a_damaged_one_is_ignored(
        self, models: Make, account: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        models().sync()
        (file,) = (tmp_path / "aws-bedrock-inference").iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert b"secret" not in file.read_bytes()
        monkeypatch.setattr(remembered, "_synced", {})
        for broken in ("", "[]", '{"format": 1}', '{"format": 1, "region": 1, "at": "x", "models": 5}', "{" * 9999):
            file.write_text(broken)
            account.scenario(TABLES, faults=denied("List*"))
            assert models().all() == ()
        account.scenario(TABLES)
        assert len(models().all()) == 8

    def test_the_cache_directory_can_be_set_and_a_read_only_one_does_no_harm(
        self, models: Make, tmp_path: Path
    ) -> None:
        models(cache=tmp_path / "mine").sync()
        assert [file.name.split("-")[0] for file in (tmp_path / "mine").iterdir()] == ["models"]
        (tmp_path / "file").touch()
        assert len(models(cache=tmp_path / "file" / "below").all()) == 8

    def test_older_lists_are_used_offline_with_their_age_and_the_reason(
        self, models: Make, account: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        models().sync()
        monkeypatch.setattr(remembered, "_synced", {})
        account.scenario(TABLES, faults=[{"kind": "reset", "operation": "List*"}])
        offline = models(clock=lambda: clocks.wall() + 3 * 86_400)
        assert len(offline.all()) == 8
        assert offline.age == pytest.approx(3 * 86_400, abs=60)
        assert [each.denied for each in offline.missing] == [False, False]
        account.scenario(TABLES, faults=[{"kind": "reset", "operation": "*t*"}])
        assert offline.check("amazon.launched-yesterday-v1:0").known is None

    def test_fresh_lists_need_no_network(self, models: Make, account: Simulator) -> None:
        models().sync()
        account.scenario(TABLES, faults=[{"kind": "reset", "operation": "*Foundation*"}])
        found = models().check(CLAUDE)
        assert (found.known, found.needs_profile, found.agreement) == (True, True, None)
        assert found.notes == (str(found.notes[0]),)
        assert found.notes[0].startswith("GetFoundationModelAvailability was not answered")

    def test_lists_of_different_accounts_and_regions_are_separate(self, models: Make, account: Simulator) -> None:
        models().sync()
        other = boto3.Session("AKIDOTHER", "secret", region_name="eu-west-1")
        before = asked(account)
        assert Models(other, endpoint_url=account.url).all()
        assert asked(account) > before
        assert models(region_name="us-east-1").get(f"eu.{NOVA}") is None

    def test_sync_every_refreshes_the_lists_until_it_is_stopped(self, models: Make, account: Simulator) -> None:
        source = models()
        synced, real = Event(), source.sync

        def sync() -> Any:
            synced.set()
            return real()

        source.sync = sync  # type: ignore[method-assign]
        end = source.sync_every(0.01)
        assert synced.wait(30)
        end()
        sent = asked(account)
        assert not source._lock.locked(), (
            "a reading that goes on is waited for: its lists would come into the next test"
        )
        assert asked(account) == sent
        with pytest.raises(ValueError, match=r"sync_every\(0\): pass seconds above 0"):
            source.sync_every(0)


class TestPermissions:
    def test_without_permissions_every_method_works_and_names_the_missing_permissions(
        self, models: Make, account: Simulator
    ) -> None:
        account.scenario(TABLES, faults=denied("List*", "Get*"))
        source = models()
        assert (source.all(), source.profiles(), source.get(NOVA)) == ((), (), None)
        found = source.check(NOVA)
        assert (found.known, found.lifecycle, found.ok) == (None, None, True)
        for operation in ("ListFoundationModels", "ListInferenceProfiles", "GetFoundationModelAvailability"):
            assert any(f"Allow bedrock:{operation} to see more" in note for note in found.notes)
        assert source.resolve(NOVA) == NOVA
        assert source.resolve(NOVA, within="eu-*") == NOVA
        with pytest.raises(NotResolvable, match=r"eu\.amazon.* are unknown.*ListInferenceProfiles"):
            source.resolve(f"eu.{NOVA}", within="eu-*")

    def test_single_models_and_profiles_can_be_read_without_permission_to_list(
        self, models: Make, account: Simulator
    ) -> None:
        account.scenario(TABLES, faults=denied("List*"))
        source = models()
        assert (source.check(CLAUDE).known, source.check(CLAUDE).needs_profile) == (True, True)
        found = source.check(f"eu.{CLAUDE}")
        assert (found.known, found.base, found.regions[0]) == (True, CLAUDE, "eu-central-1")
        assert source.check("amazon.nothing-v1:0").known is False
        assert source.resolve(f"eu.{CLAUDE}", within="eu-*") == f"eu.{CLAUDE}"
        with pytest.raises(NotResolvable):
            source.resolve(f"global.{CLAUDE}", within="eu-*")

    def test_a_known_retired_model_is_named_without_any_permission(self, models: Make, account: Simulator) -> None:
        account.scenario(TABLES, faults=denied("List*", "Get*"))
        found = models().check("anthropic.claude-3-sonnet-20240229-v1:0")
        assert (str(found.end_of_life), found.successor) == ("2026-07-30", "anthropic.claude-sonnet-5-5")
        assert not found.ok

    def test_without_credentials_nothing_is_known_and_nothing_raised(self, account: Simulator) -> None:
        source = Models(region_name="eu-west-1", endpoint_url=account.url)
        assert source.all() == ()
        assert source.check(NOVA).known is None
        [note] = source.check(NOVA).notes
        assert "Allow" not in note, "no permission helps who has no credentials"
        assert note.startswith("ListFoundationModels, ListInferenceProfiles, ")
        assert note.endswith("were not answered by AWS (NoCredentialsError: Unable to locate credentials).")

    def test_lists_that_were_denied_are_requested_again_after_some_minutes(
        self, models: Make, account: Simulator
    ) -> None:
        now = clocks.wall()
        account.scenario(TABLES, faults=denied("List*"))
        source = models(clock=lambda: now)
        assert source.all() == ()
        sent = asked(account)
        assert (source.all(), source.profiles()) == ((), ())
        assert asked(account) == sent
        account.scenario(TABLES)
        now += 301
        assert len(source.all()) == 8
        assert source.missing == ()


class TestCheck:
    def test_an_active_model_has_no_problem(self, models: Make) -> None:
        found = models().check(NOVA)
        assert (found.known, found.ok, found.needs_profile, found.notes) == (True, True, False, ())
        assert (found.agreement, found.authorization) == ("AVAILABLE", "AUTHORIZED")
        assert (found.entitlement, found.region) == ("AVAILABLE", "AVAILABLE")
        assert (found.regions, found.profiles) == (("eu-west-1",), (f"eu.{NOVA}",))

    def test_an_unknown_id_is_a_problem_that_names_the_nearest_id(self, models: Make) -> None:
        source = models()
        for wrong, right in (
            ("amazon.nova-lite-v1", NOVA),
            (f"us.{NOVA}", NOVA),
            (f"us.{CLAUDE}", f"xx.{CLAUDE}"),
            ("anthropic.claude-sonet-4-5-20250929-v1:0", CLAUDE),
        ):
            found = source.check(wrong)
            assert (found.known, found.nearest) == (False, right)
            assert found.problems == (
                f"eu-west-1 has no model or inference profile {wrong}. The most similar id is {right}.",
            )

    def test_a_model_that_needs_a_profile_names_the_profiles_of_the_region(self, models: Make) -> None:
        found = models().check(CLAUDE)
        assert found.problems == (
            f"{CLAUDE} can be called only through an inference profile: xx.{CLAUDE}, eu.{CLAUDE}, global.{CLAUDE}.",
        )
        assert models().check(f"eu.{CLAUDE}").ok

    def test_a_legacy_model_names_its_last_day_and_its_successor(self, models: Make) -> None:
        found = models().check(OLD)
        assert (found.lifecycle, found.end_of_life, found.context) == ("LEGACY", LAST, "200k")
        assert found.ok
        assert found.notes == (f"The last day of {OLD} is {LAST}.",)  # no successor is offered in this Region

    @pytest.mark.parametrize(
        ("model", "words"),
        [
            ("amazon.pending-v1:0", ["still pending. Check again every 15 minutes"]),
            ("amazon.failed-v1:0", ["agreement for the model failed: A valid payment", "not authorized", "no entitle"]),
        ],
    )
    def test_missing_access_is_described_in_a_sentence(self, models: Make, model: str, words: list[str]) -> None:
        found = models().check(model)
        assert len(found.problems) == len(words)
        for sentence, expected in zip(found.problems, words, strict=True):
            assert expected in sentence

    def test_an_agreement_that_the_first_call_creates_is_a_note(self, models: Make) -> None:
        found = models().check("amazon.new-v1:0")
        assert found.ok
        assert "aws-marketplace:Subscribe" in found.notes[0]

    def test_an_id_that_lists_cannot_contain_is_not_reported_as_a_problem(self, models: Make) -> None:
        for arn in ("imported-model/abcdefghijkl", "provisioned-model/abcdefghijkl", "prompt/P:1"):
            found = models().check(f"arn:aws:bedrock:eu-west-1:123456789012:{arn}")
            assert (found.known, found.problems) == (None, ())

    def test_access_is_checked_again_and_a_granted_access_is_seen(self, models: Make, account: Simulator) -> None:
        source = models()
        assert not source.check("amazon.pending-v1:0").ok
        account.scenario(TABLES, foundation=[{"id": "amazon.pending-v1:0"}])
        assert source.check("amazon.pending-v1:0").ok

    def test_the_use_case_form_is_checked_for_models_that_require_it(self, models: Make, account: Simulator) -> None:
        assert (models().check(f"eu.{CLAUDE}").use_case_form, models().check(NOVA).use_case_form) == (True, None)
        account.scenario(TABLES, use_case_form=False)
        found = models().check(f"eu.{CLAUDE}")
        assert (found.use_case_form, found.ok) == (False, False)
        assert "use-case form is not submitted" in found.problems[0]

    @pytest.mark.newer_botocore
    def test_a_data_retention_mode_that_the_model_does_not_support_is_a_problem(
        self, models: Make, account: Simulator
    ) -> None:
        fable = {"id": "anthropic.claude-fable-5-1"}
        account.scenario(foundation=[fable])
        found = models(region_name="us-east-1").check(fable["id"])
        assert found.retention == "default"
        (problem,) = found.problems
        assert "only with the data-retention mode provider_data_share or aws_review; the account's mode" in problem
        account.scenario(foundation=[fable], data_retention="provider_data_share")
        assert models(region_name="us-east-1").check(fable["id"]).ok


class TestResolve:
    def test_resolve_returns_a_callable_id_unchanged(self, models: Make) -> None:
        source = models()
        for name in (NOVA, f"eu.{NOVA}", f"global.{CLAUDE}", OWN):
            assert source.resolve(name) == name
        assert source.resolve(f"us.{NOVA}") == NOVA

    def test_resolve_chooses_a_geographic_profile_and_never_a_global_one(self, models: Make) -> None:
        source = models()
        assert source.resolve(CLAUDE) == f"xx.{CLAUDE}"
        with pytest.raises(
            NotResolvable, match=f"only through global.{GLOBAL}, and those calls can be answered in any"
        ):
            source.resolve(GLOBAL)
        assert source.resolve(f"global.{GLOBAL}", within="*") == f"global.{GLOBAL}"

    def test_residency_is_decided_by_the_destinations_and_not_by_the_prefix(self, models: Make) -> None:
        source = models()
        assert source.resolve(CLAUDE, within="eu-*") == f"eu.{CLAUDE}"
        assert source.resolve(f"global.{CLAUDE}", within="eu-*") == f"eu.{CLAUDE}"
        assert source.resolve(f"xx.{CLAUDE}", within=["eu-*"]) == f"eu.{CLAUDE}"
        assert source.resolve(f"xx.{CLAUDE}", within=["eu-*", "us-*", "ca-*"]) == f"xx.{CLAUDE}"
        assert source.resolve(OWN, within="eu-west-1") == OWN
        with pytest.raises(NotResolvable, match="can be answered in eu-central-1, eu-north-1, eu-west-1"):
            source.resolve(CLAUDE, within="eu-north-1")
        with pytest.raises(NotResolvable, match=f"{NOVA} can be answered in eu-west-1"):
            source.resolve(NOVA, within="us-*")

    def test_a_profile_with_unknown_destinations_is_refused(self, models: Make) -> None:
        source = models()
        with pytest.raises(NotResolvable, match="are unknown: eu-west-1 lists no such profile"):
            source.resolve(OWN.replace("own1", "other"), within="eu-*")
        with pytest.raises(NotResolvable, match=r"no model or inference profile us\.amazon\.nothing"):
            source.resolve("us.amazon.nothing-v1:0", within="us-*")

    def test_an_empty_region_pattern_is_refused(self, models: Make) -> None:
        for nothing in ("", [], [" "]):
            with pytest.raises(ValueError, match="pass a pattern of Regions"):
                models().resolve(NOVA, within=nothing)


def test_an_invalid_max_age_is_refused_and_creation_sends_no_request() -> None:
    with pytest.raises(ValueError, match=r"Models\(max_age=-1\): pass the seconds"):
        Models(max_age=-1)
    Models(region_name="eu-west-1")


def test_lists_of_custom_endpoints_are_separate_and_those_of_aws_are_shared(account: Simulator) -> None:
    listing = Listing(region="eu-west-1", at=1.0, models=())
    remember(None, "me", "https://bedrock.eu-west-1.amazonaws.com", listing)
    assert recall(None, "me", "eu-west-1", "https://bedrock-runtime.eu-west-1.amazonaws.com") == listing
    for whose, region, endpoint in (
        ("me", "eu-west-1", account.url),
        ("me", "us-east-1", "https://bedrock.us-east-1.amazonaws.com"),
        ("you", "eu-west-1", "https://bedrock.eu-west-1.amazonaws.com"),
        ("", "eu-west-1", "https://bedrock.eu-west-1.amazonaws.com"),
    ):
        assert recall(None, whose, region, endpoint) is None
