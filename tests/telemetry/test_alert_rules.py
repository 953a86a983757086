"""Rules for alerts over reports, in virtual time: what raises an alert and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from aws_bedrock_inference.telemetry.alerts.history import Pattern
from aws_bedrock_inference.telemetry.alerts.report import Answers, Failures, Letters, Report, Use
from aws_bedrock_inference.telemetry.alerts.rules import tail
from aws_bedrock_inference.telemetry.alerts.turn import MOST_UNDELIVERED, MemoryUnreadable, look

if TYPE_CHECKING:
    from aws_bedrock_inference.telemetry.alerts.alert import Alert

PLACE = "eu.model-a|eu-west-1"
ELSEWHERE = "eu.model-b|eu-west-1"
MIDNIGHT = 1_793_491_200.0
DAY = 86_400


class Looks:
    """A memory that receives reports every ten seconds, and all alerts that it raised."""

    def __init__(self, now: float = MIDNIGHT) -> None:
        self.now = now
        self.memory = ""
        self.delivers = True
        self.told: list[Alert] = []

    def report(self, *reports: Report) -> list[Alert]:
        self.now += 10.0
        delivered = Report(delivered=tuple(alert.id for alert in self.told[-5:])) if self.delivers else Report()
        texts = [(self.now, report.to_json()) for report in (*reports, delivered)]
        self.memory, alerts = look(self.memory, texts, self.now, "shop")
        self.told += alerts
        return alerts

    def minutes(self, minutes: float, *reports: Report) -> list[Alert]:
        before = len(self.told)
        for _ in range(round(minutes * 6)):
            self.report(*reports)
        return self.told[before:]

    def hours(self, hours: float, *reports: Report) -> list[Alert]:
        """Let hours without expected alerts pass: one look in two minutes."""
        before = len(self.told)
        for _ in range(round(hours * 30)):
            self.now += 110.0
            self.report(*reports)
        return self.told[before:]


def answered(count: int, place: str = PLACE, **fields: float | str) -> Answers:
    return replace_all(Answers(place, "converse", "acme", count, 100 * count, 0.001 * count), fields)


def replace_all(row: Answers, fields: dict[str, float | str]) -> Answers:
    return row._replace(**fields)  # type: ignore[arg-type]


def failed(count: int, cause: str = "service-capacity", place: str = PLACE, kind: str = "transient") -> Failures:
    return Failures(place, "converse", "acme", cause, kind, count, "Code", "id-1", "the words", "")


def report(count: int, *failures: Failures) -> Report:
    return Report((answered(count),), failures)


def test_a_rise_above_the_usual_rate_raises_one_alert_with_its_scope_and_an_end() -> None:
    looks = Looks()
    assert looks.minutes(60, report(100, failed(1))) == []
    began = looks.now
    (alert,) = looks.minutes(30, report(90, failed(10)))
    assert (alert.state, alert.rule, alert.cause) == ("open", "failures", "service-capacity")
    assert (alert.models, alert.regions) == (("eu.model-a",), ("eu-west-1",))
    assert (alert.operations, alert.tenants, alert.service) == (("converse",), ("acme",), "shop")
    assert alert.sample == {"code": "Code", "request_id": "id-1", "message": "the words"}
    assert alert.meaning
    assert alert.remedies
    assert abs(look_time(alert.start) - began) <= 20
    (end,) = looks.minutes(30, report(100, failed(1)))
    assert (end.state, end.incident) == ("ended", alert.incident)
    assert end.causes["service-capacity"] >= 1700
    assert 0 <= look_time(end.end) - (began + 1800) <= 70


def look_time(text: str) -> float:
    from datetime import datetime  # noqa: PLC0415 - this is all that needs it

    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("usual", "then", "minutes"),
    [
        (report(100, failed(4)), report(100, failed(8)), 30),  # twice the usual
        (report(1), report(0, failed(1)), 0.5),  # three calls
        (report(1000), report(980, failed(20)), 30),  # two per cent
        (report(100), report(50, failed(50)), 1 / 3),  # twenty seconds
    ],
    ids=["twice the usual", "few samples", "below the floor", "a moment"],
)
def test_ordinary_failures_raise_no_alert(usual: Report, then: Report, minutes: float) -> None:
    looks = Looks()
    looks.minutes(60, usual)
    assert looks.minutes(minutes, then) == []
    assert looks.minutes(10, usual) == []


def test_a_few_calls_that_nearly_all_fail_are_an_incident() -> None:
    looks = Looks()
    for _ in range(10):
        looks.minutes(1, Report())
        looks.report(report(0, failed(1)))
    assert [alert.rule for alert in looks.told] == ["failures"]


def test_a_permanent_cause_raises_an_alert_at_its_first_occurrence_only() -> None:
    looks = Looks()
    (alert,) = looks.report(report(1000, failed(1, "access-denied", kind="permanent")))
    assert (alert.rule, alert.cause) == ("new", "access-denied")
    (end,) = looks.minutes(20, report(100))
    assert end.state == "ended"
    assert looks.report(report(1000, failed(1, "access-denied", kind="permanent"))) == []
    (other,) = looks.report(report(1000, failed(1, "access-denied", ELSEWHERE, "permanent")))
    assert other.models == ("eu.model-b",)


def test_one_outage_of_several_models_and_causes_is_one_incident() -> None:
    looks = Looks()
    usual = Report((answered(100), answered(100, ELSEWHERE)))
    looks.minutes(30, usual)
    rows = (
        failed(30),
        failed(20, place=ELSEWHERE),
        failed(9, "model-timeout"),
        failed(50, "circuit-open", kind="refusal"),
    )
    (alert,) = looks.minutes(30, replace(usual, failures=rows))
    (end,) = looks.minutes(30, usual)
    assert end.incident == alert.incident
    assert set(end.models) == {"eu.model-a", "eu.model-b"}
    assert set(end.causes) == {"service-capacity", "model-timeout", "circuit-open"}


def test_another_permanent_cause_during_an_outage_raises_its_own_alert() -> None:
    looks = Looks()
    looks.minutes(30, report(100))
    looks.minutes(2, report(50, failed(50)))
    (alert,) = looks.report(report(50, failed(50), failed(1, "access-denied", kind="permanent")))
    assert alert.cause == "access-denied"


def test_a_gap_of_two_minutes_does_not_end_an_incident() -> None:
    looks = Looks()
    looks.minutes(30, report(100))
    for _ in range(5):
        looks.minutes(3, report(50, failed(50)))
        looks.minutes(2, report(100))
    assert [alert.state for alert in looks.told] == ["open"]


def test_a_nightly_pattern_raises_an_alert_on_its_first_night_only() -> None:
    looks = Looks()
    for _ in range(3):
        looks.minutes(20, report(30))
        looks.minutes(30, report(30, failed(2)))
        looks.minutes(10, report(30))
        looks.hours(23, report(360))
    assert [alert.state for alert in looks.told] == ["open", "ended"]


def test_a_runaway_loop_raises_an_alert_by_its_spending_after_a_day_of_learning() -> None:
    looks = Looks()
    assert looks.minutes(60, report(10)) == []
    assert looks.minutes(60, report(100)) == []  # the first day is for learning
    looks.hours(24, report(1200))
    looks.minutes(20, report(100))
    loop = Report((answered(100), answered(900, tenant="loop")))
    (alert,) = looks.minutes(15, loop)
    assert (alert.rule, alert.tenants[0], alert.unit) == ("spend", "loop", "dollars an hour")
    assert alert.share > 3 * alert.usual > 0


def test_a_rise_of_truncated_answers_raises_an_alert() -> None:
    looks = Looks()
    looks.minutes(60, Report((answered(100, truncated=3),)))
    (alert,) = looks.minutes(15, Report((answered(100, truncated=20),)))
    assert (alert.rule, alert.cause) == ("stops", "truncated")


def test_growing_and_lost_dead_letters_raise_an_alert() -> None:
    looks = Looks()
    looks.minutes(30, report(1000))
    kept = replace(report(1000, failed(2)), letters=(Letters(PLACE, "service-capacity", 2),))
    (alert,) = looks.minutes(15, kept)
    assert (alert.rule, alert.letters >= 20) == ("letters", True)
    lost = replace(report(1000), letters=(Letters(PLACE, "service-capacity", 0, 1),))
    (alert,) = looks.report(lost)
    assert (alert.rule, alert.title) == ("lost", "Failed calls could not be stored as dead letters")


def test_the_alert_about_the_end_counts_all_answers_and_all_lost_letters() -> None:
    looks = Looks()
    looks.minutes(60, report(100))
    lost = replace(report(100), letters=(Letters(PLACE, "x", 0, 1),))
    (alert,) = looks.minutes(15, lost)
    assert alert.causes == {"letters-lost": 1}
    (end,) = looks.minutes(30, report(100))
    assert end.causes == {"letters-lost": 90}
    (alert,) = looks.minutes(15, Report((answered(100, refused=20),)))
    (end,) = looks.minutes(30, report(100))
    assert (end.rule, end.causes) == ("stops", {"refused": 90 * 20})


def test_the_cases_of_a_place_that_joins_an_incident_are_counted_from_their_beginning() -> None:
    looks = Looks()
    both = (answered(100), answered(100, ELSEWHERE))
    looks.minutes(60, Report(both))
    (alert,) = looks.minutes(2, Report(both, (failed(50),)))
    assert looks.minutes(10, Report(both, (failed(50, place=ELSEWHERE),))) == []
    (end,) = looks.minutes(30, Report(both))
    assert (end.incident, end.models) == (alert.incident, ("eu.model-a", "eu.model-b"))
    assert end.causes == {"service-capacity": 72 * 50}


def test_dead_letters_of_an_outage_belong_to_its_alert() -> None:
    looks = Looks()
    looks.minutes(30, report(100))
    (alert,) = looks.minutes(15, replace(report(50, failed(50)), letters=(Letters(PLACE, "x", 50),)))
    (end,) = looks.minutes(30, report(100))
    assert (alert.rule, end.letters > 1000) == ("failures", True)


def test_nearly_exhausted_daily_tokens_raise_one_alert_a_day_over_all_models() -> None:
    looks = Looks()
    uses = tuple(Use(f"1|eu-west-1|{model}|on-demand", 10, 1000, None, None, 200_000) for model in "ab")
    looks.hours(23.9, Report(uses=(uses[0]._replace(tokens=12_000),)))
    assert [(alert.rule, alert.state) for alert in looks.told] == [("day", "open")]
    assert looks.told[0].regions == ("eu-west-1",)
    assert "200,000 tokens" in looks.told[0].note
    looks.minutes(20, Report())
    assert [alert.state for alert in looks.told] == ["open", "ended"]
    looks.minutes(15, Report(uses=uses))
    assert [alert.state for alert in looks.told] == ["open", "ended", "open"]


def test_quotas_of_two_regions_are_two_incidents() -> None:
    looks = Looks()
    uses = tuple(Use(f"1|{region}|a|on-demand", 10, 1000, None, None, 1000) for region in ("eu-west-1", "us-east-1"))
    assert [alert.regions for alert in looks.report(Report(uses=uses))] == [("eu-west-1",), ("us-east-1",)]


def test_a_nearly_exhausted_quota_per_minute_raises_an_alert() -> None:
    looks = Looks()
    use = Use("1|eu-west-1|a|on-demand", 10, 1600, 100.0, 10_000.0)
    (alert,) = looks.minutes(15, Report(uses=(use,)))
    assert (alert.rule, alert.note) == ("quota", "96% of 10,000 tokens per minute, over ten minutes")


def test_an_alert_belongs_to_one_process_until_its_delivery_or_the_end_of_the_process() -> None:
    looks = Looks()
    looks.delivers = False
    (alert,) = looks.report(report(100, failed(1, "access-denied", kind="permanent")))
    held = Report(held=(alert.id,))
    assert looks.minutes(3, held) == []
    (again,) = looks.minutes(1.5)
    assert again == alert
    assert looks.report(Report(delivered=(alert.id,))) == []
    looks.delivers = True
    assert [each.state for each in looks.minutes(10)] == ["ended"]


def test_a_released_alert_goes_to_the_next_process() -> None:
    looks = Looks()
    (alert,) = looks.report(report(100, failed(1, "access-denied", kind="permanent")))
    memory, alerts = look(looks.memory, [(looks.now, Report(released=(alert.id,)).to_json())], looks.now + 10, "shop")
    assert alerts == [alert]
    assert memory


def test_the_memory_is_bounded_whatever_is_reported() -> None:
    looks = Looks()
    for number in range(4):
        rows = tuple(
            failed(1, f"cause-{each}", f"model-{number}-{each}|r", "permanent")._replace(tenant=f"t{each}")
            for each in range(300)
        )
        looks.report(Report(failures=rows))
    assert len(looks.told) <= MOST_UNDELIVERED
    assert len(looks.memory) < 1_500_000


def test_reports_of_another_version_are_ignored_and_its_memory_is_refused() -> None:
    look("", [(1.0, "no json"), (1.0, "[99]"), (1.0, "{}")], 1e9, "shop")
    for memory in ("[99,1,2]", "no json", "{}", "[1,[1,2],{}]"):
        with pytest.raises(MemoryUnreadable, match="state of the alert rules"):
            look(memory, [], 1e9, "shop")


def test_a_pattern_is_learned_from_the_same_time_on_earlier_days_and_fades() -> None:
    pattern = Pattern(fade=0.5)
    day, quarter = 8640, 90
    for slot in range(quarter * 2):
        pattern.add(slot, 1, 10)
    assert pattern.expected(quarter) == 0.0  # of today
    assert pattern.expected(day + quarter) == pytest.approx(0.1)
    assert pattern.expected(day + 4 * quarter) == 0.0
    assert pattern.expected(2 * day + quarter) == pytest.approx(0.05)
    read = Pattern(fade=0.5)
    read.read(pattern.plain())
    assert read.expected(day) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("cases", "mean", "chance"), [(0, 1.0, 1.0), (2, 1.0, 0.2642), (5, 1.0, 0.00366), (1, 0.0, 0.0)]
)
def test_the_tail_probability_of_a_poisson_count_is_correct(cases: int, mean: float, chance: float) -> None:
    assert tail(cases, mean) == pytest.approx(chance, rel=1e-3)
