"""Measure the use of each part of the quota controller: run `quota_matrix.py` in some worlds, each time with one part
disabled. In virtual time; about ten minutes on one core.

    python bench/quota_ablate.py
    python bench/quota_ablate.py --parts 'slack;burst' --seed 7 --seconds 420

Each row contains three values: the mean use in percent of the oracle's use, the lowest use, and the throttles in
addition to those of the noise. There is one column for worlds with a configured limit, and one for worlds without.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from math import inf
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent))

import quota_matrix
from quota_worlds import Run

from aws_bedrock_inference.rules.quota.bursts import Burst
from aws_bedrock_inference.rules.quota.evidence import TOLD, UNTOLD, Evidence
from aws_bedrock_inference.rules.quota.minutes import Minutes
from aws_bedrock_inference.rules.quota.refunds import Refunds
from aws_bedrock_inference.rules.quota.slack import Slack

if TYPE_CHECKING:
    from collections.abc import Callable

    from quota_worlds import World

RULES = "aws_bedrock_inference.rules.quota."

# For each disabled part: a constant in `rules.quota`, or a method, and the value that replaces it.
PARTS: dict[str, dict[Any, Any]] = {
    "(as it is)": {},
    "noise that is learned": {(Evidence, "find_noise"): lambda *_: None},
    "an average of the noise": {(Evidence, "learn"): lambda _: None},
    "the strong prior of a told limit": {"learning.TOLD": UNTOLD},
    "a tolerated rate of throttles": {"evidence.TOLERATED": 1e-4},
    "more than two throttles as evidence": {
        "learning.TOLD": TOLD._replace(doubt=0.0),
        "learning.UNTOLD": UNTOLD._replace(doubt=0.0),
    },
    "a trial that goes lower than throttles explain": {
        "learning.TOLD": TOLD._replace(below=0.0),
        "learning.UNTOLD": UNTOLD._replace(below=0.0),
    },
    "doubts that are over after OPEN calls": {"evidence.OPEN": inf},
    "sizes of refused calls": {"evidence.SIZES": 1.0, "learning.LARGER": inf},
    "rows that lower the rate": {
        "learning.TOLD": TOLD._replace(rows=inf),
        "learning.UNTOLD": UNTOLD._replace(rows=inf),
    },
    "long rows that show a full minute": {"learning.LONG": inf},
    "all that is learned of bursts": {(Burst, "explains"): lambda *_: False, "learning.SMALL": inf},
    "throttles of fast seconds as the burst's": {(Burst, "explains"): lambda *_: False},
    "the burst as a suspect before the rate": {"learning.SMALL": inf},
    "more throttles for a burst of many calls": {"bursts.PART": 0.0},
    "slack for reservations": {"slack.INCREASE": 0.0},
    "the expected refunds as the limit of the slack": {(Refunds, "expected"): lambda *_: inf},
    "the start of fixed minutes": {(Minutes, "_decide"): lambda _: None},
    "windows told from buckets": {(Slack, "explains"): lambda *_: False},
    "proof that no minute is counted": {"slack.PROVEN": inf},
    "longer rests after slack failed": {"slack.LONGER": 1.0},
    "growth that doubles with time": {"learning.FASTER_AFTER": inf},
    "at most twice the growth of slow ones": {"learning.EVEN_MOST": inf},
    "a level that growth returns to": {"learning.KEPT": 0.0},
    "a credit for large calls": {"limit.CREDIT": 0.0},
    "what a slow pace has saved": {"limit.FASTER": 1.0},
    "a pace that looks ahead": {"slot.AHEAD": 0.0},
    "members that do not repeat a trial": {"learning.RESTORING": 0.0},
    "members that ignore slightly lower estimates": {"learning.SLIGHTLY": 0.0},
}

TOLD_WORLDS: list[dict[str, object]] = [
    {"discipline": "0.5", "noise": 0.03},
    {"discipline": "1", "noise": -0.05},
    {"discipline": "60", "noise": 0.05},
    {"discipline": "sliding", "load": "mixed"},
    {"discipline": "0.5", "noise": 0.03, "load": "mixed"},
    {"discipline": "60", "noise": -0.05, "load": "mixed"},
    {"discipline": "sliding", "load": "long"},
    {"discipline": "1", "load": "long"},
    {"discipline": "fixed", "noise": 0.03, "change": "halved"},
    {"discipline": "1", "noise": 0.03, "members": "store"},
    {"discipline": "fixed", "load": "mixed"},
]
OTHER_WORLDS: list[dict[str, object]] = [
    {"known": "unknown", "noise": 0.03},
    {"known": "unknown", "discipline": "1"},
    {"known": "unknown", "discipline": "fixed"},
    {"known": "unknown", "members": "strangers"},
    {"known": "unknown", "change": "doubled"},
]


@cache
def oracle(world: World) -> Run:
    return Run(world, oracle=True)


def run(world: World, *, oracle: bool = False, known: Callable[[World], Run] = oracle) -> Run:
    """Return a finished run of the world. The oracle's run is computed once, because no part of the controller affects
    it.
    """
    return known(world) if oracle else Run(world)


def measured(worlds: list[World]) -> str:
    rows = [quota_matrix.measure(world) for world in worlds]
    use = [row.worst for row in rows]
    throttled = mean(row.throttled for row in rows)
    return f"{100 * mean(use):.1f} %; {100 * min(use):.0f} %; {100 * throttled:.1f} %"


def without(changes: dict[Any, Any], worlds: list[list[World]]) -> list[str]:
    with ExitStack() as stack:
        for what, value in changes.items():
            if isinstance(what, str):
                stack.enter_context(patch(RULES + what, value))
            else:
                owner, name = what
                stack.enter_context(patch.object(owner, name, value))
        return [measured(some) for some in worlds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="", help="only parts whose name holds one of these words, by semicolons")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=360)
    options = parser.parse_args()
    worlds = [
        [replace(quota_matrix.world(cell), seed=options.seed, seconds=options.seconds) for cell in cells]
        for cells in (TOLD_WORLDS, OTHER_WORLDS)
    ]
    words = [word.strip() for word in options.parts.split(";") if word.strip()]
    print("| Without | told | not told |\n|---|---|---|")
    with patch.object(quota_matrix, "Run", run):
        for name, changes in PARTS.items():
            if not words or not changes or any(word in name for word in words):
                print(f"| {name} | {' | '.join(without(changes, worlds))} |", flush=True)


if __name__ == "__main__":
    main()
