"""`resilient()` guards or refuses every object that is passed, and re-raises exceptions unchanged."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import traceback
from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, MagicMock, Mock

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from support.doubles import World, session

from aws_bedrock_inference import CircuitBreaker, attempts, resilient, retry_with_exponential_backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def throttled() -> ClientError:
    return ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "Converse")


class Flaky:
    """Fails once with a throttle, then answers, however it is called."""

    def __init__(self) -> None:
        self.calls = 0

    def once(self) -> str:
        self.calls += 1
        if self.calls == 1:
            raise throttled()
        return "answer"

    async def aonce(self) -> str:
        return self.once()

    def __call__(self) -> str:
        return self.once()


class AsyncFlaky(Flaky):
    async def __call__(self) -> str:  # type: ignore[override]
        return self.once()


SYNC: dict[str, Callable[[Flaky], Any]] = {
    "bound method": lambda flaky: flaky.once,
    "instance": lambda flaky: flaky,
    "partial": lambda flaky: functools.partial(flaky.once),
    "lambda": lambda flaky: lambda: str(flaky.once()),
    "cache": lambda flaky: functools.cache(flaky.once),
    "mock": lambda flaky: Mock(side_effect=flaky.once),
    "magic mock": lambda flaky: MagicMock(side_effect=flaky.once),
    "guarded already": lambda flaky: resilient(flaky.once),
}
ASYNC: dict[str, Callable[[AsyncFlaky], Any]] = {
    "bound coroutine method": lambda flaky: flaky.aonce,
    "instance": lambda flaky: flaky,
    "partial": lambda flaky: functools.partial(flaky.aonce),
    "partial of an instance": functools.partial,
    "async mock": lambda flaky: AsyncMock(side_effect=flaky.aonce),
}


@pytest.mark.parametrize("target", SYNC.values(), ids=SYNC)
def test_every_callable_is_guarded(target: Callable[[Flaky], Any]) -> None:
    flaky, world = Flaky(), World()
    assert resilient(target(flaky), clock=world.clock, sleep=world.sleep)() == "answer"
    assert flaky.calls == 2


@pytest.mark.parametrize("target", ASYNC.values(), ids=ASYNC)
def test_every_coroutine_function_is_guarded_whatever_wraps_it(target: Callable[[AsyncFlaky], Any]) -> None:
    flaky = AsyncFlaky()
    world = World()

    async def asleep(seconds: float) -> None:
        world.sleep(seconds)

    guarded = resilient(target(flaky), clock=world.clock, sleep=asleep)
    assert asyncio.run(guarded()) == "answer"
    assert flaky.calls == 2


def test_a_guard_around_a_guard_replaces_it() -> None:
    calls = []

    def fails() -> None:
        calls.append(1)
        raise throttled()

    world = World()
    once = resilient(fails, clock=world.clock, sleep=world.sleep)
    twice = resilient(once, clock=world.clock, sleep=world.sleep)
    for guarded in (once, twice):
        calls.clear()
        with pytest.raises(ClientError):
            guarded()
        alone = len(calls)
    calls.clear()
    with pytest.raises(ClientError):
        once()
    assert alone == len(calls) > 1


class Decorated:
    """Methods of all kinds below and above the decorator."""

    calls = 0
    world = World()
    guard = staticmethod(resilient(clock=world.clock, sleep=world.sleep))

    @classmethod
    def once(cls) -> str:
        cls.calls += 1
        if cls.calls % 2:
            raise throttled()
        return "answer"

    @guard
    @staticmethod
    def above_static() -> str:
        return Decorated.once()

    @staticmethod
    @guard
    def below_static() -> str:
        return Decorated.once()

    @guard
    @classmethod
    def above_class(cls) -> str:
        return cls.once()

    @classmethod
    @guard
    def below_class(cls) -> str:
        return cls.once()

    @property
    @guard
    def below_property(self) -> str:
        return self.once()

    @guard
    def method(self) -> str:
        return self.once()

    @functools.cached_property
    @guard
    def below_cached(self) -> str:
        return self.once()


@pytest.mark.parametrize(
    "name", ["above_static", "below_static", "above_class", "below_class", "below_property", "method", "below_cached"]
)
def test_methods_of_every_kind_are_guarded(name: str) -> None:
    value = getattr(Decorated(), name)
    assert (value if isinstance(value, str) else value()) == "answer"


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


@contextlib.contextmanager
def block() -> Iterator[None]:
    yield


REFUSED: list[tuple[Any, str]] = [
    (Flaky, "not the class Flaky; decorate its methods instead"),
    (int, "not the class int"),
    (generator, "generator, a generator function: its errors occur while it is read"),
    (functools.partial(generator), "a generator function"),
    (async_generator, "a generator function"),
    (property(Flaky.once), "cannot guard a property; put it below @property"),
    (functools.cached_property(Flaky.once), "put it below @cached_property"),
    (functools.partialmethod(generator), "not partialmethod"),
    (contextlib, "not module"),
    (7, "not int"),
    ("text", "not str"),
    (session(), "not Session; pass a client, session.client"),
    (session()._session, "not Session; pass a client, session.create_client"),
    (MagicMock(spec=BaseClient), "MagicMock only imitates a boto3 client"),
]


@pytest.mark.parametrize(("target", "sentence"), REFUSED)
def test_an_object_that_cannot_be_guarded_is_refused_with_a_message(target: Any, sentence: str) -> None:
    with pytest.raises(TypeError) as raised:
        resilient(target)
    assert sentence in str(raised.value)
    with pytest.raises(TypeError):
        resilient(timeout=5)(target)


def test_a_part_of_a_client_is_refused_with_the_client_to_guard_instead(alone: None) -> None:
    client = session().client("s3")
    for target, sentence in [
        (client.get_paginator("list_buckets"), "create the paginator from the guarded client"),
        (client.get_waiter("bucket_exists"), "create the waiter from the guarded client"),
        (boto3.Session("a", "b", region_name="us-east-1").resource("s3"), "pass its client, resource.meta.client"),
    ]:
        with pytest.raises(TypeError, match="takes a boto3 client or a function") as raised:
            resilient(target)
        assert sentence in str(raised.value)


LAZY: list[tuple[Callable[[], Any], str]] = [
    (lambda: AsyncFlaky().aonce(), "returned an awaitable"),
    (lambda: (number for number in [1]), "returned a generator"),
    (lambda: (number async for number in async_generator()), "returned a generator"),
    (block, "returned a context manager"),
    (lambda: map(str, [1]), "returned a map"),
    (lambda: filter(str, [1]), "returned a filter"),
    (lambda: starmap(str, [(1,)]), "returned a starmap"),
    (lambda: session().client("s3"), "returned a boto3 client"),
]
NAMES = ["coroutine", "generator", "async generator", "block", "map", "filter", "starmap", "client"]


@pytest.mark.parametrize(("function", "sentence"), LAZY, ids=NAMES)
@pytest.mark.parametrize("how", ["resilient", "backoff", "breaker"])
def test_a_function_that_returns_unfinished_work_is_refused(
    how: str, function: Callable[[], Any], sentence: str
) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "resilient": resilient(function),
        "backoff": lambda: retry_with_exponential_backoff(function),
        "breaker": lambda: CircuitBreaker().execute(function),
    }
    with pytest.raises(TypeError, match=sentence):
        calls[how]()


@pytest.mark.parametrize(("function", "sentence"), LAZY, ids=NAMES)
def test_a_coroutine_function_that_returns_unfinished_work_is_refused(
    function: Callable[[], Any], sentence: str
) -> None:
    async def late() -> Any:
        return function()

    with pytest.raises(TypeError, match=sentence):
        asyncio.run(resilient(late)())


def test_a_function_may_return_a_guarded_client(alone: None) -> None:
    client = resilient(session().client("s3"))
    assert resilient(lambda: client)() is client


def test_an_object_that_has_every_attribute_is_guarded_under_its_type_name() -> None:
    flaky = Flaky()

    class Proxy:
        def __getattr__(self, name: str) -> Any:
            return lambda: name

        def __call__(self) -> Any:
            return flaky()

    events: list[Any] = []
    resilient(Proxy(), sleep=lambda _: None, listener=events.append)()
    assert {event.operation for event in events if hasattr(event, "operation")} == {"Proxy"}


@pytest.mark.parametrize("target", [AsyncFlaky().aonce, AsyncFlaky(), functools.partial(AsyncFlaky().aonce)])
def test_blocking_functions_refuse_coroutine_functions(target: Any) -> None:
    with pytest.raises(TypeError, match="coroutine function"):
        retry_with_exponential_backoff(target)
    with pytest.raises(TypeError, match="coroutine function"):
        CircuitBreaker().execute(target)


class OddInit(Exception):
    def __init__(self, a: int, b: int, *, c: int) -> None:
        super().__init__(a)
        self.b, self.c = b, c


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class Equal(Exception):
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")


@dataclass(frozen=True)
class Frozen(Exception):
    number: int


class Fault(Exception):
    """An exception that uses this package's attribute names for its own values."""

    def __init__(self) -> None:
        super().__init__("x")
        self.fault, self.outcome = "mine", 7


