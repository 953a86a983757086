"""Read the body of a request, and check it by the rules of the operation and of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.knowledge.models import model_facts
from aws_bedrock_inference.simulator import conversation, speech, validate
from aws_bedrock_inference.simulator.embeddings import embedding_format
from aws_bedrock_inference.simulator.error_texts import ModelRefusal, invalid
from aws_bedrock_inference.simulator.model_rules import body_format

if TYPE_CHECKING:
    from aws_bedrock_inference.simulator.answers import Prompt
    from aws_bedrock_inference.simulator.request import Asked
    from aws_bedrock_inference.simulator.settings import Models


def read(wanted: Asked, raw: bytes, models: Models) -> tuple[Asked, Prompt]:
    """Parse and check the body of a request. Return the request with this body, and the prompt for the model. Raises
    ServiceError for an invalid body.
    """
    validate.check_model(wanted, models)
    body = speech.parsed(raw, wanted)
    try:
        return _checked(wanted, body, models)
    except ModelRefusal as refusal:
        if wanted.native or (wanted.operation == "CountTokens" and "invokeModel" in body["input"]):
            raise
        raise invalid("of-the-model", problem=refusal) from refusal


def _checked(wanted: Asked, body: dict[str, Any], models: Models) -> tuple[Asked, Prompt]:
    if wanted.native:
        wanted = wanted._replace(body=body, format=body_format(wanted.base, body))
        validate.check_kind(wanted, models)
    else:
        wanted = wanted._replace(body=body)
        validate.check_shape(wanted.operation, body)
        conversation.check(wanted)
    prompt = speech.prompt(body, wanted)
    validate.check_limits(wanted.base, body, prompt, models)
    return wanted, prompt


def output_limit(wanted: Asked, prompt: Prompt) -> int:
    """Return the maximum number of tokens in the answer. It is 0 for an embedding."""
    if embedding_format(wanted.format, wanted.base):
        return 0
    return prompt.max_tokens or model_facts(wanted.base).max_output_tokens
