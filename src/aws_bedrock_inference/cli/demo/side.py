"""One side of the comparison: who ran, what its user got, and what it cost upstream."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_bedrock_inference.clock import Clock


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

    def whole(self, reference: Mapping[str, str]) -> int:
        """Count the answers that say what the model says when nothing goes wrong."""
        return sum(self.answers[key] == text for key, text in reference.items() if key in self.answers)
