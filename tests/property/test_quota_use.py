"""How much of a quota is used, in virtual time, for each way the service counts: 48 callers that never stop."""

from __future__ import annotations

from collections import Counter
from math import log
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest
from support.doubles import ROUTE

from aws_bedrock_inference.call import PRIORITIES, Call, Estimate, Outcome, Usage
from aws_bedrock_inference.drivers.virtual import Task, VirtualDriver
from aws_bedrock_inference.flow import Pipeline, Sleep
from aws_bedrock_inference.knowledge.classify import answered
from aws_bedrock_inference.policies import Deadline, Quota, Retry
from aws_bedrock_inference.service_quotas.table import Limits
from aws_bedrock_inference.simulator.quota import DISCIPLINES, Bucket, Pool, Ticket
from aws_bedrock_inference.simulator.quota import Quota as Allowed
from aws_bedrock_inference.stores.memory import MemoryStore

if TYPE_CHECKING:
    from aws_bedrock_inference.service_quotas.table import QuotaTable

TPM = 864_000
WORKERS = 48
TOO_MANY = {
    name: answered("ThrottlingException", f"Too many {name}, please wait before trying again.", status=429)
    for name in ("tokens", "requests")
}


CYCLE, BUSY = 90.0, 60.0  # callers that rest send calls in the first BUSY seconds of each CYCLE


class Done(NamedTuple):
    at: float
    tokens: int
    who: int
    seconds: float
    priority: float


class Service:
    """A service in virtual time that counts by `discipline`, some milliseconds away from its callers."""

    def __init__(
        self,
        discipline: str,
        *,
        seed: int = 1,
        latency: float = 0.7,
        answer: int = 100,
        most: int = 300,
        noise: float = 0.0,
        holds: float = 0.0,
    ):
        self.noise, self.noises = noise, Random(seed + 99)  # noqa: S311 - as below
        self.chance = Random(seed)  # noqa: S311 - the same in every run
        self.pool = Pool(Allowed(tpm=TPM), discipline, 0.0)
        if holds:
            self.pool._tokens = Bucket(TPM, holds, 0.0)
        self.driver = VirtualDriver(lambda *_: (0.0, Outcome()))
        self.latency, self.answer, self.most = latency, answer, most
        self.done: list[Done] = []
        self.throttled: list[float] = []
        self.failed: list[str] = []
        self.tasks: list[Task] = []

    def callers(
        self,
        quotas: list[Quota],
        count: int = WORKERS,
        priority: float = 1.0,
        pause: float = 0.0,
        *,
        rest: bool = False,
    ) -> None:
        for index in range(count):
            who = index % len(quotas)
            policies = Pipeline(Deadline(900.0), Retry(chance=self.chance.random), quotas[who])
            step = policies.around(self.serve, self.driver.clock)
            task = self.driver.spawn(
                self.caller(step, who, priority, pause, rest=rest), after=self.chance.random() * 0.2
            )
            self.tasks.append(task)

    def changes(self, at: float, tpm: float) -> None:
        def change() -> Any:
            yield Sleep(at)
            self.pool.change(Allowed(tpm=tpm), self.driver.now)

        self.driver.spawn(change())

    def run(self, until: float) -> Service:
        self.driver.run(until=until)
        assert [task.error for task in self.tasks if task.done] == []
        return self

    def caller(self, step: Any, who: int, priority: float, pause: float, *, rest: bool) -> Any:
        chance = self.chance
        while True:
            if rest and self.driver.now % CYCLE > BUSY:
                yield Sleep(CYCLE - self.driver.now % CYCLE)
            prompt = min(3000, max(60, int(chance.lognormvariate(log(500) - 0.32, 0.8))))
            answer = min(self.most, max(5, int(chance.lognormvariate(log(self.answer) - 0.08, 0.4))))
            start = self.driver.now
            estimate = Estimate(int(prompt * chance.uniform(0.95, 1.05)), self.most)
            params = {"prompt": prompt, "answer": answer}
            call = Call("converse", params, ROUTE, estimate, arrived=start, priority=priority)
            outcome = yield from step(call)
            if outcome.fault is None:
                self.done.append(
                    Done(self.driver.now, prompt + answer, who, self.driver.now - start, priority),
                )
            else:
                self.failed.append(outcome.fault.code)
                yield Sleep(0.05)
            if pause:
                yield Sleep(pause * chance.expovariate(1.0))

    def serve(self, call: Call) -> Any:
        chance = self.chance
        yield Sleep(chance.uniform(0.001, 0.021))
        if self.noise and self.noises.random() < self.noise:
            return Outcome(fault=TOO_MANY["tokens"])
        ticket = self.pool.admit(call.params["prompt"] + self.most, self.driver.now)
        if not isinstance(ticket, Ticket):
            self.throttled.append(self.driver.now)
            yield Sleep(chance.uniform(0.001, 0.021))
            return Outcome(fault=TOO_MANY[ticket])
        yield Sleep(self.latency * chance.lognormvariate(0, 0.3))
        ticket.settle(call.params["prompt"] + call.params["answer"], self.driver.now)
        yield Sleep(chance.uniform(0.001, 0.021))
        return Outcome(value={}, usage=Usage(call.params["prompt"], call.params["answer"]))

    def use(self, start: float, end: float, tpm: float = TPM) -> float:
        """Return the used fraction of the quota between two times."""
        return sum(call.tokens for call in self.done if start <= call.at < end) / (tpm * (end - start) / 60)

    def throttles(self, start: float, end: float) -> float:
        """Return throttles for each call that was served."""
        refused = sum(start <= at < end for at in self.throttled)
        return refused / max(1, sum(start <= call.at < end for call in self.done))

    def slowest(self, start: float, end: float, priority: float = 1.0) -> float:
        """Return the 99th percentile of how long calls took, in seconds."""
        times = sorted(call.seconds for call in self.done if start <= call.at < end and call.priority == priority)
        return times[int(len(times) * 0.99)]

    def fair(self, start: float, end: float) -> float:
        """Return how long each call would take if all took the same."""
        return WORKERS * (end - start) / sum(start <= call.at < end for call in self.done)

    def fairness(self, start: float, end: float, members: int) -> float:
        """Return Jain's index of the members' usage: 1 is equal, 1 / members means that one member used everything."""
        used: Counter[int] = Counter()
        for call in self.done:
            if start <= call.at < end:
                used[call.who] += call.tokens
        return sum(used.values()) ** 2 / (members * sum(tokens**2 for tokens in used.values()))


