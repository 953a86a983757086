"""Successive processes on one configured quota: the next process continues the minute, however the last one ended."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.doubles import call

from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import Pipeline, Sleep, send
from aws_bedrock_inference.policies import Quota
from aws_bedrock_inference.stores import MemoryStore

RPM = 60
TPM = 12_000
SECONDS = 0.4  # of an answer


class Generations:
    """Processes with the same configured quota, which share it through a store, in virtual time."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, float]] = []
        self.driver = VirtualDriver(self.answer)
        self.store = MemoryStore(self.driver.clock)

    def answer(self, one: Any, now: float) -> tuple[float, Outcome]:
        self.sent.append((now, one.estimate.input_tokens + one.estimate.output_tokens))
        return SECONDS, Outcome(usage=Usage(one.estimate.input_tokens, one.estimate.output_tokens))

    def process(self, callers: int, seconds: float, ending: str, tokens: int = 100) -> None:
        """Start a process that calls as fast as it may for `seconds`, then is killed or ends."""
        quota = Quota(rpm=RPM, tpm=TPM, store=self.store)
        pipeline = Pipeline(quota)
        step = pipeline.around(send, self.driver.clock)
        until = self.driver.now + seconds

        def caller() -> Any:
            while self.driver.now < until:
                one = call(tokens=tokens // 2, output=tokens // 2, arrived=self.driver.now, deadline=until)
                if (yield from step(one)).fault is not None:
                    return

        def end() -> Any:
            yield Sleep(seconds + SECONDS + 0.01)
            yield from pipeline.leave()

        for _ in range(callers):
            self.driver.spawn(caller())
        if ending == "leaves":
            self.driver.spawn(end())

    def most(self) -> tuple[float, float]:
        """Return the most requests and tokens of any 60 seconds."""
        times = [at for at, _ in self.sent]
        ranges = [(bisect_left(times, at), bisect_left(times, at + 60.0)) for at in times]
        return (
            max((end - start for start, end in ranges), default=0.0),
            max((sum(used for _, used in self.sent[start:end]) for start, end in ranges), default=0.0),
        )


LIVES = st.tuples(
    st.integers(1, 12),  # callers
    st.sampled_from([0.1, 0.6, 3.0, 20.0, 61.0]),  # seconds it lives
    st.sampled_from(["leaves", "leaves", "is killed"]),
    st.sampled_from([100, 400, 2_000]),  # tokens of a call
    st.sampled_from([0.0, 0.3, 1.0, 3.0, 30.0]),  # seconds until the next
)


@given(st.lists(LIVES, min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_successive_processes_never_exceed_a_configured_quota(lives: list[Any]) -> None:
    world = Generations()
    for callers, seconds, ending, tokens, pause in lives:
        world.process(callers, seconds, ending, tokens)
        world.driver.run(until=world.driver.now + seconds + SECONDS + 0.02 + pause)
    requests, tokens = world.most()
    assert requests <= RPM
    assert tokens <= TPM


def test_programs_with_one_call_each_respect_the_quota_together() -> None:
    world = Generations()
    for _ in range(400):
        world.process(1, 0.05, "leaves")
        world.driver.run(until=world.driver.now + 0.5)
    assert world.most()[0] <= RPM
    assert len(world.sent) >= 0.9 * RPM * 200 / 60


@pytest.mark.parametrize("ending", ["leaves", "is killed"])
def test_the_next_process_counts_the_usage_of_the_last_one(ending: str) -> None:
    world = Generations()
    world.process(8, 120.0, ending)
    world.driver.run(until=121.0 + (3.0 if ending == "is killed" else 0.0))
    before = len(world.sent)
    world.process(8, 120.0, ending)
    world.driver.run(until=world.driver.now + 61.0)
    assert world.most()[0] <= RPM
    assert len(world.sent) - before >= 0.9 * RPM
