"""Evaluate policies, statement by statement: bucket policies, KMS key policies, and the trust policies of roles.

Only AWS can evaluate most conditions of a policy. If the result depends on such a condition, it is `UNKNOWN`.
"""

from __future__ import annotations

from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.jobs.trust import statements, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Says(Enum):
    """The possible results when a policy is evaluated for an action and a role."""

    ALLOWED = "allowed"
    LEFT_TO_IAM = "left to IAM"
    DENIED = "denied"
    SILENT = "not allowed"
    UNKNOWN = "not known"


# Condition keys that refer to TLS. A deny with such a condition does not apply to a request over TLS.
_HARMLESS = frozenset({"aws:securetransport"})


def key_policy(policy: Any, role_arn: str, actions: Iterable[str]) -> Says:
    """Return whether a KMS key policy allows the role these actions. If the results for the actions differ, return the
    least favorable result.

    The result is `LEFT_TO_IAM` if the key policy lets the account's IAM policies decide.
    """
    account = role_arn.split(":")[4]
    itself = {role_arn, "*"}
    root = {account, f"{role_arn.partition(':iam:')[0]}:iam::{account}:root"}
    judged = [_key_action(policy, itself, root, action) for action in actions]
    order = (Says.DENIED, Says.SILENT, Says.UNKNOWN, Says.LEFT_TO_IAM, Says.ALLOWED)
    return next(says for says in order if says in judged)


def _key_action(policy: Any, itself: set[str], root: set[str], action: str) -> Says:
    about = [each for each in statements(policy) if _names(each, "Action", action) and _whom(each) & (itself | root)]
    denying = [each for each in about if each.get("Effect") == "Deny"]
    if denying:
        return Says.UNKNOWN if all(map(_conditions, denying)) else Says.DENIED
    allowing = [each for each in about if each.get("Effect") == "Allow"]
    certain = [each for each in allowing if not _conditions(each)]
    if any(_whom(each) & itself for each in certain):
        return Says.ALLOWED
    if certain:
        return Says.LEFT_TO_IAM
    return Says.UNKNOWN if allowing else Says.SILENT


def bucket_denies(policy: Any, role_arn: str, action: str, resource: str) -> Says:
    """Return whether a bucket policy denies the role this action on the resource.

    * `DENIED`: the policy denies the action.
    * `UNKNOWN`: this check cannot decide, because the policy denies the action only under a condition, or to all
      principals except some (`NotPrincipal`).
    * `SILENT`: the policy does not deny the action, or denies it only without TLS.
    """
    account = role_arn.split(":")[4]
    whom = {role_arn, "*", account, f"{role_arn.partition(':iam:')[0]}:iam::{account}:root"}
    denying = [
        each
        for each in statements(policy)
        if each.get("Effect") == "Deny"
        and ("NotPrincipal" in each or _whom(each) & whom)
        and _names(each, "Action", action)
        and _names(each, "Resource", resource)
    ]
    if not denying:
        return Says.SILENT
    certain = [each for each in denying if "NotPrincipal" not in each and not _conditions(each)]
    if certain:
        return Says.DENIED
    return (
        Says.UNKNOWN
        if any(_conditions(each) - _HARMLESS or "NotPrincipal" in each for each in denying)
        else Says.SILENT
    )


def principals_of(arn: str, policy: Any) -> set[str]:
    """Return the principals in a trust policy that match the caller with this ARN.

    The ARN of a session contains the name of its role, but not the role's path. Every role in the policy that has this
    name therefore matches, with any path.
    """
    partition, account = arn.split(":")[1], arn.split(":")[4]
    itself = {arn, account, f"arn:{partition}:iam::{account}:root"}
    role_name = arn.partition(":assumed-role/")[2].partition("/")[0]
    if not role_name:
        return itself
    named_there = {each for statement in statements(policy) for each in _whom(statement)}
    head = f"arn:{partition}:iam::{account}:role/"
    return itself | {each for each in named_there if each.startswith(head) and each.endswith(f"/{role_name}")}


def _whom(statement: Mapping[str, Any]) -> set[str]:
    principal = statement.get("Principal", {})
    return {"*"} if principal == "*" else set(texts(principal.get("AWS")))


def _names(statement: Mapping[str, Any], member: str, value: str) -> bool:
    """Return whether a statement of a policy applies to `value`. `member` is `Action` or `Resource`.

    A statement with `Action` (or `Resource`) applies to the values that it lists. A statement with `NotAction` (or
    `NotResource`) applies to all other values.
    """
    negated = f"Not{member}" in statement
    patterns = texts(statement.get(f"Not{member}" if negated else member))
    is_action = member == "Action"
    wanted = value.lower() if is_action else value
    return negated != any(fnmatchcase(wanted, each.lower() if is_action else each) for each in patterns)


def _conditions(statement: Mapping[str, Any]) -> set[str]:
    return {key.lower() for tests in (statement.get("Condition") or {}).values() for key in tests}
