"""One side of the comparison in `bedrock demo`: a client, the results that the user of the client gets, and the
statistics of the simulator to which the client sends its requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.simulator.quota import MINUTE, TIGHT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import boto3

    from aws_bedrock_inference.batch.records import Record
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.testing import Simulator


@dataclass(frozen=True)
class Task:
    """The data that one client of the demo needs for its calls: the simulator's URL, a session, the model and the
    options. `quota` is the simulator's quota. `streamed` returns whether the answer to a record is requested as a
    stream.
    """

    url: str
    session: boto3.Session
    model: str
    max_tokens: int
    quota: Mapping[str, float]
    streamed: Callable[[Record], bool]


@dataclass
class Side:
    """The results of one side (a client of the demo). The results are updated while the client runs.

    `answers` contains each text that the user received as an answer. `failures` contains the reason of each failure.
    """

    name: str
    clock: Clock
    answers: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    progress: Callable[[], tuple[int, int]] | None = None
    stats: Mapping[str, Any] = field(default_factory=dict)
    _started: float = 0.0
    _ended: float | None = None

    def begin(self, day: Mapping[str, Any], simulator: Simulator) -> None:
        """Restart the simulator with the scenario `day`, and start measuring the time."""
        simulator.scenario(dict(day))
        self._started = self.clock()

    def done(self) -> None:
        """Stop measuring the time of this client. A repeated call has no effect."""
        self._ended = self.clock() if self._ended is None else self._ended

    def end(self, simulator: Simulator) -> None:
        """Stop measuring the time, and store the statistics of the simulated service."""
        self.done()
        self.stats = simulator.stats()

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers of prompts that were answered and that failed so far."""
        return self.progress() if self.progress is not None else (len(self.answers), len(self.failures))

    @property
    def seconds(self) -> float:
        """The seconds from the start of this client to its end, or until now if it has not ended."""
        return (self.clock() if self._ended is None else self._ended) - self._started

    @property
    def throttled(self) -> int:
        """The number of requests that the service throttled."""
        return sum(self.stats["throttled"].values())

    def used(self, tpm: float) -> float:
        """Return the share of the quota that the client used: the charged tokens, divided by the tokens that the quota
        allowed.

        `tpm` is the quota in tokens per minute. The quota also allows a burst at the start: the tokens of 5 seconds.
        For example, with 60,000 tokens per minute, a client that runs for 60 seconds can use 65,000 tokens.
        """
        allowed: float = tpm / MINUTE * (self.seconds + TIGHT_SECONDS)
        return float(self.stats["tokens"]["charged"]) / allowed

    def complete(self, reference: Mapping[str, str]) -> int:
        """Return the number of answers that equal the model's answer in a run without faults."""
        return sum(self.answers[key] == text for key, text in reference.items() if key in self.answers)
