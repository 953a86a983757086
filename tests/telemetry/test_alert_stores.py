"""Processes that share a store: one alert for all of them, even if one ends or the store fails."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from support.store_server import PATIENT, Server, common_server, directory, server  # noqa: F401 - fixtures

from aws_bedrock_inference.stores.request import StoreUnavailable, StoreUnusable
from aws_bedrock_inference.telemetry.alerts import Alerts
from aws_bedrock_inference.telemetry.alerts.member import Member
from aws_bedrock_inference.telemetry.alerts.report import Answers, Failures, Report
from aws_bedrock_inference.telemetry.alerts.sqlite import SqliteAlerts
from aws_bedrock_inference.telemetry.alerts.store import MemoryAlerts, open_alert_store
from aws_bedrock_inference.telemetry.alerts.valkey import ValkeyAlerts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aws_bedrock_inference.telemetry.alerts.alert import Alert
    from aws_bedrock_inference.telemetry.alerts.store import AlertStore

PLACE = "model-a|eu-west-1"
DENIED = Report(failures=(Failures(PLACE, "converse", "acme", "iam-denied-identity-policy", "permanent", 1, "Denied"),))


def report(count: int, failures: int = 0) -> Report:
    failed = (Failures(PLACE, "converse", "", "service-capacity", "transient", failures),) if failures else ()
    return Report((Answers(PLACE, "converse", "", count, count, 0.01),), failed)


class Time:
    def __init__(self) -> None:
        self.now = 1_793_491_200.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(params=["memory", "sqlite", "valkey"])
def store(request: pytest.FixtureRequest, time: Time, tmp_path: Path) -> Iterator[AlertStore]:
    made: AlertStore
    if request.param == "memory":
        made = MemoryAlerts(time)
    elif request.param == "sqlite":
        made = SqliteAlerts(tmp_path / "alerts.db", time, timeout=PATIENT)
    else:
        made = _Timed(request.getfixturevalue("server").url, time)
    yield made
    made.close()


class _Timed(ValkeyAlerts):
    """A server whose time a test moves."""

    def __init__(self, url: str, time: Time) -> None:
        super().__init__(url, timeout=PATIENT)
        self._time = time

    def _report(self, service: str, text: str, now: float | None = None) -> Any:
        return super()._report(service, text, self._time())


class Crowd:
    """Eight processes at one store."""

    def __init__(self, store: AlertStore, time: Time, size: int = 8) -> None:
        self.time = time
        self.told: list[Alert] = []
        self.members: list[Member] = []
        for _ in range(size):
            self.members.append(Member(store, "shop", self.deliver, time))

    def deliver(self, alert: Alert) -> None:
        self.told.append(alert)
        for member in self.members:
            if alert.id in member._held:
                member.delivered(alert)

    def turn(self, report: Report) -> None:
        for member in self.members:
            self.time.now += 1.25
            member.step(report)


def test_eight_processes_that_each_see_an_eighth_raise_one_alert(store: AlertStore, time: Time) -> None:
    crowd = Crowd(store, time)
    for _ in range(18):
        crowd.turn(report(20))
    for _ in range(9):
        crowd.turn(report(18, 2))
    assert [(alert.state, alert.service) for alert in crowd.told] == [("open", "shop")]
    for _ in range(50):
        crowd.turn(report(20))
    assert [alert.state for alert in crowd.told] == ["open", "ended"]
    assert crowd.told[0].causes["service-capacity"] > 2 * crowd.told[0].share


def test_counts_too_small_for_one_process_are_added_together(store: AlertStore, time: Time) -> None:
    alone, all_of_them = Crowd(MemoryAlerts(time), time, size=1), Crowd(store, time)
    for _ in range(5):
        alone.turn(report(0, 1) if len(alone.told) == 0 and time.now % 2 else report(1))
    assert alone.told == []
    for _ in range(6):
        all_of_them.turn(report(0, 1))
    assert [alert.state for alert in all_of_them.told] == ["open"]


def test_an_unsettled_turn_passes_to_another_process_and_a_late_settlement_changes_nothing(
    store: AlertStore, time: Time
) -> None:
    first = store.report("shop", "a").run()
    assert first is not None
    assert store.report("shop", "b").run() is None
    time.now += 25.0
    second = store.report("shop", "c").run()
    assert second is not None
    assert [text for _, text in second.reports] == ["a", "b", "c"]
    assert store.settle("shop", first, "late").run() is False
    assert store.report("shop", "d").run() is None
    assert store.settle("shop", second, "memory").run() is True
    time.now += 10.0
    third = store.report("shop", "e").run()
    assert third is not None
    assert (third.memory, [text for _, text in third.reports]) == ("memory", ["d", "e"])


def test_services_have_separate_alerts(store: AlertStore) -> None:
    assert store.report("shop", "a").run() is not None
    other = store.report("search", "b").run()
    assert other is not None
    assert [text for _, text in other.reports] == ["b"]


def test_the_alert_of_a_killed_process_is_delivered_by_another(store: AlertStore, time: Time) -> None:
    told: list[Alert] = []
    killed = Member(store, "shop", lambda _: None, time)
    killed.step(DENIED)
    assert len(killed._held) == 1
    crowd = Crowd(store, time, size=1)
    for _ in range(60):
        crowd.turn(report(1))
    told = [alert for alert in crowd.told if alert.state == "open"]
    assert [alert.rule for alert in told] == ["new"]


def test_a_process_that_exits_hands_over_undelivered_alerts(store: AlertStore, time: Time) -> None:
    ending, other = Member(store, "shop", lambda _: None, time), Crowd(store, time, size=1)
    ending.step(DENIED)
    ending.step(Report(), last=True)
    time.now += 10.0
    other.turn(report(1))
    assert [alert.rule for alert in other.told] == ["new"]


class Broken(MemoryAlerts):
    """A store that fails while the test says so."""

    fails = False

    def report(self, service: str, text: str) -> Any:
        if self.fails:
            raise StoreUnavailable("it does not answer")
        return super().report(service, text)


def test_without_its_store_a_process_decides_alone_and_repeats_no_known_alert(
    time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    store = Broken(time)
    crowd = Crowd(store, time, size=1)
    for _ in range(100):
        crowd.turn(report(100))
        time.now += 8.75
    crowd.turn(DENIED)
    store.fails = True
    for _ in range(4):
        time.now += 8.75
        crowd.turn(report(100))
    for _ in range(9):
        time.now += 8.75
        crowd.turn(report(50, 50))
    assert Counter(alert.state for alert in crowd.told)["open"] == 2
    assert "examines only its own counts" in caplog.text
    assert "it does not answer" in caplog.text


class Unsettled(MemoryAlerts):
    """A store that accepts reports and fails when a look is settled."""

    def settle(self, service: str, turn: Any, memory: str) -> Any:
        raise StoreUnavailable("it does not answer")


def test_a_report_that_the_store_accepted_is_not_sent_again(time: Time) -> None:
    store = Unsettled(time)
    member = Member(store, "shop", lambda _: None, time)
    for _ in range(3):
        time.now += 25.0
        member.step(report(1))
    turn = store.report("shop", "x").run()
    time.now += 25.0
    turn = store.report("shop", "y").run()
    assert turn is not None
    assert len(turn.reports) == 3 + 2


def test_an_unreadable_memory_is_not_changed(time: Time) -> None:
    store = MemoryAlerts(time, {"shop": "[99,1,2]"})
    crowd = Crowd(store, time, size=1)
    for _ in range(5):
        time.now += 25.0
        crowd.turn(DENIED)
    assert [alert.rule for alert in crowd.told] == ["new"]
    turn = store.report("shop", "x").run()
    assert turn is None or turn.memory == "[99,1,2]"


def test_stores_are_set_by_url(tmp_path: Path) -> None:
    assert isinstance(open_alert_store(f"sqlite:///{tmp_path}/alerts.db"), SqliteAlerts)
    assert repr(open_alert_store("redis://user:s3cret@host")) == "ValkeyAlerts('redis://host')"
    with pytest.raises(ValueError, match="The URL of a store cannot begin with postgres://"):
        Alerts(store="postgres://user:s3cret@host")


def test_a_file_of_another_program_is_not_touched(tmp_path: Path) -> None:
    from aws_bedrock_inference.stores import SqliteStore, try_store  # noqa: PLC0415 - the other program

    try_store(shares := SqliteStore(tmp_path / "a.db"))
    shares.close()
    store = SqliteAlerts(tmp_path / "a.db")
    with pytest.raises(StoreUnusable, match="another program"):
        store.report("shop", "x").run()
    store.close()
