"""The loggers of structured logging, as a test finds and leaves them, and the lines that were written."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.telemetry.logs import DOCUMENTED

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator


class Written(io.StringIO):
    """A stream with lines of JSON."""

    def lines(self) -> list[dict[str, Any]]:
        return read(self.getvalue())


def read(text: str) -> list[dict[str, Any]]:
    """Return the content of each line, as a strict reader of JSON understands it."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    assert text == "" or text.endswith("\n")
    lines = [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    json.dumps(lines, ensure_ascii=False).encode()  # no halves of characters
    return lines


@pytest.fixture
def loggers() -> Iterator[tuple[logging.Logger, ...]]:
    """The loggers, without handlers of others; they are as before when the test has ended."""
    all_of_them = (DOCUMENTED, LOGGER)
    before = [(logger, logger.level, logger.handlers[:]) for logger in all_of_them]
    yield all_of_them
    for logger, level, handlers in before:
        for handler in logger.handlers[:]:
            if handler not in handlers:
                logger.removeHandler(handler)
                handler.close()
        logger.setLevel(level)
