"""Members of a shared quota that are suspended, end, never reach their store, or report nonsense."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import closing
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import OK, call
from support.wire import eventually

from aws_bedrock_inference.call import Outcome, Usage, priority_number
from aws_bedrock_inference.drivers.asynchronous import AsyncDriver
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.events import StoreChanged
from aws_bedrock_inference.flow import Pipeline, send
from aws_bedrock_inference.policies import Quota
from aws_bedrock_inference.rules.quota.leases import VALID, Grant, LeaseRequest
from aws_bedrock_inference.rules.quota.ledger import Ledger
from aws_bedrock_inference.stores import MemoryStore, SqliteStore, StoreUnavailable, StoreUnusable
from aws_bedrock_inference.stores.report import MemberReport
from aws_bedrock_inference.stores.request import Instant

if TYPE_CHECKING:
    from collections.abc import Callable

ALL = LeaseRequest(0.0, ((0.0, 2.0, 1.0),))
TPM = 60_000


class Store(MemoryStore):
    """A store that can be unreachable, and records when each member sent a request."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.out: type[StoreUnavailable] | None = None
        self.asked: list[float] = []

    def renew(self, pool: str, member: str, request: LeaseRequest) -> Instant[Grant]:
        self.asked.append(self._clock())
        return Instant(self.fail) if self.out else super().renew(pool, member, request)

    def fail(self) -> Any:
        assert self.out
        raise self.out("store.example refused the connection")


class Process:
    """A member in virtual time, whose calls wait for a second at the most."""

    def __init__(self) -> None:
        self.sent: list[float] = []
        self.driver = VirtualDriver(self.send)
        self.store = Store(lambda: self.driver.now)
        self.quota = Quota(tpm=TPM, store=self.store)
        self.step = Pipeline(self.quota).around(send, self.clock)
        self.stop_at_reading = inf

    def clock(self) -> float:
        """Read the time; the process may be stopped right after a reading."""
        now = self.driver.now
        self.stop_at_reading -= 1
        if self.stop_at_reading == 0:
            self.stopped(20.0)
        return now

    def send(self, one: Any, now: float) -> tuple[float, Outcome]:
        self.sent.append(now)
        return 0.0, OK

    def call(self, patience: float = 1.0, **fields: Any) -> Outcome:
        now = self.driver.now
        outcome: Outcome = self.run(self.step(call(arrived=now, deadline=now + patience, **fields)))
        return outcome

    def leave(self) -> None:
        self.run(Pipeline(self.quota).leave())

    def run(self, flow: Any) -> Any:
        task = self.driver.spawn(flow)
        self.driver.run()
        assert task.done
        if task.error is not None:
            raise task.error
        return task.result

    def pass_by(self, seconds: float) -> None:
        self.driver.run(until=self.driver.now + seconds)

    def stopped(self, seconds: float) -> None:
        """Let time pass in which other members use the full quota."""
        self.driver.now += seconds
        for _ in range(3):
            grant = MemoryStore.renew(self.store, call().route.quota_key, "other", ALL).run()
        assert grant.share == 1.0


def test_a_resumed_process_sends_nothing_under_its_expired_lease() -> None:
    process = Process()
    assert process.call().fault is None
    process.stopped(20.0)
    refused = process.call()
    assert refused.fault is not None
    assert refused.fault.code == "DeadlineTooClose"
    assert process.sent == [0.0]


@pytest.mark.parametrize("reading", [1, 2, 3])  # the fourth is the last look, right before the call is sent
def test_a_process_suspended_just_before_a_call_checks_its_lease_again(reading: int) -> None:
    process = Process()
    assert process.call().fault is None
    process.stop_at_reading = reading
    process.call(patience=60.0)
    _, late = process.sent
    assert any(20.0 <= at < late for at in process.store.asked)
    assert late >= 20.0 + VALID  # when the lease of the other has run out


def test_a_waiting_call_is_not_admitted_after_the_lease_expired() -> None:
    process = Process()
    process.call()
    ledger = process.quota.ledger(call().route, 0.0)
    first = ledger.reserve(100.0, 0.0, 0.1)
    waiting = ledger.reserve(59_000.0, 0.1, 0.1)
    process.stopped(20.0)
    ledger.settle(first, 1.0, 20.2)
    assert not waiting.admitted
    assert ledger.claim(waiting, 90.0) > 90.0
    assert not ledger.reserve(1.0, 91.0, 91.0).admitted


