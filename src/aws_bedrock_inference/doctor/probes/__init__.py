"""The probes, a file for each area, in the order of what depends on what."""

from __future__ import annotations

from aws_bedrock_inference.doctor.probes import environment, identity, models, network

PROBES = {each.name: each for area in (environment, network, identity, models) for each in area.PROBES}
"""All probes by name, in the order in which they are shown: a probe comes after those that it needs."""
