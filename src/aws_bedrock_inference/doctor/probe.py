"""Probes: what the doctor can look at, what that needs, which causes it tells, and which calls it makes."""

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
    """One thing that the doctor looks at.

    `needs` are the probes that must not have failed before it: a credential cannot be tried through a dead network.
    `tells` are the causes that it proves or excludes, for `--for`. `calls` are the API operations that it makes, as
    IAM names them (`sts:GetCallerIdentity`); all of them read only. One that is `asked` for runs only when somebody
    asks for it, because it costs something or concerns few.
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
    """Make a probe of the function; its name is the function's, with hyphens."""

    def made(function: Examine) -> Probe:
        name = function.__name__.replace("_", "-")
        return Probe(name, area, function, tuple(needs), frozenset(tells), tuple(calls), asked)

    return made


def chosen(probes: dict[str, Probe], causes: Iterable[str] | None = None, *, asked: Iterable[str] = ()) -> list[Probe]:
    """Return those of `probes` that tell one of `causes`, with all that these need, in order; all of them for None.
    Those that run only when somebody asks are in it if `asked` names them.
    """
    if causes is None:
        return [each for each in probes.values() if not each.asked or each.name in asked]
    wanted = {each.name for each in probes.values() if each.tells & set(causes)} | set(asked)
    for name in reversed(probes):  # what a probe needs stands before it
        if name in wanted:
            wanted.update(probes[name].needs)
    return [each for name, each in probes.items() if name in wanted]
