"""The probe that checks the permissions of the caller's identity, with IAM's policy simulator."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from aws_bedrock_inference.doctor.findings import NO_MODEL, Finding, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.judged import ALLOWED, Judged, find_principal, judge, judgements
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws_bedrock_inference.doctor.judged import Principal
    from aws_bedrock_inference.doctor.world import Answer, World

_ACTIONS = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")
_BEARER_ACTION = "bedrock:CallWithBearerToken"

# The value of aws:RequestedRegion where a global profile sends a call:
# https://docs.aws.amazon.com/bedrock/latest/userguide/global-cross-region-inference.html, read 2026-11-29.
_UNSPECIFIED = "unspecified"

_DENIED = [
    *("iam-denied-explicit-deny", "iam-denied-identity-policy", "iam-denied-permissions-boundary", "iam-denied-scp"),
    *("access-denied-unspecified",),
]


@probe(
    "permissions",
    needs=["identity", "model"],
    tells=_DENIED,
    calls=[
        *("iam:SimulatePrincipalPolicy", "iam:GetRole", "bedrock:ListFoundationModels"),
        *("bedrock:ListInferenceProfiles", "bedrock:GetInferenceProfile"),
    ],
)
def permissions(world: World) -> Finding:
    """Check with IAM's simulator whether the caller has the permissions that calls need. The check covers the model,
    its inference profile and the Bedrock project of the calls, in each Region where a call can be processed.
    """
    if world.model_id is None:
        return skipped(NO_MODEL)
    principal = find_principal(world)
    if principal.reason:
        return skipped(principal.reason)
    places = _places(world, principal)
    number = len({resource for resources in places.values() for resource in resources})
    tried = f"called iam:SimulatePrincipalPolicy for {' and '.join(_ACTIONS)} on {number} resource{'s' * (number != 1)}"
    return _judgement(world, principal, world.ask_all(_questions(world, principal, places)), tried)


def _judgement(world: World, principal: Principal, answers: list[Answer], tried: str) -> Finding:
    judged = [each for answer in answers for each in judgements(answer)]
    refused = [each for each in judged if each.decision != ALLOWED]
    certain = [each for each in refused if not each.missing]
    if certain:
        finding = _refused(min(certain, key=_rank), principal, tried)
        count = f" IAM refuses {len(certain)} of {len(judged)} simulated requests."
        return replace(finding, message=finding.message + count)
    unanswered = next((answer for answer in answers if answer.why is not None), None)
    if unanswered is not None:
        return _not_judged(world, unanswered, tried)
    if refused:
        keys = ", ".join(sorted({key for each in refused for key in each.missing}))
        what = f"{refused[0].action} on {masked(refused[0].resource, accounts=True)}"
        return warning(
            f"The permission for {what} depends on condition keys that only a real call has: {keys}. Send a call to "
            "test the permission.",
            tried,
        )
    if any(answer.value.get("IsTruncated") for answer in answers):
        return warning(
            "IAM's simulator returned only the first page of its result. On this page, everything is allowed; the rest "
            "was not checked.",
            tried,
        )
    allowed = "The IAM policies allow the calls. Session policies were not evaluated."
    more = world.route.open_end if world.route.profile is None else ""
    return warning(f"{allowed} {more}", tried) if more else ok(allowed, tried)


def _places(world: World, principal: Principal) -> dict[str, list[str]]:
    """Return the ARNs of the resources for which a call needs permission: the model, its inference profile and the
    call's Bedrock project.

    The ARNs are grouped by Region, because a policy can depend on the condition key `aws:RequestedRegion`. ARNs without
    a Region are in the group `unspecified`; only the models of global profiles have such ARNs.
    """
    route, profile = world.route, world.route.profile
    partition, account = principal.arn.split(":")[1], principal.arn.split(":")[4]
    here = f"arn:{partition}:bedrock:{world.region}"
    if profile is not None:
        found = [profile.arn, *profile.models]
    elif route.name.startswith("arn:"):
        found = [route.name]
    elif route.bare:
        found = [f"{here}::foundation-model/{route.base}"]
    else:
        found = [f"{here}:{account}:inference-profile/{route.name}"]
    named = world.named("RESOURCE")
    project = world.project or (named if ":project/" in named else "")
    if project:
        found.append(project if project.startswith("arn:") else f"{here}:{account}:project/{project}")
    places: dict[str, list[str]] = {}
    for arn in found:
        places.setdefault(arn.split(":")[3] or _UNSPECIFIED, []).append(arn)
    return places


def _questions(world: World, principal: Principal, places: dict[str, list[str]]) -> Sequence[Callable[[], Answer]]:
    profile = world.route.profile
    through = {"bedrock:InferenceProfileArn": profile.arn} if profile is not None else {}
    questions = [
        partial(judge, world, principal, _ACTIONS, resources, {"aws:RequestedRegion": region, **through})
        for region, resources in places.items()
    ]
    if world.api_key is not None:
        questions.append(partial(judge, world, principal, [_BEARER_ACTION], ["*"]))
    return questions


def _rank(judged: Judged) -> tuple[bool, bool, bool]:
    """Return a key that sorts refusals: first refusals by the organization, then refusals by the permissions
    boundary, then explicit denies, then all others.
    """
    return judged.scp, judged.boundary, judged.decision != "explicitDeny"


def _refused(judged: Judged, principal: Principal, tried: str) -> Finding:
    what = f"{judged.action} on {masked(judged.resource, accounts=True)}"
    if not judged.scp:
        # The simulator ignores the conditions of the organization's policies. If it is not allowed to read these
        # policies, it reports a refusal.
        doubt = " IAM's simulator ignores the conditions of such policies, so calls can still be allowed."
        return failed(f"A policy of the organization refuses {what}.{doubt}", tried, cause="iam-denied-scp")
    if not judged.boundary:
        cause, who = "iam-denied-permissions-boundary", "The permissions boundary does not allow"
    elif judged.decision == "explicitDeny":
        cause, who = "iam-denied-explicit-deny", "A policy denies"
    else:
        cause, who = "iam-denied-identity-policy", "No policy allows"
    fields = {"ACTION": judged.action, "RESOURCE": _as_word(judged.resource), "PRINCIPAL": _as_word(principal.arn)}
    fields |= {"USER" if ":user/" in principal.arn else "CALLER": principal.name}
    return failed(f"{who} {what}.", tried, cause=cause, **fields)


def _not_judged(world: World, answer: Answer, tried: str) -> Finding:
    if answer.denied:
        return warning(f"The permissions could not be checked: {answer.why_not('iam:SimulatePrincipalPolicy')}.", tried)
    if world.api_key is not None:
        return skipped(f"IAM does not accept API keys, and no other credentials are available ({answer.reason}).")
    if answer.code == "NoSuchEntity":
        return warning(
            "IAM did not find the role, because the path in the role's ARN is not known. Allow iam:GetRole, so that "
            "this check can read the path.",
            tried,
        )
    return warning(f"The permissions could not be checked: {answer.reason}.", tried)


def _as_word(arn: str) -> str:
    """Return an ARN for a command that a message shows. The placeholder ACCOUNT replaces the account id."""
    return masked(arn, accounts=True).replace("*" * 12, "ACCOUNT")


PROBES = (permissions,)
