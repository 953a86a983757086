"""Probes that check the model: whether the Region offers it, how it must be called, and whether AWS has retired it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from aws_bedrock_inference.doctor.findings import NO_MODEL, Finding, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.knowledge.abilities import Need, Needs, unable
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from datetime import date

    from aws_bedrock_inference.doctor.route import Route
    from aws_bedrock_inference.doctor.world import World

_MODEL = "model"

_CALLS = ("bedrock:ListFoundationModels", "bedrock:ListInferenceProfiles", "bedrock:GetInferenceProfile")

# Regions with many models, which are enabled in every account by default:
# https://docs.aws.amazon.com/bedrock/latest/userguide/models-regions.html, read 2026-11-29.
_LARGE = ("us-east-1", "us-west-2", "eu-central-1", "eu-west-1", "ap-northeast-1", "ap-southeast-2", "us-gov-west-1")

_LAPSED = "legacy-model-access-lapsed"
_ON_PROFILE = "on-demand-not-supported-use-inference-profile"


@probe(
    _MODEL,
    needs=["identity"],
    tells=["invalid-model-identifier", "model-not-in-region", "model-end-of-life", _ON_PROFILE, _LAPSED],
    calls=[*_CALLS, "bedrock:GetFoundationModel"],
)
def model(world: World) -> Finding:
    """Check in the Region's lists that the model exists and is not retired. Also check that calls can use this id: some
    models can only be called through an inference profile.
    """
    if world.model_id is None:
        return skipped(NO_MODEL)
    route = world.route
    check = route.check
    tried = f"queried Bedrock in {world.region} for {route.shown}, its profiles and its lifecycle"
    if route.known is False:
        return _unknown(world, route, tried)
    ended = _ended(world, route)
    if ended:
        return failed(ended, tried, cause="model-end-of-life", BASE_MODEL=route.base)
    if check.problems and check.needs_profile:
        fields = {"BASE_MODEL": route.base} | ({"INFERENCE_PROFILE": check.profiles[0]} if check.profiles else {})
        return failed(" ".join(check.problems), tried, cause=_ON_PROFILE, **fields)
    remarks = [*check.problems, *check.notes]
    if route.known is None:
        remarks.insert(0, f"The lists of {world.region} do not show whether {route.shown} exists.")
    return warning(" ".join(remarks), tried) if remarks else ok(f"{route.shown} is available in {world.region}.", tried)


def _unknown(world: World, route: Route, tried: str) -> Finding:
    """Return the finding (the result of the probe) for a model id that the Region does not offer.

    The finding names one of three causes: the model is retired, only other Regions offer it, or the id is not valid.
    """
    problem, base = masked(" ".join(route.check.problems), accounts=True), route.base
    last = route.check.end_of_life
    if last is not None and last <= _today(world):
        return failed(problem, tried, cause="model-end-of-life", BASE_MODEL=base)
    others = [] if route.name.startswith("arn:") else _elsewhere(world, route)
    if others:
        message = f"{problem} It is available in {' and '.join(others)}."
        return failed(message, f"{tried}, and other Regions", cause="model-not-in-region", BASE_MODEL=base)
    return failed(problem, f"{tried}, and other Regions", cause="invalid-model-identifier", BASE_MODEL=base)


def _elsewhere(world: World, route: Route) -> list[str]:
    """Return other Regions that offer the model id.

    To save time, only seven Regions are queried. They offer many models and are enabled in every account by default.
    """
    of = world.core.get_partition_for_region
    regions = [each for each in _LARGE if each != world.region and of(each) == world.partition]
    if route.bare:
        ask = partial(world.ask, "bedrock", "get_foundation_model", modelIdentifier=route.base)
    else:
        ask = partial(world.ask, "bedrock", "get_inference_profile", inferenceProfileIdentifier=route.name)
    answers = world.ask_all([partial(ask, region_name=region) for region in regions])
    return [region for region, answer in zip(regions, answers, strict=True) if answer.why is None]


def _ended(world: World, route: Route) -> str:
    """If the Region's model list shows that the model's last day has passed, return a sentence that states this day.
    Otherwise return an empty text.
    """
    life, last = route.check.lifecycle, route.check.end_of_life
    if not life or last is None or last >= _today(world):
        return ""
    heir = f" Its successor is {route.check.successor}." if route.check.successor else ""
    return f"The last day of {route.base} in {world.region} was {last}.{heir}"


def _today(world: World) -> date:
    return datetime.fromtimestamp(world.wall(), UTC).date()


@probe(_MODEL, needs=["model"], tells=[_LAPSED], calls=[*_CALLS, "cloudwatch:GetMetricStatistics"])
def legacy(world: World) -> Finding:
    """Check whether the account called a legacy model in the last 30 days. AWS ends an account's access to a legacy
    model that the account does not use.
    """
    if world.model_id is None:
        return skipped(NO_MODEL)
    route = world.route
    if route.model is None:
        return skipped(f"The lists do not show whether {route.shown} is a legacy model.")
    if route.model.lifecycle != "LEGACY":
        return ok("AWS does not mark the model as Legacy.", "read the Region's lists")
    tried = f"read the Invocations of {route.shown} for the last 30 days in CloudWatch"
    now = datetime.fromtimestamp(world.wall(), UTC)
    answer = world.ask(
        "cloudwatch",
        "get_metric_statistics",
        Namespace="AWS/Bedrock",
        MetricName="Invocations",
        Dimensions=[{"Name": "ModelId", "Value": route.name}],
        StartTime=now.timestamp() - _UNUSED,
        EndTime=now.timestamp(),
        Period=86_400,
        Statistics=["Sum"],
    )
    if answer.why is not None:
        why = answer.why_not("cloudwatch:GetMetricStatistics")
        return warning(
            f"{route.base} is a legacy model, and AWS ends the access of accounts that do not use it. The calls of "
            f"this account could not be read: {why}. Plan the change to a newer model.",
            tried,
        )
    if any(point.get("Sum") for point in answer.value.get("Datapoints", ())):
        return warning(
            f"{route.base} is a legacy model. The account called the model in the last 30 days, so the account still "
            "has access. Plan the change to a newer model.",
            tried,
        )
    unused = f"CloudWatch shows no call of {route.shown} in the last 30 days"
    message = (
        f"{route.base} is a legacy model. {unused}, and AWS ends an account's access to legacy models that "
        "the account does not use."
    )
    return (failed if world.asked_about(_LAPSED) else warning)(message, tried, cause=_LAPSED, BASE_MODEL=route.base)


# AWS closes a legacy model to an account after this time without a call: 15 days, later 30, as its message states:
# https://github.com/awslabs/llmeter/issues/35
_UNUSED = 30 * 86_400


@probe(
    _MODEL,
    needs=["endpoint", "model"],
    tells=["model-not-for-operation", "model-not-on-this-route", "endpoint-url-wrong", "feature-not-enabled"],
    calls=_CALLS,
)
def wire_shape(world: World) -> Finding:
    """Check whether the model and the endpoint support Converse.

    The probe fails if the endpoint URL ends with the path of another API, such as `/v1`. The probe also reports a model
    that supports only InvokeModel.
    """
    if world.model_id is None:
        return skipped(NO_MODEL)
    route, tried = world.route, "read the endpoint and the Region's lists"
    url = world.endpoint.url
    if url.rstrip("/").endswith(("/v1", "/openai", "/anthropic", "/messages", "/responses", "/completions")):
        message = (
            f"The endpoint {url} ends with the path of another API. Remove this path, because the client "
            "appends /model/... to the endpoint."
        )
        return failed(message, tried, cause="endpoint-url-wrong")
    if world.asked_about("model-not-on-this-route", "feature-not-enabled") and route.known:
        message = (
            f"{world.region} lists {route.shown} for bedrock-runtime. Call the model on the endpoint of "
            "bedrock-runtime, through Converse or InvokeModel."
        )
        return failed(message, tried, cause=world.error.cause if world.error else "")
    cannot = unable(route.base, Needs(frozenset({Need.CONVERSE})))
    outputs = route.model.outputs if route.model is not None else ()
    if outputs and "TEXT" not in outputs:
        cannot = f"{route.base} answers with {' and '.join(outputs)} and does not support Converse"
    if cannot:
        judged = failed if world.asked_about("model-not-for-operation") else warning
        return judged(f"{cannot}. Call the model through InvokeModel.", tried, cause="model-not-for-operation")
    return ok("The model and the endpoint support Converse, as far as the lists show.", tried)


PROBES = (model, legacy, wire_shape)
