"""The probe that queries AWS Health. In AWS Health, AWS reports problems of its services in a Region."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.doctor.findings import Finding, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.probe import probe

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.world import World

_CAUSES = ("internal-server-error", "service-capacity", "model-processing-error", "model-timeout", "model-not-ready")

# Health has endpoints in two Regions. us-east-1 is the active one, except after a failover:
# https://docs.aws.amazon.com/health/latest/ug/getting-started-api.html, read 2026-11-29.
_HOME = "us-east-1"


@probe("places", needs=["identity"], tells=_CAUSES, calls=["health:DescribeEvents"])
def health(world: World) -> Finding:
    """Query AWS Health for open issues of the service that the calls use."""
    service = world.error.service if world.error is not None and world.error.service else "bedrock"
    tried = f"called health:DescribeEvents for {world.region}"
    wanted = {
        "regions": [world.region, "global"],
        "eventStatusCodes": ["open"],
        "eventTypeCategories": ["issue"],
    }
    answer = world.ask("health", "describe_events", region_name=_HOME, filter=wanted)
    if answer.code == "SubscriptionRequiredException":
        return skipped("AWS Health requires a Business support plan or higher, which this account does not have.")
    if answer.why is not None:
        return warning(f"AWS Health could not be queried: {answer.why_not('health:DescribeEvents')}.", tried)
    issues = [each for each in answer.value.get("events", ()) if _is_of(each.get("service", ""), service)]
    if not issues:
        return ok(f"AWS Health reports no open issue of {service} in {world.region}.", tried)
    kinds = ", ".join(dict.fromkeys(each.get("eventTypeCode", "") for each in issues))
    message = f"AWS Health reports an open issue of {service} in {world.region}: {kinds}."
    cause = next((each for each in world.candidates if each in _CAUSES), "")
    return failed(message, tried, cause=cause) if cause else warning(message, tried)


def _is_of(code: str, service: str) -> bool:
    """Return whether AWS Health's code `code` includes the service `service`. For example, the code BEDROCK includes
    the services `bedrock` and `bedrock-runtime`.
    """
    return bool(code) and service.startswith(code.lower())


PROBES = (health,)
