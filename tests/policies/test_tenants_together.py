"""Tenants in virtual time: how a busy tenant affects a quiet one, in one process and in four that share a quota."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from functools import partial
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import call
from support.store_server import Server

from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.events import CallEnded, QuotaQueued
from aws_bedrock_inference.flow import Pipeline, send
from aws_bedrock_inference.listeners import Listeners
from aws_bedrock_inference.policies import Deadline, Quota
from aws_bedrock_inference.stores import MemoryStore, SqliteStore
from aws_bedrock_inference.stores.valkey import ValkeyStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.rules.quota.leases import Grant, LeaseRequest
    from aws_bedrock_inference.stores.request import Instant, Question

TPM = 864_000
USED = 600
A_CALL = USED * 60.0 / TPM
ANSWER = 0.7


class Process:
    """A process whose callers want more than its part of the quota; `waits` are seconds in the queue by tenant."""

    def __init__(self, driver: VirtualDriver, quota: Quota) -> None:
        self.driver = driver
        self.step = Pipeline(Deadline(3600.0), quota).around(send, driver.clock)
        self.waits: dict[str, list[float]] = {}
        self.refused: list[tuple[str, str, float]] = []
        self.done: list[tuple[float, str]] = []

    def once(self, tenant: str, output: int = 200, **fields: Any) -> Any:
        arrived = self.driver.now
        one = call(tokens=500, output=output, arrived=arrived, tenant=tenant, **fields)
        outcome = yield from self.step(one)
        if outcome.fault is not None:
            self.refused.append((tenant, outcome.fault.code, self.driver.now))
        else:
            self.waits.setdefault(tenant, []).append(self.driver.now - arrived - ANSWER)
            self.done.append((self.driver.now, tenant))

    def always(self, tenant: str, output: int = 200, until: float = inf) -> Any:
        while not self.refused:
            yield from self.once(tenant, output, deadline=until)


def service() -> VirtualDriver:
    return VirtualDriver(lambda one, now: (ANSWER, Outcome(usage=Usage(USED - 100, 100))))


def parts(processes: list[Process], start: float) -> dict[str, float]:
    calls = Counter(tenant for process in processes for at, tenant in process.done if at >= start)
    return {tenant: count / calls.total() for tenant, count in calls.items()}


def test_ten_thousand_queued_calls_of_one_tenant_delay_another_by_one_fair_turn() -> None:
    driver = service()
    process = Process(driver, Quota(tpm=TPM))
    for _ in range(10_000):
        driver.spawn(process.once("loud"))
    for number in range(20):
        driver.spawn(process.once("quiet"), after=30.0 + 7.13 * number)
    queued: list[Any] = []
    driver.listeners.add(queued.append)
    driver.run(until=180.0)
    assert len(process.waits["quiet"]) == 20
    assert max(process.waits["quiet"]) <= 2 * A_CALL + 1e-6
    assert {event.ahead for event in queued if isinstance(event, QuotaQueued) and event.tenant == "quiet"} == {1}
    assert len(process.waits["loud"]) + 20 >= 0.99 * 180.0 / A_CALL
    assert process.refused == []


def test_a_tenant_that_fills_the_queue_is_refused_and_another_is_not() -> None:
    driver = service()
    process = Process(driver, Quota(tpm=TPM, waiting=100))
    for _ in range(500):
        driver.spawn(process.once("loud"))
    for _ in range(10):
        driver.spawn(process.once("quiet"), after=0.5)
    driver.run(until=60.0)
    assert set(process.refused) == {("loud", "QueueFull", 0.0)}
    assert len(process.waits["quiet"]) == 10


def test_a_deadline_is_judged_by_the_turns_of_the_calls_tenant() -> None:
    driver = service()
    process = Process(driver, Quota(tpm=TPM))
    for _ in range(5000):
        driver.spawn(process.once("loud"))
    for tenant in ("quiet", "loud"):
        driver.spawn(process.once(tenant, deadline=12.0), after=10.0)
    driver.run(until=20.0)
    assert process.refused == [("loud", "DeadlineTooClose", 10.0)]
    assert len(process.waits["quiet"]) == 1


def test_answers_of_one_length_are_shared_equally_whatever_their_maximum() -> None:
    driver = service()
    process = Process(driver, Quota(tpm=TPM))
    for _ in range(30):
        driver.spawn(process.always("careless", 4000))
        driver.spawn(process.always("careful", 200))
    driver.run(until=120.0)
    assert parts([process], 30.0)["careless"] == pytest.approx(0.5, abs=0.03)


class TimedValkey(ValkeyStore):
    """A store on a server, with the test's time."""

    def __init__(self, url: str, now: Any) -> None:
        super().__init__(url, timeout=60.0)
        self.now = now

    def renew(self, pool: str, member: str, request: LeaseRequest) -> Question[Grant]:
        return self._question(partial(self._renew, pool, member, request, now=1e9 + self.now()))


