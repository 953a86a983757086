"""Members share one quota through a store, in virtual time: their use together, and their use without the store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import OK, ROUTE, THROTTLE, call, failed

from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.events import StoreChanged, ThrottleReceived
from aws_bedrock_inference.flow import Pipeline, Sleep, send
from aws_bedrock_inference.policies import Deadline, Quota, Retry
from aws_bedrock_inference.rules.quota.burndown import Burndown
from aws_bedrock_inference.stores import MemoryStore, StoreUnavailable
from aws_bedrock_inference.stores.request import Instant

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.leases import Grant, LeaseRequest

TPM = 864_000
USED = 600


class CountedStore(MemoryStore):
    """A store that counts its requests, and is unreachable between two times."""

    def __init__(self, clock: Any, gone: tuple[float, float] = (0.0, 0.0)) -> None:
        super().__init__(clock)
        self.gone = gone
        self.asked: list[float] = []
        self.refused = 0

    def renew(self, pool: str, member: str, request: LeaseRequest) -> Instant[Grant]:
        now = self._clock()
        self.asked.append(now)
        if self.gone[0] <= now < self.gone[1]:
            self.refused += 1
            return Instant(unavailable)
        return super().renew(pool, member, request)


def unavailable() -> Any:
    raise StoreUnavailable("store.example:6379 refused the connection")


class Fleet:
    """Several processes with twelve callers each that never stop, on one service without other limits."""

    def __init__(self, members: int = 4, gone: tuple[float, float] = (0.0, 0.0), callers: Any = 12) -> None:
        self.done: list[tuple[float, int]] = []
        self.failed: list[str] = []
        self.driver = VirtualDriver(lambda one, now: (0.7, Outcome(usage=Usage(USED - 100, 100))))
        self.events: list[Any] = []
        self.driver.listeners.add(self.events.append)
        self.store = CountedStore(self.driver.clock, gone)
        self.quotas = [Quota(tpm=TPM, store=self.store) for _ in range(members)]
        for member, quota in enumerate(self.quotas):
            step = Pipeline(Deadline(300.0), Retry(chance=lambda: 0.5), quota).around(send, self.driver.clock)
            for caller in range(callers if isinstance(callers, int) else callers[member]):
                self.driver.spawn(self.caller(step, member), after=0.01 * (caller * members + member))

    def caller(self, step: Any, member: int) -> Any:
        while True:
            outcome = yield from step(call(tokens=500, output=200, arrived=self.driver.now))
            if outcome.fault is None:
                self.done.append((self.driver.now, member))
            else:
                self.failed.append(outcome.fault.code)
                yield Sleep(1.0)

    def use(self, start: float, end: float) -> float:
        calls = sum(start <= at < end for at, _ in self.done)
        return calls * USED * 60 / (end - start) / TPM

    def parts(self, start: float, end: float, members: int = 4) -> list[float]:
        by = [sum(who == member and start <= at < end for at, who in self.done) for member in range(members)]
        return [calls / sum(by) for calls in by]

    def changes(self) -> list[tuple[bool, str]]:
        return [(event.available, event.message) for event in self.events if isinstance(event, StoreChanged)]


def test_four_members_use_up_the_quota_with_few_requests_to_the_store() -> None:
    fleet = Fleet()
    fleet.driver.run(until=180)
    for minute in (60, 90, 120):
        assert fleet.use(minute, minute + 60) <= 1.0 + 1e-9
    assert fleet.use(60, 180) >= 0.98
    assert fleet.parts(60, 180) == pytest.approx([0.25] * 4, abs=0.02)
    assert len(fleet.store.asked) <= 0.2 * len(fleet.done)
    assert fleet.failed == []
    assert fleet.changes() == []


def test_each_call_gets_an_equal_share_whichever_member_sends_it() -> None:
    fleet = Fleet(callers=(2, 20, 20, 20))
    fleet.driver.run(until=120)
    assert 0.97 <= fleet.use(60, 120) <= 1.0
    assert fleet.parts(60, 120) == pytest.approx([2 / 62] + [20 / 62] * 3, abs=0.02)


def test_a_single_member_has_the_full_quota_until_others_join() -> None:
    fleet = Fleet(members=1, callers=60)
    fleet.driver.run(until=120)
    assert 0.98 <= fleet.use(60, 120) <= 1.0
    step = Quota(tpm=TPM, store=fleet.store).around(send, fleet.driver.clock)
    for _ in range(60):
        fleet.driver.spawn(fleet.caller(step, 1))
    fleet.driver.run(until=240)
    assert fleet.parts(180, 240, members=2) == pytest.approx([0.5, 0.5], abs=0.03)
    assert max(fleet.use(start, start + 60) for start in (120, 150, 180)) <= 1.0


def test_members_keep_their_share_during_a_store_outage_and_rejoin_afterwards() -> None:
    fleet = Fleet(gone=(60.0, 90.0))
    fleet.driver.run(until=180)
    assert fleet.failed == []
    for start in (60, 75, 90, 120):
        assert fleet.use(start, start + 60) <= 1.0 + 1e-9
    assert fleet.use(60, 90) >= 0.95
    assert fleet.use(120, 180) >= 0.97
    assert fleet.parts(62, 90) == pytest.approx([0.25] * 4, abs=0.03)
    gone, back = fleet.changes()[:4], fleet.changes()[4:]
    assert gone == [(False, "store.example:6379 refused the connection")] * 4
    assert back == [(True, "the store answers again")] * 4
    assert fleet.store.refused <= 4 * 10


def test_without_any_store_each_member_uses_the_newcomers_share() -> None:
    fleet = Fleet(members=1, gone=(0.0, 1e9), callers=60)
    fleet.driver.run(until=90)
    assert fleet.failed == []
    assert 0.09 <= fleet.use(30, 90) <= 0.1
    assert [available for available, _ in fleet.changes()] == [False]


def known_by(quota: Quota, now: float) -> float:
    (estimate,) = (limit for name, limit in quota.ledger(call().route, now).needs(now).limits if name == "tokens")
    return estimate


def test_a_limit_learned_by_one_member_reaches_the_others_within_seconds() -> None:
    driver: Any = None

    def service(one: Any, now: float) -> Any:
        throttled = one.params.get("throttled", False)
        return 0.1, failed(THROTTLE) if throttled and now < 60.0 else OK

    driver = VirtualDriver(service)
    heard: list[Any] = []
    driver.listeners.add(heard.append)
    store = MemoryStore(driver.clock)
    quotas = [Quota(tpm=TPM, store=store) for _ in range(2)]

    def caller(quota: Quota, unlucky: float) -> Any:
        step = quota.around(send, driver.clock)
        while driver.now < 40.0:
            one = call(arrived=driver.now)._replace(params={"throttled": driver.now > unlucky})
            yield from step(one)
            yield Sleep(0.3)

    driver.spawn(caller(quotas[0], 20.0))
    driver.spawn(caller(quotas[1], 1e9))
    driver.run(until=19.0)
    assert known_by(quotas[1], driver.now) == TPM
    driver.run(until=35.0)
    assert any(isinstance(event, ThrottleReceived) for event in heard)
    assert known_by(quotas[1], driver.now) < TPM


class Kinds:
    """Members of one store, some of which know their account."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "aws_bedrock_inference")
        self.caplog = caplog
        self.driver = VirtualDriver(lambda one, now: (0.7, Outcome(usage=Usage(USED - 100, 100))))
        self.store = LookedAt(self.driver.clock)

    def work(self, *accounts: str, region: str = "us-east-1", seconds: float = 10.0) -> list[Any]:
        """Let a member with each account call all the time."""
        until = self.driver.now + seconds
        tasks = []
        for number, account in enumerate(accounts):
            route = replace(ROUTE, account=account, region=region)
            step = Quota(tpm=TPM, store=self.store).around(send, self.driver.clock)
            tasks.append(self.driver.spawn(self.caller(step, route, until), after=1.1 * number))
        self.driver.run(until=until)
        return tasks

    def caller(self, step: Any, route: Any, until: float) -> Any:
        while self.driver.now < until:
            assert (yield from step(call(route=route, arrived=self.driver.now))).fault is None
            yield Sleep(0.1)
        return Outcome()

    def warnings(self) -> list[str]:
        return [record.getMessage() for record in self.caplog.records if record.levelname == "WARNING"]


