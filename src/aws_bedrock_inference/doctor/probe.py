"""The type of a probe, which is one read-only check of the doctor.

A probe names the probes that must run before it, the causes that it can prove or exclude, and its API calls.
"""

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

    * `needs` are probes that run first. If one of them fails, this probe is skipped. For example, credentials cannot be
      checked if the network does not work.
    * `tells` are the causes that the probe can prove or exclude. The option `--for` chooses probes by these causes.
    * `calls` are the API operations that the probe calls, with their IAM names, such as
      `sts:GetCallerIdentity`. All these operations only read.
    * `asked` is True if the probe costs something or concerns few users. Such a probe runs only if the user requests
      it, or if the error to diagnose can have one of the causes in `tells`.
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
    """Return a decorator that converts a function to a probe, which is one check of the doctor. The probe has the
    function's name, with hyphens instead of underscores.
    """

    def made(function: Examine) -> Probe:
        name = function.__name__.replace("_", "-")
        return Probe(name, area, function, tuple(needs), frozenset(tells), tuple(calls), asked)

    return made


def chosen(probes: dict[str, Probe], causes: Iterable[str] | None = None, *, asked: Iterable[str] = ()) -> list[Probe]:
    """Return the probes to run, in order.

    * If `causes` is None, there is no error to diagnose. Return all probes with one exception: a probe that costs
      something or concerns few users is returned only if `asked` names it.
    * Otherwise, `causes` are the possible causes of an error. Return the probes that can prove or exclude one of these
      causes, and the probes that `asked` names. Also return the probes that must run before these.
    """
    if causes is None:
        return [each for each in probes.values() if not each.asked or each.name in asked]
    wanted = {each.name for each in probes.values() if each.tells & set(causes)} | set(asked)
    for name in reversed(probes):  # a probe comes after the probes that it needs
        if name in wanted:
            wanted.update(probes[name].needs)
    return [each for name, each in probes.items() if name in wanted]
