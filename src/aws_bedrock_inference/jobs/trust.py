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

    The value of a policy variable is unknown, so the result for a pattern with a variable is True. If the pattern
    contains the id of a job, the id is not compared, because the id of the new job is not known yet.
    """
    head, found, _ = pattern.partition("model-invocation-job/")
    return "${" in pattern or fnmatchcase(actual, pattern) or (bool(found) and fnmatchcase(actual, f"{head}{found}*"))


def lets_assume(statement: Mapping[str, Any], *principals: str) -> bool:
    """Return whether a statement of a trust policy can allow one of the services or identities to assume the role.

    `principals` are the services or identities. The conditions of the statement are not checked. NotPrincipal and
    NotAction are not checked either: they count as if they allow everything.
    """
    if statement.get("Effect") != "Allow":
        return False
    principal = statement.get("Principal", "*")  # if absent, there is a NotPrincipal
    named = ["*"] if principal == "*" else [*texts(principal.get("Service")), *texts(principal.get("AWS"))]
    actions = texts(statement.get("Action", "*"))  # if absent, there is a NotAction
    return not {*principals, "*"}.isdisjoint(named) and any(fnmatchcase(_ACTION, action.lower()) for action in actions)


def statements(policy: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the statements of a policy. A policy contains one statement, or a list of statements."""
    found = policy.get("Statement", []) if isinstance(policy, dict) else []
    yield from [found] if isinstance(found, dict) else found


def texts(value: Any) -> list[str]:
    """Return the value of a policy field as a list of texts. The value can be None, one text, or a list of texts."""
    return [str(each) for each in (value if isinstance(value, list) else [value])] if value is not None else []
