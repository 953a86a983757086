"""Check the object that was passed to `resilient()`, and reject it if its calls cannot be guarded.

To guard means to add this package's policies. A guard without effect would be worse than an error, because the user
would not notice it.
"""

from __future__ import annotations

import functools
import inspect
from contextlib import AsyncContextDecorator, ContextDecorator
from itertools import starmap
from types import AsyncGeneratorType, GeneratorType, MethodType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from botocore.client import BaseClient

from aws_bedrock_inference.knowledge.reading import attribute
from aws_bedrock_inference.resilience.boto3_client import Guarded

if TYPE_CHECKING:
    from collections.abc import Callable

# Types of AWS's libraries that send calls but are not clients, by module. Each has the advice what to pass instead.
_INSTEAD = {
    "boto3.resources": "pass its client, resource.meta.client",
    "boto3.session": "pass a client, session.client(...)",
    "botocore.session": "pass a client, session.create_client(...)",
    "botocore.paginate": "guard the client, and create the paginator from the guarded client",
    "botocore.waiter": "guard the client, and create the waiter from the guarded client",
    "aiobotocore": "it takes boto3 clients; for Bedrock, use AsyncBedrockClient",
    "aioboto3": "it takes boto3 clients; for Bedrock, use AsyncBedrockClient",
}
_LATER = (
    "its errors occur while it is read, when retries are no longer possible; apply resilient() to a function that "
    "reads it to the end"
)

# Types of values whose work begins only when they are read.
# Common types of values whose work is complete when they are returned.
_PLAIN = frozenset({type(None), bool, int, float, str, bytes, dict, list, tuple})

_LAZY = (GeneratorType, AsyncGeneratorType, map, filter, starmap)

# Attributes that `functools.wraps` copies, by the type that Python requires. They are checked, because an object can
# return any type for them.
_TYPED = {"__name__": str, "__qualname__": str, "__annotations__": dict}

_originals: WeakKeyDictionary[Callable[..., Any], Callable[..., Any]] = WeakKeyDictionary()


def guard_target(function: Any) -> Callable[..., Any]:
    """Return the function to guard. If `function` is already guarded, return the original function inside it, so that
    retries do not multiply. Otherwise return `function` itself.

    Raises `TypeError` for anything that cannot be guarded.
    """
    if isinstance(function, MethodType):
        return MethodType(guard_target(function.__func__), function.__self__)
    if inspect.isclass(function):
        raise TypeError(
            f"resilient() takes a function, not the class {function.__name__}; decorate its methods instead"
        )
    if not callable(function):
        raise TypeError(_not_callable(function))
    inner = _innermost(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise TypeError(f"resilient() cannot retry {name_of(function)}, a generator function: {_LATER}")
    try:
        original = _originals.get(function)
    except TypeError:  # an object without a hash or weak references was not created here
        original = None
    target: Callable[..., Any] = function if original is None else original
    return target


def remember(guarded: Callable[..., Any], original: Callable[..., Any]) -> None:
    """Remember that `guarded` is the function `original` with a guard."""
    _originals[guarded] = original


def is_async(function: Callable[..., Any]) -> bool:
    """Return True if a call of `function` must be awaited: it is a coroutine function, or an object or partial that
    contains a coroutine function. Otherwise return False.
    """
    inner = _innermost(function)
    marked = (
        type(getattr(inner, "_is_coroutine", None)) is object
    )  # asyncio marks AsyncMock in this way before Python 3.12
    method = getattr(type(inner), "__call__", None)  # noqa: B004 - the method is wanted, not whether there is one
    return marked or inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(method)


def check_result(value: Any, name: str) -> Any:
    """Return `value`, which a guarded function returned.

    Raises `TypeError` if the work begins only when the caller uses the result, as with a generator, an awaitable, a
    context manager or a boto3 client. The guard (the policies around the function) has then already ended, so it cannot
    retry this work.
    """
    if type(value) in _PLAIN:
        return value
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise TypeError(
            f"{name} returned an awaitable, but resilient() cannot retry its work. Await it in an `async def` "
            "function, and apply resilient() to that function"
        )
    if isinstance(value, _LAZY):
        raise TypeError(f"{name} returned a {type(value).__name__.removeprefix('async_')}: {_LATER}")
    if isinstance(value, BaseClient) and not isinstance(value, Guarded):
        raise TypeError(
            f"{name} returned a boto3 client, but resilient() on a function does not change the client's calls; pass "
            "the client itself to resilient()"
        )
    if isinstance(value, (ContextDecorator, AsyncContextDecorator)):
        raise TypeError(
            f"{name} returned a context manager, but resilient() cannot retry its `with` block; use attempts() inside "
            "the block"
        )
    return value


def name_of(function: Any) -> str:
    """Return a function's name, or the name of its type."""
    name = attribute(function, "__name__")
    return name if isinstance(name, str) else type(function).__name__


def like(function: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that copies the name and the documentation of `function` to another function. `resilient` uses
    it for the function that replaces `function`, so that both have the same `__name__` and `__doc__`.

    An attribute with a wrong type is not copied, because Python would raise an error. For example, `__name__` must be a
    text.
    """
    names = [
        name
        for name in functools.WRAPPER_ASSIGNMENTS
        if isinstance(attribute(function, name), _TYPED.get(name, object))
    ]
    return functools.wraps(function, names)


def _innermost(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _not_callable(target: Any) -> str:
    kind = type(target)
    if isinstance(target, (property, functools.cached_property)):
        return f"resilient() cannot guard a {kind.__name__}; put it below @{kind.__name__}, around the method"
    home = next((base.__module__ for base in kind.__mro__ if base.__module__.startswith(tuple(_INSTEAD))), "")
    instead = next((advice for module, advice in _INSTEAD.items() if home.startswith(module)), "")
    rest = f"; {instead}" if instead else ""
    return f"resilient() takes a boto3 client or a function, not {kind.__name__}{rest}"
