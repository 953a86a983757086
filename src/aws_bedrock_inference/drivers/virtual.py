"""The virtual-time driver: it runs many flows (plans of calls) in one thread. The driver never sleeps. If a call must
wait for an hour, the driver only advances its own clock by an hour, so a test does not wait.

The driver is for simulation and tests, and sends no requests. Instead, it calls a function with each call and the
present virtual time. The function returns the number of seconds that the answer takes, and the outcome of the call.
"""

from __future__ import annotations

import heapq
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.flow import Ask, Emit, Send, Sleep, Wait
from aws_bedrock_inference.listeners import Listeners

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from aws_bedrock_inference.call import Call, Outcome
    from aws_bedrock_inference.flow import Effect


class Task:
    """One flow (the plan of a call) that runs in virtual time. When `done` is True, either `result` contains its return
    value, or `error` contains its exception.
    """

    __slots__ = ("done", "error", "flow", "result", "turn")

    def __init__(self, flow: Generator[Effect, Any, Any]) -> None:
        self.flow = flow
        self.turn = 0
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class VirtualDriver:
    """Runs many flows (plans of calls) with one common virtual time. `now` is the virtual time in seconds; `clock`
    returns it.

    The function `send(call, now)` replaces the service. It returns the number of seconds that the answer takes, and the
    outcome (a value or a fault).
    """

    def __init__(
        self, send: Callable[[Call, float], tuple[float, Outcome]], *, listeners: Listeners | None = None
    ) -> None:
        self._send = send
        self.now = 0.0
        self.listeners = listeners if listeners is not None else Listeners()
        self._agenda: list[tuple[float, int, Task, int, Any]] = []
        self._sequence = count()

    def clock(self) -> float:
        """Return the virtual time."""
        return self.now

    def spawn(self, flow: Generator[Effect, Any, Any], *, after: float = 0.0) -> Task:
        """Start `flow` after `after` seconds of virtual time. `flow` is the plan of one call. It can also be a
        generator that runs the plans of many calls one after another, with `yield from`.
        """
        task = Task(flow)
        self._schedule(self.now + after, task, None)
        return task

    def run(self, until: float = inf) -> None:
        """Advance the virtual time until no task can continue, or until the clock reaches `until`."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= until:
            when, _, task, turn, reply = heapq.heappop(agenda)
            if turn == task.turn and not task.done:
                self.now = max(self.now, when)
                task.turn += 1
                self._advance(task, task.flow.send, reply)
        if until != inf:
            self.now = max(self.now, until)

    def interrupt(self, task: Task, interruption: BaseException) -> None:
        """Interrupt a task, as a cancellation would: raise `interruption` inside its flow. The flow receives it at the
        `yield` at which the flow waits, such as the `yield` of `Send` or `Sleep`.
        """
        task.turn += 1
        self._advance(task, task.flow.throw, interruption)

    def _schedule(self, when: float, task: Task, reply: Any) -> None:
        heapq.heappush(self._agenda, (when, next(self._sequence), task, task.turn, reply))

    def _advance(self, task: Task, resume: Callable[[Any], Effect], value: Any) -> None:
        try:
            effect = resume(value)
            while True:
                if isinstance(effect, Emit):
                    self.listeners.notify(effect.event)
                    effect = next(task.flow)
                elif isinstance(effect, Ask):
                    effect = self._ask(task, effect)
                else:
                    return self._suspend(task, effect)
        except StopIteration as end:
            task.done, task.result = True, end.value
        except BaseException as error:  # noqa: BLE001 - stored for the code that started the task
            task.done, task.error = True, error

    def _ask(self, task: Task, effect: Ask) -> Effect:
        try:
            answer = effect.request.run()
        except Exception as error:  # noqa: BLE001 - the flow decides what it means
            return task.flow.throw(error)
        return task.flow.send(answer)

    def _suspend(self, task: Task, effect: Effect) -> None:
        if isinstance(effect, Send):
            seconds, outcome = self._send(effect.call, self.now)
            self._schedule(self.now + seconds, task, outcome)
        elif isinstance(effect, Sleep):
            self._schedule(self.now + effect.seconds, task, None)
        elif isinstance(effect, Wait):
            turn = task.turn

            def wake() -> None:
                heapq.heappush(self._agenda, (self.now, next(self._sequence), task, turn, None))

            until = effect.until if effect.waiter.attach(wake) else self.now
            if until < inf:
                self._schedule(until, task, None)
        else:
            raise TypeError(
                f"a policy yielded {type(effect).__name__}. With VirtualDriver, it can yield only Send, Sleep, Wait, "
                "Ask or Emit from aws_bedrock_inference.flow; correct the policy"
            )
