"""The only module that reads the clock and uses the random source.

All other code receives a `Clock`: a callable that returns seconds and never goes back. Tests and the virtual-time
driver pass their own clocks. A ruff rule reports every other module that imports `time` or `random`.
"""

from __future__ import annotations

import random  # noqa: TID251 - the one module that the ban allows
import time  # noqa: TID251
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds from an arbitrary start, never decreasing."""

monotonic: Clock = time.monotonic
"""The default clock of the blocking and the asyncio driver."""

wall: Clock = time.time
"""Seconds since the epoch, for signatures and for human-readable records."""

sleep: Callable[[float], None] = time.sleep
"""The default sleep of the blocking driver; Ctrl-C interrupts it."""

Chance = Callable[[], float]
"""A random source: a callable that returns a number from 0 up to, but not including, 1."""

chance: Chance = random.random
"""The default random source. Waits with backoff need values that are spread; the values do not need to be
unpredictable.
"""
