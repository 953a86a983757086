"""The type of a probe: its dependencies, the causes that it proves or excludes, and the calls that it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_bedrock_inference.doctor.findings import Finding
    from aws_bedrock_inference.doctor.world import World

Examine = Callable[["World"], "Finding"]


@dataclass(frozen=True, slots=True)
class Probe:
    """One check of the doctor.

    `needs` are probes that must not have failed before it: for example, credentials cannot be checked through a dead
    network. `tells` are the causes that the probe proves or excludes, for `--for`. `calls` are the API operations that
    it makes, with their IAM names (`sts:GetCallerIdentity`); all of them only read. A probe with `asked` runs only
    when it is requested or its cause is in question, because it costs something or concerns few users.
    """

    name: str
    area: str
    examine: Examine
    needs: tuple[str, ...] = ()
    tells: frozenset[str] = frozenset()
    calls: tuple[str, ...] = ()
    asked: bool = False


def probe(
    area: str,
    *,
    needs: Iterable[str] = (),
    tells: Iterable[str] = (),
    calls: Iterable[str] = (),
    asked: bool = False,
) -> Callable[[Examine], Probe]:
    """Make the function a probe. The probe's name is the function's, with hyphens."""

    def made(function: Examine) -> Probe:
        name = function.__name__.replace("_", "-")
        return Probe(name, area, function, tuple(needs), frozenset(tells), tuple(calls), asked)

    return made


def chosen(probes: dict[str, Probe], causes: Iterable[str] | None = None, *, asked: Iterable[str] = ()) -> list[Probe]:
    """Return the probes that prove or exclude one of `causes`, with all probes that these need, in order. With None,
    return all probes, but those with `asked` only if the argument `asked` names them.
    """
    if causes is None:
        return [each for each in probes.values() if not each.asked or each.name in asked]
    wanted = {each.name for each in probes.values() if each.tells & set(causes)} | set(asked)
    for name in reversed(probes):  # a probe comes after the probes that it needs
        if name in wanted:
            wanted.update(probes[name].needs)
    return [each for name, each in probes.items() if name in wanted]
