"""Check that answers fit a JSON schema. A record whose answer does not fit is sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.dialects.content import text_of
from aws_bedrock_inference.dialects.json_schema import is_installed, is_usable, violation
from aws_bedrock_inference.fault import Category, Decision, Fault, Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from aws_bedrock_inference.batch.answers import Answer
    from aws_bedrock_inference.batch.records import Record

# The maximum number of attempts to get an answer that fits. Sampled answers differ, so another attempt can produce an
# answer that fits. If three attempts fail, a further attempt is unlikely to succeed.
ATTEMPTS = 3


class Schema:
    """The JSON schema in the file at `path`. Raises `ValueError` if the file does not contain a valid JSON schema."""

    def __init__(self, path: Path) -> None:
        if not is_installed():
            raise ValueError("a schema requires the extra `schema`: pip install 'aws-bedrock-inference[schema]'")
        try:
            self._text = path.read_text("utf-8")
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}. Pass a schema file that can be read") from None
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not UTF-8. Pass a JSON schema in UTF-8") from None
        if not is_usable(self._text):
            raise ValueError(
                f"{path} is not a JSON schema, or is not valid JSON. Correct it; `python -m json.tool {path}` "
                "shows errors in the JSON"
            )

    def fitting(self, ask: Callable[[Record], Awaitable[Answer]]) -> Callable[[Record], Awaitable[Answer]]:
        """Return a function that sends a record with `ask`, at most three times, until the answer fits the schema.

        The function raises `DoesNotFit` if none of the three answers fits.
        """

        async def asked(record: Record) -> Answer:
            attempts = 0
            while True:
                answer = await ask(record)
                attempts += 1
                why = self.misfit(answer)
                if why is None:
                    return answer
                if attempts == ATTEMPTS:
                    raise DoesNotFit(why, _text_of(answer.line))

        return asked

    def misfit(self, answer: Answer) -> str | None:
        """Return the reason why an answer does not fit, or None if it fits."""
        return violation(self._text, _text_of(answer.line))


class DoesNotFit(Exception):
    """Raised if no answer of a record fits the schema. `fault` is the fault of the record, and `answer` is the last
    answer.
    """

    def __init__(self, why: str, answer: str) -> None:
        super().__init__(why)
        self.answer = answer
        self.fault = Fault(
            code="AnswerIncomplete",
            message=f"The answer does not fit the schema: {why} (attempt {ATTEMPTS} of {ATTEMPTS})",
            kind=Kind.MODEL,
            decision=Decision.FAIL,
            category=Category.PERMANENT,
            cause="answer-breaks-schema",
            advice="Describe the form of the answer in the prompt, set --max-tokens high enough for a complete answer, "
            "or enforce the form with the input schema of a tool.",
        )


def _text_of(line: dict[str, Any]) -> str:
    """Return the text of an answer in any of four forms: the short form, OpenAI's form, Converse, or Claude's own
    format.
    """
    if "text" in line:
        return str(line["text"])
    if "response" in line:
        return str(line["response"]["body"]["choices"][0]["message"]["content"] or "")
    output = line.get("modelOutput")
    for name in ("output", "message", "content"):
        output = output.get(name, output) if isinstance(output, dict) else output
    return text_of(output)
