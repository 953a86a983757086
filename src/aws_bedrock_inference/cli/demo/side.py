"""One side of the comparison: what it is given to do, what its user got, and what it cost upstream."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import boto3

    from aws_bedrock_inference.batch.records import Record
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.testing import Simulator


@dataclass(frozen=True)
class Task:
    """Where to ask, and how. `quota` is the endpoint's; `streamed` says whose answers travel as streams."""

    url: str
    session: boto3.Session
    model: str
    max_tokens: int
    quota: Mapping[str, float]
    streamed: Callable[[Record], bool]


@dataclass
class Side:
    """Filled while it runs. `answers` is what the user was handed as an answer, `lost` counts the rest by reason."""

    name: str
    clock: Clock
    answers: dict[str, str] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    progress: Callable[[], tuple[int, int]] | None = None
    stats: Mapping[str, Any] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None

    @contextlib.contextmanager
    def on(self, day: Mapping[str, Any], simulator: Simulator) -> Iterator[None]:
        """Begin the day anew for the time of the block, and keep its duration and statistics."""
        simulator.scenario(dict(day))
        self.started = self.clock()
        yield
        self.ended = self.clock()
        self.stats = simulator.stats()

    @property
    def done(self) -> tuple[int, int]:
        """How many prompts were answered, and lost, so far."""
        return self.progress() if self.progress is not None else (len(self.answers), self.lost.total())

    @property
    def seconds(self) -> float:
        """How long it took, so far."""
        if self.started is None:
            return 0.0
        return (self.ended if self.ended is not None else self.clock()) - self.started

    @property
    def throttled(self) -> int:
        """How many of its requests the service throttled."""
        return sum(self.stats["throttled"].values())

    def whole(self, reference: Mapping[str, str]) -> int:
        """Count the answers that say what the model says when nothing goes wrong."""
        return sum(self.answers[key] == text for key, text in reference.items() if key in self.answers)
