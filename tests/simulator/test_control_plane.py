"""The simulator's control plane, read by botocore's own parsers through boto3."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session
from support.simulated_account import Account

from aws_bedrock_inference.simulator.request import CONTROL, JOBS, Request
from aws_bedrock_inference.simulator.scenario import ScenarioError, tables
from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD, NEW, BARE = "amazon.old-v1:0", "amazon.new-v1:0", "anthropic.profiled-v1:0"
ENDED = "amazon.ended-v1:0"


def day(after: int) -> str:
    return (datetime.now(UTC) + timedelta(days=after)).strftime("%Y-%m-%d")


TABLES: dict[str, Any] = {
    "foundation": [
        {"id": OLD, "legacy": day(-30), "extended_access": day(10), "end_of_life": day(60)},
        {"id": NEW, "output": ["TEXT", "IMAGE"], "agreement": "PENDING", "agreement_after": 900},
        {"id": BARE, "on_demand": False, "provisioned": True, "authorized": False, "entitled": False},
        {"id": ENDED, "end_of_life": day(-1)},
        {"id": "amazon.eu-v1:0", "regions": ["eu-*"], "agreement": "ERROR"},
    ],
    "profiles": [
        {"id": f"us.{BARE}", "model": BARE, "regions": ["us-east-1", "us-west-2"]},
        {"id": f"global.{BARE}", "model": BARE, "everywhere": True},
        {"id": f"eu.{BARE}", "model": BARE, "regions": ["eu-west-1"]},
        {"id": "abc123", "model": NEW, "regions": ["us-east-1"], "application": True},
    ],
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Simulator]:
    with simulator(TABLES) as running:
        yield running


@pytest.fixture
def bedrock(endpoint: Simulator, alone: None) -> Iterator[Any]:
    endpoint.scenario(TABLES)
    client = control(endpoint.url)
    yield client
    client.close()


def control(url: str, region: str = "us-east-1") -> Any:
    config = Config(retries={"total_max_attempts": 1})
    return boto3.Session("AKID", "secret", region_name=region).client("bedrock", endpoint_url=url, config=config)


def refused(call: Any, **params: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_models_are_listed_with_their_lifecycle_and_without_retired_ones(bedrock: Any) -> None:
    found = {each["modelId"]: each for each in bedrock.list_foundation_models()["modelSummaries"]}
    assert [*found] == [OLD, NEW, BARE]
    life = found[OLD]["modelLifecycle"]
    assert life["status"] == "LEGACY"
    assert life["endOfLifeTime"] == datetime.strptime(day(60), "%Y-%m-%d").replace(tzinfo=UTC)
    assert life["publicExtendedAccessTime"] < life["endOfLifeTime"]
    assert found[NEW]["modelLifecycle"] == {"status": "ACTIVE"}
    assert found[NEW]["modelArn"] == f"arn:aws:bedrock:us-east-1::foundation-model/{NEW}"
    assert (found[BARE]["providerName"], found[BARE]["inferenceTypesSupported"]) == ("Anthropic", ["PROVISIONED"])


def test_lists_are_filtered_as_requested(bedrock: Any) -> None:
    def ids(**wanted: str) -> list[str]:
        return [each["modelId"] for each in bedrock.list_foundation_models(**wanted)["modelSummaries"]]

    assert ids(byProvider="anthropic") == [BARE]
    assert ids(byOutputModality="IMAGE") == [NEW]
    assert ids(byInferenceType="ON_DEMAND") == [OLD, NEW]


def test_one_model_is_returned_by_id_and_by_arn(bedrock: Any) -> None:
    for name in (OLD, f"arn:aws:bedrock:us-east-1::foundation-model/{OLD}"):
        assert bedrock.get_foundation_model(modelIdentifier=name)["modelDetails"]["modelId"] == OLD
    for name in (ENDED, "amazon.eu-v1:0", "amazon.nothing-v1:0"):
        got = refused(bedrock.get_foundation_model, modelIdentifier=name)
        assert got == ("ResourceNotFoundException", 404)


def test_profiles_come_in_pages_with_their_destinations(bedrock: Any) -> None:
    pages = bedrock.get_paginator("list_inference_profiles").paginate(PaginationConfig={"PageSize": 1})
    found = [each for page in pages for each in page["inferenceProfileSummaries"]]
    assert [each["inferenceProfileId"] for each in found] == [f"us.{BARE}", f"global.{BARE}", "abc123"]
    regions = [[arn["modelArn"].split(":")[3] for arn in each["models"]] for each in found]
    assert regions == [["us-east-1", "us-west-2"], ["us-east-1", ""], ["us-east-1"]]
    own = bedrock.list_inference_profiles(typeEquals="APPLICATION")["inferenceProfileSummaries"]
    assert own[0]["inferenceProfileArn"].endswith(":application-inference-profile/abc123")
    one = bedrock.get_inference_profile(inferenceProfileIdentifier=own[0]["inferenceProfileArn"])
    assert (one["type"], one["models"]) == ("APPLICATION", own[0]["models"])
    got = refused(bedrock.get_inference_profile, inferenceProfileIdentifier=f"eu.{BARE}")
    assert got == ("ResourceNotFoundException", 404)


def test_model_access_has_four_parts(bedrock: Any, endpoint: Simulator) -> None:
    def access(model: str) -> tuple[str, ...]:
        got = bedrock.get_foundation_model_availability(modelId=model)
        return (
            got["agreementAvailability"]["status"],
            got["authorizationStatus"],
            got["entitlementAvailability"],
            got["regionAvailability"],
        )

    assert access(OLD) == ("AVAILABLE", "AUTHORIZED", "AVAILABLE", "AVAILABLE")
    assert access(NEW) == ("PENDING", "AUTHORIZED", "AVAILABLE", "AVAILABLE")
    assert access(BARE) == ("AVAILABLE", "NOT_AUTHORIZED", "NOT_AVAILABLE", "AVAILABLE")
    assert access("amazon.eu-v1:0") == ("ERROR", "AUTHORIZED", "AVAILABLE", "NOT_AVAILABLE")


@pytest.mark.parametrize(("region", "mode"), [("us-east-1", "none"), ("eu-west-1", "aws_review")])
def test_a_region_may_have_its_own_data_retention_mode(region: str, mode: str) -> None:
    account = Account(region=region, data_retention="none", retention=[{"region": "eu-*", "mode": "aws_review"}])
    assert account.perform(Request("GET", "/data-retention", "", {}, b"")).json == {"mode": mode}


def test_a_fault_can_deny_one_operation_alone(endpoint: Simulator, bedrock: Any) -> None:
    denied = {"kind": "error", "code": "AccessDeniedException", "operation": "ListFoundationModels"}
    endpoint.scenario(TABLES, faults=[denied, {"kind": "error", "code": "InternalServerException"}])
    assert refused(bedrock.list_foundation_models) == ("AccessDeniedException", 403)
    assert bedrock.list_inference_profiles()["inferenceProfileSummaries"]


def test_every_answer_has_the_members_that_the_service_model_requires() -> None:
    model = get_session().get_service_model("bedrock")
    programs = [{"id": "meta-preview", "provider": "Meta"}]
    account = Account(**TABLES, trusted_access=programs, enforced_guardrails=[{"id": "gr1"}])
    paths = {
        "ListFoundationModels": "/foundation-models",
        "GetFoundationModel": f"/foundation-models/{OLD}",
        "ListInferenceProfiles": "/inference-profiles",
        "GetInferenceProfile": f"/inference-profiles/us.{BARE}",
        "GetFoundationModelAvailability": f"/foundation-model-availability/{OLD}",
    }
    paths |= {"GetUseCaseForModelAccess": "/use-case-for-model-access", "GetAccountDataRetention": "/data-retention"}
    paths |= {"ListTrustedAccessPrograms": "/trusted-access-programs"}
    paths |= {"ListEnforcedGuardrailsConfiguration": "/enforcedGuardrailsConfiguration"}
    assert paths.keys() == CONTROL - JOBS
    for operation in paths.keys() & {*model.operation_names}:  # an older botocore does not know them all
        path = paths[operation]
        got = account.perform(Request("GET", path, "", {}, b""))
        assert got.status == 200
        assert_fits(model.operation_model(operation).output_shape, got.json)


def assert_fits(shape: Any, value: Any) -> None:
    if shape.type_name == "structure":
        assert set(shape.required_members) <= value.keys() <= shape.members.keys(), shape.name
        for name, member in value.items():
            assert_fits(shape.members[name], member)
    elif shape.type_name == "list":
        assert shape.metadata.get("min", 0) <= len(value)
        for item in value:
            assert_fits(shape.member, item)
    elif shape.type_name == "boolean":
        assert isinstance(value, bool)
    else:
        assert isinstance(value, str)
        assert value in (getattr(shape, "enum", None) or [value]), shape.name


def test_the_runtime_applies_the_tables_of_the_scenario() -> None:
    account = Account(**TABLES)
    days = (datetime.now(UTC) - datetime.fromtimestamp(account.service._wall(), UTC)).total_seconds()
    account.clock.now += days
    account.service.load(account.service.scenario)
    assert account.converse(model=OLD).status == 200
    assert account.converse(model=ENDED).error[:2] == (404, "ResourceNotFoundException")
    assert account.converse(model=NEW).error[1] == "AccessDeniedException"
    account.clock.now += 900
    assert account.converse(model=NEW).status == 200
    assert "on-demand throughput" in account.converse(model=BARE).error[2]
    assert account.converse(model="amazon.nova-lite-v1:0").error[2] == "The provided model identifier is invalid."
    assert account.converse(model=f"eu.{BARE}").error[2] == "The provided model identifier is invalid."


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"foundation": [{"name": "x"}]}, "id is missing; set it to the id of the model"),
        ({"foundation": [{"id": "a.b", "end_of_life": "soon"}]}, "'soon' is not a date; write dates as 2026-12-31"),
        ({"foundation": [{"id": "a.b", "agreement": "MAYBE"}]}, "use one of AVAILABLE, PENDING"),
        ({"foundation": [{"id": "a.b", "on_demand": 1}]}, "on_demand must be true or false, not 1"),
        ({"foundation": [{"id": "a.b", "input": ["SMELL"]}]}, "'SMELL' is not a modality"),
        ({"profiles": [{"id": "us.a.b", "model": "a.b"}]}, "list the Regions, or set everywhere = true"),
    ],
)
def test_an_invalid_table_is_refused_with_a_message(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        tables(table)


def test_without_tables_the_default_models_are_listed_and_the_runtime_is_unchanged() -> None:
    account = Account()
    got = account.perform(Request("GET", "/foundation-models", "byProvider=Meta", {}, b"")).json
    assert [each["modelName"] for each in got["modelSummaries"]] == ["Llama 3.3 70B Instruct"]
    assert account.converse(model="amazon.anything-v9:0").status == 200
    for path in ("/foundation-model-availability", "/inference-profiles/us.x", "/elsewhere"):
        assert account.perform(Request("GET", path, "", {}, b"")).status == 404
    assert account.perform(Request("GET", "/inference-profiles", "nextToken=x", {}, b"")).status == 400
