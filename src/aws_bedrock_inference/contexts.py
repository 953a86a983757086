"""The caller's context: a few names and values that are attached to its calls and to every report about them.

    with context(team="checkout"):
        client.invoke(...)

A call copies the context when the call is created. So a stream keeps this context, even if another thread or task reads
the stream.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from aws_bedrock_inference.bounds import is_number, shown

if TYPE_CHECKING:
    from collections.abc import Callable

Value: TypeAlias = str | int | float | bool
Context: TypeAlias = tuple[tuple[str, Value], ...]
"""Names with their values, each name once. `dict(context)` converts it to a dictionary."""

F = TypeVar("F", bound="Callable[..., Any]")

# The same limits as for Converse's `requestMetadata`, so that every context can be sent as metadata.
MOST_NAMES = 16
LONGEST_VALUE = 256  # characters
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}", re.ASCII)
_LARGEST = 2**63 - 1  # the largest integer that counters, JSON readers and stores can hold


class _Frame(NamedTuple):
    """One open `with context(...)` block. `names` are all names and values that are valid inside the block, and `outer`
    is the frame of the block around it.
    """

    names: Context
    scope: Scope
    outer: _Frame | None


_FRAME: ContextVar[_Frame | None] = ContextVar("aws_bedrock_inference", default=None)


def current() -> Context:
    """Return the context of the running thread or task. Outside every context, the result is empty."""
    frame = _FRAME.get()
    return () if frame is None else frame.names


def context(**names: Value) -> Scope:
    """Return a context manager, which is also a decorator. The names and values that are passed are attached
    to all calls inside the context.

    An inner context adds its names to the names of the outer context. If both contain the same name, the value of the
    inner context is used. Up to 16 names are allowed in total. A name begins with a letter or `_`, and has at most 64
    letters, digits and the characters `_ . : -`. A value is a number, True, False, or a text of up to 256 printable
    characters. Do not pass secrets or prompts, because logs, spans and metrics contain these values.

    Raises `ValueError` for other names and values.
    """
    return Scope(tuple((_name(name), _value(name, value)) for name, value in names.items()))


def texts(context: Context) -> dict[str, str]:
    """Return a context's values as texts, for labels, tags and metadata, which accept only text."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in context}


class Scope:
    """A context manager that several threads can enter, and that one thread can enter several times."""

    __slots__ = ("names",)

    def __init__(self, names: Context) -> None:
        self.names = _bounded(names)

    def __enter__(self) -> Context:
        outer = _FRAME.get()
        names = self.names
        if outer is not None:
            names = _bounded(tuple({**dict(outer.names), **dict(names)}.items()))
        _FRAME.set(_Frame(names, self, outer))
        return names

    def __exit__(self, *_: object) -> None:
        frame = _FRAME.get()
        if frame is not None and frame.scope is self:
            _FRAME.set(frame.outer)
        else:
            _FRAME.set(_without(self, frame))

    def __call__(self, function: F) -> F:
        """Decorate `function`, so that all calls to models inside `function` have this context."""
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            raise ValueError(
                f"context: {function.__qualname__} is a generator function and cannot be decorated, because the code "
                "that reads the generator would also get the context. Write `with context(...)` inside the function, "
                "around its calls"
            )
        if iscoroutinefunction(function):

            @wraps(function)
            async def awaited(*arguments: Any, **named: Any) -> Any:
                with self:
                    return await function(*arguments, **named)

            return awaited  # type: ignore[return-value]  # it has the signature of `function`

        @wraps(function)
        def called(*arguments: Any, **named: Any) -> Any:
            with self:
                return function(*arguments, **named)

        return called  # type: ignore[return-value]  # the same

    def __repr__(self) -> str:
        return f"context({', '.join(f'{name}={value!r}' for name, value in self.names)})"


def _without(scope: Scope, frame: _Frame | None) -> _Frame | None:
    """Return the chain of open blocks without the block of `scope`. `frame` is the innermost block of the chain.

    Usually, the innermost block ends first. But in generators, an outer block can end before an inner block. Then only
    the outer block is removed. A block can also end in a thread or task that did not enter the block. The chain of that
    thread or task does not contain the block, and remains unchanged.
    """
    if frame is None:
        return None
    if frame.scope is scope:
        return frame.outer
    outer = _without(scope, frame.outer)
    if outer is frame.outer:
        return frame
    names = {**dict(outer.names if outer is not None else ()), **dict(frame.scope.names)}
    return _Frame(tuple(names.items()), frame.scope, outer)


def _bounded(names: Context) -> Context:
    if len(names) > MOST_NAMES:
        raise ValueError(
            f"context: this context and the contexts around it set {len(names)} names, but at most {MOST_NAMES} are "
            "allowed; remove some"
        )
    return names


def _name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        given = repr(name) if len(name) <= LONGEST_VALUE else f"a name of {len(name):,} characters"
        raise ValueError(
            f"context: {given} is not a valid name. Begin with a letter, and use at most 64 letters, digits and the "
            "characters _ . : -"
        )
    return name


def _value(name: str, value: Any) -> Value:
    if isinstance(value, str):
        text = str.__str__(value)  # the plain text if it is a member of an enumeration
        if len(text) <= LONGEST_VALUE and text.isprintable():
            return text
        raise ValueError(
            f"context({name}=<a text of {len(text):,} characters>): pass up to {LONGEST_VALUE} printable characters"
        )
    if isinstance(value, bool):
        return value
    if isinstance(value, int) or is_number(value, whole=True):  # also NumPy's integers
        if abs(int(value)) <= _LARGEST:
            return int(value)
    elif is_number(value):
        return float(value)
    raise ValueError(f"context({name}={shown(value)}): pass a short text, a finite number, True or False")
