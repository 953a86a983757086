"""Run an estimator over a recorded trace, to compare estimators on the same observations."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_bedrock_inference.rules.quota.observed import Estimator, Throttle


class Observation(NamedTuple):
    """One entry of a recorded trace: the counts at a time, and the throttle or the adopted estimate that came then."""

    at: float
    admitted: float = 0.0
    calls: float = 1.0
    held_back: bool = True
    reserved: bool = False
    used: float = 6000.0
    minute: float = 6000.0
    fixed: bool = False
    throttle: Throttle | None = None
    adopted: float | None = None


class Answer(NamedTuple):
    """The estimate at a time."""

    estimate: float
    burst: float
    slack: float


def replay(estimator: Estimator, trace: Iterable[Observation]) -> list[Answer]:
    """Return the answers of `estimator` after each observation of `trace`, whose times begin at 0."""
    answers, before = [], 0.0
    for seen in trace:
        if seen.at > before:
            estimator.elapsed(seen.at - before, seen)
            before = seen.at
        if seen.throttle is not None:
            estimator.throttled(seen.throttle, seen)
        if seen.adopted is not None:
            estimator.adopt(seen.adopted)
        answers.append(Answer(estimator.estimate, estimator.burst, estimator.slack))
    return answers
