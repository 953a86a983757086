"""Fallback to a role of another account: it has its own credentials and quota, and a refused role does no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.answers import REPLY, UNAVAILABLE
from support.sts import ARN, signers
from support.wire import Wire, answer

from aws_bedrock_inference import AssumedRole, Fallback, Overloaded, Pipeline, Quota, Retry, Target

if TYPE_CHECKING:
    from support.sts import Sts

MODEL = "amazon.nova-lite-v1:0"


def using(there: Wire) -> Pipeline:
    role = AssumedRole(ARN, external_id="partner-7")
    target = Target(MODEL, endpoint_url=there.url, role_arn=role, quota=Quota(rpm=600_000))
    return Pipeline(Fallback(target, attempts=3), Retry(chance=lambda: 0.0), Quota(rpm=600_000))


def test_a_target_in_another_account_uses_its_role_and_its_own_quota(face: Any, sts: Sts, base: Any) -> None:
    with Wire(UNAVAILABLE) as ill, Wire(answer(REPLY)) as well:
        client = face.open(ill.url, session=base, pipeline=using(well))
        assert sts.asked == []
        reply = face.get(client.invoke("Why?"))
        assert (reply.route.account, reply.route.region) == ("210987654321", "us-east-1")
        assert reply.route.quota_key != reply.trail[0].route.quota_key
        assert (signers(ill), signers(well)) == (["AKIDBASE"], ["ASIATEST1"])
        assert sts.asked[0]["signed by"] == "AKIDBASE"


def test_a_target_whose_role_is_refused_leaves_the_original_fault(face: Any, sts: Sts, base: Any) -> None:
    sts.refusals = [(403, "AccessDenied", "not authorized to perform: sts:AssumeRole")] * 9
    with Wire(UNAVAILABLE) as ill, Wire(answer(REPLY)) as well:
        client = face.open(ill.url, session=base, pipeline=using(well))
        with pytest.raises(Overloaded) as caught:
            face.get(client.invoke("Why?"))
        assert [hop.route.account for hop in caught.value.trail][1] == "210987654321"
        assert "AccessDenied" in str(caught.value)
        assert well.received == []
