"""Some hours of bench/alerts.py: one of eight processes reports each incident once, within a minute."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

_FILE = Path(__file__).parents[2] / "bench" / "alerts.py"
HOUR = 3600.0


@pytest.fixture(scope="module")
def bench() -> Any:
    spec = importlib.util.spec_from_file_location("bench_alerts", _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["bench_alerts"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bench_alerts"]


def test_known_incidents_of_some_hours_are_reported_once(bench: Any) -> None:
    month = bench.Month(7, days=3)
    month.days = 1.3 / 24
    cause = "service-capacity"
    month.incidents = [
        bench.Incident("sudden", bench.HAIKU, cause, 0.5 * HOUR, 0.6 * HOUR, 0.08, 0.5 * HOUR),
        bench.Incident("short", bench.SONNET, "model-timeout", HOUR, HOUR + 150, 0.25, HOUR),
    ]
    month.deployments = [0.85 * HOUR, 1.2 * HOUR]
    world = bench.World(month)
    world.run()
    results, sights, false = bench.judge(world)
    assert [result.alerts for result in results] == [1, 1]
    assert all(0 <= result.after <= 60 and result.ended for result in results)
    assert len(sights) == 1  # "request-invalid", which every day has
    assert false == []
