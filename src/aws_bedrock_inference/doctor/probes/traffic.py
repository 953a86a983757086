"""Probes that check recent calls to the model: the throttles, the use of the quota, and one test call by the doctor.
A "probe" is one check of the doctor; it returns a "finding".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from aws_bedrock_inference.doctor.findings import NO_MODEL, Finding, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.models import target
from aws_bedrock_inference.service_quotas.cloudwatch import UsageUnknown, used_lately
from aws_bedrock_inference.service_quotas.discovery import QuotasUnknown, discover

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.world import World

_TRAFFIC = "traffic"

_TOKENS, _REQUESTS, _DAY = "throttled-tokens-per-minute", "throttled-requests-per-minute", "tokens-per-day-exhausted"

# If AWS throttles calls although their use is below this fraction of the token quota, reserved tokens fill the quota.
# AWS reserves `max_tokens` for each call.
_RESERVED = 0.5


@probe(
    _TRAFFIC,
    needs=["quotas"],
    tells=[_TOKENS, _REQUESTS, _DAY, "throttled-unspecified"],
    calls=["cloudwatch:ListMetrics", "cloudwatch:GetMetricData"],
)
def throttles(world: World) -> Finding:
    """Read from CloudWatch the throttles of the last day. If there were any, compare the used tokens with the token
    quotas.
    """
    if world.model_id is None:
        return skipped(NO_MODEL)
    tried = f"read the metrics of {world.model_id} for the last day in CloudWatch"
    try:
        every = used_lately(world.session, region_name=world.region, now=world.wall)
        table = discover(world.session, region_name=world.region, now=world.wall)
    except (UsageUnknown, QuotasUnknown) as error:
        return warning(f"{str(error)[:1].upper()}{str(error)[1:]}", tried)
    used = next((each for each in every if each.model == world.model_id), None)
    if used is None or not used.day.throttles:
        return ok("CloudWatch counted no throttles in the last day.", tried)
    limits = table.limits(*target(world.model_id)[:2])
    judged = failed if world.asked_about(_TOKENS, _REQUESTS, _DAY, "throttled-unspecified") else warning
    counted = f"{used.day.throttles:,} throttles in the last day"
    if limits is not None and limits.tpd and sum(each.day.tokens for each in every) >= limits.tpd:
        return judged(f"{counted}. The daily token quota of the Region is exhausted.", tried, cause=_DAY)
    if limits is not None and limits.tpm and used.busiest < _RESERVED * limits.tpm:
        share = used.busiest / limits.tpm
        message = (
            f"{counted}, but the busiest minute used only {share:.0%} of the token quota. Calls reserve more than "
            "they use, because of max_tokens."
        )
        return judged(message, tried, cause=_TOKENS)
    return judged(f"{counted}. The quota is exhausted at times.", tried, cause=_TOKENS)


@probe(_TRAFFIC, needs=["endpoint", "credentials"], calls=["bedrock:InvokeModel"], asked=True)
def call(world: World) -> Finding:
    """Send one test call. The call costs a fraction of a cent, because its answer is limited to one token."""
    if world.model_id is None:
        return skipped(NO_MODEL)
    tried = f"called Converse with {world.model_id} once, for one token"
    from aws_bedrock_inference.clients.client import BedrockClient  # noqa: PLC0415 - only this probe calls the model
    from aws_bedrock_inference.exceptions import BedrockError  # noqa: PLC0415 - the same
    from aws_bedrock_inference.flow import Pipeline  # noqa: PLC0415 - the same

    try:
        with BedrockClient(
            world.model_id,
            session=world.session,
            region_name=world.region,
            endpoint_url=world.endpoint_url,
            pipeline=Pipeline(),
            timeout=world.limit,
        ) as client:
            client.invoke("Hi", max_tokens=1)
    except (BedrockError, BotoCoreError, ClientError, ValueError) as error:
        why = explain(error)
        return failed(f"The call failed: {why.title}.", tried, cause=why.cause)
    return ok("The call succeeded.", tried)


PROBES = (throttles, call)
