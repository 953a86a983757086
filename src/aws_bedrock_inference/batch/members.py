"""Check the names of the fields of a record, because a misspelt field would otherwise be ignored silently.

A record with an unknown field is refused. If a template builds the prompt, unknown fields are accepted. The record is
then refused only if a field that the template does not use is probably a mistake.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.batch.pieces import ProblemError
from aws_bedrock_inference.dialects.request import CONVERSE_MEMBERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_bedrock_inference.batch.template import Template

ERROR = "error"
"""The name of the field that an earlier run has added to a failed record."""

PROMPT_MEMBERS = (
    *("id", "prompt", "messages", "system", "max_tokens", "temperature", "stop_sequences", "tools", "tier", "priority"),
    *("tenant", "timeout"),
    *sorted(CONVERSE_MEMBERS - {"messages", "system"}),
)
"""The fields of a record in the short form: an id and the arguments of `invoke`."""

BEDROCK_MEMBERS = ("recordId", "modelInput")
OPENAI_MEMBERS = ("custom_id", "method", "url", "body")

# Fields that the command line sets for all records.
_OPTIONS = {"model": "--model", "modelId": "--model", "model_id": "--model", "stream": "--stream"}

# A record with one of these fields contains its request and needs no template.
_ASKING = frozenset({"prompt", "messages", "modelInput"})

_MOST_NAMED = 10
_SHORTEST_BEGINNING = 3
_ALIKE = 0.85


def check_names(source: Iterable[str], known: tuple[str, ...]) -> None:
    """Refuse unknown fields, because they would otherwise be ignored silently. Raises `ProblemError`."""
    for name in source:
        if name in known:
            continue
        _refuse_option(name)
        begun = [other for other in known if other.startswith(name.lower()) and len(name) >= _SHORTEST_BEGINNING]
        close = difflib.get_close_matches(name.lower(), known, 3, 0.5)
        near = [other for other in (*begun, *close) if other not in source]
        hint = f'Did you mean "{near[0]}"?' if near else f"Remove it. Known fields: {', '.join(known[:_MOST_NAMED])}"
        raise ProblemError(f'the field "{name:.80}" is unknown and would have no effect. {hint}')


def is_openai(source: Mapping[str, Any]) -> bool:
    """Return whether a record is a line of an OpenAI batch, even if its id is missing."""
    return "custom_id" in source or ("prompt" not in source and {"url", "body"} <= source.keys())


def templated(source: dict[str, Any], template: Template | None) -> dict[str, Any]:
    """Return the record that the template builds from the fields of `source`.

    If there is no template, or if `source` already contains a request, such as a `prompt`, return `source` itself.
    Otherwise, return a new record with the id and the prompt. Fields of `source` that are arguments of `invoke`, such
    as `max_tokens`, are copied into the new record. Fields that the template inserts into the prompt, and all other
    fields, are not copied.

    Raises `ProblemError` if a field is probably a mistake (see `check_unused`).
    """
    asks = not _ASKING.isdisjoint(source) or {"custom_id", "body"} <= source.keys()
    if template is None or asks:
        return source
    check_unused(source, template)
    kept = {
        name: value
        for name, value in source.items()
        if name in PROMPT_MEMBERS and (name == "id" or name not in template.fields)
    }
    return {**kept, "prompt": template.prompt(source)}


def check_unused(names: Iterable[str], template: Template) -> None:
    """Raise `ProblemError` if a field that the template does not use is probably a mistake.

    There are two such mistakes:

    * The name is an option of the command, such as `model`. The field would have no effect, because only the option
      `--model` sets the model, for all records.
    * The name is similar to a known name, such as `max_token` for `max_tokens`.
    """
    for name in names:
        if name in template.fields or name in PROMPT_MEMBERS:
            continue
        _refuse_option(name)
        if member := _misspelt(name):
            raise ProblemError(
                f'the template does not use the field "{name}". Did you mean "{member}"? Rename the field, or remove it'
            )


def hint_at(source: Iterable[str], wanted: str) -> str:
    """Return a hint for the error message that the field `wanted` is missing.

    For example, if `wanted` is `prompt` and `source` has the similar field `prompts`, the hint is `(there is
    "prompts")`. If no name in `source` is similar, return an empty text.
    """
    near = difflib.get_close_matches(wanted, source, 1, 0.7)
    return f' (there is "{near[0]}")' if near else ""


def _refuse_option(name: str) -> None:
    if name in _OPTIONS:
        raise ProblemError(
            f'"{name}" is set on the command line for all records ({_OPTIONS[name]}). Remove this field from the record'
        )


@lru_cache(maxsize=1024)
def _misspelt(name: str) -> str | None:
    """Return the known name that `name` resembles, or None. The result is cached, because the same name is checked
    again for each row of a table.
    """
    return next(iter(difflib.get_close_matches(name.lower(), PROMPT_MEMBERS, 1, _ALIKE)), None)
