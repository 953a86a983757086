"""Measure the time that structured logging and contexts add to a call, in microseconds of CPU. The values are the
median, the smallest and the largest of nine runs.

They are compared with the default pipeline, whose send function does nothing. Log lines are written to memory.
"""

from __future__ import annotations

import io
import logging
import sys
import time
from math import inf
from statistics import median
from typing import TYPE_CHECKING

from overhead import ESTIMATE, OK, blocking, less

from aws_bedrock_inference import context, setup_structured_logging
from aws_bedrock_inference.call import Call, Outcome, Route
from aws_bedrock_inference.contexts import current
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.events import RetryScheduled
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.knowledge.classify import answered
from aws_bedrock_inference.listeners import PROCESS, Listeners
from aws_bedrock_inference.log import LOGGER, enabled, log
from aws_bedrock_inference.observed import observed
from aws_bedrock_inference.policies import Quota, standard
from aws_bedrock_inference.telemetry.logs import JsonLines
from aws_bedrock_inference.telemetry.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "anthropic.claude-3-sonnet-20240229-v1:0"
ROUTE = Route(MODEL, "us-east-1", base=MODEL)
THROTTLE = answered("ThrottlingException", "Too many tokens, please wait.", status=429)


def a_call() -> Callable[[], object]:
    """Return a function that makes a call in its own context."""
    step = standard(Quota(rpm=6e9, tpm=6e12)).around(send, time.monotonic)
    listeners = Listeners(log, beyond=PROCESS)
    driver = Driver(lambda _: OK, listeners=listeners)

    def call() -> None:
        one = Call("converse", {}, ROUTE, ESTIMATE, arrived=time.monotonic(), context=current())
        ended: Outcome = driver.run(observed(step(one), one))
        if listeners.heard or enabled(logging.DEBUG):
            listeners.call_ended(one, ended, time.monotonic())

    return call


def in_context() -> Callable[[], object]:
    """Return a function that makes a call in its own context."""
    call = a_call()

    def inside() -> None:
        with context(team="search", turn=3):
            call()

    return inside


def rows() -> list[tuple[str, list[float]]]:
    base = blocking(a_call())
    measured = [("a success, nothing set up", less(base, [0.0]))]
    measured.append(("+ in a context of 2 names, entered anew", less(blocking(in_context()), base)))
    setup_structured_logging(logging.INFO, stream=io.StringIO())
    measured.append(("+ JSON set up, success not logged", less(blocking(a_call()), base)))
    setup_structured_logging(logging.DEBUG, stream=_Forgetful())
    measured.append(("+ JSON set up, success logged", less(blocking(a_call()), base)))
    setup_structured_logging(logging.WARNING)
    nothing = blocking(lambda: None)
    retry = RetryScheduled(ROUTE, THROTTLE, 1, 0.5, context=(("team", "search"),))
    for name, repeats in (
        ("one line of a retry", Repeats[logging.LogRecord](first=10**12, seconds=inf)),
        ("one line of a retry, held back", Repeats[logging.LogRecord](first=0, seconds=1e9)),
    ):
        for handler in LOGGER.handlers[:]:
            LOGGER.removeHandler(handler)
        LOGGER.addHandler(JsonLines(_Forgetful(), repeats=repeats))
        measured.append((name, less(blocking(lambda: log(retry)), nothing)))
    return measured


class _Forgetful(io.StringIO):
    def write(self, text: str) -> int:
        return len(text)


def main() -> None:
    print(f"Structured logging, CPU us a call, Python {sys.version.split()[0]}")
    for name, values in rows():
        print(f"  {name:42} {median(values):6.2f}   ({min(values):.2f} to {max(values):.2f})")
    print("  goals: a success that is not logged 5, a line 40")


if __name__ == "__main__":
    main()
