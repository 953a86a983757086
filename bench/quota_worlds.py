"""Simulated services and callers in virtual time, for `quota_matrix.py`. The service counts in one of seven ways, and
throttles some calls for no reason (noise). The callers want two and a half times the quota.

A throttle charges no tokens, whether the limit or the noise caused it. An oracle can run in each world. It knows the
way of counting, the burst, the state of the service and the use of each call. It sends a call as soon as the service
can admit the call, and sends it again immediately after noise.

If the quota is known, the oracle never uses more than the quota in a minute, even if the service would admit more. The
reason is that users should not exceed their quota: after a pause, a token bucket admits the quota of two minutes in one
minute.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf, log
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.call import Call, Estimate, Outcome, Route, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import Pipeline, Sleep, Wait
from aws_bedrock_inference.knowledge.classify import answered
from aws_bedrock_inference.policies import Deadline, Quota, Retry
from aws_bedrock_inference.service_quotas.table import Limits as ListedLimits
from aws_bedrock_inference.simulator.quota import Bucket, Fixed, Limit, Sliding
from aws_bedrock_inference.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.drivers.virtual import Task

TPM = 864_000.0
ROUTE = Route("anthropic.claude-test-v1:0", "us-east-1", base="anthropic.claude-test-v1:0")
TOKENS = answered("ThrottlingException", "Too many tokens, please wait before trying again.", status=429)
NAMELESS = answered("ThrottlingException", "Rate exceeded", status=429)

# The number of callers for each load. In `wordy` the answers are longer than the prompts, so that burndown dominates.
WORKERS = {"short": 48, "wordy": 48, "mixed": 320, "long": 1080, "on-off": 48}
EPISODE = 3.5  # seconds, on average
POLL = 0.02
MEMBERS = 4

# The charge for an output token according to the table of models, and according to the service.
BURNDOWNS = {
    "as table": (1.0, 1.0),
    "a third": (3.0, 1.0),
    "threefold": (1.0, 3.0),
    "5 is right": (5.0, 5.0),
    "15, truly 5": (15.0, 5.0),
    "5, truly 15": (5.0, 15.0),
}
CHANGES: dict[str, float | str | None] = {
    "none": None,
    "halved": 0.5,
    "doubled": 2.0,
    "to 1 s": "1",
    "to fixed": "fixed",
}


@dataclass(frozen=True)
class World:
    """One combination of the matrix. `told` contains the configured limits, which are those of the service at the
    start.
    """

    discipline: str = "60"
    noise: float = 0.0
    episodes: bool = False
    known: str = "told"
    burndown: str = "as table"
    load: str = "short"
    members: str = "alone"
    change: str = "none"
    seed: int = 1
    seconds: int = 420

    def __str__(self) -> str:
        noise = "" if not self.noise else f"{self.noise:.1%} {'episodes' if self.episodes else 'even'}"
        told = "" if self.burndown == "as table" else f"burndown {self.burndown}"
        parts = (self.discipline.replace("bucket", ""), noise, self.known, told, self.load, self.members, self.change)
        return ", ".join(part for part in parts if part not in ("", "none", "alone", "short"))


class Done(NamedTuple):
    at: float
    tokens: float
    seconds: float
    who: int


def counted(discipline: str, tpm: float, now: float) -> Limit:
    """Return a limit that counts by a discipline: a fixed or sliding minute, or a token bucket with this number of
    seconds.
    """
    if discipline == "fixed":
        return Fixed(tpm, 60.0, now - 7.0)
    return Sliding(tpm, 60.0) if discipline == "sliding" else Bucket(tpm, float(discipline), now)


class Noise:
    """Throttles for no reason. They affect the fraction `rate` of the time: either single calls, or (`episodes`) all
    calls for 2 to 5 seconds.
    """

    def __init__(self, rate: float, chance: Random, *, episodes: bool) -> None:
        self._rate, self._episodes, self._chance = rate, episodes, chance
        self._ends = -inf
        self._next = self._after(0.0)

    def hits(self, now: float) -> bool:
        if not self._episodes:
            return self._chance.random() < self._rate
        while now >= self._next:
            self._ends = self._next + self._chance.uniform(EPISODE - 1.5, EPISODE + 1.5)
            self._next = self._after(self._ends)
        return now < self._ends

    def _after(self, now: float) -> float:
        return now + self._chance.expovariate(self._rate / EPISODE) if self._rate else inf


class Run:
    """A run of a world: the calls that were made, and the throttles."""

    def __init__(self, world: World, *, oracle: bool = False) -> None:
        self.world = world
        self.tpm = TPM
        self.done: list[Done] = []
        self.refused: list[float] = []
        self.noised: list[float] = []
        self.failed: list[str] = []
        self.quotas: list[Quota] = []
        self._chance = Random(world.seed)  # noqa: S311 - the same in every run
        self._table, self._burndown = BURNDOWNS[world.burndown]
        self._noise = Noise(world.noise, Random(world.seed + 99), episodes=world.episodes)  # noqa: S311 - as above
        self.service = counted(world.discipline, TPM, 0.0)
        self._promised = Sliding(TPM if world.known == "told" else inf, 60.0)
        self._driver = VirtualDriver(lambda *_: (0.0, Outcome()))
        self._queue: deque[Turn] = deque()
        self._tasks: list[Task] = []
        self._go(oracle=oracle)
        for task in self._tasks:
            if task.error is not None:
                raise task.error

    def _go(self, *, oracle: bool) -> None:
        driver, world = self._driver, self.world
        if not oracle:
            self.quotas = self._made()
        for index in range(WORKERS[world.load]):
            if oracle:
                step: Any = self._known
            else:
                quota = self.quotas[index % len(self.quotas)]
                policies = Pipeline(Deadline(900.0), Retry(chance=self._chance.random), quota)
                step = policies.around(self._serve, driver.clock)
            self._tasks.append(driver.spawn(self._caller(step, index % MEMBERS), after=self._chance.random() * 0.2))
        if oracle:
            self._tasks.append(driver.spawn(self._dispatch()))
        if world.change != "none":
            self._tasks.append(driver.spawn(self._changes()))
        driver.run(until=world.seconds)

    def _made(self) -> list[Quota]:
        world = self.world
        listed = TPM * {"low": 0.7, "high": 1.4}.get(world.known, 1.0)
        store = MemoryStore(clock=self._driver.clock) if world.members == "store" else None
        tpm = TPM if world.known == "told" else None
        quotas = [Quota(tpm=tpm, store=store) for _ in range(1 if world.members == "alone" else MEMBERS)]
        if world.known in ("low", "high"):
            limits = ListedLimits(tpm=listed)
            table: Any = SimpleNamespace(region=ROUTE.region, limits=lambda *_: limits)
            for quota in quotas:
                quota._table = table  # noqa: SLF001 - as if Service Quotas had listed it
        return quotas

    def _changes(self) -> Any:
        yield Sleep(self.world.seconds / 2)
        to = CHANGES[self.world.change]
        if isinstance(to, str):
            self.service = counted(to, self.tpm, self._driver.now)
        elif to is not None:
            self.tpm *= to
            self.service.change(self.tpm, self._driver.now)

    def _caller(self, step: Any, who: int) -> Any:
        chance, driver, world = self._chance, self._driver, self.world
        while True:
            if world.load == "on-off" and driver.now % 90 > 60:
                yield Sleep(90 - driver.now % 90 + chance.random())
            prompt = min(3000, max(60, int(chance.lognormvariate(log(500) - 0.32, 0.8))))
            slow = world.load == "long" or (world.load == "mixed" and chance.random() < 0.1)
            wordy = world.load == "wordy"
            prompt = prompt // 4 + 1 if wordy else prompt
            mean, most = (1500, 4000) if slow else (300, 900) if wordy else (100, 300)
            answer = min(most, max(5, int(chance.lognormvariate(log(mean) - 0.08, 0.4))))
            seconds = (60.0 if slow else 0.7) * chance.lognormvariate(0, 0.3)
            start = driver.now
            estimate = Estimate(int(prompt * chance.uniform(0.95, 1.05)), most, burndown=self._table)
            call = Call("converse", {"all": (prompt, answer, most, seconds)}, ROUTE, estimate, arrived=start)
            outcome = yield from step(call)
            if outcome.fault is None:
                self.done.append(Done(driver.now, prompt + answer * self._burndown, driver.now - start, who))
            else:
                self.failed.append(outcome.fault.code)
                yield Sleep(0.05)

    def _serve(self, call: Call) -> Any:
        chance, driver = self._chance, self._driver
        prompt, _, most, _ = call.params["all"]
        yield Sleep(chance.uniform(0.001, 0.021))
        noise = self._noise.hits(driver.now)
        if noise or not self.service.fits(prompt + most, driver.now):
            (self.noised if noise else self.refused).append(driver.now)
            yield Sleep(chance.uniform(0.001, 0.021))
            return Outcome(fault=NAMELESS if noise else TOKENS)
        outcome = yield from self._answer(call, self.service, self.service.take(prompt + most, driver.now))
        yield Sleep(chance.uniform(0.001, 0.021))
        return outcome

    def _answer(self, call: Call, limit: Limit, taking: Any) -> Any:
        prompt, answer, most, seconds = call.params["all"]
        yield Sleep(seconds)
        if limit is self.service:
            limit.adjust(taking, answer * self._burndown - most, self._driver.now)
        return Outcome(value={}, usage=Usage(prompt, answer))

    def _known(self, call: Call) -> Any:
        turn = Turn(call)
        self._queue.append(turn)
        yield Wait(turn, inf)
        return (yield from self._answer(call, self.service, turn.taking))

    def _dispatch(self) -> Any:
        queue, driver = self._queue, self._driver
        while True:
            taken = True
            while queue and taken:
                prompt, answer, most, _ = queue[0].call.params["all"]
                used, now = prompt + answer * self._burndown, driver.now
                taken = self.service.fits(prompt + most, now) and self._promised.fits(used, now)
                taken = taken and not self._noise.hits(now)
                if taken:
                    turn = queue.popleft()
                    turn.taking = self.service.take(prompt + most, now)
                    self._promised.take(used, now)
                    turn.wake()
            yield Sleep(POLL)


class Turn:
    """A call that waits until the oracle sends it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.taking: Any = None
        self.wake: Callable[[], object] = bool

    def attach(self, wake: Callable[[], object]) -> bool:
        self.wake = wake
        return True
