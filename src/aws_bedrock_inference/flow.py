"""The plan of one call, without any I/O.

A flow is a generator. It yields *effects*, which are requests to the outside world, and returns an `Outcome`. A driver
(see `drivers`) performs each effect and sends the reply into the flow. The effects and their replies are:

    Send     send the call to the service            → Outcome
    Next     read one event of an open stream        → event, Fault, or None at the end of the body
    Give     deliver an event to the consumer        → whether the consumer wants more
    Sleep    let time pass                           → None
    Wait     wait until woken, or until a time       → None
    Ask      send a request to a store               → the store's answer
    Emit     notify the listeners                    → None

For most effects, this module also has a function that yields the effect and returns its reply, such as `give` for
`Give`. A flow calls it with `yield from`. The type of the reply is then known to a type checker.

When a task is cancelled or Ctrl-C is pressed, the driver raises that interruption inside the flow. A policy that holds
a resource releases it and does not catch the interruption. A consumer that stops reading is not an interruption: in
this case the reply to `Give` is False.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar, cast

from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.dialects.echo import unechoed
from aws_bedrock_inference.fault import Category, Decision, Fault, Kind, Origin
from aws_bedrock_inference.switch import policies_are_off

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock

T_co = TypeVar("T_co", covariant=True)


class Waiter(Protocol):
    """An object that can wake a waiting flow (the plan of a call). An example is a call's position in the queue for
    quota: it wakes the flow when the call is admitted. To wake the flow, the object calls the function that the driver
    registered with `attach`.
    """

    def attach(self, wake: Callable[[], object]) -> bool:
        """Register `wake` and return True. If the wait is already over, return False; `wake` is then not called."""


class StoreRequest(Protocol[T_co]):
    """A request to a store: a place with data that processes share, such as a cache. The blocking driver sends the
    request with `run`, and the asyncio driver with `arun`.
    """

    def run(self) -> T_co:
        """Send the request, and block until the answer arrives."""

    async def arun(self) -> T_co:
        """Send the request, and await the answer."""


class Send:
    """A flow yields this effect (a request to the driver) to send the call to the service once. The reply is the
    `Outcome`.
    """

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call = call


class Next:
    """A flow yields this effect (a request to the driver) to read one event of an open stream. The reply is the event,
    a fault, or None at the end of the body.
    """

    __slots__ = ("source",)

    def __init__(self, source: Any) -> None:
        self.source = source


class Give:
    """A flow yields this effect (a request to the driver) to deliver one item to the consumer of a stream. The reply is
    True if the consumer wants more items, otherwise False.
    """

    __slots__ = ("item",)

    def __init__(self, item: Any) -> None:
        self.item = item


class Head(NamedTuple):
    """The first item of a stream: boto3's response without the stream itself."""

    response: dict[str, Any]


ABANDONED = Fault(
    code="Abandoned",
    message="the consumer stopped reading the stream",
    kind=Kind.STREAM,
    decision=Decision.FAIL,
    category=Category.PERMANENT,
    cause="abandoned",
    origin=Origin.CALLER,
)
"""The fault of a stream whose consumer stopped reading. All faults of calls that the program itself ended have the
same `cause` as this fault.
"""

INTERRUPTED = ABANDONED.with_details(
    "CallInterrupted", "a cancellation or another exception of the program ended the call before its answer"
)
"""The fault of a call that an interruption ended. Only listeners receive this fault; the caller receives the
interruption itself.
"""


class Sleep:
    """A flow yields this effect (a request to the driver) to wait for `seconds`."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Wait:
    """A flow yields this effect (a request to the driver) to wait until the object `waiter` wakes it. The wait also
    ends when the driver's clock reaches `until`.
    """

    __slots__ = ("until", "waiter")

    def __init__(self, waiter: Waiter, until: float) -> None:
        self.waiter = waiter
        self.until = until


class Ask:
    """A flow yields this effect (a request to the driver) to send a request to a store. The reply is the store's
    answer.
    """

    __slots__ = ("request",)

    def __init__(self, request: StoreRequest[Any]) -> None:
        self.request = request


class Emit:
    """A flow yields this effect (a request to the driver) to notify the listeners of an event."""

    __slots__ = ("event",)

    def __init__(self, event: object) -> None:
        self.event = event


Effect: TypeAlias = Send | Next | Give | Sleep | Wait | Ask | Emit
Flow: TypeAlias = "Generator[Effect, Any, Outcome]"
Step: TypeAlias = "Callable[[Call], Flow]"


def give(item: Any) -> Generator[Effect, Any, bool]:
    """Deliver `item` to the consumer; return False if the consumer has stopped reading."""
    return cast("bool", (yield Give(item)))


def sleep(seconds: float) -> Generator[Effect, Any, None]:
    """Wait for `seconds`."""
    yield Sleep(seconds)


def wait(waiter: Waiter, until: float) -> Generator[Effect, Any, None]:
    """Wait until the object `waiter` wakes the flow. The wait also ends when the driver's clock reaches `until`."""
    yield Wait(waiter, until)


