"""What a Region's lists rule out, the Regions that may answer a call, and the data-retention mode of a Region."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.foundation.listing import (
    EVERYWHERE,
    FoundationModel,
    InferenceProfile,
    Listing,
    from_json,
    to_json,
)
from aws_bedrock_inference.foundation.residency import stays, strays
from aws_bedrock_inference.foundation.unlisted import unlisted
from aws_bedrock_inference.knowledge.abilities import Need, Needs

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.foundation.models import Models
    from aws_bedrock_inference.testing import Simulator

    Make = Callable[..., Models]

NOVA, CLAUDE, FABLE = "amazon.nova-lite-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-fable-5-1"
READ = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
LISTING = Listing(
    region="eu-west-1",
    at=READ,
    models=(
        FoundationModel(id=NOVA, inputs=("TEXT", "IMAGE", "VIDEO"), outputs=("TEXT",), streaming=True),
        FoundationModel(id=CLAUDE, inputs=("TEXT", "IMAGE"), outputs=("TEXT",), streaming=False),
        FoundationModel(id="amazon.embed-v1:0", inputs=("TEXT",), outputs=("EMBEDDING",)),
        FoundationModel(id="amazon.old-v1:0", end_of_life=date(2026, 11, 30)),
        FoundationModel(id=FABLE),
        FoundationModel(id="amazon.bare-v1:0"),
    ),
    profiles=(
        InferenceProfile(
            id=f"eu.{CLAUDE}",
            arn=f"arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.{CLAUDE}",
            models=(f"arn:aws:bedrock:eu-north-1::foundation-model/{CLAUDE}",),
            base=CLAUDE,
            pool="geographic",
        ),
    ),
)


@pytest.mark.parametrize(
    ("need", "model", "expected"),
    [
        (Need.IMAGE, NOVA, None),
        (Need.VIDEO, NOVA, None),
        (Need.VIDEO, CLAUDE, f"{CLAUDE} does not support videos in eu-west-1"),
        (Need.VIDEO, f"eu.{CLAUDE}", f"{CLAUDE} does not support videos in eu-west-1"),
        (Need.VIDEO, f"global.{CLAUDE}", f"{CLAUDE} does not support videos in eu-west-1"),
        (Need.AUDIO, NOVA, f"{NOVA} does not support audio in eu-west-1"),
        (Need.IMAGE, "amazon.embed-v1:0", "amazon.embed-v1:0 does not support images in eu-west-1"),
        (Need.CONVERSE, "amazon.embed-v1:0", "amazon.embed-v1:0 does not answer with text"),
        (Need.STREAM, CLAUDE, f"{CLAUDE} does not support streaming in eu-west-1"),
        (Need.STREAM, NOVA, None),
        (Need.TOOLS, NOVA, None),
        *((need, "amazon.bare-v1:0", None) for need in Need),
        *((need, "arn:aws:bedrock:eu-west-1:123456789012:imported-model/a1", None) for need in Need),
    ],
)
def test_the_list_of_a_region_contains_modalities_and_streaming_support(
    need: Need, model: str, expected: str | None
) -> None:
    assert unlisted(LISTING, model, Needs(uses=frozenset({need}))) == expected


def test_a_model_is_not_called_after_its_end_of_life() -> None:
    def on(day: int) -> str | None:
        return unlisted(LISTING, "amazon.old-v1:0", Needs(), now=datetime(2026, 11, day, 12, tzinfo=UTC).timestamp())

    assert unlisted(LISTING, "amazon.old-v1:0", Needs()) is None
    assert (on(29), on(30)) == (None, "the last day of amazon.old-v1:0 in eu-west-1 was 2026-11-30")


def test_only_a_fresh_and_complete_list_rules_out_a_model() -> None:
    gated, fresh = "anthropic.claude-mythos-9", READ + 3600
    assert unlisted(LISTING, gated, Needs(), now=fresh) == f"eu-west-1 lists no {gated} for this account"
    assert unlisted(LISTING, gated, Needs(), now=READ + 90_000) is None
    assert unlisted(LISTING, gated, Needs()) is None
    assert unlisted(replace(LISTING, profiles=None), gated, Needs(), now=fresh) is None
    assert unlisted(LISTING, f"{NOVA}:300k", Needs(), now=fresh) is None


@pytest.mark.parametrize(
    ("mode", "refused"),
    [("default", True), ("none", True), ("inherit", False), (None, False), ("provider_data_share", False)],
)
def test_a_region_with_an_unsupported_data_retention_mode_is_not_a_route(mode: str | None, *, refused: bool) -> None:
    said = (
        "anthropic.claude-fable-5-1 accepts calls only with the data-retention mode provider_data_share or aws_review, "
        "and the account has another mode in eu-west-1"
    )
    listing = replace(LISTING, retention=mode)
    assert unlisted(listing, f"eu.{FABLE}", Needs()) == (said if refused else None)
    assert unlisted(listing, NOVA, Needs()) is None


def test_the_data_retention_mode_is_read_with_the_lists_if_a_model_requires_one(
    models: Make, account: Simulator
) -> None:
    assert models().listing().retention is None
    account.scenario(foundation=[{"id": FABLE}], data_retention="none")
    found = models(region_name="us-east-1").sync()
    assert found.retention == "none"
    assert from_json(to_json(found)) == found


def test_a_file_of_an_older_release_has_no_data_retention_mode() -> None:
    content = to_json(LISTING)
    del content["retention"]
    assert from_json(content) == LISTING


def test_a_call_that_may_leave_the_allowed_regions_is_described_with_them() -> None:
    assert strays(["us-east-1", "us-west-2"], ("us-*",)) is None
    assert strays(["us-east-1", "ca-central-1"], ("us-*",)) == (
        "the call can be answered in ca-central-1, us-east-1, not only within us-*"
    )
    assert strays([EVERYWHERE], ("us-*", "eu-*"), stores=True) == (
        "the call can be answered and its answer stored in any commercial Region, not only within us-* eu-*"
    )
    assert strays([], ("us-*",)) == "the call can be answered in unknown Regions, not only within us-*"
    assert strays([EVERYWHERE], ("*",), stores=True) is None


REGIONS = st.sampled_from(["us-east-1", "us-west-2", "eu-west-1", "ap-southeast-2", EVERYWHERE])
PATTERNS = st.sampled_from(["us-*", "eu-*", "us-east-1", "*"])


@given(regions=st.lists(REGIONS, max_size=4), within=st.lists(PATTERNS, min_size=1, max_size=2), stores=st.booleans())
def test_a_call_either_stays_within_the_allowed_regions_or_is_described(
    regions: list[str], within: list[str], *, stores: bool
) -> None:
    assert (strays(regions, tuple(within), stores=stores) is None) == stays(regions, tuple(within))


@given(st.text(max_size=60) | st.sampled_from([NOVA, CLAUDE, f"eu.{CLAUDE}"]))
def test_a_plain_request_is_eligible_everywhere_if_the_list_is_old(model: str) -> None:
    assert unlisted(LISTING, model, Needs(), now=READ + 90_000) is None