def test_an_idle_member_requests_its_share_by_the_current_minute() -> None:
    ledger = Ledger(rpm=None, tpm=TPM, now=0.0)
    ledger.settle(ledger.reserve(5_000.0, 0.0, 0.0), 5_000.0, 1.0)
    ((_, busy, _, _),) = ledger.needs(2.0).told
    ((_, idle, _, _),) = ledger.needs(100.0).told
    assert idle < busy / 5


STOPPED = """
import sys
from aws_bedrock_inference import Call, Outcome, Quota, Route, Usage
from aws_bedrock_inference.call import Estimate
from aws_bedrock_inference.clock import monotonic
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.rules.quota import leases
from aws_bedrock_inference.stores import SqliteStore

leases.VALID, leases.SOON, leases.OFTEN, leases.SELDOM = 0.4, 0.1, 0.1, 0.1  # the test need not wait for seconds
sent = []
quota = Quota(tpm=60_000, store=SqliteStore(sys.argv[1], timeout=60.0))
driver = Driver(lambda call: sent.append(1) or Outcome(usage=Usage(1, 1)))
step = quota.around(send, monotonic)
route = Route("m", "us-east-1")
for _ in sys.stdin:
    now = monotonic()
    outcome = driver.run(step(Call("converse", {}, route, Estimate(1, 1), arrived=now, deadline=now + 0.05)))
    print(len(sent), outcome.fault and outcome.fault.code, route.quota_key, flush=True)
"""


def test_a_real_process_that_was_suspended_sends_nothing_on_its_old_lease(tmp_path: Path) -> None:
    path = tmp_path / "shares.db"
    with python(STOPPED, path) as process, closing(SqliteStore(path, timeout=60.0)) as other:
        count, fault, key = ask(process)
        assert (count, fault) == ("1", "None")
        process.send_signal(signal.SIGSTOP)
        assert eventually(lambda: other.renew(key, "other", ALL).run().share == 1.0)  # when its lease has run out
        process.send_signal(signal.SIGCONT)
        assert ask(process)[:2] == ["1", "DeadlineTooClose"]
        other.leave(key, "other").run()
        process.communicate(timeout=60)


