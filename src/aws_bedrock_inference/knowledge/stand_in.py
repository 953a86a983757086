"""Create safe copies ("stand-ins") of the exceptions of HTTP clients. The original exception can reveal the failed
request: its headers with the signature, the proxy's URL with the password, and the prompt in local variables.

A stand-in has the same class and the same text, in which secrets are masked. It also has the `errno` of the original,
and stand-ins for the original's chain of causes. It contains nothing else of the original.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_bedrock_inference.knowledge.masking import masked

_DEEPEST = 24  # the most exceptions of a chain; real chains have fewer than ten


class _StandIn:
    args: tuple[Any, ...]

    def __str__(self) -> str:
        return str(self.args[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.args[0]!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self).__mro__[2], self.args[0])


def stand_in(error: BaseException | None, depth: int = 0) -> BaseException | None:
    """Return a copy of `error` that contains no secrets and no traceback."""
    if error is None or depth >= _DEEPEST:
        return None
    made = _made(type(error), masked(_text(error)))
    made.__suppress_context__ = error.__suppress_context__
    made.__cause__ = stand_in(error.__cause__, depth + 1)
    if error.__cause__ is None:
        made.__context__ = stand_in(error.__context__, depth + 1)
    if isinstance(error, OSError) and isinstance(made, OSError):
        made.errno = error.errno
    return made


def _made(kind: Any, text: str) -> BaseException:
    made: BaseException
    try:
        made = _class(kind).__new__(_class(kind), text)
    except TypeError:  # an exception group, or a class that allows no subclass or no such argument
        made = Exception.__new__(_class(Exception), text)
    made.args = (text,)
    return made


@cache
def _class(kind: Any) -> Any:
    return type(kind.__name__, (_StandIn, kind), {"__module__": kind.__module__, "__qualname__": kind.__qualname__})


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception without a readable text is still an exception
        return ""
