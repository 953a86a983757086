"""Measure how 1,000 hosts with 100 callers each use one quota that they share through a store.

The hosts run in virtual time in one process. Each host has its own `Quota`, all hosts share one store in memory, and
the service counts with the simulator's code. Each caller makes one call after the other, and repeats a throttled call.
After a minute of warm-up, three minutes are measured.

* Use is the amount that the service settled.
* Waits are those of calls that began in the first measured minute. A call that was never sent is included with its wait
  until the end.
* The fair turn is the number of callers divided by the answers per second.
* Jain's index is 1 if all have the same, and 1/n if one of n has everything. It is computed over hosts, from the tokens
  per caller, and over callers, from their answers. The value in brackets is the best index that is possible with whole
  answers. Only the time in which hosts and callers are busy counts.

The fleets are:

    even      1,000 hosts with 100 callers: a host makes one call a second
    few       the same quota for 100 hosts with 100 callers: ten calls a second
    uneven    1,000 hosts with 10 callers; every other host is idle every other minute; one host has 100 callers

    scale.py                       three minutes
    scale.py --discipline bucket   how the service counts: bucket, tight, fixed or sliding (the default)
"""

from __future__ import annotations

import argparse
import gc
import math
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_bedrock_inference.call import Call, Estimate, Outcome, Route, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import Sleep
from aws_bedrock_inference.knowledge.classify import answered
from aws_bedrock_inference.policies import Quota
from aws_bedrock_inference.simulator.quota import DISCIPLINES, Pool, Ticket
from aws_bedrock_inference.simulator.quota import Quota as Allowed
from aws_bedrock_inference.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from aws_bedrock_inference.flow import Effect, Flow, Step
    from aws_bedrock_inference.rules.quota.leases import Grant, LeaseRequest
    from aws_bedrock_inference.stores.request import Instant

RPM, TPM = 60_000, 36_000_000
WARM, MEASURED, BEGUN = 60.0, 180.0, 60.0
ROUTE = Route("amazon.nova-lite-v1:0", "us-east-1", base="amazon.nova-lite-v1:0")
# A call: mean input and answer in tokens (both vary), its max_tokens, its seconds, and its longest network time.
INPUT, ANSWER, MAX_TOKENS = 520, 110, 300
LATENCY, TRAVEL = 0.8, 0.02
IDLE = 60.0
FAULTS = {
    name: answered("ThrottlingException", f"Too many {name}, please wait before trying again.", status=429)
    for name in ("tokens", "requests")
}


@dataclass(frozen=True)
class Fleet:
    """A fleet of hosts. `crowd` is the number of callers on the last host. With `resting`, every other host is idle
    every other minute.
    """

    name: str
    hosts: int
    callers: int
    crowd: int
    resting: bool = False


FLEETS = (
    Fleet("even", 1000, 100, 100),
    Fleet("few", 100, 100, 100),
    Fleet("uneven", 1000, 10, 100, resting=True),
)


class Counted(MemoryStore):
    """A store that counts the requests that it receives."""

    renewals = 0

    def renew(self, pool: str, member: str, request: LeaseRequest) -> Instant[Grant]:
        self.renewals += 1
        return super().renew(pool, member, request)


