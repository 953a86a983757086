"""Check a request as the service does: first by botocore's service model, then by other rules."""

from __future__ import annotations

from re import fullmatch
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.knowledge.models import model_facts
from aws_bedrock_inference.simulator.answers import LARGEST
from aws_bedrock_inference.simulator.embeddings import embedding_format
from aws_bedrock_inference.simulator.error_texts import ServiceError, invalid, refused
from aws_bedrock_inference.simulator.model_rules import claude_name, is_id, listed, matches, streams
from aws_bedrock_inference.simulator.service_shapes import RUNTIME, body_of, parameters_of, quicker, shape

if TYPE_CHECKING:
    from aws_bedrock_inference.simulator.answers import Prompt
    from aws_bedrock_inference.simulator.request import Asked
    from aws_bedrock_inference.simulator.service_shapes import Shape
    from aws_bedrock_inference.simulator.settings import Models


def check_shape(operation: str, body: dict[str, Any], service: str = RUNTIME) -> None:
    """Refuse a body that the service model does not allow. Unknown members are ignored, as in the service."""
    facts = body_of(operation, service)
    for name in facts.required:
        if body.get(name) is None:
            raise _violation(f"/{name}", "Member must not be null")
    for name, value in body.items():
        if name in facts.members and value is not None:
            _check(shape(facts.members[name], service), value, f"/{name}")


def check_parameters(operation: str, wanted: dict[str, str]) -> None:
    """Check the parameters `wanted` in the path and the query of a control-plane operation. Refuse a value that the
    service model does not allow.
    """
    for name, facts in parameters_of(operation).items():
        if name not in wanted:
            continue
        value: Any = wanted[name]
        if facts.kind == "integer":
            if not fullmatch(r"-?\d{1,10}", value):
                raise ServiceError("SerializationException", f"/{name}: string found, integer expected")
            value = int(value)
        _check(facts, value, f"/{name}")


def _check(facts: Shape, value: Any, place: str) -> None:
    if facts.free:
        return
    kind = facts.kind
    _check_type(facts, value, place)
    _check_size(facts, value, place)
    if kind == "structure":
        _check_structure(facts, value, place)
    elif kind == "list":
        for number, item in enumerate(value):
            _check(shape(facts.item, facts.service), item, f"{place}/{number}")
    elif kind == "map":
        for key, item in value.items():
            _check(shape(facts.item, facts.service), item, f"{place}/{key}")
    elif facts.values and value not in facts.values:
        raise _violation(place, f"Member must satisfy enum value set: [{', '.join(facts.values)}]")
    elif facts.pattern and not fullmatch(quicker(facts.pattern), value):
        raise _violation(place, f"Member must satisfy regular expression pattern: {facts.pattern}")


def _check_type(facts: Shape, value: Any, place: str) -> None:
    if not isinstance(value, facts.types) or (isinstance(value, bool) and facts.types is not bool):
        raise ServiceError("SerializationException", f"{place}: {type(value).__name__} found, {facts.kind} expected")
    if facts.kind == "integer" and abs(value) > LARGEST:
        raise ServiceError("SerializationException", f"{place}: the number is too large")


def _check_structure(facts: Shape, value: dict[str, Any], place: str) -> None:
    if facts.union and len([name for name in value if value[name] is not None]) != 1:
        raise ServiceError("SerializationException", f"{place}: exactly one of {', '.join(facts.members)} expected")
    for name in facts.required:
        if value.get(name) is None:
            raise _violation(f"{place}/{name}", "Member must not be null")
    for name, item in value.items():
        if name in facts.members and item is not None:
            _check(shape(facts.members[name], facts.service), item, f"{place}/{name}")


def _check_size(facts: Shape, value: Any, place: str) -> None:
    least, most = facts.least, facts.most
    if least is None and most is None:
        return
    number = isinstance(value, (int, float))
    size = value if number else len(value)
    what = "Member must have {} {}" if not number else "Member must have value {} {}"
    if least is not None and size < least:
        relation = "greater than or equal to" if number else "length greater than or equal to"
        raise _violation(place, what.format(relation, least))
    if most is not None and size > most:
        relation = "less than or equal to" if number else "length less than or equal to"
        raise _violation(place, what.format(relation, most))


def _violation(place: str, constraint: str) -> ServiceError:
    return invalid("constraint", place=place, constraint=constraint)


def check_model(asked: Asked, models: Models) -> None:
    """Refuse a model that does not exist. Also refuse a model that needs an inference profile but is called without
    one, or that does not support the operation.
    """
    base, operation = asked.base, asked.operation
    if not matches(base, models.known) or not is_id(base):
        raise invalid("model")
    if operation == "CountTokens":
        if asked.pool != "on-demand" or not listed("counts_tokens", base):
            raise invalid("not-counted")
        return
    if asked.pool == "on-demand" and matches(base, models.profile_only):
        raise invalid("profile", model=asked.model)
    if operation.startswith("Converse") and _makes_no_text(base, models):
        raise invalid("not-chat")


def _makes_no_text(base: str, models: Models) -> bool:
    return not base.startswith("arn:") and matches(base, models.not_chat)


def check_kind(asked: Asked, models: Models) -> None:
    """Refuse a model that the simulator does not support. Also refuse a stream from a model that cannot stream."""
    if _makes_no_text(asked.base, models) and embedding_format(asked.format, asked.base) is None:
        raise invalid("not-made")
    if asked.streaming and not streams(asked.format):
        raise invalid("not-streamed")


def check_limits(base: str, body: dict[str, Any], prompt: Prompt, models: Models) -> None:
    """Refuse a prompt that is too long for the model, and a token limit that is above the model's maximum. Also refuse
    settings that exclude each other.
    """
    limit = model_facts(base).max_output_tokens
    if prompt.max_tokens is not None and prompt.max_tokens > limit and base.startswith(("amazon.", "anthropic.")):
        if "anthropic_version" in body:
            raise refused("maximum", wanted=prompt.max_tokens, limit=limit, model=claude_name(base))
        raise invalid("maximum", limit=limit)
    if prompt.tokens > models.context_tokens:
        raise invalid("too-long")
    settings = _table(body, "inferenceConfig")
    _check_sampling(base, settings)
    if base.startswith("anthropic."):
        _check_thinking(base, _table(body, "additionalModelRequestFields"), settings)


def _table(body: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the settings of a request. Converse and Nova have an object of settings in the body, with the name `key`.
    For other model families, return the body itself, because it contains the settings.
    """
    found = body.get(key)
    return found if found and isinstance(found, dict) else body


def _check_sampling(base: str, settings: dict[str, Any]) -> None:
    given = [name for name in ("temperature", "topP", "top_p", "top_k") if settings.get(name) is not None]
    if listed("no_sampling", base) and given and settings[given[0]] != 1:
        raise refused("no-sampling", setting={"topP": "top_p"}.get(given[0], given[0]))
    if listed("one_sampling", base) and "temperature" in given and {"topP", "top_p"} & set(given):
        raise refused("sampling")


def _check_thinking(base: str, fields: dict[str, Any], settings: dict[str, Any]) -> None:
    thinking = fields.get("thinking") or fields.get("reasoning_config")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind == "adaptive" and not listed("adaptive_thinking", base):
        raise refused("tag", place="thinking", tag=kind, tags="'disabled', 'enabled'")
    if kind == "enabled" and listed("adaptive_only", base):
        raise refused("adaptive-only")
    if kind in ("adaptive", "enabled") and settings.get("temperature") not in (None, 1):
        raise refused("thinking-temperature")
