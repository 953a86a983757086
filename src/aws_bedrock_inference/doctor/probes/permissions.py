"""Probes of what the identity may do, as IAM's simulator of policies tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.doctor.findings import Finding, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.knowledge.models import split_profile

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.world import World

_ACTIONS = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")

_DENIED = [
    *("iam-denied-explicit-deny", "iam-denied-identity-policy", "iam-denied-permissions-boundary", "iam-denied-scp"),
    *("access-denied-unspecified",),
]


@probe(
    "permissions",
    needs=["identity"],
    tells=_DENIED,
    calls=["iam:SimulatePrincipalPolicy", "iam:GetRole", "bedrock:GetInferenceProfile"],
)
def permissions(world: World) -> Finding:
    """Let IAM judge the actions that calls need, on the model, its profile and each destination Region."""
    if world.model_id is None:
        return skipped("No model was named.")
    if world.caller.why is not None:
        return skipped("STS does not tell who calls.")
    principal = _principal(world)
    resources = _resources(world, world.model_id)
    tried = f"called iam:SimulatePrincipalPolicy for {' and '.join(_ACTIONS)} on {len(resources)} resource(s)"
    answer = world.ask(
        "iam",
        "simulate_principal_policy",
        region_name=None,
        PolicySourceArn=principal,
        ActionNames=list(_ACTIONS),
        ResourceArns=resources,
    )
    if answer.why is not None:
        return warning(f"The permissions cannot be looked up: {answer.why.title}.", tried)
    denied = [each for each in answer.value["EvaluationResults"] if each["EvalDecision"] != "allowed"]
    if not denied:
        return ok(f"IAM allows {' and '.join(_ACTIONS)} wherever the call may go.", tried)
    return _denied(denied[0], len(denied), tried)


def _denied(result: dict[str, Any], number: int, tried: str) -> Finding:
    what = f"{result['EvalActionName']} on {result['EvalResourceName']}"
    others = f" ({number - 1} more are refused.)" if number > 1 else ""
    if result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations") is False:
        # IAM's simulator does not evaluate the conditions of such policies:
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
        doubt = " A policy of the organization with conditions may look so although it allows the call."
        return failed(f"A policy of the organization refuses {what}.{doubt}{others}", tried, cause="iam-denied-scp")
    if result.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary") is False:
        cause, who = "iam-denied-permissions-boundary", "The permissions boundary does not allow"
    elif result["EvalDecision"] == "explicitDeny":
        cause, who = "iam-denied-explicit-deny", "A policy denies"
    else:
        cause, who = "iam-denied-identity-policy", "No policy allows"
    action, resource = result["EvalActionName"], result["EvalResourceName"]
    return failed(f"{who} {what}.{others}", tried, cause=cause, ACTION=action, RESOURCE=resource)


def _principal(world: World) -> str:
    """Return the ARN of the user or role behind the caller. A session's ARN lacks the role's path, so IAM is asked."""
    arn: str = world.caller.value["Arn"]
    head, _, name = arn.partition(":assumed-role/")
    if not name:
        return arn
    role = name.partition("/")[0]
    answer = world.ask("iam", "get_role", RoleName=role)
    if answer.why is None:
        return str(answer.value["Role"]["Arn"])
    return f"{head.replace(':sts:', ':iam:')}:role/{role}"


def _resources(world: World, model_id: str) -> list[str]:
    """Return the ARNs of all that a call of the model needs the actions on."""
    if model_id.startswith("arn:"):
        return [model_id]
    base, profile = split_profile(model_id)
    partition = world.caller.value["Arn"].split(":")[1]
    if not profile:
        return [f"arn:{partition}:bedrock:{world.region}::foundation-model/{base}"]
    found = world.models.get(model_id)
    own = f"arn:{partition}:bedrock:{world.region}:{world.caller.value['Account']}:inference-profile/{model_id}"
    return [own, *getattr(found, "models", ())]


PROBES = (permissions,)