class World:
    """A fleet and its service. The counts cover the measured time."""

    def __init__(self, fleet: Fleet, discipline: str) -> None:
        self.fleet = fleet
        self.chance = random.Random(7)  # noqa: S311 - a simulation
        self.driver = VirtualDriver(lambda *_: (0.0, Outcome()))
        self.store = Counted(self.driver.clock)
        self.service = Pool(Allowed(rpm=RPM, tpm=TPM), discipline, 0.0)
        self.measuring = False
        self.throttled = 0
        self.waits: list[float] = []
        self.begun: dict[int, float] = {}
        callers = [fleet.crowd if host == fleet.hosts - 1 else fleet.callers for host in range(fleet.hosts)]
        self.host_of = [host for host, count in enumerate(callers) for _ in range(count)]
        self.tokens = [0] * len(self.host_of)
        self.counts = [0] * len(self.host_of)
        self.phases = [self.chance.uniform(0.0, 2 * IDLE) for _ in callers]
        steps = [
            Quota(rpm=RPM, tpm=TPM, store=self.store).around(self.call, self.driver.clock) for _ in range(fleet.hosts)
        ]
        self.tasks = [
            self.driver.spawn(self.calling(caller, host, steps[host]), after=self.chance.random())
            for caller, host in enumerate(self.host_of)
        ]

    def run(self, until: float) -> None:
        self.driver.run(until)
        for task in self.tasks:
            if task.error is not None:
                raise task.error

    def calling(self, caller: int, host: int, step: Step) -> Generator[Effect, None, None]:
        chance, driver = self.chance, self.driver
        while True:
            pause = self.pause(host, driver.now)
            if pause:
                yield Sleep(pause)
            tokens = min(3000, max(60, int(chance.lognormvariate(math.log(INPUT) - 0.32, 0.8))))
            answer = min(MAX_TOKENS, max(5, int(chance.lognormvariate(math.log(ANSWER) - 0.08, 0.4))))
            params = {"caller": caller, "tokens": tokens, "answer": answer}
            begun = self.begun[caller] = driver.now
            call = Call("converse", params, ROUTE, Estimate(tokens, MAX_TOKENS), arrived=begun)
            while (yield from step(call)).fault:
                pass

    def call(self, call: Call) -> Flow:
        """Simulate the service for one call, including the network time of request and response."""
        chance, driver = self.chance, self.driver
        caller, tokens, answer = call.params.values()
        waited = driver.now - call.arrived
        yield Sleep(chance.uniform(0.001, TRAVEL))
        ticket = self.service.admit(tokens + MAX_TOKENS, driver.now)
        if not isinstance(ticket, Ticket):
            self.throttled += self.measuring
            yield Sleep(chance.uniform(0.001, TRAVEL))
            return Outcome(fault=FAULTS[ticket])
        self.begun.pop(caller, None)
        if WARM <= call.arrived < WARM + BEGUN:
            self.waits.append(waited)
        yield Sleep(LATENCY * chance.lognormvariate(0.0, 0.3))
        ticket.settle(tokens + answer, driver.now)
        if self.measuring:
            self.counts[caller] += 1
            self.tokens[caller] += tokens + answer
        yield Sleep(chance.uniform(0.001, TRAVEL))
        return Outcome(value={}, usage=Usage(tokens, answer))

    def pause(self, host: int, now: float) -> float:
        """Return how long the host will still be idle, in seconds."""
        if not self.fleet.resting or host % 2:
            return 0.0
        return max(0.0, IDLE - (now + self.phases[host]) % (2 * IDLE))

    def busy(self, host: int) -> float:
        """Return the seconds of the measured time in which the host is busy."""
        moments = [WARM + second + 0.5 for second in range(int(MEASURED))]
        return sum(self.pause(host, moment) == 0.0 for moment in moments) / len(moments)


def jain(parts: Sequence[float]) -> float:
    return sum(parts) ** 2 / (len(parts) * sum(part * part for part in parts))


def whole(mean: float) -> float:
    """Return the best possible Jain's index over callers, each with a whole number of answers, `mean` on average."""
    few = math.floor(mean)
    return mean**2 / (few**2 + (mean - few) * (2 * few + 1))


def run(fleet: Fleet, discipline: str) -> None:
    """Run the fleet and print its row."""
    started = time.perf_counter()
    world = World(fleet, discipline)
    gc.disable()  # otherwise the garbage collector would visit a hundred thousand idle generators again and again
    world.run(WARM)
    world.measuring, before = True, world.store.renewals
    world.run(WARM + MEASURED)
    renewals = world.store.renewals - before
    gc.enable()
    late = [WARM + MEASURED - begun for begun in world.begun.values() if WARM <= begun < WARM + BEGUN]
    waits = sorted(world.waits + late)
    busy = [world.busy(host) for host in range(fleet.hosts)]
    tokens, callers = Counter[int](), Counter(world.host_of)
    for host, used in zip(world.host_of, world.tokens, strict=True):
        tokens[host] += used
    over_hosts = [tokens[host] / callers[host] / busy[host] for host in callers]
    over_callers = [count / busy[host] for host, count in zip(world.host_of, world.counts, strict=True)]
    answers = sum(world.counts)
    turn = sum(busy[host] for host in world.host_of) * MEASURED / answers
    print(
        f"  {fleet.name:8}{len(world.host_of):>8,}{sum(tokens.values()) / (TPM * MEASURED / 60):>8.1%}"
        f"{answers / (RPM * MEASURED / 60):>9.1%}{world.throttled / answers:>11.2%}"
        f"{jain(over_hosts):>8.3f}{jain(over_callers):>9.3f} ({whole(answers / len(world.host_of)):.3f})"
        f"{waits[len(waits) // 2]:>8.1f}{waits[len(waits) * 99 // 100]:>8.1f}{turn:>8.1f}"
        f"{renewals / MEASURED:>9.0f}{renewals / answers:>10.2f}{time.perf_counter() - started:>9.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--discipline", default="sliding", choices=sorted(DISCIPLINES))
    discipline = parser.parse_args().discipline
    print(
        f"One quota of {RPM:,} requests and {TPM:,} tokens a minute ({discipline}); a call has {INPUT} + {ANSWER}"
        f" tokens on average, max_tokens {MAX_TOKENS}, and takes {LATENCY} s\n"
        "                      use of          throttled    Jain's index over         wait, s    fair"
        "    store asked     real\n"
        "  fleet    callers  tokens requests   /answers   hosts  callers (best)     p50     p99    turn"
        "       /s   /answer        s"
    )
    for fleet in FLEETS:
        run(fleet, discipline)


if __name__ == "__main__":
    main()