class NoInit(ClientError):
    def __init__(self) -> None:
        pass


CAUGHT: list[Callable[[], BaseException]] = [
    lambda: ValueError("x"),
    lambda: OddInit(1, 2, c=3),
    Mute,
    Equal,
    lambda: Frozen(1),
    Fault,
    NoInit,
    throttled,
    lambda: ExceptionGroup("g", [ValueError("x")]),
    lambda: BaseExceptionGroup("g", [KeyboardInterrupt()]),
    KeyboardInterrupt,
    lambda: SystemExit(3),
    GeneratorExit,
    StopIteration,
    StopAsyncIteration,
    asyncio.CancelledError,
    lambda: KeyError(("a", 1)),
    lambda: UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
    lambda: RecursionError("deep"),
    MemoryError,
]
NAMES = [type(make()).__name__ for make in CAUGHT]


def raised_by(error: BaseException, how: str) -> BaseException | None:
    """Return the exception that leaves this kind of guard when `error` is raised inside it."""
    world = World()

    def fails() -> None:
        raise error

    async def afails() -> None:
        raise error

    async def asleep(seconds: float) -> None:
        world.sleep(seconds)

    def loop() -> None:
        for attempt in attempts(clock=world.clock, sleep=world.sleep):
            with attempt:
                fails()

    def awaited() -> None:
        coroutine = resilient(afails, clock=world.clock, sleep=asleep)()
        with contextlib.suppress(StopIteration):
            coroutine.send(None)

    ways: dict[str, Callable[[], Any]] = {
        "resilient": resilient(fails, clock=world.clock, sleep=world.sleep),
        "attempts": loop,
        "coroutine": awaited,
        "backoff": lambda: retry_with_exponential_backoff(fails, clock=world.clock, sleep=world.sleep),
        "breaker": lambda: CircuitBreaker().execute(fails),
    }
    try:
        ways[how]()
    except BaseException as caught:  # noqa: BLE001 - whatever it is, the test compares it
        return caught
    return None


@pytest.mark.parametrize("make", CAUGHT, ids=NAMES)
@pytest.mark.parametrize("how", ["resilient", "attempts", "coroutine", "backoff", "breaker"])
def test_an_exception_is_re_raised_as_the_same_object_with_its_traceback(
    how: str, make: Callable[[], BaseException]
) -> None:
    error = make()
    if how == "coroutine" and isinstance(error, StopIteration):
        return  # Python makes a RuntimeError of it in every coroutine
    caught = raised_by(error, how)
    assert caught is error
    assert any(frame.name in ("fails", "afails") for frame in traceback.extract_tb(caught.__traceback__))
    assert error.__cause__ is None
    if isinstance(error, Fault):
        assert (error.fault, error.outcome) == ("mine", 7)
