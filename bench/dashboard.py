"""Draw a picture of the Grafana dashboard, from the data that a real Prometheus scraped from a failing program.

    PYTHONPATH=tests python bench/dashboard.py docs/dashboard.svg [SECONDS]

The program is part of the tests: four threads call the simulator, which fails in several ways. This needs prometheus
and the packages of the tests.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from html import escape
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

from support.prometheus_server import Prometheus, program

from aws_bedrock_inference.telemetry import otel

SHOWN = (
    "Calls per second",
    "Failed calls",
    "Duration of a call",
    "Failed attempts per second",
    "Quota in use",
    "Calls that wait for quota",
    "Tokens per second",
    "Circuits",
)
WIDTH, HEIGHT, MARGIN, LEGEND = 440, 150, 16, 4  # the size of one panel in pixels, and the maximum lines in a legend
COLOURS = ("#3366cc", "#cc5522", "#228855", "#8844aa", "#997700", "#555555")


def main() -> None:
    target, seconds = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 45.0
    shipped = files(otel.__package__) / "dashboards" / "grafana.json"
    panels = [each for each in json.loads(shipped.read_text(encoding="utf-8"))["panels"] if each["title"] in SHOWN]
    with tempfile.TemporaryDirectory() as folder, program(Path(folder)) as port:
        server = Prometheus(Path(folder), port)
        try:
            time.sleep(seconds)
            now = time.time()
            drawn = [(panel["title"], lines_of(server, panel, now - seconds + 5, now)) for panel in panels]
        finally:
            server.close()
    target.write_text(picture(drawn, seconds - 5), encoding="utf-8")


def lines_of(server: Prometheus, panel: dict[str, Any], since: float, until: float) -> list[tuple[str, list[Any]]]:
    """Return the lines of a panel, each with its legend and its pairs of seconds and values."""
    lines = []
    for target in panel["targets"]:
        query = target["expr"].replace("$__rate_interval", "5s").replace("$model", ".*")
        for found in server.ask("query_range", query=query, start=str(since), end=str(until), step="0.5") or []:
            legend = target["legendFormat"]
            for name, value in found["metric"].items():
                legend = legend.replace("{{" + name + "}}", value)
            values = [(at - since, float(value)) for at, value in found["values"] if isfinite(float(value))]
            lines.append((" ".join(word for word in legend.split() if not word.startswith("{{")), values))
    return sorted(lines, key=lambda line: -max((value for _, value in line[1]), default=0.0))


def picture(panels: list[tuple[str, list[tuple[str, list[Any]]]]], seconds: float) -> str:
    """Return the panels as SVG, two in each row."""
    tall = HEIGHT + 30 + 14 * LEGEND + MARGIN
    size = 2 * (WIDTH + MARGIN) + MARGIN, (len(panels) + 1) // 2 * tall + MARGIN
    face = 'font-family="sans-serif" font-size="11"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" {face}>']
    parts.append('<rect width="100%" height="100%" fill="#ffffff"/>')
    for number, (title, lines) in enumerate(panels):
        x, y = MARGIN + number % 2 * (WIDTH + MARGIN), MARGIN + number // 2 * tall
        parts.append(f'<g transform="translate({x},{y})">{panel_of(title, lines, seconds)}</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel_of(title: str, lines: list[tuple[str, list[Any]]], seconds: float) -> str:
    most = max((value for _, values in lines for _, value in values), default=0.0) or 1.0
    parts = [
        f'<text y="12" font-size="13" font-weight="bold">{escape(title)}</text>',
        f'<rect y="20" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#cccccc"/>',
        f'<text x="{WIDTH - 4}" y="33" text-anchor="end" fill="#777777">{most:.3g}</text>',
        f'<text x="{WIDTH - 4}" y="{HEIGHT + 16}" text-anchor="end" fill="#777777">{seconds:.0f} s</text>',
    ]
    for place, (legend, values) in enumerate(lines[: len(COLOURS)]):
        colour = COLOURS[place]
        points = " ".join(f"{at / seconds * WIDTH:.1f},{20 + HEIGHT * (1 - value / most):.1f}" for at, value in values)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if place < LEGEND:
            below = HEIGHT + 34 + 14 * place
            parts.append(f'<text y="{below}" fill="{colour}">{escape(legend)}</text>')
    return "\n".join(parts)


if __name__ == "__main__":
    main()
