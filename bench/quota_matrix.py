"""Compare the quota controller with an oracle, in virtual time. The oracle knows the exact state of the service. A
world is a combination of a discipline (how the service counts), noise, knowledge of the quota, burndown, load and
members.

    python bench/quota_matrix.py --quick            # 7 virtual minutes a cell, about two minutes
    python bench/quota_matrix.py                    # a pairwise cover, half an hour a cell
    python bench/quota_matrix.py --cells 'sliding;mixed' --seeds 7,8

The worst rows come first. The columns are:

* `minute 1` and `after`: the use as a percentage of the oracle's use. `after` contains one value for each ten minutes,
  or one value for the rest in the quick set. It begins after the time in which the quota may be learned: 1 minute if
  the limit is configured, 5 minutes if it is not, and 10 minutes if the burndown is wrong. The 90 seconds after a
  change of the quota do not count, because `back` shows them.
* `informed`: with `--informed`, the least value of `after` for a client of this package that is told the discipline,
  the burst, the burndown and each change, and therefore learns nothing (`quota_informed.py`). The difference to 100 is
  what a client cannot know: the state of the service, the noise, and what other clients do.
* `throttled`: the throttles in addition to those that the noise alone causes, in percent of the calls that were served.
* `p99`: the 99 % quantile of the time of a call, in fair shares. A fair share is the time that a call would take if all
  calls took the same time.
* `its`: the p99 of the oracle. The oracle sends bursts if the service allows them, but waits equally long while the
  service is disturbed.
* `back`: the seconds from a change of the quota until the use was 95 % of the oracle's use for 30 s in a row.
* `Jain`: Jain's index of fairness between the members, 1 if all have the same.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from quota_informed import Informed
from quota_worlds import CHANGES, MEMBERS, WORKERS, Run, World

FACTORS: dict[str, tuple[object, ...]] = {
    "discipline": ("0.5", "1", "2", "5", "60", "fixed", "sliding"),
    "noise": (0.0, 0.005, 0.03, 0.05, -0.005, -0.03, -0.05),  # shares of the time; a negative share: in episodes
    "known": ("told", "low", "high", "unknown"),
    "burndown": ("as table", "a third", "threefold"),
    "load": ("short", "long", "mixed", "on-off"),
    "members": ("alone", "store", "strangers"),
    "change": tuple(CHANGES),
}
QUICK_SECONDS, SECONDS = 420, 1860

# The seconds from the start in which a quota is learned, and the seconds after a change, which do not count.
LEARNED = {"told": 60.0, "not told": 300.0, "wrong burndown": 600.0}
SETTLED = 90.0


class Row(NamedTuple):
    world: World
    first: float
    after: list[float]
    throttled: float
    p99: float
    its: float
    back: float | None
    jain: float | None
    failed: int
    informed: float | None
    took: float

    @property
    def worst(self) -> float:
        return min(self.after)


def world(values: dict[str, object], **more: object) -> World:
    given = values | more
    noise = float(str(given.pop("noise", 0.0)))
    return World(noise=abs(noise), episodes=noise < 0.0, **given)  # type: ignore[arg-type]


def quick() -> list[World]:
    """Return the worlds of the quick set: first worlds with a known quota, then worlds with an unknown quota, other
    callers, a wrong burndown, other loads and changes.
    """
    cells: list[dict[str, object]] = [
        {"discipline": discipline, "noise": noise}
        for discipline, noise in product(("0.5", "1", "60", "fixed"), (0.0, 0.03, -0.05))
    ]
    cells += [{"discipline": "sliding", "noise": 0.05}, {"discipline": "2", "noise": 0.005}, {"discipline": "5"}]
    cells += [{"discipline": "60", "known": known, "noise": 0.03} for known in ("low", "high", "unknown")]
    cells += [{"discipline": discipline, "known": "unknown"} for discipline in ("1", "fixed")]
    cells += [{"known": "unknown", "members": "strangers", "noise": noise} for noise in (0.0, 0.03)]
    cells += [{"burndown": "a third"}, {"burndown": "threefold"}, {"load": "on-off"}, {"load": "mixed", "noise": 0.03}]
    cells += [{"change": change, "noise": 0.03} for change in ("halved", "to 1 s")]
    cells += [{"known": "unknown", "change": "doubled"}, {"members": "store", "noise": 0.03, "discipline": "1"}]
    return [world(cell, seconds=QUICK_SECONDS) for cell in cells]


def pairwise() -> list[World]:
    """Return a small set of worlds. For any two factors, it contains each pair of their values."""
    names = list(FACTORS)
    missing = {
        ((one, a), (other, b))
        for one, other in combinations(names, 2)
        for a, b in product(FACTORS[one], FACTORS[other])
    }
    cells = []
    while missing:
        first = min(missing, key=str)
        cell: dict[str, object] = dict(first)
        for name in names:
            if name not in cell:
                cell[name] = max(
                    FACTORS[name],
                    key=lambda value, name=name: sum(  # type: ignore[misc]
                        pair in missing for pair in _pairs(cell | {name: value}, names)
                    ),
                )
        missing -= set(_pairs(cell, names))
        cells.append(world(cell, seconds=SECONDS))
    return cells


def _pairs(cell: dict[str, object], names: list[str]) -> list[tuple[tuple[str, object], tuple[str, object]]]:
    known = [name for name in names if name in cell]
    return [((one, cell[one]), (other, cell[other])) for one, other in combinations(known, 2)]


def measure(cell: World, *, informed: bool = False) -> Row:
    started = time.process_time()
    ours, oracle = Run(cell), Run(cell, oracle=True)
    told = Informed(cell) if informed else None
    spans = judged(cell)
    beyond = sum(at >= 60.0 for at in ours.refused) / max(1, sum(call.at >= 60.0 for call in ours.done))
    return Row(
        cell,
        _use(ours, 0.0, 60.0) / _use(oracle, 0.0, 60.0),
        [_use(ours, *span) / _use(oracle, *span) for span in spans],
        beyond,
        _p99(ours),
        _p99(oracle),
        None if cell.change == "none" else _back(ours, oracle),
        _jain(ours) if cell.members != "alone" else None,
        len(ours.failed),
        None if told is None else min(_use(told, *span) / _use(oracle, *span) for span in spans),
        time.process_time() - started,
    )


def judged(cell: World) -> list[tuple[float, float]]:
    """Return the spans of time, mostly of ten minutes, in which the use counts."""
    learned = LEARNED["told" if cell.known == "told" else "not told"]
    if cell.burndown != "as table":
        learned = LEARNED["wrong burndown"]
    end = float(cell.seconds)
    if end <= QUICK_SECONDS:
        return [(60.0, end)]
    parts = [(learned, end)] if cell.change == "none" else [(learned, end / 2), (end / 2 + SETTLED, end)]
    spans = []
    for start, until in parts:
        number = max(1, round((until - start) / 600.0))
        spans += [
            (start + (until - start) * part / number, start + (until - start) * (part + 1) / number)
            for part in range(number)
        ]
    return spans


def _use(run: Run, start: float, end: float) -> float:
    return max(1.0, sum(call.tokens for call in run.done if start <= call.at < end))


def _p99(run: Run) -> float:
    times = sorted(call.seconds for call in run.done if call.at >= 60.0)
    fair = WORKERS[run.world.load] * (run.world.seconds - 60.0) / max(1, len(times))
    return times[int(len(times) * 0.99)] / fair if times else 0.0


def _back(ours: Run, oracle: Run) -> float:
    change = ours.world.seconds / 2
    start = change
    while start < ours.world.seconds - 30:
        if _use(ours, start, start + 30) >= 0.95 * _use(oracle, start, start + 30):
            return start - change
        start += 5.0
    return float("inf")


def _jain(run: Run) -> float:
    used = [0.0] * MEMBERS
    for call in run.done:
        if call.at >= run.world.seconds / 2:
            used[call.who] += call.tokens
    return sum(used) ** 2 / max(1.0, MEMBERS * sum(tokens**2 for tokens in used))


def shown(rows: list[Row]) -> str:
    names = (
        f"{'minute 1':>8} {'after':>14} {'throttled':>9} {'p99':>5} {'its':>5} {'back':>5} {'Jain':>5} {'failed':>6} "
        f"{'informed':>8} s"
    )
    lines = [f"{'world':58} {names}"]
    for row in sorted(rows, key=lambda row: row.worst):
        after = " ".join(f"{100 * use:.1f}" for use in row.after)
        back = "" if row.back is None else f"{row.back:.0f}"
        jain = "" if row.jain is None else f"{row.jain:.2f}"
        informed = "" if row.informed is None else f"{100 * row.informed:.1f}"
        lines.append(
            f"{str(row.world) + (f' #{row.world.seed}' if row.world.seed != 1 else ''):58} {100 * row.first:8.1f} "
            f"{after:>14} {100 * row.throttled:9.2f} {row.p99:5.1f} {row.its:5.1f} {back:>5} {jain:>5} {row.failed:6} "
            f"{informed:>8} {row.took:.0f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="run the quick set")
    parser.add_argument(
        "--cells", default="", help="only worlds whose name contains one of these words, separated by semicolons"
    )
    parser.add_argument("--seeds", default="1", help="seeds, separated by commas (1)")
    parser.add_argument("--informed", action="store_true", help="also run a client that need not learn")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    cells = quick() if options.quick else pairwise()
    words = [word.strip() for word in options.cells.split(";") if word.strip()]
    chosen = [
        replace(cell, seed=int(seed))
        for cell in cells
        for seed in options.seeds.split(",")
        if not words or any(word in f"{cell}," for word in words)
    ]
    run = partial(measure, informed=options.informed)
    if options.processes == 1:
        rows = list(map(run, chosen))
    else:
        with ProcessPoolExecutor(options.processes) as pool:
            rows = list(pool.map(run, chosen))
    print(shown(rows))


if __name__ == "__main__":
    main()
