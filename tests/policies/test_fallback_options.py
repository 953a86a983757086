"""Options that `Fallback` refuses at creation or in a pipeline: each message says what to pass instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import session

from aws_bedrock_inference import (
    BedrockClient,
    Breaker,
    Cache,
    Deadline,
    Degrade,
    Fallback,
    Filtered,
    Pipeline,
    Quota,
    Resume,
    Retry,
    Target,
    load,
    standard,
)

if TYPE_CHECKING:
    from pathlib import Path

LITE, PRO = "us.amazon.nova-lite-v1:0", "us.amazon.nova-pro-v1:0"


@pytest.mark.parametrize(
    "given", [f"{LITE},{PRO}", f"{LITE} {PRO}", f"{LITE} in us-west-2", f"['{LITE}']", f"({LITE})"]
)
def test_several_models_in_one_string_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="pass each id as a separate argument: Fallback"):
        Fallback(given)


def test_a_list_of_models_is_refused_with_the_hint_to_unpack_it() -> None:
    with pytest.raises(ValueError, match=r"to pass a list, write Fallback\(\*targets\)"):
        Fallback([LITE, PRO])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given", [(PRO, PRO), (PRO, Target(PRO)), (Target(PRO, tier="flex"), LITE, Target(PRO, tier="flex"))]
)
def test_a_target_that_repeats_another_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=rf"target {len(given)}, {PRO}, repeats an earlier target"):
        Fallback(*given)


def test_one_model_in_two_regions_is_two_targets() -> None:
    assert len(Fallback(PRO, Target(PRO, region_name="us-west-2"), Target(PRO, tier="flex")).targets) == 3


@pytest.mark.parametrize("given", ["localhost:8080", "ftp://host", "http://", "http://host:0", 8080])
def test_an_endpoint_of_a_target_must_be_a_url(given: Any) -> None:
    with pytest.raises(ValueError, match="http://host:port"):
        Target(PRO, endpoint_url=given)


@pytest.mark.parametrize("given", ["profile", 5, object()])
def test_an_invalid_session_of_a_target_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="profile_name='NAME'"):
        Target(PRO, session=given)
    with pytest.raises(ValueError, match="profile_name='NAME'"):
        BedrockClient(PRO, session=given)


def test_sessions_of_boto3_and_botocore_are_accepted() -> None:
    assert Target(PRO, session=session()).session is session()
    assert Target(PRO, session=session()._session).session is session()._session


@pytest.mark.parametrize("given", ["eu", "EU-*", "eu_*", "europe-*", "eu-west", "eu-west-", ["eu-*", "us"]])
def test_a_region_pattern_without_a_match_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=r"within=.*'eu-\*'"):
        Fallback(PRO, within=given)


@pytest.mark.parametrize(
    "given",
    [
        "*",
        "eu*",
        "eu-*",
        "eu-west-1",
        "us-gov-*",
        "us-gov-west-1",
        "eusc-de-east-1",
        "??-west-[12]",
        ["eu-*", "us-east-1"],
    ],
)
def test_valid_region_patterns_are_accepted(given: Any) -> None:
    assert Fallback(PRO, within=given).within == ((given,) if isinstance(given, str) else tuple(given))


@pytest.mark.parametrize("given", ["throttled", "ThrottlingException", "throttled-", RuntimeError, 429])
def test_an_unknown_cause_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="bedrock errors"):
        Fallback(PRO, on={given: "model"})


def test_a_cause_must_be_passed_with_what_must_differ() -> None:
    with pytest.raises(ValueError, match="its value names what must differ"):
        Fallback(PRO, on="throttled-*")  # type: ignore[arg-type]


def test_every_cause_is_accepted_as_a_key() -> None:
    known = {
        "filtered": "model",
        "throttled-*": "nowhere",
        "service-capacity": "region",
        "quota-zero": "any",
        "*": "any",
    }
    assert len(Fallback(PRO, on=known).on) == 5


def test_a_file_with_a_mistake_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bedrock.toml"
    for line in ('within = "eu"', 'on = "model"', 'on = { throttled = "model" }'):
        path.write_text(f'[fallback]\ntargets = ["{PRO}"]\n{line}\n')
        with pytest.raises(ValueError, match=r"bedrock\.toml: "):
            load(path)


@pytest.mark.parametrize("given", [f'fallback = "{PRO}"', f'fallback = ["{PRO}"]', f'[fallback]\ntarget = ["{PRO}"]'])
def test_a_policies_file_can_set_the_targets(tmp_path: Path, given: str) -> None:
    path = tmp_path / "bedrock.toml"
    path.write_text(given)
    with pytest.raises(ValueError, match=r"fallback.* (set a table with targets = |allowed here: .*targets)"):
        load(path)


FIRST, LAST = Fallback(PRO), Fallback(LITE)


@pytest.mark.parametrize(
    ("policies", "said"),
    [
        ([Deadline(), Retry(), FIRST, Quota()], "Retry comes before Fallback"),
        ([Deadline(), Retry(), Breaker(), Quota(), FIRST], "Retry comes before Fallback"),
        ([Deadline(), Quota(), FIRST], "Quota comes before Fallback"),
        ([FIRST, Deadline(), Retry()], "Fallback comes before Deadline"),
        ([Deadline(), FIRST, Degrade("Busy."), Retry()], "Fallback comes before Degrade"),
        ([Deadline(), FIRST, LAST, Retry()], "Fallback comes before another Fallback"),
    ],
)
def test_a_fallback_in_the_wrong_place_is_refused(policies: Any, said: str) -> None:
    with pytest.raises(ValueError, match=rf"{said}, but .*; write the policies in this order: .*Fallback, Retry"):
        Pipeline(*policies)


def test_a_fallback_in_the_right_place_is_accepted() -> None:
    Pipeline(FIRST)
    Pipeline(Degrade("Busy."), Filtered("raise"), Cache(), Deadline(), Resume(), FIRST, Retry(), Breaker(), Quota())
    assert FIRST in standard(Quota(rpm=60), fallback=FIRST, degrade=Degrade("Busy."), cache=Cache()).policies


@pytest.mark.parametrize("given", [FIRST, Retry(), 500, "500"])
def test_the_positional_argument_of_standard_is_the_quota(given: Any) -> None:
    with pytest.raises(ValueError, match=r"standard\(<?\w+>?\): the first argument must be a Quota"):
        standard(given)
