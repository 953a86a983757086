"""Simulate a service with known incidents for thirty days, in virtual time. Report which incidents raise an alert,
after how many seconds, and how many alerts they raise.

Eight processes share one store. Traffic is low at night. A nightly job has a few failures every night. A deployment
restarts all processes, and some calls fail for twenty seconds. Short faults of ten seconds occur several times a day.

    python bench/alerts.py SEED...
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, field
from math import cos, exp, pi
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.telemetry.alerts.member import Member
from aws_bedrock_inference.telemetry.alerts.report import Answers, Failures, Report, Use
from aws_bedrock_inference.telemetry.alerts.store import MemoryAlerts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.telemetry.alerts.alert import Alert

DAY = 86_400
SECONDS = 10
BEGIN = 1_793_491_200.0  # a midnight UTC
PROCESSES = 8
TPD = 50_000_000_000

SONNET, HAIKU, NOVA = "eu.model-large|eu-west-1", "eu.model-small|eu-west-1", "model-lite|us-east-1"
PLACES = {SONNET: (40.0, 0.012), HAIKU: (56.0, 0.0008), NOVA: (20.0, 0.0003)}
"""For each place (a model in a Region): the calls per second at noon, and the dollars per call."""

USUAL = {
    "throttled-requests-per-minute": 0.004,
    "service-capacity": 0.001,
    "model-timeout": 0.0006,
    "request-invalid": 0.002,
}
PERMANENT = frozenset({"request-invalid", "iam-denied-identity-policy"})
KINDS = ("sudden", "creeping", "short")


class Incident(NamedTuple):
    """An incident at one place, from `start` to `end`. Either the fraction `share` of the attempts fails, or the cost
    is multiplied by `share`. `due` is the time at which the share reaches 5 %.
    """

    kind: str
    place: str
    cause: str
    start: float
    end: float
    share: float
    due: float

    def now(self, at: float) -> float:
        """Return the share at the time `at`."""
        if not self.start <= at < self.end:
            return 0.0
        if self.kind == "creeping":
            return self.share * (at - self.start) / (self.end - self.start)
        return self.share


@dataclass
class Month:
    """The incidents and deployments of thirty days. The seed determines them."""

    seed: int
    days: float = 30
    incidents: list[Incident] = field(default_factory=list)
    deployments: list[float] = field(default_factory=list)
    gone_on: int = -1

    def __post_init__(self) -> None:
        """Choose the incidents at random: about one every two days, never two at the same time, the first on the second
        day.
        """
        rnd = random.Random(self.seed)  # noqa: S311 - a simulation, not a secret
        kinds = [KINDS[number % 3] for number in range(max(3, int(self.days // 2)))]
        if self.days >= 7:
            kinds += ["loop", "denied"]
            self.gone_on = rnd.randrange(3, int(self.days))
        rnd.shuffle(kinds)
        apart = (self.days - 1.2) * DAY / len(kinds)
        for number, kind in enumerate(kinds):
            length = {"creeping": rnd.uniform(3600, 10800), "short": 150.0, "loop": 3600.0}.get(
                kind, rnd.uniform(600, 5400)
            )
            share = {"creeping": rnd.uniform(0.1, 0.4), "short": 0.25, "loop": 8.0, "denied": 0.3}.get(
                kind, rnd.uniform(0.05, 0.6)
            )
            start = 1.2 * DAY + apart * number + rnd.uniform(0, apart - length - 3600)
            if 1.0 < start % DAY / 3600 < 3.2:
                start += 2.5 * 3600  # not during the nightly job
            due = start + (length * 0.05 / share if kind == "creeping" else 0.0)
            cause = {"loop": "", "denied": "iam-denied-identity-policy"}.get(
                kind, rnd.choice(["service-capacity", "throttled-requests-per-minute", "model-timeout"])
            )
            place = {"loop": SONNET, "denied": HAIKU}.get(kind, rnd.choice(list(PLACES)))
            self.incidents.append(Incident(kind, place, cause, start, start + length, share, due))
        self.deployments = [
            day * DAY + rnd.uniform(9, 17) * 3600 for day in range(int(self.days)) if rnd.random() < 0.5
        ]


def traffic(at: float) -> float:
    """Return the traffic as a fraction of the traffic at noon: a third at night, and less at the weekend."""
    day = 0.675 - 0.325 * cos(2 * pi * (at % DAY / DAY - 0.05))
    return day * (0.8 if at // DAY % 7 >= 5 else 1.0)


def poisson(rnd: random.Random, mean: float) -> int:
    """Return a random number with a Poisson distribution."""
    if mean > 30:
        return max(0, round(rnd.gauss(mean, mean**0.5)))
    limit, count, product = exp(-mean), 0, rnd.random()
    while product > limit:
        count += 1
        product *= rnd.random()
    return count


class World:
    """Eight processes that make calls, and the counts that they report to the store."""

    def __init__(self, month: Month) -> None:
        self.month = month
        self.rnd = random.Random(month.seed + 1)  # noqa: S311 - a simulation, not a secret
        self.now = BEGIN
        self.store = MemoryAlerts(lambda: self.now)
        self.told: list[tuple[float, Alert]] = []
        self.busy_until = 0.0
        self.members = [self.member() for _ in range(PROCESSES)]
        self.hiccups = sorted(self.rnd.uniform(0, month.days * DAY) for _ in range(round(6 * month.days)))

    def member(self) -> Member:
        """Return a process that has just started."""
        own: list[Member] = []

        def deliver(alert: Alert) -> None:
            self.told.append((self.now - BEGIN, alert))
            own[0].delivered(alert)

        own.append(Member(self.store, "", deliver, lambda: self.now))
        return own[0]

    def run(self) -> None:
        """Simulate the days. Each process reports every ten seconds, at a different second from the others.

        In hours without an incident, one process makes all calls. Thirty days then take only minutes.
        """
        deployments, hiccups = list(self.month.deployments), list(self.hiccups)
        for start in range(0, round(self.month.days * DAY), SECONDS):
            while deployments and deployments[0] < start:
                del deployments[0]
                self.members = [self.member() for _ in range(PROCESSES)]
            while hiccups and hiccups[0] < start:
                self.busy_until = hiccups.pop(0) + 300
            active = [each for each in self.month.incidents if each.start - 600 <= start < each.end + 1200]
            deployed = any(start - 20 < at <= start for at in self.month.deployments)
            hiccup = bool(hiccups and hiccups[0] < start + SECONDS)
            if active or deployed or hiccup or 1.9 <= start % DAY / 3600 < 3.3:
                self.busy_until = start + 300
            processes = PROCESSES if start < self.busy_until else 1
            for number, report in enumerate(self.reports(start, active, processes, deployed=deployed, hiccup=hiccup)):
                self.now = BEGIN + start + SECONDS * (number + 1) / processes
                self.members[number].step(report)

    def reports(
        self, at: float, active: list[Incident], processes: int, *, deployed: bool, hiccup: bool
    ) -> Iterator[Report]:
        """Yield the counts of each process in ten seconds. The calls are spread randomly over the processes."""
        rnd, share = self.rnd, traffic(at)
        rows: list[tuple[list[Answers], list[Failures], list[Use]]] = [([], [], []) for _ in range(processes)]
        tokens = 2000 * (6 if at // DAY == self.month.gone_on else 1)
        for place, (calls, cost) in PLACES.items():
            rates, times = self.rates(place, at, active), 1.0
            if deployed:
                rates["connection-refused"], times = 0.08, 1.5
            if hiccup and place == SONNET:
                rates["service-capacity"] += 0.15
            times *= (
                max((each.now(at) for each in active if (each.place, each.kind) == (place, "loop")), default=0.0) or 1.0
            )
            here = calls * SECONDS * share * times / processes
            model, _, region = place.partition("|")
            for answers, failures, uses in rows:
                failed = {cause: poisson(rnd, here * rate) for cause, rate in rates.items()}
                count = max(0, poisson(rnd, here) - sum(failed.values()))
                spent, cut = count * cost * rnd.uniform(0.8, 1.2), poisson(rnd, count * 0.02)
                answers.append(Answers(place, "converse", "shop", count, count * 2000, spent, 0, cut))
                uses.append(Use(f"|{region}|{model}|on-demand", count, count * tokens, None, None, TPD))
                kinds = {cause: "permanent" if cause in PERMANENT else "transient" for cause in failed}
                failures += [
                    Failures(place, "converse", "shop", cause, kinds[cause], number)
                    for cause, number in failed.items()
                    if number
                ]
        for answers, failures, uses in rows:
            yield Report(tuple(answers), tuple(failures), uses=tuple(uses))

    def rates(self, place: str, at: float, active: list[Incident]) -> dict[str, float]:
        """Return the share of each cause of failures at a place."""
        rates = dict(USUAL)
        if place == HAIKU and 2.0 <= at % DAY / 3600 < 3.0:
            rates["throttled-requests-per-minute"] = 0.045  # the nightly job
        for each in active:
            if each.place == place and each.cause:
                rates[each.cause] = rates.get(each.cause, 0.0) + each.now(at)
        return rates


class Result(NamedTuple):
    """The result of one incident: the seconds from when it was due until the first alert, and the number of alerts."""

    incident: Incident
    after: float | None
    alerts: int
    ended: bool


def judge(world: World) -> tuple[list[Result], list[tuple[float, Alert]], list[tuple[float, Alert]]]:
    """Return the result of each incident, the first alerts about permanent causes, and the false alarms."""
    month, opened = world.month, [(at, each) for at, each in world.told if each.state == "open"]
    ended = {each.incident for _, each in world.told if each.state == "ended"}
    known = list(month.incidents)
    if month.gone_on >= 0:
        begin = month.gone_on * DAY
        known.append(Incident("day gone", "|eu-west-1", "", begin, begin + DAY, 0.0, begin))
    results, rest = [], list(opened)
    for incident in known:
        mine = [(at, alert) for at, alert in rest if _belongs(alert, at, incident)]
        rest = [each for each in rest if each not in mine]
        after = min((at for at, _ in mine), default=None)
        results.append(
            Result(
                incident,
                None if after is None else after - incident.due,
                len(mine),
                bool(mine) and mine[0][1].incident in ended,
            )
        )
    sights = [(at, alert) for at, alert in rest if alert.rule == "new"]
    return results, sights, [each for each in rest if each not in sights]


def _belongs(alert: Alert, at: float, incident: Incident) -> bool:
    if not incident.start <= at <= incident.end + 300:
        return False
    if incident.kind in ("loop", "day gone"):
        return alert.rule == {"loop": "spend", "day gone": "day"}[incident.kind]
    model, _, region = incident.place.partition("|")
    return alert.cause == incident.cause and model in alert.models and region in alert.regions


def table(results: list[Result]) -> str:
    """Return the results as a table, by kind of incident."""
    lines = [f"{'kind':<10}{'incidents':>10}{'told':>6}{'median s':>10}{'slowest s':>10}{'alerts':>8}{'ended':>7}"]
    for kind in dict.fromkeys(each.incident.kind for each in results):
        of = [each for each in results if each.incident.kind == kind]
        after = sorted(each.after for each in of if each.after is not None)
        middle, last = (after[len(after) // 2], after[-1]) if after else (0.0, 0.0)
        alerts, ended = sum(each.alerts for each in of), sum(each.ended for each in of)
        lines.append(f"{kind:<10}{len(of):>10}{len(after):>6}{middle:>10.0f}{last:>10.0f}{alerts:>8}{ended:>7}")
    return "\n".join(lines)


def main() -> None:
    """Run the seeds on the command line."""
    everything, false = [], 0
    for seed in map(int, sys.argv[1:] or ["1"]):
        world = World(Month(seed))
        world.run()
        results, sights, wrong = judge(world)
        everything += results
        false += len(wrong)
        print(
            f"seed {seed}: {len(results)} incidents, {len(sights)} first sights, {len(wrong)} false alarms", flush=True
        )
        for at, alert in wrong:
            print(f"    day {at / DAY:.3f}: {alert.summary}")
        for each in results:
            if each.after is None or each.alerts != 1 or (each.after > 60 and each.incident.kind in (*KINDS, "denied")):
                print(f"    {each}")
    print(table(everything))
    print(f"false alarms: {false}")


if __name__ == "__main__":
    main()