def python(script: str, *arguments: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - this Python
        [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdin
    assert process.stdout
    process.stdin.write("go\n")
    process.stdin.flush()
    return process.stdout.readline().split()


class Outage:
    """Members of one quota with many callers each; the store goes out at a time, after it has answered `granted`."""

    def __init__(self, members: int, granted: Grant | None) -> None:
        self.driver = VirtualDriver(lambda one, now: (0.5, Outcome(usage=Usage(100, 100))))
        self.done: list[float] = []
        self.changes: list[Any] = []
        self.driver.listeners.add(self.changes.append)
        for _ in range(members):
            quota = Quota(tpm=TPM, store=Scripted([granted] if granted else []))
            step = quota.around(send, self.driver.clock)
            for number in range(40):
                self.driver.spawn(self.caller(step), after=0.01 * number)

    def caller(self, step: Any) -> Any:
        while True:
            yield from step(call(arrived=self.driver.now))
            self.done.append(self.driver.now)

    def use(self, start: float, end: float) -> float:
        return sum(start <= at < end for at in self.done) * 200 * 60 / (end - start) / TPM


class Scripted(MemoryStore):
    """A store that returns these answers and is unreachable afterwards."""

    def __init__(self, grants: list[Grant]) -> None:
        super().__init__()
        self.grants = grants

    def renew(self, *_: Any) -> Instant[Grant]:
        return Instant(self.answer)

    def answer(self) -> Grant:
        if not self.grants:
            raise StoreUnavailable("store.example refused the connection")
        return self.grants.pop(0)


def test_members_without_a_grant_divide_the_quota_during_a_store_outage() -> None:
    outage = Outage(6, Grant(0.0, 4.0, 0.3, (), members=6))
    outage.driver.run(until=180.0)
    assert 0.9 <= outage.use(60.0, 120.0) <= 1.0 + 1e-9


def test_members_continue_with_their_last_share_during_a_store_outage() -> None:
    outage = Outage(2, Grant(0.25, 4.0, 0.3, (), members=4))
    outage.driver.run(until=180.0)
    assert 0.45 <= outage.use(60.0, 120.0) <= 0.5 + 1e-9


def test_a_member_that_never_reached_the_store_says_so_and_uses_the_newcomers_share() -> None:
    outage = Outage(1, None)
    outage.driver.run(until=180.0)
    assert 0.09 <= outage.use(60.0, 120.0) <= 0.1 + 1e-9
    (change,) = [event for event in outage.changes if isinstance(event, StoreChanged)]
    assert not change.available
    assert change.message == "store.example refused the connection"


def test_a_single_store_failure_gives_no_share_to_a_member_without_one() -> None:
    process = Process()
    process.call()
    process.stopped(20.0)
    process.store.out = StoreUnavailable
    process.call()
    assert process.sent == [0.0]
    process.store.out = None
    process.pass_by(1.1)
    process.stopped(0.0)
    process.call()
    assert process.sent == [0.0]  # the other has it all, and the store says so


@pytest.mark.parametrize("world", ["blocking", "asyncio"])
def test_an_unusable_store_raises_at_the_first_call(tmp_path: Path, world: str) -> None:
    quota = Quota(tpm=TPM, store=f"sqlite://{tmp_path}/missing/shares.db")
    sent: list[Any] = []

    def carry(one: Any) -> Outcome:
        sent.append(one)
        return OK

    def run() -> Outcome:
        if world == "blocking":
            blocking = Driver(carry)
            return blocking.run(quota.around(send, blocking.clock)(call()))

        async def carry_later(one: Any) -> Outcome:
            return carry(one)

        asynchronous = AsyncDriver(carry_later)
        return asyncio.run(asynchronous.run(quota.around(send, asynchronous.clock)(call())))

    for _ in range(2):
        with pytest.raises(StoreUnusable, match=r"create .*missing, or use another path"):
            run()
    assert sent == []
    (tmp_path / "missing").mkdir()
    assert run() is OK


def test_a_store_that_becomes_unusable_later_stops_no_call() -> None:
    process = Process()
    process.call()
    process.store.out = StoreUnusable
    process.pass_by(2.0)
    assert process.call().fault is None


LEAVES = """
import multiprocessing, os, sys
from aws_bedrock_inference import Call, Outcome, Quota, Route, Usage
from aws_bedrock_inference.call import Estimate
from aws_bedrock_inference.clock import monotonic
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.stores import SqliteStore

store = SqliteStore(sys.argv[1], timeout=60.0)
quota = Quota(tpm=60_000, store=store)
driver = Driver(lambda call: Outcome(usage=Usage(1, 1)))
step = quota.around(send, monotonic)


def ask():
    assert driver.run(step(Call("converse", {}, Route("m", "us-east-1"), Estimate(1, 1)))).fault is None


def members():
    return len(store.look().run()["|us-east-1|m|on-demand"].members)
"""


WAIT = "os.waitpid(child, 0)"


@pytest.mark.parametrize(
    ("ending", "left"),
    [
        ("ask()", 0),
        ("ask(); sys.exit(3)", 0),
        ("ask(); raise KeyboardInterrupt", 0),
        ("ask(); os._exit(0)", 1),
        ("ask(); child = os.fork() or sys.exit(0); os.waitpid(child, 0); assert members() == 1; os._exit(0)", 1),
        (f"ask(); child = os.fork()\nif child: {WAIT}; print(members()); os._exit(0)\nask(); sys.exit(0)", 1),
    ],
)
def test_a_process_that_exits_releases_its_share_immediately(tmp_path: Path, ending: str, left: int) -> None:
    path = tmp_path / "shares.db"
    with python(LEAVES + ending, path) as process:
        process.communicate(timeout=60)
    with closing(SqliteStore(path, timeout=60.0)) as store:
        assert len(store.look().run()["|us-east-1|m|on-demand"].members) == left


def test_short_workers_leave_nothing_behind(tmp_path: Path) -> None:
    script = LEAVES + (
        "context = multiprocessing.get_context('fork')\n"
        "for _ in range(30):\n"
        "    worker = context.Process(target=ask)\n"
        "    worker.start()\n"
        "    worker.join()\n"
        "print(members(), len(store._file.opened))\n"
    )
    with python(script, tmp_path / "shares.db") as process:
        assert process.communicate(timeout=120)[0].split()[0] == "0"


def test_leaving_an_unreachable_store_takes_one_request_and_raises_nothing() -> None:
    process = Process()
    process.call()
    asked: list[str] = []

    def leave(pool: str, member: str, report: str = "") -> Instant[None]:
        asked.append(member)
        return Instant(process.store.fail)

    process.store.out = StoreUnavailable
    process.store.leave = leave  # type: ignore[method-assign]
    process.leave()
    process.leave()
    assert len(asked) == 1


def test_a_member_that_left_requests_a_share_before_its_next_call() -> None:
    process = Process()
    process.call()
    process.leave()
    assert process.store.look().run()[call().route.quota_key].members == ()
    asked = len(process.store.asked)
    assert process.call().fault is None
    assert len(process.store.asked) == asked + 1
    assert len(process.sent) == 2


def test_a_member_that_leaves_keeps_the_share_of_its_calls_in_flight() -> None:
    process = Process()
    process.call()
    ledger = process.quota.ledger(call().route, 0.0)
    ticket = ledger.reserve(10.0, 0.0, 0.1)
    process.leave()
    assert len(process.store.look().run()[call().route.quota_key].members) == 1
    ledger.settle(ticket, 10.0, 0.2)


@pytest.mark.parametrize("priority", [inf, -inf, nan, 10**400, None, [1], "x" * 500, b"normal"])
def test_an_infinite_priority_is_refused_where_it_is_passed(priority: Any) -> None:
    with pytest.raises(ValueError, match=r"priority=.*: pass a") as caught:
        priority_number(priority)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("store", [Path("shares.db"), 5, object(), MemoryStore])
def test_an_invalid_store_is_refused_where_it_is_passed(store: Any) -> None:
    with pytest.raises(ValueError, match=r"Quota\(store=\.\.\.\) is a .*: pass a URL"):
        Quota(store=store)


@pytest.mark.parametrize("priority", [-5.0, 1e300, -0.0, 7])
def test_any_finite_priority_is_shared(tmp_path: Path, priority: float) -> None:
    process = Process()
    assert process.call(priority=priority_number(priority)).fault is None


@pytest.mark.parametrize("priority", [inf, nan])
def test_a_call_with_an_odd_priority_affects_no_other(priority: float) -> None:
    process = Process()
    process.call(priority=priority)
    process.pass_by(5.0)
    assert process.call().fault is None
    process.pass_by(5.0)
    assert process.call().fault is None


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"used":' * 20_000,
        '{"used": {"tokens": 1e400}}',
        '{"used": {"tokens": 1' + "0" * 400 + "}}",
        '{"waiting": {"inf": 3, "nan": 3}}',
        '{"answers": {"count": 1e400}}',
        '{"version": NaN}',
        "\x00",
    ],
)
def test_a_malformed_report_is_ignored(text: str) -> None:
    report = MemberReport.from_json(text)
    assert (report.used.get("tokens", 0), dict(report.waiting), report.answers.count) == (0, {}, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"share": 1.5}, {"share": -0.1}, {"share": nan}, {"valid": 0.0}, {"valid": inf}, {"again": nan},
        {"again": 9.0}, {"members": 0}, {"limits": (("tokens", -1.0, 1),)}, {"limits": (("tokens", nan, 1),)},
    ],
)  # fmt: skip
def test_an_invalid_grant_is_refused(fields: dict[str, Any]) -> None:
    sound: dict[str, Any] = {"share": 0.5, "valid": 4.0, "again": 1.0, "limits": (("tokens", inf, 1),)}
    assert Grant(**sound).share == 0.5
    with pytest.raises(ValueError, match="is not a valid lease"):
        Grant(**sound | fields)


def test_a_deeply_nested_report_of_a_member_does_not_hide_the_others(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "shares.db", timeout=60.0)) as store:
        store.renew("p", "odd", LeaseRequest(0.0, (), report="[" * 16_000)).run()
        store.renew("p", "a", LeaseRequest(0.0, (), report=json.dumps({"reserved": 7}))).run()
        assert [seen.member for seen in store.look().run()["p"].members] == ["a", "odd"]
