"""The documents' structured logging, as written there and with this package's names: its lines are JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from support.json_logs import read

if TYPE_CHECKING:
    from support.pages import Program

pytestmark = pytest.mark.usefixtures("loggers")


def set_up(program: Program) -> Program:
    """Return the program after `logger = setup_structured_logging()`; that line is part of the document's block."""
    program.run("structured_logging")
    if program.source == "package":
        program.names["logger"] = program.setup_structured_logging()
    return program


def test_lines_have_the_documents_keys(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    logger = set_up(program).logger
    logger.debug("too low a level")
    logger.info("%d requests", 3, extra={"data": {"team": "search"}})
    try:
        int("no number")
    except ValueError:
        logger.exception("it failed")
    counted, failed = read(capsys.readouterr().err)
    assert {**counted, "timestamp": ""} == {
        "timestamp": "",
        "level": "INFO",
        "message": "3 requests",
        "logger": "bedrock_client",
        "team": "search",
    }
    assert counted["timestamp"][:2] == "20"
    assert failed["exception"].startswith("Traceback (most recent call last):")
    assert failed["exception"].endswith("with base 10: 'no number'")


@pytest.mark.parametrize(
    ("code", "error_type"), [("ThrottlingException", "throttling"), ("ValidationException", "validation")]
)
def test_errors_are_logged_with_their_type(
    program: Program, code: str, error_type: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(program)
    error = ClientError({"Error": {"Code": code, "Message": "It went wrong"}}, "Converse")
    program.log_bedrock_error(error, {"request_id": "r-1", "model": "m"})
    program.log_bedrock_error(error)
    line, without = read(capsys.readouterr().err)
    assert (line["level"], line["message"], line["service"]) == ("ERROR", "Bedrock API error", "bedrock")
    assert (line["error_type"], line["error_message"]) == (error_type, str(error))
    assert (line["data"], without["data"]) == ({"request_id": "r-1", "model": "m"}, {})


def test_unknown_errors_have_the_type_that_the_document_uses(
    program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(program).log_bedrock_error(RuntimeError("what is this"))
    [line] = read(capsys.readouterr().err)
    assert (line["error_type"], line["error_message"]) == ("unknown_error", "what is this")
