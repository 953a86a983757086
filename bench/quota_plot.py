"""Draw the use of the limit over time by the quota controller, in several worlds and in virtual time.

    python bench/quota_plot.py docs/quota-worlds.svg

Each panel is a world of `quota_matrix.py`. The line is the share of the limit that the calls used in each 15 seconds.
The grey area is the use of the oracle, which knows the state of the service. A red mark is a second in which the
service throttled a call because of the limit, and not because of simulated noise.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from quota_matrix import world
from quota_worlds import CHANGES, TPM, Run, World

WORLDS: list[dict[str, object]] = [
    {"discipline": "60"},
    {"discipline": "1", "noise": 0.03},
    {"discipline": "0.5", "noise": 0.03, "load": "mixed"},
    {"discipline": "5", "noise": -0.05},
    {"discipline": "sliding", "load": "mixed"},
    {"discipline": "fixed", "load": "mixed"},
    {"discipline": "sliding", "load": "long"},
    {"discipline": "1", "load": "long"},
    {"discipline": "60", "noise": 0.03, "change": "halved"},
    {"discipline": "60", "noise": 0.03, "known": "unknown"},
    {"discipline": "2", "known": "unknown", "load": "on-off"},
    {"known": "unknown", "change": "doubled"},
]
COLUMNS, WIDTH, HEIGHT, GAP, TOP = 3, 280, 110, 14, 76
TITLE = 42  # the height of the two lines above each panel
STEP = 15.0  # seconds
HIGHEST = 1.5  # as a share of the limit; higher values are drawn at this height

STYLE = (
    "text{font:13px sans-serif;fill:#333}.title{font-weight:bold}"
    ".frame{fill:none;stroke:#bbb}.limit{stroke:#888;stroke-dasharray:3 3}"
    ".oracle{fill:#ddd}.ours{fill:none;stroke:#1668b0;stroke-width:1.6}.throttled{stroke:#c22;stroke-width:1}"
)


def used(run: Run) -> list[float]:
    """Return the use in each step, as a share of the limit at that time."""
    seconds = run.world.seconds
    found = [0.0] * int(seconds / STEP)
    for call in run.done:
        if call.at < seconds:
            found[int(call.at / STEP)] += call.tokens
    change = CHANGES[run.world.change]
    factor = change if isinstance(change, float) else 1.0
    limits = [TPM * (factor if (step + 0.5) * STEP > seconds / 2 else 1.0) for step in range(len(found))]
    return [min(HIGHEST, tokens * 60.0 / STEP / limit) for tokens, limit in zip(found, limits, strict=True)]


def line(values: list[float]) -> str:
    return " ".join(
        f"{(step + 0.5) * WIDTH / len(values):.1f},{HEIGHT * (1 - value / HIGHEST):.1f}"
        for step, value in enumerate(values)
    )


def title(world: World) -> tuple[str, str]:
    """Return the two lines above a panel: how the service counts, and what differs from a steady load of short calls
    with a configured limit.
    """
    ways = {"fixed": "fixed minute", "sliding": "sliding minute"}
    counting = ways.get(world.discipline, f"token bucket of {world.discipline} s")
    noise = "" if not world.noise else f"{world.noise:.0%} noise{' in episodes' if world.episodes else ''}"
    known = "limit not configured" if world.known == "unknown" else ""
    load = {"mixed": "short and long calls", "long": "long calls", "on-off": "load on and off"}.get(world.load, "")
    change = "" if world.change == "none" else f"limit {world.change} halfway"
    return counting, ", ".join(part for part in (known, noise, load, change) if part) or "steady load"


def panel(ours: Run, oracle: Run, x: float, y: float) -> str:
    limit = HEIGHT * (1 - 1 / HIGHEST)
    marks = sorted({int(at) for at in ours.refused if at < ours.world.seconds})
    red = "".join(f"M{at * WIDTH / ours.world.seconds:.1f},{HEIGHT}v-5" for at in marks)
    share = len(ours.refused) / max(1, len(ours.done))
    counting, rest = title(ours.world)
    return (
        f'<g transform="translate({x},{y})"><text class="title" y="-23">{counting}: {share:.1%} throttled</text>'
        f'<text y="-7">{rest}</text>'
        f'<polygon class="oracle" points="0,{HEIGHT} {line(used(oracle))} {WIDTH},{HEIGHT}"/>'
        f'<path class="limit" d="M0,{limit:.1f}h{WIDTH}"/><path class="throttled" d="{red or "M0,0"}"/>'
        f'<polyline class="ours" points="{line(used(ours))}"/>'
        f'<rect class="frame" width="{WIDTH}" height="{HEIGHT}"/></g>'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("svg", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=600)
    options = parser.parse_args()
    panels = []
    for number, cell in enumerate(WORLDS):
        one = world(cell, seed=options.seed, seconds=options.seconds)
        row, column = divmod(number, COLUMNS)
        x, y = GAP + column * (WIDTH + GAP), TOP + row * (HEIGHT + TITLE)
        panels.append(panel(Run(one), Run(one, oracle=True), x, y))
    rows = -(-len(WORLDS) // COLUMNS)
    width, height = GAP + COLUMNS * (WIDTH + GAP), TOP + rows * (HEIGHT + TITLE) - TITLE + GAP
    note = (
        f"Share of the limit (dashed line: 100 %) that calls used in each {STEP:.0f} seconds of "
        f"{options.seconds / 60:.0f} minutes. Blue: this package. Grey: the oracle."
    )
    red = "Red: seconds in which the service throttled a call because of the limit, not because of noise."
    options.svg.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{GAP}" y="16">{note}</text><text x="{GAP}" y="33">{red}</text>\n' + "\n".join(panels) + "</svg>\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
