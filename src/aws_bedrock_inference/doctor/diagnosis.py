"""`diagnose`: find the cause of an error or of failing calls, and prove the cause with read-only probes.

A "probe" is one check of the doctor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.client import BaseClient as BotoClient

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.doctor.examine import examine
from aws_bedrock_inference.doctor.findings import Check, Report, of_error
from aws_bedrock_inference.doctor.probe import chosen
from aws_bedrock_inference.doctor.probes import PROBES
from aws_bedrock_inference.doctor.unprobed import NO_PROBE, unprobed
from aws_bedrock_inference.doctor.world import World
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.transports.operations import SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aws_bedrock_inference.clients.base import BaseClient
    from aws_bedrock_inference.clock import Clock

# A connection can take this fraction of a probe's time limit, and the answer can then take the same fraction.
_PART = 0.4


def diagnose(
    error: Any = None,
    *,
    client: BaseClient | BotoClient | None = None,
    timeout: float = 10.0,
    asked: Collection[str] = (),
    heard: Callable[[Check], object] = lambda _: None,
    clock: Clock = clocks.monotonic,
    **settings: Any,
) -> Report:
    """Run the doctor's probes for at most `timeout` seconds, and return the report. A probe is one read-only check.

    * `error`: the error to diagnose, in any form that `explain` accepts. Only the probes for its possible causes run.
      Without an error, all probes run, except those that cost something or concern few users.
    * `asked`: the names of additional probes to run, such as those that cost something.
    * `client`: the client whose calls fail: either a client of this package or a boto3 client. The doctor does not use
      the credentials of a boto3 client. To check them, also pass the client's session as `session`.
    * `settings`: fields of `World`, such as `model_id`, `region_name` or `session`. They override the client's
      settings.
    * `heard`: a function that is called with each check as soon as the check has ended.

    Raises `ValueError` for invalid arguments. A probe that fails does not raise; its failure is part of the report.
    """
    if not is_number(timeout, above=0):
        raise ValueError(f"diagnose(timeout={shown(timeout)}): pass a number of seconds above 0")
    unknown = [name for name in asked if name not in PROBES]
    if unknown:
        raise ValueError(
            f"diagnose(asked={unknown}): these are not names of probes (checks of the doctor). Use: {', '.join(PROBES)}"
        )
    explanation = None if error is None else explain(error)
    limit = min(timeout, World.limit)
    given = _of_client(client) | {"limit": limit, "wait": limit * _PART} | settings
    world = World(**given, error=explanation, error_text="" if error is None else str(error))
    causes = None if explanation is None else world.candidates
    checks = list(unprobed(world, PROBES))
    for check in checks:
        heard(check)
    for check in examine(chosen(PROBES, causes, asked=asked), world, timeout=timeout, clock=clock):
        if causes is not None and check.finding.cause in causes:
            check = Check(check.probe, check.area, of_error(check.finding), check.seconds)  # noqa: PLW2901 - the same check
        heard(check)
        checks.append(check)
    order = [*PROBES, NO_PROBE]
    checks.sort(key=lambda check: order.index(check.probe))
    likeliest, *others = world.candidates or ("",)
    return Report(tuple(checks), likeliest, tuple(others))


def _of_client(client: Any) -> dict[str, Any]:
    """Return the settings of a client, such as its Region. The client is of this package or of boto3."""
    if client is None:
        return {}
    if isinstance(client, BotoClient):
        found = {"region_name": client.meta.region_name, "config": client.meta.config}
        runtime = client.meta.service_model.service_name == SERVICE
        return found | ({"endpoint_url": client.meta.endpoint_url} if runtime else {})
    endpoint = client._endpoint  # noqa: SLF001 - clients have no public attribute for the endpoint
    return {
        "session": endpoint.session,
        "region_name": endpoint.region,
        "endpoint_url": endpoint.url,
        "model_id": client.model_id,
    }
