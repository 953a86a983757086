"""Create the probes for resources of other services, such as the bucket in an S3 error.

A "probe" is one read-only check of the doctor, and its result is a "finding". Each probe in this module is for one kind
of resource. The probe reads the resource that the error names, and checks whether it exists and what its state is.
`Part` describes a kind of resource, and `Seen` is one resource that was read. A "cause" is an entry of the error
catalogue.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.doctor.findings import Finding, Status, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.probe import Probe
from aws_bedrock_inference.doctor.unprobed import by_hand
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_bedrock_inference.doctor.world import Answer, World

# Patterns that find the names of resources in the text of an error. The commands of the catalogue have no placeholders
# for these names.
_ARN = r"\barn:aws[a-z-]{0,10}"
_NAMES = {
    "INDEX": re.compile(
        r"\b(?:specified index|index(?:[ _]?name)?)[\"']?\s{0,2}[:=]\s{0,2}[\"']?([\w.-]{3,255})", re.IGNORECASE
    ),
    "LOG_STREAM": re.compile(
        r"\blog[ _-]?stream(?:[ _-]?name)?[\"']?\s{0,2}[:=]\s{0,2}[\"']?([^\s\"':*]{1,512})", re.IGNORECASE
    ),
    "STATE_MACHINE": re.compile(rf"({_ARN}:states:[\w-]{{1,20}}:\d{{12}}:stateMachine:[\w.-]{{1,80}})"),
    "EXECUTION": re.compile(rf"({_ARN}:states:[\w-]{{1,20}}:\d{{12}}:execution:[\w.-]{{1,80}}:[\w.-]{{1,80}})"),
    "ROLE_ARN": re.compile(rf"({_ARN}:iam::\d{{12}}:role/[\w+=,.@/-]{{1,300}}[\w+=@-])"),
}


def named(world: World, name: str) -> str:
    """Return the value that the text of the error contains for the placeholder `name`. For example, the value of BUCKET
    is the name of a bucket.

    Some placeholders are defined in the error catalogue, and the others in this file. The result is empty if the text
    of the error contains no value for the placeholder.
    """
    own = _NAMES.get(name)
    if own is None:
        found = world.named(name)
    else:
        match = own.search(world.error_text)
        found = match.group(1) if match else ""
    return found.rstrip(".,;:)")  # punctuation of the sentence


def without_account(value: str) -> str:
    """Return `value`, a name or an ARN. In an ARN, the account id is replaced by the placeholder ACCOUNT."""
    return masked(value, accounts=True).replace("*" * 12, "ACCOUNT")


@dataclass(frozen=True, slots=True)
class Seen:
    """A resource that a probe has read: its `name`, the service's description of it (`value`), and what the probe did
    (`tried`).
    """

    world: World
    what: str
    name: str
    value: Mapping[str, Any]
    tried: str
    fields: dict[str, str]

    def ends(self, message: str, cause: str, **fields: str) -> Finding:
        """Return a finding (the result of a probe) with the status `FAILED`: calls fail because of `cause`, until the
        state of the resource changes.
        """
        return failed(f"{self.what} {self.name} {message}", self.tried, cause=cause, **self.fields, **fields)

    def may(self, message: str, *causes: str) -> Finding:
        """Return the finding for a resource whose state can lead to `causes`.

        If the error to diagnose can have one of these causes, the finding is failed. If not, it is a warning.
        """
        cause = next((each for each in self.world.candidates if each in causes), "")
        if cause:
            return self.ends(message, cause)
        return warning(f"{self.what} {self.name} {message}", self.tried, **self.fields)

    def well(self, message: str, *excludes: str) -> Finding:
        """Return a finding (the result of a probe) with the status `OK`: the state of the resource is good, so the
        error to diagnose cannot have any of the causes in `excludes`.
        """
        return ok(f"{self.what} {self.name} {message}", self.tried, excludes=excludes)


@dataclass(frozen=True, slots=True)
class Part:
    """A kind of resource, such as a bucket, and the rules by which the doctor checks it.

    The API call `operation` reads the resource. Its parameters come from the error's text:

    * `names` maps each required parameter to a placeholder. If the text contains no value for the placeholder, the
      probe is skipped.
    * `optional` maps parameters that are omitted if the text contains no value.

    The other fields are rules for causes in the error catalogue:

    * `missing`: the causes if the resource does not exist.
    * `judge`: a function that evaluates the state of an existing resource. It returns None for a good state.
    * `states`: the causes that a good state excludes.
    * `may_tell`: further causes that `judge` can prove or exclude.
    * `denied`: the causes that mean that the caller lacks a permission. If AWS also refuses to let the doctor read the
      resource, a permission is really missing. The finding is then failed, with the most likely of these causes.
    * `by_status`: maps HTTP statuses to causes. Some errors have only a status and no error code, such as the errors of
      HEAD requests.
    """

    probe: str
    what: str
    service: str
    operation: str
    names: Mapping[str, str]
    permission: str
    missing: tuple[str, ...]
    states: tuple[str, ...] = ()
    may_tell: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    optional: Mapping[str, str] = field(default_factory=dict)
    by_status: Mapping[int, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    judge: Callable[[Seen], Finding | None] = lambda _: None
    refused: Callable[[Seen, Answer], Finding | None] = lambda *_: None
    needs: tuple[str, ...] = ("identity",)
    more_calls: tuple[str, ...] = ()

    @property
    def tells(self) -> frozenset[str]:
        """The causes that the probe can prove or exclude."""
        return frozenset((*self.missing, *self.states, *self.may_tell, *self.denied))


def part_probe(part: Part) -> Probe:
    """Return the probe that checks a resource of the kind `part`. The text of the error to diagnose must contain the
    name of the resource. Otherwise, the probe is skipped.
    """

    def examine(world: World) -> Finding:
        params = {name: named(world, placeholder) for name, placeholder in part.names.items()}
        if not all(params.values()):
            return _unnamed(part, world)
        optional = {name: named(world, placeholder) for name, placeholder in part.optional.items()}
        asked = params | {name: value for name, value in optional.items() if value}
        answer = world.ask(part.service, part.operation, **asked, **part.fixed)
        fields = {placeholder: without_account(params[name]) for name, placeholder in part.names.items()}
        shown = masked("/".join(asked.values()), accounts=True)
        seen = Seen(world, part.what, shown, answer.value, f"called {part.permission} for {shown}", fields)
        return _there(part, seen) if answer.why is None else _absent(part, seen, answer)

    calls = (part.permission, *part.more_calls)
    return Probe(part.probe, "services", examine, part.needs, part.tells, calls, asked=True)


def _unnamed(part: Part, world: World) -> Finding:
    cause = next((each for each in world.candidates if each in part.tells), "")
    hint = f" {by_hand(world, cause)}" if cause else ""
    return skipped(f"The error's text does not name {part.what[0].lower()}{part.what[1:]}.{hint}")


def _there(part: Part, seen: Seen) -> Finding:
    finding = part.judge(seen)
    if finding is None:
        return seen.well("exists.", *part.missing, *part.states)
    if finding.cause in part.missing or finding.status is Status.SKIPPED:
        return finding
    return replace(finding, excludes=(*finding.excludes, *part.missing))


def _absent(part: Part, seen: Seen, answer: Answer) -> Finding:
    why = answer.why
    assert why is not None  # noqa: S101 - the caller has checked it
    special = part.refused(seen, answer)
    if special is not None:
        return special
    cause = part.by_status.get(answer.status, why.cause)
    if cause in part.missing:
        return failed(f"{seen.what} {seen.name}: {answer.reason}.", seen.tried, cause=cause, **seen.fields)
    denied = next((each for each in seen.world.candidates if each in part.denied), "")
    if answer.denied and denied:
        return seen.ends(
            f"cannot be read: AWS refuses {part.permission} to this identity, as the error states.", denied
        )
    return warning(f"{seen.what} {seen.name} could not be checked: {answer.why_not(part.permission)}.", seen.tried)
