"""Send requests to IAM's policy simulator, and read its results.

A "principal" is the user or role whose permissions are simulated. The simulator evaluates neither session policies, nor
policies of VPC endpoints, nor conditions in service control policies:
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html, read 2026-11-29.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_bedrock_inference.doctor.world import Answer, World

ALLOWED = "allowed"


@dataclass(frozen=True, slots=True)
class Judged:
    """The decision of IAM's policy simulator about one action on one resource.

    If `missing` is not empty, the decision is uncertain: it depends on these condition keys, whose values were not
    passed to the simulator. `scp` is False if the service control policies do not allow the action. `boundary` is False
    if the permissions boundary does not allow it.
    """

    action: str
    resource: str
    decision: str
    missing: tuple[str, ...] = ()
    scp: bool = True
    boundary: bool = True


@dataclass(frozen=True, slots=True)
class Principal:
    """The user or role whose permissions IAM's policy simulator evaluates. `arn` is its ARN.

    If the simulator cannot evaluate the caller, `arn` is empty, and `reason` states why.
    """

    arn: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """The name of the user or role."""
        return self.arn.rpartition("/")[2]


def find_principal(world: World) -> Principal:
    """Return the user or role that makes the calls. If AWS's policy simulator cannot test this user or role, the result
    contains the reason instead.
    """
    key = world.api_key
    if key is not None:
        if not key.user:
            return Principal(reason="The calls use an API key that does not name its owner.")
        return Principal(f"arn:{world.partition}:iam::{key.account}:user/{key.user}")
    if world.caller.why is not None:
        return Principal(reason="STS did not return the caller's identity.")
    arn: str = world.caller.value["Arn"]
    for ending, who in ((":root", "The root user of the account"), (":federated-user/", "A federated user")):
        if ending in arn:
            return Principal(reason=f"{who} makes the calls, but IAM's simulator evaluates only users and roles.")
    return _of_iam(world, arn)


def _of_iam(world: World, arn: str) -> Principal:
    """Return the principal for `arn`, the ARN of the caller. For a session, return the role of the session.

    The ARN of a session does not contain the path of the role, so the role's ARN is read from IAM. If IAM refuses this
    request, the ARN is built without a path. If IAM does not answer, the result has no ARN, and its `reason` states
    that IAM does not answer.
    """
    head, _, session = arn.partition(":assumed-role/")
    if not session:
        return Principal(arn)
    role = session.partition("/")[0]
    answer = world.ask("iam", "get_role", RoleName=role)
    if answer.silent:
        return Principal(reason=f"IAM does not answer: {answer.reason}.")
    if answer.why is None:
        return Principal(str(answer.value["Role"]["Arn"]))
    return Principal(f"{head.replace(':sts:', ':iam:')}:role/{role}")


def judge(
    world: World,
    principal: Principal,
    actions: Sequence[str],
    resources: Sequence[str],
    context: Mapping[str, str] | None = None,
) -> Answer:
    """Simulate with IAM whether the principal is allowed these actions on these resources. Return the answer of the
    simulator.

    `context` contains the values of condition keys.
    """
    entries = [
        {"ContextKeyName": name, "ContextKeyType": "string", "ContextKeyValues": [value]}
        for name, value in (context or {}).items()
    ]
    return world.ask(
        "iam",
        "simulate_principal_policy",
        PolicySourceArn=principal.arn,
        ActionNames=list(actions),
        ResourceArns=list(resources),
        ContextEntries=entries,
        MaxItems=1000,
    )


def judgements(answer: Answer) -> list[Judged]:
    """Return the decisions in an answer of the simulator, one for each pair of action and resource."""
    found = []
    for result in answer.value.get("EvaluationResults", ()):
        parts = result.get("ResourceSpecificResults") or [result]
        scp = result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True)
        found += [_judged(result["EvalActionName"], part, scp=scp) for part in parts]
    return found


def _judged(action: str, part: dict[str, Any], *, scp: bool) -> Judged:
    boundary = part.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary", True)
    return Judged(
        action=action,
        resource=part.get("EvalResourceName", "*"),
        decision=part.get("EvalResourceDecision") or part["EvalDecision"],
        missing=tuple(part.get("MissingContextValues") or ()),
        scp=scp,
        boundary=boundary,
    )