class LookedAt(MemoryStore):
    looks = 0
    gone = False

    def look(self, pool: str | None = None) -> Any:
        self.looks += 1
        return Instant(unavailable) if self.gone else super().look(pool)


ACCOUNT = "123456789012"


@pytest.mark.parametrize("accounts", [("", ACCOUNT), (ACCOUNT, ""), ("", ACCOUNT, "")])
def test_a_mix_of_members_with_and_without_a_known_account_is_logged_once(
    accounts: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    kinds = Kinds(caplog)
    kinds.work(*accounts, seconds=200.0)
    (line,) = kinds.warnings()
    assert f"quota of {ACCOUNT}|us-east-1|" in line
    assert "process(es) that use the same store, such as " in line
    assert "AWS_ACCOUNT_ID" in line


@pytest.mark.parametrize("accounts", [("", ""), (ACCOUNT, ACCOUNT), (ACCOUNT, "210987654321")])
def test_members_that_all_know_or_all_lack_the_account_are_not_logged(
    accounts: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    kinds = Kinds(caplog)
    kinds.work(*accounts)
    kinds.work("", region="eu-west-1")  # another quota
    kinds.work("")
    assert kinds.warnings() == []
    kinds = Kinds(caplog)
    kinds.work(ACCOUNT, seconds=186.0)
    assert kinds.store.looks == 4  # once a minute


def test_an_unreadable_store_fails_no_call(caplog: pytest.LogCaptureFixture) -> None:
    kinds = Kinds(caplog)
    kinds.store.gone = True
    kinds.work("", ACCOUNT)
    assert kinds.warnings() == []
    kinds.store.gone = False
    kinds.work("", ACCOUNT, seconds=70.0)
    assert len(kinds.warnings()) == 1


def test_a_burndown_and_a_noise_level_learned_by_one_member_reach_all() -> None:
    fleet = Fleet(members=2)
    fleet.driver.run(until=10)
    first, second = (pool.ledger.window for quota in fleet.quotas for pool in dict(quota._ledgers).values())
    for window in (first, second):
        window.burndown = Burndown(5.0, TPM, now=10.0)
    first.burndown.adopt(4.0, 10.0)
    first.tokens.estimator.adopt_noise(0.03)
    fleet.driver.run(until=14)
    assert second.burndown.rate == 4.0
    assert second.tokens.estimator.noise > 0.0  # and less each second, since there is none
    second.burndown.adopt(3.5, 14.0)
    fleet.driver.run(until=18)
    assert first.burndown.rate == 3.5
