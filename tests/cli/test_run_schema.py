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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"city": "Bern"}', ""),
        ("Bern", "the answer is not JSON"),
        ('{"town": "Bern"}', "at $: the answer does not keep to 'required' of the schema"),
        ('{"city": 5}', "at $.city: the answer does not keep to 'type' of the schema"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_does_not_fit_is_said_without_the_answer(path: Path, text: str, says: str) -> None:
    misfit = Schema(path).misfit(text)
    assert (says in misfit) if says else misfit == ""
    assert "Bern" not in misfit


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "is not JSON"), ('{"type": "nonsense"}', "is no JSON schema"), ("[]", "is no JSON schema")],
)
def test_a_schema_that_is_none_is_refused(path: Path, content: str, says: str) -> None:
    path.write_text(content)
    with pytest.raises(ValueError, match=says):
        Schema(path)


def test_an_answer_that_does_not_fit_is_asked_again_and_then_has_failed(desk: Desk, path: Path) -> None:
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
    assert (failed["id"], failed["error"]["cause"]) == ("p3", "answer-does-not-fit-schema")
    assert (failed["error"]["attempts"], failed["error"]["answer"]) == (3, "Bern, I think")
    assert "the answer is not JSON (3 answers)" in result.stderr
