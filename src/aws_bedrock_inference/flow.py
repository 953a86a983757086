"""The plan of one call, without any I/O in it.

A flow is a generator. It yields *effects*, what it asks of the world, and returns an `Outcome`. A driver (`drive`, `adrive`,
`virtual`) performs the effects. Flows yield only through the typed helpers below, so each reply has its type in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol, cast

from aws_bedrock_inference.call import Call, Outcome

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock
