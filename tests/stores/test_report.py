"""The report of a member: its content, and what another version of this package reads of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from aws_bedrock_inference.rules.quota.views import Seen, View
from aws_bedrock_inference.stores.members import Member, SharedQuota
from aws_bedrock_inference.stores.report import VERSION, MemberReport, ReportTooNew
from aws_bedrock_inference.tokens.answer_sizes import AnswerSizes


def report() -> MemberReport:
    sizes = AnswerSizes()
    sizes.add(200, 4000)
    return MemberReport(
        used={"requests": 10, "tokens": 3000},
        reserved=400,
        waiting={0.0: 2, 2.5: 30},
        consumers={0.0: 1000},
        throttled=3,
        minute=((0.0, 4.0, 1000.5), (2.0, 6.0, 2000.0)),
        reasons={"tokens": "throttles stopped with fewer calls"},
        pace="the limit of tokens per minute is reached",
        answers=sizes,
    )


def changed(**fields: Any) -> str:
    return json.dumps(json.loads(report().to_json()) | fields)


def test_a_report_of_one_member_can_be_read_by_another() -> None:
    text = report().to_json()
    assert json.loads(text)["version"] == VERSION
    read = MemberReport.from_json(text)
    assert read == report()
    assert read.answers.as_dict() == report().answers.as_dict()


def test_a_report_without_a_version_is_read() -> None:
    fields = json.loads(report().to_json())
    del fields["version"]
    assert MemberReport.from_json(json.dumps(fields)) == report()


def test_the_known_fields_of_a_report_of_the_next_version_are_read() -> None:
    assert MemberReport.from_json(changed(version=VERSION + 1, new=[1], reserved="many")) == replace(
        report(), reserved=0
    )


def test_reasons_of_other_members_are_short_and_without_control_characters() -> None:
    odd = {"tokens": "\x1b[2Jgone\n" + "x" * 1000, "requests": 3, "password": "s3cret"}
    [(name, reason)] = MemberReport.from_json(changed(reasons=odd)).reasons.items()
    assert name == "tokens"
    assert reason.startswith("[2Jgonexxx")
    assert MemberReport.from_json(changed(pace=odd["tokens"])).pace == reason
    assert MemberReport.from_json(changed(pace=[3])).pace == ""
    assert len(reason) <= 200
    assert len(json.loads(MemberReport(reasons={"tokens": "y" * 1000}).to_json())["reasons"]["tokens"]) <= 200


def test_a_report_of_a_later_version_is_refused_with_a_remedy() -> None:
    with pytest.raises(
        ReportTooNew, match=r"format 3, but this command reads only formats up to 2: update aws-bedrock-inference"
    ):
        MemberReport.from_json(changed(version=VERSION + 2))
    member = Member.of(Seen("a:1", 0.5, 1.0, 2.0, changed(version=VERSION + 2)))
    assert (member.share, member.report) == (0.5, MemberReport())
    assert "update aws-bedrock-inference" in member.unread


@pytest.mark.parametrize("text", ["", "x", "[1]", '{"waiting": {"x": 1}, "answers": {"count": 1}, "reserved": -1}'])
def test_an_invalid_report_is_ignored(text: str) -> None:
    assert MemberReport.from_json(text) == MemberReport()


def test_a_shared_burndown_is_not_shown_as_a_limit() -> None:
    believed = (("burndown", 3.0, 2), ("noise of tokens", 0.03, 1), ("requests", 600.0, 1), ("tokens", 60_000.0, 4))
    shared = SharedQuota.of("|us-east-1|a-model|in-region", View((), believed))
    assert shared.limits == {"requests": 600.0, "tokens": 60_000.0}
    assert shared.burndown == 3.0
    assert SharedQuota.of("", View((), believed[1:])).burndown is None
