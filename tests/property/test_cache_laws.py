"""Equal calls in any order of events: each call that is not interrupted ends with an answer or its own failure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.doubles import INTERNAL, INVALID, ROUTE, THROTTLE, failed

from aws_bedrock_inference.caches.memory import MemoryAnswers
from aws_bedrock_inference.call import Call, Outcome
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.policies import Cache

GOOD = "end_turn"
ENDS = st.sampled_from([GOOD, GOOD, GOOD, "max_tokens", INTERNAL, THROTTLE, INVALID])
# When a call begins, its question, who asks, when it is interrupted or has its deadline.
CALLS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from("ab"),
        st.sampled_from("xy"),
        st.none() | st.integers(0, 30),
        st.none() | st.integers(1, 30),
    ),
    min_size=1,
    max_size=30,
)


class Law:
    def __init__(self, ends: Any, **options: Any) -> None:
        self.driver = VirtualDriver(self.answer)
        self.cache = Cache(MemoryAnswers(100, self.driver.clock), **options)
        self.step = self.cache.around(send, self.driver.clock)
        self.ends = iter(ends)
        self.given: dict[str, tuple[str, str]] = {}
        self.sent = 0
        self.busy: dict[tuple[str, str], int] = {}

    def answer(self, call: Call, _: float) -> Any:
        self.sent += 1
        end = next(self.ends, GOOD)
        if not isinstance(end, str):
            return 0.5, failed(end)
        text = f"answer {self.sent}"
        self.given[text] = (call.params["messages"], call.route.principal)
        message = {"role": "assistant", "content": [{"text": text}]}
        return 0.5, Outcome({"output": {"message": message}, "stopReason": end})


@given(ends=st.lists(ENDS, max_size=30), calls=CALLS, ttl=st.sampled_from([0.5, 2.0, 100.0]), stale=st.booleans())
def test_each_call_ends_by_itself_and_with_its_own_answer(ends: Any, calls: Any, ttl: float, stale: Any) -> None:
    law = Law(ends, ttl=ttl, stale_if_error=3.0 * stale)
    driver = law.driver
    tasks: list[Any] = []
    for begins, question, who, interrupted, deadline in calls:
        at = begins / 10
        params = {"messages": question, "inferenceConfig": {"temperature": 0}}
        route = replace(ROUTE, principal=who)
        until = float("inf") if deadline is None else at + deadline / 10
        tasks.append(driver.spawn(law.step(Call("converse", params, route, deadline=until)), after=at))
        if interrupted is not None:
            driver.run(at)
    for (begins, _, _, interrupted, _), task in sorted(zip(calls, tasks, strict=True), key=lambda pair: pair[0][0]):
        if interrupted is not None:
            driver.run(max(driver.now, (begins + interrupted) / 10))
            if not task.done:
                driver.interrupt(task, KeyboardInterrupt())
    driver.run()
    assert all(task.done for task in tasks)
    assert not law.cache._flights._flights
    for (_, question, who, interrupted, deadline), task in zip(calls, tasks, strict=True):
        if task.error is not None:
            assert interrupted is not None
            assert isinstance(task.error, KeyboardInterrupt)
            continue
        outcome: Outcome = task.result
        if outcome.fault is None:
            text = outcome.value["output"]["message"]["content"][0]["text"]
            assert law.given[text] == (question, who)
            age = outcome.made.cached
            assert age is None or age <= ttl + 3.0 * stale
        elif outcome.fault.code == "DeadlineTooClose":
            assert deadline is not None


@given(st.integers(1, 60), st.integers(0, 59))
def test_one_request_answers_all_calls_that_are_not_interrupted(calls: int, interrupted: int) -> None:
    law = Law([])
    params = {"messages": "a", "inferenceConfig": {"temperature": 0}}
    tasks = [law.driver.spawn(law.step(Call("converse", params, ROUTE))) for _ in range(calls)]
    law.driver.run(0.1)
    for task in tasks[:interrupted]:
        law.driver.interrupt(task, KeyboardInterrupt())
    law.driver.run()
    assert sum(task.error is None for task in tasks) == max(0, calls - interrupted)
    assert law.sent == 1 + (0 < interrupted < calls)
