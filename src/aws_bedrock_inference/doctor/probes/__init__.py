"""The probes, in one file for each area. A probe is one read-only check of the doctor."""

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
"""All probes by their names, in the order in which they are shown. A probe comes after the probes that must run
before it.
"""
