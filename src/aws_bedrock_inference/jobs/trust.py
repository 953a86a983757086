"""Check whether the trust policy of a job's role allows Bedrock to assume the role for jobs of this account and
Region.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SERVICE = "bedrock.amazonaws.com"
_ACTION = "sts:assumerole"

# The conditions of AWS's example, and the operators that compare texts. Other conditions are ignored.
_OPERATORS = ("StringEquals", "StringLike", "ArnEquals", "ArnLike")
_ACCOUNT, _ARN = "aws:sourceaccount", "aws:sourcearn"

HOW = "https://docs.aws.amazon.com/bedrock/latest/userguide/batch-iam-sr.html shows the policy"


def distrust(policy: Any, account: str, region: str, partition: str) -> str:
    """Return the reason why the trust policy prevents Bedrock from assuming the role for batch jobs. Return an empty
    text if the policy allows it.
    """
    allowing = [statement for statement in statements(policy) if lets_assume(statement, _SERVICE)]
    if not allowing:
        return (
            f"its trust policy does not allow the service {_SERVICE} to call sts:AssumeRole. Add this permission; {HOW}"
        )
    job = f"arn:{partition}:bedrock:{region}:{account}:model-invocation-job/0"
    whys = [_condition(statement, account, job) for statement in allowing]
    return "" if "" in whys else whys[0]


def _condition(statement: Mapping[str, Any], account: str, job: str) -> str:
    """Return a message if the statement has a condition that the job does not meet. Otherwise return an empty text."""
    for operator, tests in (statement.get("Condition") or {}).items():
        for key, wanted in tests.items() if operator in _OPERATORS else ():
            actual = {_ACCOUNT: account, _ARN: job}.get(key.lower())
            if actual is None or any(_like(actual, pattern) for pattern in texts(wanted)):
                continue
            shown = account if key.lower() == _ACCOUNT else job.removesuffix("0") + "*"
            only = " or ".join(texts(wanted))
            return (
                f"its trust policy lets {_SERVICE} assume the role only if {key} is {only}, but this job has the value "
                f"{shown}. Add this value; {HOW}"
            )
    return ""


def _like(actual: str, pattern: str) -> bool:
    """Return whether `actual` can match `pattern`, a value in a trust policy.

    If the pattern contains a policy variable, its value is unknown, so the result is True. The id of a job in the
    pattern is ignored, because the job does not exist yet.
    """
    head, found, _ = pattern.partition("model-invocation-job/")
    return "${" in pattern or fnmatchcase(actual, pattern) or (bool(found) and fnmatchcase(actual, f"{head}{found}*"))


def lets_assume(statement: Mapping[str, Any], *principals: str) -> bool:
    """Return whether a statement of a trust policy allows, or perhaps allows, one of the services or identities to
    assume the role. Conditions are not checked.
    """
    if statement.get("Effect") != "Allow":
        return False
    principal = statement.get("Principal", "*")  # if absent, there is a NotPrincipal
    named = ["*"] if principal == "*" else [*texts(principal.get("Service")), *texts(principal.get("AWS"))]
    actions = texts(statement.get("Action", "*"))  # if absent, there is a NotAction
    return not {*principals, "*"}.isdisjoint(named) and any(fnmatchcase(_ACTION, action.lower()) for action in actions)


def statements(policy: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the statements of a policy: a single statement or a list."""
    found = policy.get("Statement", []) if isinstance(policy, dict) else []
    yield from [found] if isinstance(found, dict) else found


def texts(value: Any) -> list[str]:
    """Return the texts of a policy field: a single text or a list."""
    return [str(each) for each in (value if isinstance(value, list) else [value])] if value is not None else []
