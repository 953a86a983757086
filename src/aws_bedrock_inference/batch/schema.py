"""Answers that must fit a JSON schema: one that does not is not done, and is asked again."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.dialects.content import text_of
from aws_bedrock_inference.fault import Category, Decision, Fault, Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from aws_bedrock_inference.batch.answers import Answer
    from aws_bedrock_inference.batch.records import Record

# A record is asked so many times at most for an answer that fits: a sampled answer differs from time to time, and a
# model that fails three times does not understand the prompt.
ATTEMPTS = 3

_LONGEST = 300


class Schema:
    """The schema in the file at `path`. Raises `ValueError` if it is none, or if jsonschema is not installed."""

    def __init__(self, path: Path) -> None:
        if find_spec("jsonschema") is None:
            raise ValueError("--schema needs the extra `schema`: pip install 'aws-bedrock-inference[schema]'")
        from jsonschema import SchemaError, validators  # noqa: PLC0415 - an extra, and only needed now

        try:
            schema = json.loads(path.read_bytes())
            kind = validators.validator_for(schema, default=validators.Draft202012Validator)  # type: ignore[no-untyped-call]
            kind.check_schema(schema)
        except SchemaError as error:
            raise ValueError(f"{path} is no JSON schema: {error.message[:_LONGEST]}") from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not JSON: {str(error)[:_LONGEST]}") from None
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}. Give a schema that can be read") from None
        self._validator: Any = kind(schema)

    def misfit(self, text: str) -> str:
        """Return what is wrong with an answer's text, or nothing. The answer itself is not quoted."""
        try:
            value = json.loads(text)
        except ValueError:
            return "the answer is not JSON"
        except RecursionError:
            return "the answer is nested too deeply"
        error = next(self._validator.iter_errors(value), None)
        if error is None:
            return ""
        return f"at {error.json_path}: the answer does not keep to {error.validator!r} of the schema"

    def fitting(self, ask: Callable[[Record], Awaitable[Answer]]) -> Callable[[Record], Awaitable[Answer]]:
        """Return a function that asks until the answer fits. After the last attempt it raises `DoesNotFit`."""

        async def asked(record: Record) -> Answer:
            for _ in range(ATTEMPTS):
                answer = await ask(record)
                text = _text_of(answer.line)
                why = self.misfit(text)
                if not why:
                    return answer
            raise DoesNotFit(why, text)

        return asked


class DoesNotFit(Exception):
    """No answer fits the schema: the `fault` of the record, and the last `answer`, which was paid for."""

    def __init__(self, why: str, answer: str) -> None:
        super().__init__(why)
        self.answer = answer
        self.fault = Fault(
            code="AnswerDoesNotFit",
            message=f"{why} ({ATTEMPTS} answers)",
            kind=Kind.MODEL,
            decision=Decision.FAIL,
            category=Category.PERMANENT,
            cause="answer-does-not-fit-schema",
            advice="Say in the prompt what the answer must look like, give --max-tokens room for all of it, or let a "
            "tool's input schema hold the model to it.",
        )


def _text_of(line: dict[str, Any]) -> str:
    """Return the text of an answer: in the short form, as Converse answers, or as Claude does."""
    if "text" in line:
        return str(line["text"])
    output = line.get("modelOutput")
    for name in ("output", "message", "content"):
        output = output.get(name, output) if isinstance(output, dict) else output
    return text_of(output)