def ask(request: StoreRequest[T_co]) -> Generator[Effect, Any, T_co]:
    """Send a request to a store, and return the answer."""
    return cast("T_co", (yield Ask(request)))


def emit(event: object) -> Generator[Effect, Any, None]:
    """Notify the listeners of `event`, an object of the module `events` such as `CallEnded`."""
    yield Emit(event)


def send(call: Call) -> Flow:
    """Send `call` to the service once. This function is the innermost step of every pipeline for an operation with one
    response.
    """
    outcome = cast("Outcome", (yield Send(call)))
    return outcome if outcome.fault is None else unechoed(call, outcome)


def passing(flow: Flow, take: Callable[[Any], Iterable[Any]]) -> Flow:
    """Run `flow`, the plan of a call. `take` receives each stream item that the flow delivers, and returns the items
    that replace it: none, one, or several. The flow receives the reply False if the consumer wants no more items,
    otherwise True.

    All other effects (requests to the driver) and all interruptions pass unchanged.
    """
    try:
        effect = next(flow)
        while True:
            try:
                if type(effect) is Give:
                    reply: Any = True
                    for item in take(effect.item):
                        reply = yield Give(item)
                        if not reply:
                            break
                else:
                    reply = yield effect
            except BaseException as interruption:  # noqa: BLE001 - the flow raises it again
                effect = flow.throw(interruption)
            else:
                effect = flow.send(reply)
    except StopIteration as end:
        return cast("Outcome", end.value)


def relayed(flow: Flow, see: Callable[[Effect], Effect]) -> Flow:
    """Run `flow`, and replace each effect (request to the driver) that the flow yields by the effect that `see` returns
    for it. The two effects must have the same type of reply. Interruptions pass unchanged.
    """
    try:
        effect = next(flow)
        while True:
            try:
                reply = yield see(effect)
            except BaseException as interruption:  # noqa: BLE001 - the flow raises it again
                effect = flow.throw(interruption)
            else:
                effect = flow.send(reply)
    except StopIteration as end:
        return cast("Outcome", end.value)


class Policy(Protocol):
    """One rule that is applied to a call, such as retries or a deadline. A policy can refuse, delay, retry or observe
    the call, independently of all other policies.
    """

    def around(self, step: Step, clock: Clock) -> Step:
        """Return a step (a function that carries out a call) that applies this policy around `step`. `clock` is the
        clock of the driver that runs the flow.
        """


class Pipeline:
    """Policies, listed from the outermost to the innermost: `Pipeline(Deadline(), Retry(), Breaker(), Quota())`.

    The order matters. In this example the deadline covers all attempts, and every attempt passes the breaker and uses
    quota.

    A policy can have a method `placed(outer, inner)` that checks its position. When the pipeline is created, it calls
    this method of each policy. `outer` contains the policies before this policy in the list, and `inner` the policies
    after it. The method raises `ValueError` to reject the order.
    """

    def __init__(self, *policies: Policy) -> None:
        self.policies = policies
        for number, policy in enumerate(policies):
            placed = getattr(policy, "placed", None)
            if placed is not None:
                placed(policies[:number], policies[number + 1 :])

    def around(self, step: Step, clock: Clock) -> Step:
        """Return `step` (a function that carries out a call) with all policies around it. If the environment turns the
        policies off, return `step` itself (see `switch`).
        """
        if policies_are_off():
            return step
        for policy in reversed(self.policies):
            step = policy.around(step, clock)
        return step

    def leave(self) -> Flow:
        """Release what the policies have reserved outside this process. For example, the quota policy releases this
        process's part of a shared quota.
        """
        for policy in self.policies:
            leave = getattr(policy, "leave", None)
            if leave is not None:
                yield from leave()
        return Outcome()

    def __repr__(self) -> str:
        return f"Pipeline({', '.join(map(repr, self.policies))})"
