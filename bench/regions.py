"""Let a Region fail under load for a minute, completely or in part. Measure the results of the calls of one client with
a `Fallback`.

One client makes twenty calls per second for a minute and a half, against one simulator with two Regions. From second 10
to 70 the first Region fails as the scenario states. The table contains:

* the calls that failed,
* the requests that failed in the first Region in that time,
* how many of these requests were already in flight when the fault began, because these cannot be avoided,
* the number of probes during the fault, and the longest time between two probes,
* the time from the end of the fault until the Region received calls again,
* the Region's share of the calls during the fault and in the last ten seconds.

    python bench/regions.py            all scenarios at the same time: about 100 seconds
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from aws_bedrock_inference import BedrockClient, BedrockError, Fallback, Quota, Target, Timeout, standard
from aws_bedrock_inference.testing import simulator

MODEL, HOME, OTHER = "us.amazon.nova-lite-v1:0", "us-east-1", "us-west-2"
RATE, SECONDS, BEGINS, ENDS = 20, 90, 10.0, 70.0
BEGUN = 2.0  # after this number of seconds, a request to the failing Region is a probe

SCENARIOS: dict[str, list[dict[str, Any]]] = {
    "outage (503)": [{"kind": "outage"}],
    "silence before the answer": [{"kind": "stall"}],
    "half of the requests get 503": [{"kind": "error", "code": "ServiceUnavailableException", "rate": 0.5}],
    "a fifth comes late": [{"kind": "stall", "rate": 0.2}],
}


@dataclass
class Seen:
    """The result of one scenario: the attempts in the failing Region, each as (start, failed), and the results of the
    calls.
    """

    attempts: list[tuple[float, bool]] = field(default_factory=list)
    calls: list[tuple[float, float, bool, str]] = field(default_factory=list)


def watched(client: BedrockClient, seen: Seen, began: float) -> None:
    """Record when each attempt in the first Region begins, and how it ends. Single attempts are recorded, not whole
    calls.
    """
    transport: Any = client._transport  # noqa: SLF001 - a bench may look below the policies
    carry = transport.send

    def send(call: Any) -> Any:
        at = time.monotonic() - began
        outcome = carry(call)
        if call.route.region == HOME:
            seen.attempts.append((at, outcome.fault is not None))
        return outcome

    client._driver._send = send  # noqa: SLF001 - the same


def run(faults: list[dict[str, Any]]) -> Seen:
    """Run one scenario."""
    seen = Seen()
    when = {"region": HOME, "from": BEGINS, "until": ENDS}
    with simulator(faults=[fault | when for fault in faults]) as service:
        began = time.monotonic()
        fallback = Fallback(Target(MODEL, region_name=OTHER, quota=Quota(rpm=100_000)))
        pipeline = standard(Quota(rpm=100_000), fallback=fallback)
        limits = Timeout(first_byte=2.0, first_content=2.0)
        with (
            BedrockClient(
                MODEL, region_name=HOME, endpoint_url=service.url, pipeline=pipeline, timeout=limits
            ) as client,
            ThreadPoolExecutor(80) as pool,
        ):
            watched(client, seen, began)
            for number in range(RATE * SECONDS):
                time.sleep(max(0.0, began + number / RATE - time.monotonic()))
                pool.submit(ask, client, seen, began)
    return seen


def ask(client: BedrockClient, seen: Seen, began: float) -> None:
    """Make one call and record how it ends."""
    at = time.monotonic() - began
    try:
        region, well = client.invoke("Why?", max_tokens=20).route.region, True
    except BedrockError:
        region, well = "", False
    seen.calls.append((at, time.monotonic() - began - at, well, region))


def row(seen: Seen) -> list[str]:
    """Return the values in the table row of one scenario."""
    failed = [at for at, bad in sorted(seen.attempts) if bad]
    first = min(failed, default=BEGINS)
    probes = [at for at in failed if at > first + BEGUN]
    gaps = [later - sooner for sooner, later in zip(probes, [*probes[1:], ENDS], strict=True)] or [0.0]
    back = min((at for at, bad in seen.attempts if at > ENDS and not bad), default=float("inf")) - ENDS
    during = [region for at, _, _, region in seen.calls if BEGINS + 5 < at < ENDS]
    after = [region for at, _, _, region in seen.calls if at > SECONDS - 10]
    slowest = max(seconds for _, seconds, _, _ in seen.calls)
    return [
        f"{sum(not well for _, _, well, _ in seen.calls)} of {len(seen.calls)}",
        str(len(failed)),
        str(len(failed) - len(probes)),
        f"{len(probes)}, {max(gaps):.1f} s",
        f"{back:.1f} s",
        f"{during.count(HOME) / len(during):.0%}, {after.count(HOME) / len(after):.0%}",
        f"{slowest:.1f} s",
    ]


def main() -> None:
    """Run all scenarios and print the table."""
    found: dict[str, Seen] = {}
    threads = [
        threading.Thread(target=lambda name=name, faults=faults: found.__setitem__(name, run(faults)))
        for name, faults in SCENARIOS.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    table = Table(
        "scenario", "calls failed", "requests lost", "at the start", "probes, longest gap", "back after",
        "share during, after", "slowest call",
    )  # fmt: skip
    for name in SCENARIOS:
        table.add_row(name, *row(found[name]))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
