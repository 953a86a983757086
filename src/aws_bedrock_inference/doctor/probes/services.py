"""Probes of other services' parts that an error names: a bucket, an object, a table, a function, a log group, a role.

Each asks for the part that the error's text names. They run for an error alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.doctor.findings import Finding, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.probe import Probe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.doctor.world import Answer, World


class Part(NamedTuple):
    """A part of a service. `names` are the placeholders of what the operation's parameters name. `by_status` are the
    causes of answers that say no more than a status, as those to HEAD do; `tells` are the causes it can show.
    """

    probe: str
    what: str
    service: str
    operation: str
    names: Mapping[str, str]
    permission: str
    tells: tuple[str, ...]
    by_status: Mapping[int, str] = {}


_PARTS = (
    Part(
        "bucket",
        "The bucket",
        "s3",
        "head_bucket",
        {"Bucket": "BUCKET"},
        "s3:ListBucket",
        ("s3-bucket-missing", "s3-access-denied", "s3-wrong-region-redirect", "s3-head-without-reason"),
        {404: "s3-bucket-missing", 403: "s3-access-denied", 301: "s3-wrong-region-redirect"},
    ),
    Part(
        "object",
        "The object",
        "s3",
        "head_object",
        {"Bucket": "BUCKET", "Key": "KEY"},
        "s3:GetObject",
        ("s3-key-missing", "s3-access-denied", "s3-object-archived", "s3-head-without-reason"),
        {404: "s3-key-missing", 403: "s3-access-denied"},
    ),
    Part(
        "table",
        "The table",
        "dynamodb",
        "describe_table",
        {"TableName": "TABLE"},
        "dynamodb:DescribeTable",
        ("dynamodb-table-missing", "resource-not-found"),
    ),
    Part(
        "function",
        "The function",
        "lambda",
        "get_function_configuration",
        {"FunctionName": "FUNCTION"},
        "lambda:GetFunctionConfiguration",
        ("lambda-function-missing", "lambda-function-failed-state", "resource-not-found"),
    ),
    Part(
        "log-group",
        "The log group",
        "logs",
        "describe_log_groups",
        {"logGroupNamePrefix": "GROUP"},
        "logs:DescribeLogGroups",
        ("logs-group-missing",),
    ),
    Part(
        "role",
        "The role",
        "iam",
        "get_role",
        {"RoleName": "ROLE"},
        "iam:GetRole",
        ("iam-entity-missing", "lambda-role-not-assumable", "assume-role-trust"),
    ),
)


def _probe(part: Part) -> Probe:
    def examine(world: World) -> Finding:
        params = {name: world.named(placeholder) for name, placeholder in part.names.items()}
        if not all(params.values()):
            return skipped(f"The error's text does not name {part.what.lower()}.")
        return _found(part, params, world.ask(part.service, part.operation, **params))

    return Probe(part.probe, "services", examine, ("identity",), frozenset(part.tells), (part.permission,), asked=True)


def _found(part: Part, params: Mapping[str, str], answer: Answer) -> Finding:
    name = "/".join(params.values())
    tried = f"called {part.permission} for {name}"
    fields = {placeholder: params[name] for name, placeholder in part.names.items()}
    if answer.why is None:
        return ok(f"{part.what} {name} is there.", tried)
    status = answer.status
    cause = part.by_status.get(status, answer.why.cause)
    if cause in part.tells:
        return failed(f"{part.what} {name}: {answer.why.title}.", tried, cause=cause, **fields)
    return warning(f"{part.what} {name} cannot be looked at: {answer.why.title}.", tried)


PROBES = tuple(map(_probe, _PARTS))
