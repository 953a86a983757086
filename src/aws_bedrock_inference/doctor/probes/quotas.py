"""The probe that checks the account's quotas. It reads the quotas that AWS applies to the model, and finds quotas
that AWS has set to 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.doctor.findings import NO_MODEL, Finding, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.knowledge.models import target
from aws_bedrock_inference.service_quotas.discovery import QuotasUnknown, discover

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.world import World


@probe(
    "quota",
    needs=["identity"],
    tells=[
        *("throttled-requests-per-minute", "throttled-tokens-per-minute", "throttled-unspecified"),
        *("tokens-per-day-exhausted", "daily-quota-exhausted", "request-larger-than-quota"),
    ],
    calls=["servicequotas:ListServiceQuotas", "servicequotas:ListAWSDefaultServiceQuotas"],
)
def quotas(world: World) -> Finding:
    """Read the quotas of the model, and check whether AWS has set one of them to 0."""
    if world.model_id is None:
        return skipped(NO_MODEL)
    base, pool = target(world.model_id)[:2]
    tried = f"listed the quotas of Bedrock in {world.region}"
    try:
        table = discover(world.session, region_name=world.region, max_age=0, now=world.wall)
    except QuotasUnknown as error:
        return warning(f"{str(error)[:1].upper()}{str(error)[1:]}", tried)
    limits = table.limits(base, pool)
    if limits is None:
        return warning(
            f"Service Quotas lists no quota whose name matches {world.model_id}, so the quota of the model is unknown. "
            "Look it up in the Service Quotas console.",
            tried,
        )
    if limits.held:
        message = f"AWS has set the quota of {world.model_id} to 0. Waiting does not help; open a Support case."
        return failed(message, tried, cause="throttled-tokens-per-minute")
    numbers = [f"{value:,.0f} {name}" for value, name in ((limits.rpm, "requests"), (limits.tpm, "tokens")) if value]
    return ok(f"The quota of {world.model_id} is {' and '.join(numbers)} per minute.", tried)


PROBES = (quotas,)
