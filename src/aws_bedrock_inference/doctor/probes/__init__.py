"""The probes, a file for each area, in the order of what depends on what."""

from __future__ import annotations

from aws_bedrock_inference.doctor.probes import (
    access,
    batch,
    client,
    environment,
    health,
    identity,
    models,
    network,
    permissions,
    places,
    quotas,
    services,
    traffic,
)

_AREAS = (
    *(environment, client, network, identity, models, access, permissions, quotas, traffic),
    *(health, batch, places, services),
)

PROBES = {each.name: each for area in _AREAS for each in area.PROBES}
"""All probes by name, in the order in which they are shown: a probe comes after those that it needs."""
