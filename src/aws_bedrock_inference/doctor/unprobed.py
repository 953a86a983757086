"""Report causes that no probe of the doctor can prove or exclude.

For each of these causes, the report contains the catalogue's command, which the user can run by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.doctor.findings import Check, skipped
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.commands import Asked, filled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_bedrock_inference.doctor.probe import Probe
    from aws_bedrock_inference.doctor.world import World
    from aws_bedrock_inference.knowledge.entries import Remedy

NO_PROBE = "no-probe"


def unprobed(world: World, probes: Mapping[str, Probe]) -> Iterator[Check]:
    """Find the error's possible causes that no probe can prove or exclude. For each such cause, yield a check with the
    status `skipped`. The check's message states how the user can examine the cause by hand.
    """
    probed = {cause for probe in probes.values() for cause in probe.tells}
    for cause in dict.fromkeys(world.candidates):
        if cause in probed:
            continue
        known = (
            f"No probe can prove or exclude {cause}."
            if cause in catalogue().causes
            else "This error is not in the catalogue."
        )
        yield Check(NO_PROBE, "by hand", skipped(f"{known} {by_hand(world, cause)}"))


def by_hand(world: World, cause: str) -> str:
    """Return a sentence with the command that the user can run to check whether the error has this cause. If the
    catalogue has no command for the cause, the sentence contains the first remedy of the cause.
    """
    remedies = _remedies(world, cause)
    command = next((remedy.run for remedy in remedies if remedy.run), "")
    if command:
        return f"To check by hand, run: {command}"
    return f"No command checks this cause. {remedies[0].do}" if remedies else "No command checks this cause."


def _remedies(world: World, cause: str) -> tuple[Remedy, ...]:
    """Return the remedies of a cause. In their commands, values from the error's text replace placeholders such as
    BUCKET.
    """
    error = world.error
    if error is None or cause not in catalogue().causes:
        return () if error is None else error.remedies
    asked = Asked(world.error_text, error.service, error.operation)
    return error.remedies if cause == error.cause else filled(catalogue().causes[cause].steps(error.service), asked)
