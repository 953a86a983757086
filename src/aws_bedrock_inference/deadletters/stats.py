"""Count dead letters by state, cause and model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_bedrock_inference.deadletters.letter import Summary


@dataclass(frozen=True, slots=True)
class Stats:
    """Numbers of dead letters. `states` contains the number of letters in each state.

    Four fields describe only the letters in the state `dead`:

    * `causes`: the number of letters for each cause.
    * `models`: the number of letters for each model.
    * `need_change`: the number of letters that will fail again until a person fixes the cause.
    * `oldest`: the time of the earliest first failure.

    `sent_twice` is the number of letters in all states that were possibly sent twice.
    """

    states: dict[str, int] = field(default_factory=dict)
    causes: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)
    need_change: int = 0
    sent_twice: int = 0
    oldest: float | None = None


def counted(summaries: Iterable[Summary]) -> Stats:
    """Return the counts of these dead letters. The most frequent cause and the most frequent model come first."""
    states, causes, models = Counter[str](), Counter[str](), Counter[str]()
    need_change = sent_twice = 0
    oldest: float | None = None
    for each in summaries:
        states[each.state] += 1
        sent_twice += each.sent_twice
        if each.state == "dead":
            causes[each.cause] += 1
            models[each.model] += 1
            need_change += each.needs_change
            oldest = each.first if oldest is None else min(oldest, each.first)
    return Stats(dict(states), dict(causes.most_common()), dict(models.most_common()), need_change, sent_twice, oldest)
