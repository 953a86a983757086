"""Run the doctor's probes. A probe is one read-only check.

Each probe runs in its own thread and within its time limit. A probe can depend on other probes (its `needs`), which run
first.
"""

from __future__ import annotations

import threading
from math import inf
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.doctor.findings import Check, Finding, Status, skipped, warning
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.doctor.probe import Probe
    from aws_bedrock_inference.doctor.world import World


def examine(
    probes: Sequence[Probe], world: World, *, timeout: float = inf, clock: Clock = clocks.monotonic
) -> Iterator[Check]:
    """Run the probes, and yield the check (the result) of each as soon as the probe has ended. All probes together take
    at most `timeout` seconds.

    A probe can depend on other probes (its `needs`). The needs that are in `probes` run first. If one of these needs
    fails or has no result, the dependent probe is skipped. A need has no result if it was skipped, took too long or
    raised an exception.

    If a probe takes longer than `world.limit` seconds, its thread is abandoned. An abandoned thread does not keep the
    program running.
    """
    end = clock() + timeout
    waiting, running = list(probes), dict[str, float]()
    ended: dict[str, Finding] = {}
    silent = set[str]()
    answers: SimpleQueue[tuple[Probe, Finding | Exception]] = SimpleQueue()
    by_name = {each.name: each for each in probes}
    while waiting or running:
        for each in list(waiting):
            open_needs = [need for need in each.needs if need in by_name and need not in ended]
            if open_needs:
                continue
            waiting.remove(each)
            if clock() >= end:
                ended[each.name] = skipped(f"Not run: the time limit of {timeout:g} s was reached.")
                yield Check(each.name, each.area, ended[each.name])
                continue
            known = [need for need in each.needs if need in ended]
            blocked = [need for need in known if need in silent or ended[need].status in _NOT_ENOUGH]
            if blocked:
                ended[each.name] = _blocked(blocked[0], ended[blocked[0]])
                yield Check(each.name, each.area, ended[each.name])
            else:
                running[each.name] = clock()
                threading.Thread(target=_run, args=(each, world, answers), name=each.name, daemon=True).start()
        if not running:
            continue
        due = min(min(running.values()) + world.limit, end)
        result: Finding | Exception | None
        try:
            each, result = answers.get(timeout=max(0.0, due - clock()))
        except Empty:
            each, result = by_name[min(running, key=running.__getitem__)], None
        if each.name in running:  # a probe that took too long may still return a result later
            if isinstance(result, Finding):
                finding = result
            else:
                silent.add(each.name)
                limit = (
                    f"within {world.limit:g} s" if due < end else f"before the time limit of {timeout:g} s was reached"
                )
                finding = _inconclusive(result, limit)
            ended[each.name] = finding
            yield Check(each.name, each.area, finding, clock() - running.pop(each.name))


_NOT_ENOUGH = {Status.FAILED, Status.SKIPPED}


def _blocked(need: str, finding: Finding) -> Finding:
    """Return the finding of a skipped probe. The probe is skipped because it depends on the probe `need`, and `need`
    failed, was skipped, took too long or raised an exception.

    `finding` is the finding of `need`. If `need` was skipped, `finding` itself is returned, because it already contains
    the original reason.
    """
    how = "failed" if finding.status is Status.FAILED else "gave no result"
    return finding if finding.status is Status.SKIPPED else skipped(f"Not run, because the probe {need} {how}.")


def _inconclusive(error: Exception | None, limit: str) -> Finding:
    """Return the finding of a probe that ended without a result, because the probe either raised `error` or took too
    long. If the probe took too long, `error` is None, and `limit` states which time limit was reached.
    """
    if error is None:
        return warning(f"No result {limit}, so this check is inconclusive. Run the doctor again.")
    return warning(
        f"This check stopped with an unexpected error, so it is inconclusive: {type(error).__name__}: "
        f"{masked(str(error), accounts=True)}"
    )


def _run(probe: Probe, world: World, answers: SimpleQueue[tuple[Probe, Finding | Exception]]) -> None:
    result: Finding | Exception
    try:
        result = probe.examine(world)
    except Exception as error:  # noqa: BLE001 - an error in a probe becomes a finding; the other probes continue
        result = error
    answers.put((probe, result))