def told(discipline: str, seed: int = 1) -> Service:
    service = Service(discipline, seed=seed)
    service.callers([Quota(tpm=TPM)])
    return service.run(180)


def strangers(discipline: str, seed: int = 1) -> Service:
    service = Service(discipline, seed=seed)
    service.callers([Quota() for _ in range(4)])
    return service.run(360)


def halved_and_back(discipline: str, seed: int = 1) -> Service:
    service = Service(discipline, seed=seed)
    service.callers([Quota(tpm=TPM)])
    service.changes(120, TPM / 2)
    service.changes(300, TPM)
    return service.run(450)


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_throttles_without_a_cause_cost_hardly_any_throughput(discipline: str) -> None:
    service = Service(discipline, noise=0.03)
    service.callers([Quota(tpm=TPM)])
    service.run(300)
    assert service.use(60, 300) >= 0.97
    assert service.throttles(60, 300) <= 0.005
    assert service.slowest(60, 300) <= 1.6 * service.fair(60, 300)
    assert service.failed == []


@pytest.mark.parametrize("holds", [0.5, 1.0, 2.0])
def test_a_small_bucket_lowers_the_burst_and_not_the_rate(holds: float) -> None:
    service = Service("bucket", holds=holds)
    service.callers([Quota(tpm=TPM)])
    service.run(180)
    assert service.use(60, 180) >= 0.98
    assert service.throttles(0, 60) <= 0.25
    assert service.throttles(60, 180) <= 0.01
    assert service.failed == []


def busy_use(service: Service, cycles: range) -> float:
    """Return the used fraction of the quota in the busy parts of these cycles."""
    return sum(service.use(CYCLE * cycle, CYCLE * cycle + BUSY) for cycle in cycles) / len(cycles)


@pytest.mark.parametrize("seed", [2, 3])
def test_random_throttles_in_a_row_do_not_lower_an_unknown_limit(seed: int) -> None:
    service = Service("bucket", seed=seed, noise=0.05, holds=2.0)
    service.callers([Quota()], rest=True)
    service.run(12 * CYCLE)
    assert busy_use(service, range(4, 12)) >= 0.9
    assert service.throttles(4 * CYCLE, 12 * CYCLE) <= 0.03
    assert service.failed == []


