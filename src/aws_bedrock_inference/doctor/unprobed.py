"""Causes that no probe tells: the catalogue's command for each, to be run by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.doctor.findings import Check, skipped
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.commands import Asked, filled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_bedrock_inference.doctor.probe import Probe
    from aws_bedrock_inference.doctor.world import World

NO_PROBE = "no-probe"


def unprobed(world: World, probes: Mapping[str, Probe]) -> Iterator[Check]:
    """Yield a skipped check for each cause of the error that none of the probes tells."""
    told = {cause for probe in probes.values() for cause in probe.tells}
    for cause in dict.fromkeys(world.candidates):
        if cause not in told and cause in catalogue().causes:
            yield Check(NO_PROBE, "by hand", skipped(f"No probe tells {cause}; {by_hand(world, cause)}"))


def by_hand(world: World, cause: str) -> str:
    """Return what to run, or else to do, to find out about a cause: a sentence without its capital letter."""
    service, operation = (world.error.service, world.error.operation) if world.error else ("", "")
    steps = catalogue().causes[cause].steps(service)
    remedies = filled(steps, Asked(world.error_text, service, operation))
    command = next((remedy.run for remedy in remedies if remedy.run), "")
    if command:
        return f"run this: {command}"
    sentence = remedies[0].do if remedies else catalogue().causes[cause].meaning
    return f"no command does either: {sentence}"
