"""The intervals of `wait_until_ready`, in time that only the test advances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import INTERNAL, INVALID, NOT_READY, OK, World, call

from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.clients.readiness import ready
from aws_bedrock_inference.events import ReadinessAwaited
from aws_bedrock_inference.flow import Emit, Send, Sleep
from aws_bedrock_inference.knowledge.classify import answered

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault

PENDING = answered(
    "AccessDeniedException", "The Marketplace subscription for this model is still being processed.", status=403
)
FORM = answered("ResourceNotFoundException", "Model use case details have not been submitted.", status=404)
LOCKED = answered("AccessDeniedException", "You don't have access to the model with that model ID.", status=403)


def waited(
    world: World, *faults: Fault, timeout: float = 7200.0, operation: str = "converse"
) -> tuple[list[float], Any]:
    """Return the waits until the flow ended, and its outcome; after the faults the call succeeds."""
    script = iter([*(Outcome(fault=fault) for fault in faults), OK])
    flow = ready(call()._replace(operation=operation), world.clock, timeout)
    reply: Any = None
    try:
        while True:
            effect = flow.send(reply)
            reply = None
            if isinstance(effect, Send):
                world.now += 1.0
                reply = next(script)
            elif isinstance(effect, Sleep):
                world.sleep(effect.seconds)
            else:
                assert isinstance(effect, Emit)
                assert isinstance(effect.event, ReadinessAwaited)
    except StopIteration as end:
        return world.sleeps, end.value


@pytest.mark.parametrize("fault", [PENDING, FORM], ids=["agreement", "form"])
def test_access_is_checked_every_fifteen_minutes(world: World, fault: Fault) -> None:
    sleeps, outcome = waited(world, fault, fault, fault)
    assert sleeps == [900, 900, 900]
    assert outcome.fault is None


def test_a_loading_model_is_polled_with_growing_intervals_within_a_minute(world: World) -> None:
    sleeps, outcome = waited(world, *[NOT_READY] * 6)
    assert sleeps == [10, 20, 40, 60, 60, 60]
    assert outcome.fault is None


def test_a_transient_failure_is_waited_for_too(world: World) -> None:
    sleeps, outcome = waited(world, INTERNAL, INTERNAL)
    assert all(1 <= wait <= 20 for wait in sleeps)
    assert outcome.fault is None


def test_the_last_attempt_is_at_the_end_of_the_timeout(world: World) -> None:
    sleeps, outcome = waited(world, *[PENDING] * 9, timeout=1000.0)
    assert sleeps == [900, 98]
    assert outcome.fault is PENDING
    assert world.now == 1001


@pytest.mark.parametrize("fault", [LOCKED, INVALID])
def test_a_permanent_fault_ends_the_wait_immediately(world: World, fault: Fault) -> None:
    assert waited(world, fault) == ([], Outcome(fault=fault))


def test_an_imported_model_that_refuses_the_body_counts_as_loaded(world: World) -> None:
    sleeps, outcome = waited(world, NOT_READY, INVALID, operation="invoke_model")
    assert (sleeps, outcome.fault) == ([10], None)
