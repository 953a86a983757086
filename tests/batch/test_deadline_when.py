"""How a deadline is written, and the choice between a batch job, flex and on demand that follows from it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.batch.deadline.choice import Choice, Pace, choose, pace
from aws_bedrock_inference.batch.deadline.weights import BATCH, FLEX, Weights
from aws_bedrock_inference.batch.deadline.when import moment
from aws_bedrock_inference.batch.deadline.words import duration, local_time
from aws_bedrock_inference.dialects.tier import DEFAULT

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600.0


def at(text: str, zone: Any = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("when", "now", "is_at"),
    [
        ("08:00", "2026-11-29T22:39", "2026-11-30T08:00"),
        ("8:00", "2026-11-29T07:59", "2026-11-29T08:00"),
        ("08:00", "2026-11-29T08:00", "2026-11-30T08:00"),
        ("08:00:30", "2026-11-29T08:00", "2026-11-29T08:00:30"),
        ("00:00", "2026-12-31T23:59", "2027-01-01T00:00"),
        ("2026-12-01T08:00", "2026-11-29T22:39", "2026-12-01T08:00"),
        ("2026-12-01 08:00", "2026-11-29T22:39", "2026-12-01T08:00"),
        ("2026-12-01 08:00 Europe/Berlin", "2026-11-29T22:39", "2026-12-01T08:00"),
        ("2026-12-01T08:00+02:00", "2026-11-29T22:39", "2026-12-01T07:00"),
        ("08:00+02:00", "2026-11-29T22:39", "2026-11-30T07:00"),
        ("08:00Z", "2026-11-29T22:39", "2026-11-30T09:00"),
        ("08:00 America/New_York", "2026-11-29T22:39", "2026-11-30T14:00"),
        ("3h", "2026-11-29T22:39", "2026-11-30T01:39"),
        ("90m", "2026-11-29T22:00", "2026-11-29T23:30"),
        ("1h 30min", "2026-11-29T22:00", "2026-11-29T23:30"),
        ("1.5H", "2026-11-29T22:00", "2026-11-29T23:30"),
        ("2d", "2026-11-29T22:00", "2026-12-01T22:00"),
        # clocks go back at three: eight is an hour later
        ("08:00", "2026-10-24T23:00", "2026-10-25T08:00"),
        # and forward at two
        ("08:00", "2026-03-28T23:00", "2026-03-29T08:00"),
        ("24h", "2026-03-28T23:00", "2026-03-30T00:00"),
        # the time that clocks skip
        ("02:30", "2026-03-29T00:00", "2026-03-29T03:30"),
        ("02:30", "2026-03-29T04:00", "2026-03-30T02:30"),
    ],
)
def test_each_form_of_a_deadline_is_understood(when: str, now: str, is_at: str) -> None:
    assert moment(when, at(now), BERLIN) == at(is_at)


def test_a_time_that_occurs_twice_means_its_next_occurrence() -> None:
    first, second = at("2026-10-25T02:30"), at("2026-10-25T02:30") + HOUR
    assert moment("02:30", at("2026-10-25T00:00"), BERLIN) == first
    assert moment("02:30", first, BERLIN) == second
    assert moment("02:30", first + 600, BERLIN) == second
    assert moment("02:30", second, BERLIN) == at("2026-10-26T02:30")


def test_datetime_objects_are_accepted_as_deadlines() -> None:
    now = at("2026-11-29T22:00")
    assert moment(timedelta(hours=3), now) == now + 3 * HOUR
    assert moment(datetime(2026, 11, 30, 8, tzinfo=UTC), now) == at("2026-11-30T09:00")
    assert moment(datetime.fromisoformat("2026-11-30T08:00"), now, BERLIN) == at("2026-11-30T08:00")


@pytest.mark.parametrize(
    "when",
    ["", " ", "soon", "8", "25:00", "08:61", "2026-12-01", "2026-13-01T08:00", "08:00 Mars/Base", "08:00 ../x",
     "3 weeks", "-3h", "tomorrow 08:00", "08:00 Europe", "1e9h", "٣h", None, 3, 1.5, True, b"3h", date(2026, 12, 1)],
)  # fmt: skip
def test_an_invalid_deadline_is_refused_with_valid_examples(when: Any) -> None:
    with pytest.raises(ValueError, match=r"is not a deadline\. Use a time such as 08:00"):
        moment(when, at("2026-11-29T22:00"), BERLIN)


@pytest.mark.parametrize("when", ["2026-11-29T21:59", "0h", timedelta(0), datetime(2026, 1, 1, tzinfo=UTC)])
def test_a_deadline_that_has_passed_is_refused(when: Any) -> None:
    with pytest.raises(ValueError, match=r"has passed\. Use a later time"):
        moment(when, at("2026-11-29T22:00"), BERLIN)


@pytest.mark.parametrize("when", ["32d", "9999-12-31T23:59", "99999999999999h"])
def test_a_deadline_in_the_far_future_is_refused(when: str) -> None:
    with pytest.raises(ValueError, match="is more than 31 days away"):
        moment(when, at("2026-11-29T22:00"), BERLIN)


@given(now=st.floats(1.7e9, 2.0e9), hour=st.integers(0, 23), minute=st.integers(0, 59),
       zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]))  # fmt: skip
def test_a_time_of_day_is_within_the_next_day_and_clocks_show_it(now: float, hour: int, minute: int, zone: str) -> None:
    found = moment(f"{hour:02}:{minute:02}", now, ZoneInfo(zone))
    shown = datetime.fromtimestamp(found, ZoneInfo(zone))
    assert now < found <= now + 25 * HOUR
    assert (shown.hour, shown.minute) == (hour, minute) or 0 < (shown.hour - hour) * 60 + shown.minute - minute <= 60


def weights(**more: Any) -> Weights:
    made = Weights(records=1000, output_tokens=400_000, charge=600_000.0, costs={BATCH: 1.0, FLEX: 1.0, DEFAULT: 2.0})
    made.forms["Converse"] = 1000
    for name, value in more.items():
        setattr(made, name, value)
    return made


def chosen(hours: float = 10.0, *, each: float = 1.0, loads: Weights | None = None, **more: Any) -> Choice:
    loads = loads or weights()
    return choose(loads, Pace(each, "at the quota"), now=0.0, deadline=hours * HOUR, least=100, **more)


def reasons(choice: Choice) -> dict[str, str]:
    return {option.way: option.why_not for option in choice.options}


def test_the_cheapest_choice_that_meets_the_deadline_is_used() -> None:
    assert chosen().way == "batch job", "at one price, the one that leaves the quota to others"
    assert chosen(no_service="no bucket").way == "flex"
    assert chosen(0.8).way == "flex", "no head start for a job"
    assert chosen(0.6).way == "on demand"
    cheap_flex = weights(costs={BATCH: 1.0, FLEX: 0.5, DEFAULT: 2.0})
    assert chosen(loads=cheap_flex).way == "flex"
    dear_batch = weights(costs={BATCH: 3.0, FLEX: None, DEFAULT: 2.0})
    assert chosen(loads=dear_batch).way == "on demand"


def test_unknown_prices_are_named_and_a_batch_job_counts_as_the_cheapest() -> None:
    choice = chosen(loads=weights(costs={BATCH: None, FLEX: None, DEFAULT: None}))
    assert choice.way == "batch job"
    assert choice.why.startswith("the cheapest in AWS's usual order of prices")
    assert sum("price unknown" in line for line in choice.lines(10 * HOUR, 0.0)) == 3
    assert reasons(choice)["flex"] == "no price of this tier is known for the model"


@pytest.mark.parametrize(
    ("loads", "more", "why"),
    [
        ({"records": 99}, {}, "99 records, but a batch job needs at least 100"),
        ({}, {"budget": 0.5}, "it may cost more than --max-cost, and a batch job cannot be limited"),
        ({}, {"no_service": "no bucket"}, "no bucket"),
        ({"costs": {BATCH: None, FLEX: 1.0, DEFAULT: 2.0}}, {"budget": 5.0}, "the price is unknown"),
    ],
)
def test_the_reason_against_a_batch_job_is_shown(loads: dict[str, Any], more: dict[str, Any], why: str) -> None:
    choice = chosen(loads=weights(**loads), **more)
    assert choice.way != "batch job"
    assert why in reasons(choice)["batch job"]


def test_records_in_two_forms_cannot_be_one_job() -> None:
    both = weights()
    both.forms["InvokeModel"] = 1
    assert "some for InvokeModel" in reasons(chosen(loads=both))["batch job"]


def test_a_deadline_that_no_choice_can_meet_is_reported() -> None:
    choice = chosen(0.2)
    assert choice.way == "on demand"
    assert choice.why == "the fastest way, but the deadline may pass before all answers arrive"


def test_the_estimate_for_on_demand_uses_the_quota_or_a_slower_measured_rate() -> None:
    known: dict[str, Any] = {"rpm": 60.0, "tpm": None, "concurrency": 64}
    for measured in (None, 6000.0):
        quick = pace(weights(), **known, per_minute=measured)
        assert quick.each == pytest.approx(1.0)
        assert quick.known_from == "at the quota"
    assert pace(weights(), **known, per_minute=30.0).each == 2.0
    assert pace(weights(), rpm=60.0, tpm=12_000.0, concurrency=64, per_minute=None).each == pytest.approx(3.0)
    reckoned = pace(weights(), rpm=None, tpm=None, concurrency=10, per_minute=None)
    assert reckoned.each == pytest.approx((1 + 400 / 50) / 10)
    assert "estimated" in reckoned.known_from
    assert Pace(0.001, "").needs(5) == 60.0


def test_durations_and_times_are_shown_in_short_form() -> None:
    assert [duration(seconds) for seconds in (40, 1500, 33_600, 7200, -5)] == [
        "40 s",
        "25 min",
        "9 h 20 min",
        "2 h",
        "0 s",
    ]
    now = datetime(2026, 11, 29, 12, 0).timestamp()  # noqa: DTZ001 - the machine's zone, as it is shown
    assert local_time(now + HOUR, now) == "13:00"
    assert local_time(now + 24 * HOUR, now) == "Mon 30 Nov 12:00"
