"""Answer one record of a simulated batch job: with the model's on-demand answer, or with an error."""

from __future__ import annotations

import json
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.simulator import reading, speech, strict
from aws_bedrock_inference.simulator.answers import Usage
from aws_bedrock_inference.simulator.error_texts import ServiceError
from aws_bedrock_inference.simulator.reply import reply
from aws_bedrock_inference.simulator.service_shapes import shape

if TYPE_CHECKING:
    from aws_bedrock_inference.simulator.batch_input import Record
    from aws_bedrock_inference.simulator.request import Asked
    from aws_bedrock_inference.simulator.settings import Scenario

_ID_LENGTH = 11  # as in AWS's documentation


class Answered(NamedTuple):
    """A line of an output file, and the number of its tokens."""

    file: str
    line: bytes
    failed: bool
    input: int = 0
    output: int = 0


def answer(record: Record, wanted: Asked, scenario: Scenario, error: tuple[int, str] | None = None) -> Answered:
    """Return the output line for a record. `wanted` contains the operation, the model and the Region of the job's
    records.

    If `error` is set, the line contains its code and message instead of the model's output.
    """
    given = strict.loads(record.line)
    head = {"recordId": given.get("recordId", _made_id(record)), "modelInput": given["modelInput"]}
    if error is None:
        try:
            output, usage = _output(given["modelInput"], wanted, scenario)
        except ServiceError as refusal:
            error = refusal.status, str(refusal)
        else:
            line = speech.written({**head, "modelOutput": output})
            return Answered(record.file, line, failed=False, input=usage.input, output=usage.output)
    code, message = error
    line = speech.written({**head, "error": {"errorCode": code, "errorMessage": message}})
    return Answered(record.file, line, failed=True)


def _output(body: dict[str, Any], wanted: Asked, scenario: Scenario) -> tuple[Any, Usage]:
    wanted, prompt = reading.read(wanted, speech.written(body), scenario.models)
    usage = Usage(prompt.tokens)
    written = 0

    def over(_: float, tokens: int) -> None:
        nonlocal written
        written = tokens

    limit = reading.output_limit(wanted, prompt)
    plan = reply(scenario, wanted, prompt, usage, limit=limit, fault=None, over=over)
    found = json.loads(b"".join(step for step in plan.steps if isinstance(step, bytes)))
    if not wanted.native:
        message = found["output"]["message"]
        message["content"] = [{**_nothing(), **block} for block in message["content"]]
    return found, usage._replace(output=written)


@cache
def _nothing() -> dict[str, None]:
    """Return a content block in which every possible member is null.

    In the output file of a Converse job, every content block lists all possible members, such as `text` and `toolUse`.
    The unused members are null. For example, a text block contains `"toolUse": null`.
    """
    return dict.fromkeys(shape("ContentBlock").members)


def _made_id(record: Record) -> str:
    digest = blake2b(f"{record.file} {record.number}".encode(), digest_size=8).hexdigest()
    return digest[:_ID_LENGTH].upper()
