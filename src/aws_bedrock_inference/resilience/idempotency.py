"""Rules that decide whether a request can be repeated although the service may already have executed it.

After a time-out or a lost connection, the caller does not know whether the service executed the request. Repeating a
read is harmless. Repeating a write is safe only if the second write changes nothing.

For some operations, `RULES` lists what the documentation of the service states. For all other operations, botocore's
model of the operation decides: its HTTP method, its name, traits such as `idempotent`, and idempotency tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.fault import Fault, Kind

if TYPE_CHECKING:
    from botocore.model import OperationModel

Condition = Callable[[Mapping[str, Any]], bool]
"""A function that takes the parameters of a request. It returns True if the request can be repeated safely after the
service may have executed it; otherwise it returns False.
"""

# RFC 9110 section 9.2 defines these methods as safe or idempotent. An AWS operation with PUT is idempotent if it
# replaces something. It is not idempotent if it starts, sends or creates something (calls in Amazon Connect, image
# builds).
_READ_METHODS = frozenset({"GET", "HEAD"})
_REPLACING_METHODS = frozenset({"PUT", "DELETE"})
_MAKES_SOMETHING = re.compile(r"(?:Start|Send|Create)(?=[A-Z])")

# Smithy's traits, which newer service models contain: https://smithy.io/2.0/spec/behavior-traits.html
_TRAITS = ("readonly", "idempotent")

# Some protocols use only POST. The name of an operation then shows that it reads or removes something.
_HARMLESS_NAME = re.compile(
    r"(?:Get|List|Describe|Head|BatchGet|Scan|Query|Search|Lookup|Simulate|Count|Delete|Remove|Tag|Untag)(?=[A-Z]|$)"
)


def _always(_: Mapping[str, Any]) -> bool:
    return True


def _never(_: Mapping[str, Any]) -> bool:
    return False


def _dry_run(params: Mapping[str, Any]) -> bool:
    return params.get("InvocationType") == "DryRun"


def _named(params: Mapping[str, Any]) -> bool:
    return bool(params.get("name"))


def _fifo(params: Mapping[str, Any]) -> bool:
    return str(params.get("QueueUrl") or params.get("TopicArn") or "").endswith(".fifo")


def _returns_nothing_old(params: Mapping[str, Any]) -> bool:
    return "ReturnValues" not in params or params["ReturnValues"] == "NONE"


_NAME = r"(#?[\w.#]+)"
_ASSIGNMENTS = re.compile(rf"\s*SET\s+{_NAME}\s*=\s*:\w+(?:\s*,\s*{_NAME}\s*=\s*:\w+)*\s*", re.IGNORECASE)
_ARGUMENTS = re.compile(r"\([^()]*\)")
_CHANGED = re.compile(rf"(?:\bSET\b|\bADD\b|\bREMOVE\b|,)\s*{_NAME}", re.IGNORECASE)
_ABSENT = re.compile(rf"attribute_not_exists\s*\(\s*{_NAME}\s*\)", re.IGNORECASE)
_EQUAL = re.compile(rf"{_NAME}\s*=\s*(:\w+)")
_BRANCHES = re.compile(r"\b(?:OR|NOT)\b", re.IGNORECASE)


def _update(params: Mapping[str, Any]) -> bool:
    """Return True if a DynamoDB update can be repeated; otherwise return False.

    An update that only assigns values can be repeated. An update can also be repeated if its condition tests the values
    that it changes. After the first update, this condition is no longer met. The second update then fails and changes
    nothing.
    """
    if params.get("ReturnValues", "NONE") not in ("NONE", "ALL_NEW", "UPDATED_NEW"):
        return False
    update = _ARGUMENTS.sub("", params.get("UpdateExpression", ""))
    if _ASSIGNMENTS.fullmatch(update):
        return True
    condition = params.get("ConditionExpression", "")
    if _BRANCHES.search(condition):
        return False
    names = params.get("ExpressionAttributeNames", {})
    changed = set(_CHANGED.findall(update))
    made = changed if "REMOVE" not in update.upper() else set[str]()
    same = set(_EQUAL.findall(update))
    return any(
        name in made or names.get(name, name) in params.get("Key", ()) for name in _ABSENT.findall(condition)
    ) or any(name in changed and (name, value) not in same for name, value in _EQUAL.findall(condition))


class Rule(NamedTuple):
    """A rule that states when a request can be repeated. It applies to the `operations` of one `service`.

    `when` receives the parameters of the request and decides. `source` is the service's documentation of this rule.
    """

    service: str
    operations: str
    when: Condition
    source: str


RULES = (
    Rule(
        "dynamodb",
        "PutItem DeleteItem",
        _returns_nothing_old,
        "The second request replaces or deletes the same item: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html",
    ),
    Rule(
        "dynamodb",
        "UpdateItem",
        _update,
        "Conditional writes can be idempotent: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithItems.html",
    ),
    Rule(
        "dynamodb", "BatchWriteItem", _always, "Contains only puts and deletes of whole items: API_BatchWriteItem.html"
    ),
    Rule(
        "dynamodb",
        "CreateTable UpdateTimeToLive",
        _always,
        "The second request is rejected because the name is taken, or it sets the same state",
    ),
    Rule(
        "sqs",
        "SendMessage SendMessageBatch",
        _fifo,
        "FIFO queues drop duplicates for 5 minutes: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html",
    ),
    Rule(
        "sqs",
        "CreateQueue ReceiveMessage ChangeMessageVisibility ChangeMessageVisibilityBatch SetQueueAttributes PurgeQueue",
        _always,
        "Sets a state. Messages that are received twice reappear after their visibility time-out",
    ),
    Rule("sns", "Publish PublishBatch", _fifo, "FIFO topics drop duplicates for 5 minutes: fifo-message-dedup.html"),
    Rule(
        "sns",
        "CreateTopic Subscribe SetTopicAttributes",
        _always,
        "The second answer has the existing resource: API_CreateTopic.html",
    ),
    Rule(
        "events",
        "PutRule PutTargets EnableRule DisableRule CreateEventBus PutPermission",
        _always,
        "Creates or replaces by name: API_PutRule.html",
    ),
    Rule(
        "logs",
        "CreateLogGroup CreateLogStream PutRetentionPolicy PutMetricFilter PutSubscriptionFilter PutResourcePolicy "
        "FilterLogEvents StartQuery StopQuery",
        _always,
        "The name is taken, the request sets the same state, or it only reads",
    ),
    Rule(
        "cloudwatch", "PutMetricAlarm PutDashboard SetAlarmState", _always, "Replaces by name: API_PutMetricAlarm.html"
    ),
    Rule(
        "lambda",
        "Invoke",
        _dry_run,
        "A dry run checks the request and executes nothing: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html",
    ),
    Rule(
        "lambda",
        "CreateFunction CreateAlias CreateEventSourceMapping AddPermission PublishVersion",
        _always,
        "The name or statement is taken. A version is published only after a change: API_PublishVersion.html",
    ),
    Rule(
        "s3",
        "CreateBucket CreateMultipartUpload CompleteMultipartUpload RestoreObject SelectObjectContent",
        _always,
        "The name is taken. An upload without parts is empty. Completing an upload twice creates one object",
    ),
    Rule("stepfunctions", "StartExecution", _named, "Idempotent by name and input: API_StartExecution.html"),
    Rule(
        "sts",
        "AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity DecodeAuthorizationMessage",
        _always,
        "Only reads",
    ),
    Rule(
        "kms",
        "Encrypt Decrypt ReEncrypt Sign Verify GenerateMac VerifyMac GenerateDataKey GenerateDataKeyPair "
        "GenerateDataKeyWithoutPlaintext GenerateRandom",
        _always,
        "The service stores nothing",
    ),
    Rule(
        "iam",
        "CreateRole CreateUser CreateGroup CreatePolicy CreateInstanceProfile AttachRolePolicy AttachUserPolicy "
        "AttachGroupPolicy DetachRolePolicy DetachUserPolicy DetachGroupPolicy PutRolePolicy PutUserPolicy "
        "PutGroupPolicy AddUserToGroup AddRoleToInstanceProfile UpdateAssumeRolePolicy UpdateRole",
        _always,
        "The second request is rejected because the name is taken, or it sets the same state",
    ),
    Rule(
        "bedrock-runtime",
        "Converse ConverseStream InvokeModel InvokeModelWithResponseStream CountTokens ApplyGuardrail",
        _always,
        "Changes nothing. AWS charges for a repeat, so the catalogue limits repeats",
    ),
    Rule("bedrock-agent-runtime", "Retrieve RetrieveAndGenerate", _always, "Changes nothing"),
    Rule("kinesis", "SubscribeToShard", _always, "Only reads"),
)
_BY_OPERATION = {(rule.service, name): rule.when for rule in RULES for name in rule.operations.split()}

# Error answers that do not prove that a write was not executed.
_DOUBTFUL = frozenset({("dynamodb", "InternalServerError")})  # developerguide/Programming.Errors.html
_GATEWAY_TIMED_OUT, _UNAVAILABLE = 504, 503
_NEVER_SENT = frozenset({Kind.INVALID, Kind.DENIED, Kind.NOT_FOUND, Kind.REFUSED, Kind.THROTTLED})


def repeatable(operation: OperationModel) -> Condition:
    """Return a function that receives the parameters of a request of `operation`. The function decides whether the
    request can be repeated when it is unknown whether the service executed it.
    """
    service, name = operation.service_model.service_name, operation.name
    documented = _BY_OPERATION.get((service, name))
    if documented is not None:
        return documented
    method = operation.http.get("method")
    traits: Mapping[str, Any] = operation._operation_model  # type: ignore[attr-defined]  # noqa: SLF001 - has no accessor
    safe = (
        method in _READ_METHODS
        or any(traits.get(trait) for trait in _TRAITS)
        or (method in _REPLACING_METHODS and not _MAKES_SOMETHING.match(name))
        or bool(operation.idempotent_members)
        or _HARMLESS_NAME.match(name) is not None
    )
    return _always if safe else _never


def fate_unknown(service: str, fault: Fault) -> bool:
    """Return True if it is unknown whether the service executed the request that failed with `fault`; otherwise return
    False.

    If the request never reached the service, the result is False. If the fault has no HTTP status, as after a time-out,
    the result is True, except for kinds of faults that prove that the request was not executed.

    A status of 5xx without the service's own error code comes from a proxy or gateway. The service's answer may have
    been lost in the proxy or gateway, so the result is True. Status 503 without an error code gives False, because the
    request was rejected and not executed. Status 504 always gives True. DynamoDB's `InternalServerError` also gives
    True, because it does not prove that a write was not executed.
    """
    if not fault.reached:
        return False
    if fault.status is None:
        return fault.kind not in _NEVER_SENT
    bare = fault.code in ("", str(fault.status), f"HTTP {fault.status}")
    return (
        fault.status == _GATEWAY_TIMED_OUT
        or (bare and fault.status >= 500 and fault.status != _UNAVAILABLE)  # noqa: PLR2004 - the service's faults
        or (service, fault.code) in _DOUBTFUL
    )
