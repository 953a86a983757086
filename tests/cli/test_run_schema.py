from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.desk import body

from aws_bedrock_inference.batch.schema import Schema

if TYPE_CHECKING:
    from pathlib import Path

    from support.desk import Desk

CITY = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "city.json"
    path.write_text(json.dumps(CITY))
    return path


@pytest.mark.parametrize("content", ["{", '{"type": "nonsense"}', "[]", "\xe9"])
def test_an_invalid_schema_is_refused(path: Path, content: str) -> None:
    path.write_text(content, "latin-1")
    with pytest.raises(ValueError, match=r"city.json is not (a JSON schema|UTF-8)"):
        Schema(path)


def test_an_answer_that_does_not_match_the_schema_is_requested_again_and_then_fails(desk: Desk, path: Path) -> None:
    desk.prompts(3)
    good = body(json.dumps({"city": "Bern"}))

    def script(stub: object, prompt: str) -> tuple[int, str, object]:
        asked = desk.stub.prompts.count(prompt)
        fits = prompt == "prompt 1" or (prompt == "prompt 2" and asked == 3)
        return 200, "", good if fits else body("Bern, I think")

    desk.stub.script = script
    result = desk.run("--schema", str(path))
    assert result.exit_code == 1
    assert set(desk.answers) == {"p1", "p2"}
    assert sorted(desk.stub.prompts) == ["prompt 1", *["prompt 2"] * 3, *["prompt 3"] * 3]
    (failed,) = map(json.loads, desk.failures.read_text().splitlines())
    assert (failed["id"], failed["error"]["cause"]) == ("p3", "answer-breaks-schema")
    assert (failed["error"]["attempts"], failed["error"]["answer"]) == (3, "Bern, I think")
    assert "does not fit the schema: it is not well-formed JSON" in result.stderr
