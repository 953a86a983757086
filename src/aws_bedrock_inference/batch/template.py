"""Build prompts from templates. A template is a text with names of fields in braces."""

from __future__ import annotations

import json
from string import Formatter
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.batch.pieces import ProblemError
from aws_bedrock_inference.bounds import encodable

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXAMPLE = "Write a template such as 'Summarize: {text}', and {{ }} for literal braces"


class Template:
    """A prompt that contains fields of a record, such as `Summarize {text}`. `{{` and `}}` are literal braces.

    The text in braces must be the name of a field. A text in this field is inserted unchanged, even if it contains
    braces. Raises `ValueError` for an invalid template.
    """

    def __init__(self, text: str) -> None:
        if not encodable(text):
            raise ValueError("the template is not valid UTF-8. Write it to a file in UTF-8, and pass --template @FILE")
        try:
            self._parts = list(Formatter().parse(text))
        except ValueError as error:
            raise ValueError(f"the template is not valid: {error}. {_EXAMPLE}") from None
        for _, name, form, conversion in self._parts:
            if name == "" or form or conversion:
                shown = f"{name}{'!' if conversion else ''}{conversion or ''}{':' if form else ''}{form or ''}"
                raise ValueError(f"the template has {{{shown:.40}}}, which is not the name of a field. {_EXAMPLE}")
        self._text = text
        self.fields = frozenset(name for _, name, _, _ in self._parts if name)
        if not self.fields:
            raise ValueError(f"the template contains no name in braces, so every prompt would be the same. {_EXAMPLE}")

    def __repr__(self) -> str:
        return f"Template({self._text!r})"

    def prompt(self, members: Mapping[str, Any]) -> str:
        """Return the prompt, with the values of the fields `members` inserted.

        Raises `ProblemError` if a field that the template uses is missing, or if all these fields are blank.
        """
        missing = sorted(self.fields - members.keys())
        if missing:
            raise ProblemError(
                f'the field "{missing[0]}" is missing, but the template uses it. Add the field, or remove the line'
            )
        texts = {name: _text(members[name]) for name in self.fields}
        if not any(text.strip() for text in texts.values()):
            names = ", ".join(f'"{name}"' for name in sorted(texts))
            raise ProblemError(
                f"all fields that the template uses are blank: {names}. Fill in one of them, or remove the line"
            )
        return "".join(literal + (texts[name] if name else "") for literal, name, _, _ in self._parts)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
