"""One side of the comparison: its task, the results of its user, and the requests that the service received."""

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
    """The endpoint and the options of the calls. `streamed` says which records are answered as streams."""

    url: str
    session: boto3.Session
    model: str
    max_tokens: int
    quota: Mapping[str, float]
    streamed: Callable[[Record], bool]


@dataclass
class Side:
    """The results of one side, filled while it runs. `answers` has each text that the user received as an answer;
    `lost` counts the failures by reason.
    """

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
        """Restart the scenario for the block, and record its duration and statistics."""
        simulator.scenario(dict(day))
        self.started = self.clock()
        yield
        self.ended = self.clock()
        self.stats = simulator.stats()

    @property
    def done(self) -> tuple[int, int]:
        """The numbers of prompts answered and failed so far."""
        return self.progress() if self.progress is not None else (len(self.answers), self.lost.total())

    @property
    def seconds(self) -> float:
        """The duration so far, in seconds."""
        if self.started is None:
            return 0.0
        return (self.ended if self.ended is not None else self.clock()) - self.started

    @property
    def throttled(self) -> int:
        """The number of requests that the service throttled."""
        return sum(self.stats["throttled"].values())

    def whole(self, reference: Mapping[str, str]) -> int:
        """Return the number of answers that equal the model's answer in a run without faults."""
        return sum(self.answers[key] == text for key, text in reference.items() if key in self.answers)
