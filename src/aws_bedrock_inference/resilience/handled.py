"""The exception that a program was handling when it called this package, such as the failure before a fallback.

If an exception is raised while a program handles another one, Python stores the handled exception as its context.
Python does this even if the two exceptions are unrelated.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from aws_bedrock_inference.knowledge.reading import attribute, chain

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def apart_from(handled: BaseException | None, error: BaseException) -> Iterator[None]:
    """Return a context manager that hides the exception `handled` from the chain of `__context__` of `error`.

    `handled` is the value of `sys.exception()` before the call, so `handled` has nothing to do with `error`. After the
    `with` block, the chain is the same as before. An explicit cause (`raise ... from handled`) is not hidden.
    """
    links = [] if handled is None else [link for link in chain(error) if attribute(link, "__context__") is handled]
    for link in links:
        object.__setattr__(link, "__context__", None)  # a user's exception class cannot override this
    try:
        yield
    finally:
        for link in links:
            object.__setattr__(link, "__context__", handled)
