"""Recognize a prompt that describes the format of the answer in words. Libraries write such prompts for models without
a setting for the answer's format.

The prompts of instructor, langchain and pydantic-ai contain a JSON schema. Other prompts contain an object with a
placeholder for each field, such as `{"name": "{name}"}`. The prompts of dspy contain the names of the fields in
markers such as `[[ ## name ## ]]`. Real models follow all these prompts, so the simulated models do, too.
"""

from __future__ import annotations

import json
import re
from typing import Any

from aws_bedrock_inference.simulator.schema_example import example

_MOST_PLACES = 100  # places in a prompt where an object may begin
_KINDS = {"int": "integer", "float": "number", "bool": "boolean"}
_ONE_OF = re.compile(r"must exactly match .{0,80}?one of: (.+)")
_SCHEMA = re.compile(r"JSON schema: (\{.*\})", re.DOTALL)
_MARKED_ANSWER = "Respond with the corresponding output fields, starting with the field `[[ ## "
_MARKER = re.compile(r"`\[\[ ## (\w+) ## \]\]`")
_MARKED_FIELD = re.compile(r"\[\[ ## (\w+) ## \]\]\n\{\1\}(.*)")
_KIND = re.compile(r"must be a single (int|float|bool)|must be (True or False)")


def prompted_answer(text: str) -> str | None:
    """Return an answer in the format that a prompt describes. Return None if the prompt describes no format."""
    if _MARKED_ANSWER in text:
        return _marked(text)
    schema = prompted_schema(text)
    return None if schema is None else json.dumps(example(schema))


def _marked(text: str) -> str:
    """Return the answer to a prompt of dspy: for each field, its marker such as `[[ ## name ## ]]`, then its value."""
    names = _MARKER.findall(text[text.rindex(_MARKED_ANSWER) :])
    notes = dict(_MARKED_FIELD.findall(text))
    values = [(name, example(_field(notes.get(name, ""))) if name != "completed" else "") for name in names]
    return "\n\n".join(
        f"[[ ## {name} ## ]]\n{value if isinstance(value, str) else json.dumps(value)}" for name, value in values
    )


def prompted_schema(text: str) -> Any:
    """Return the last JSON schema in a text. Return None if the text contains no schema.

    An object with placeholders, such as `{"name": "{name}"}`, is read as a schema with the field `name`.
    """
    if "{" not in text or "json" not in text.lower():
        return None
    decoder = json.JSONDecoder()
    found, at = None, text.find("{")
    for _ in range(_MOST_PLACES):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            found = _schema(value) or found
        at = text.find("{", end)
    return found


def _schema(value: dict[str, Any]) -> dict[str, Any] | None:
    if isinstance(value.get("properties"), dict):
        return value
    if value and all(isinstance(text, str) and text.startswith(f"{{{name}}}") for name, text in value.items()):
        fields = {name: _field(text) for name, text in value.items()}
        return {"type": "object", "properties": fields, "required": list(fields)}
    return None


def _field(note: str) -> Any:
    """Return the JSON schema of a field. `note` is the description of the field in the prompt."""
    if shown := _SCHEMA.search(note):
        try:
            return json.loads(shown[1])
        except (ValueError, RecursionError):
            return True
    if choice := _ONE_OF.search(note):
        return {"enum": choice[1].split("; ")}
    if kind := _KIND.search(note):
        return {"type": _KINDS.get(kind[1], "boolean")}
    return {"type": "string"}