def listed(tpm: float) -> Quota:
    """Return a quota whose limit Service Quotas has listed."""
    limits = Limits(tpm=tpm)
    quota = Quota()
    quota._table = cast("QuotaTable", SimpleNamespace(region=ROUTE.region, limits=lambda *_: limits))
    return quota


@pytest.mark.parametrize(("holds", "factor"), [(0.5, 0.7), (0.5, 1.0), (0.5, 1.4)])
def test_throttles_without_a_cause_do_not_lower_a_listed_limit(holds: float, factor: float) -> None:
    service = Service("bucket", noise=0.03, holds=holds)
    service.callers([listed(factor * TPM)])
    service.run(360)
    assert service.use(180, 360) >= 0.85
    assert service.throttles(180, 360) <= 0.02
    assert service.failed == []


def test_members_of_a_store_do_not_lower_an_unknown_limit_in_turns() -> None:
    service = Service("bucket", noise=0.03, holds=1.0)
    store = MemoryStore(clock=service.driver.clock)
    service.callers([Quota(store=store) for _ in range(4)])
    service.run(300)
    assert service.use(120, 300) >= 0.5
    assert service.throttles(120, 300) <= 0.06
    assert service.failed == []


def test_an_unknown_quota_is_discovered_despite_throttles_without_a_reason() -> None:
    service = Service("tight", noise=0.03)
    service.callers([Quota()])
    service.run(420)
    assert service.use(180, 420) >= 0.8
    assert service.throttles(180, 420) <= 0.03
    assert service.failed == []


def test_a_halved_quota_is_discovered_despite_noise() -> None:
    service = Service("tight", noise=0.03)
    service.callers([Quota(tpm=TPM)])
    service.changes(120, TPM / 2)
    service.run(300)
    assert service.use(210, 300, TPM / 2) >= 0.95
    assert service.throttles(210, 300) <= 0.05


def long_answers(discipline: str = "bucket", seed: int = 1) -> Service:
    service = Service(discipline, seed=seed, latency=20.0, answer=400, most=4000)
    service.callers([Quota(tpm=TPM)], count=600)
    return service.run(480)


def two_priorities(discipline: str = "bucket", seed: int = 1) -> Service:
    """Interactive calls of about 30 % of the quota, and batch calls that use all the rest."""
    service = Service(discipline, seed=seed)
    quota = Quota(tpm=TPM)
    service.callers([quota], count=36, priority=PRIORITIES["interactive"], pause=4.0)
    service.callers([quota], count=80, priority=PRIORITIES["batch"])
    return service.run(180)


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_a_configured_quota_is_used_up_without_a_throttle(discipline: str) -> None:
    service = told(discipline)
    assert service.use(60, 180) >= 0.985
    assert service.throttled == []
    assert service.failed == []
    assert service.slowest(60, 180) <= 1.5 * service.fair(60, 180)


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_four_members_without_a_configured_quota_discover_and_share_it(discipline: str) -> None:
    service = strangers(discipline)
    assert service.use(60, 360) >= 0.95
    assert service.throttles(60, 360) <= 0.04
    assert service.fairness(60, 360, 4) >= 0.93
    assert service.failed == []


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_a_quota_that_is_halved_and_restored_is_discovered_again(discipline: str) -> None:
    service = halved_and_back(discipline)
    assert service.use(210, 300, TPM / 2) >= 0.95
    assert service.use(390, 450) >= 0.95
    assert service.failed == []


def test_long_answers_with_high_maxima_fill_the_quota() -> None:
    """Nine tenths of each reservation are refunded, but only after twenty seconds."""
    service = long_answers()
    assert service.use(360, 480) > 0.9
    assert service.failed == []


def test_interactive_calls_do_not_wait_while_batch_calls_exceed_the_quota() -> None:
    service = two_priorities()
    interactive = [call for call in service.done if call.priority == PRIORITIES["interactive"]]
    batch = [call for call in service.done if call.priority == PRIORITIES["batch"]]
    waited = service.slowest(60, 180, PRIORITIES["interactive"]) - served_within(service)
    assert waited <= 1.0
    assert 0.2 <= sum(call.tokens for call in interactive) / (TPM * 3) <= 0.4
    assert sum(call.tokens for call in batch) / (TPM * 3) >= 0.55
    assert service.use(60, 180) >= 0.98
    assert service.failed == []
    assert service.throttled == []


def served_within(service: Service) -> float:
    """Return the 99th percentile of the latency of the service itself, in seconds."""
    return service.latency * 2.01
