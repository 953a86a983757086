"""The exception that a program was handling when it called us, such as the failure that a fallback follows.

Python makes it the context of each exception that is raised meanwhile, although it says nothing of that one.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from aws_bedrock_inference.knowledge.reading import attribute, chain

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def apart_from(handled: BaseException | None, error: BaseException) -> Iterator[None]:
    """Within this block, `error` does not lead to `handled`, unless it is its stated cause. `handled` is what
    `sys.exception()` was before the call.
    """
    links = [] if handled is None else [link for link in chain(error) if attribute(link, "__context__") is handled]
    for link in links:
        object.__setattr__(link, "__context__", None)  # which an exception of one's own cannot refuse
    try:
        yield
    finally:
        for link in links:
            object.__setattr__(link, "__context__", handled)
