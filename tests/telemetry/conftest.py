"""Fixtures of the tests of telemetry."""

from __future__ import annotations

from support.json_logs import loggers

__all__ = ["loggers"]