@pytest.fixture(params=["memory", "sqlite", "valkey"])
def sharing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[VirtualDriver, Any]]:
    driver = service()
    if request.param == "valkey":
        with TemporaryDirectory() as directory:  # the path of a socket is short
            server = Server(Path(directory))
            valkey = TimedValkey(server.url, driver.clock)
            yield driver, valkey
            valkey.close()
            server.kill()
    elif request.param == "sqlite":
        sqlite = SqliteStore(tmp_path / "shares.db", timeout=60.0, clock=lambda: 1e9 + driver.now)
        yield driver, sqlite
        sqlite.close()
    else:
        yield driver, MemoryStore(driver.clock)


def fleet(driver: VirtualDriver, store: Any, *callers: dict[str, int]) -> list[Process]:
    processes = [Process(driver, Quota(tpm=TPM, store=store)) for _ in callers]
    for number, (process, tenants) in enumerate(zip(processes, callers, strict=True)):
        for tenant, count in tenants.items():
            for caller in range(count):
                driver.spawn(process.always(tenant), after=0.01 * caller + 0.003 * number)
    return processes


def test_tenants_get_equal_shares_with_three_processes_and_with_one(sharing: Any) -> None:
    processes = fleet(*sharing, {"a": 20}, {"a": 20}, {"a": 20}, {"b": 20})
    sharing[0].run(until=120.0)
    assert parts(processes, 60.0) == pytest.approx({"a": 0.5, "b": 0.5}, abs=0.03)
    assert sum(at >= 60.0 for process in processes for at, _ in process.done) * A_CALL >= 0.96 * 60.0


def test_tenants_get_equal_shares_even_if_one_process_serves_both(sharing: Any) -> None:
    processes = fleet(*sharing, {"a": 20}, {"a": 20}, {"a": 20}, {"a": 20, "b": 20})
    sharing[0].run(until=120.0)
    assert parts(processes, 60.0) == pytest.approx({"a": 0.5, "b": 0.5}, abs=0.03)


def test_a_tenant_with_a_small_need_gets_all_of_it_next_to_a_large_one() -> None:
    driver = service()
    processes = fleet(driver, MemoryStore(driver.clock), {"a": 30}, {"a": 30}, {"a": 30}, {"a": 30, "b": 2})
    driver.run(until=120.0)
    waits = processes[3].waits["b"][20:]
    assert sum(waits) / len(waits) <= 4 * A_CALL


def test_the_share_of_a_tenant_whose_processes_were_killed_is_free_within_seconds(
    sharing: Any,
) -> None:
    driver = sharing[0]
    killed = fleet(*sharing, {}, {}, {})
    processes = [*fleet(*sharing, {"b": 40}), *killed]
    for process in killed:
        for caller in range(20):
            driver.spawn(process.always("a", until=60.0), after=0.01 * caller)
    driver.run(until=120.0)
    assert parts(processes, 30.0)["a"] < 0.25
    times = sorted(at for process in processes for at, _ in process.done)
    assert sum(at >= 63.0 for at in times) * A_CALL >= 0.9 * (120.0 - 63.0)
    assert max(bisect(times, at + 60.0) - number for number, at in enumerate(times)) * A_CALL <= 60.0


@pytest.mark.parametrize(("tenants", "every"), [(8, 3.0), (60, 0.5)])
def test_many_rare_tenants_leave_the_rest_to_one_busy_tenant(tenants: int, every: float) -> None:
    """The share with which an idle process may start is for all its tenants together. It reserves no part for each
    tenant, and tenants do not wait because their combined need exceeds what the process keeps between two calls."""
    driver = service()
    seldom, busy = fleet(driver, MemoryStore(driver.clock), {}, {"batch": 80})
    for number in range(int(180.0 / every)):
        driver.spawn(seldom.once(f"tenant {number % tenants}"), after=every * number)
    driver.run(until=180.0)
    waits = sorted(wait for times in seldom.waits.values() for wait in times[len(times) // 3 :])
    assert waits[len(waits) * 9 // 10] == pytest.approx(0.0, abs=1e-6)
    assert sum(at >= 60.0 for process in (seldom, busy) for at, _ in process.done) * A_CALL >= 0.95 * 120.0


def test_the_store_gets_no_tenant_names_but_the_same_hash_from_all_members() -> None:
    told: dict[str, tuple[str, ...]] = {}

    class Telling(MemoryStore):
        def renew(self, pool: str, member: str, request: LeaseRequest) -> Instant[Grant]:
            told[member] = request.tenants
            return super().renew(pool, member, request)

    driver = service()
    fleet(driver, Telling(driver.clock), {"acme": 20}, {"acme": 10, "globex": 10, "": 10})
    driver.run(until=5.0)
    [[acme], several] = sorted(told.values(), key=len)
    assert len(several) == 3
    assert {"", acme} < set(several)
    assert not {"acme", "globex"} & set(several)
    assert all(len(name) == 16 for name in several if name)


def test_the_end_event_of_a_call_has_its_tenant() -> None:
    heard: list[Any] = []
    listeners = Listeners()
    listeners.add(heard.append)
    listeners.call_ended(call(tenant="acme"), Outcome(), 1.0)
    assert [event.tenant for event in heard if isinstance(event, CallEnded)] == ["acme"]
