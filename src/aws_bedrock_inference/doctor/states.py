"""Judges of the states of other services' parts: a function for each part, of what the service says of it."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.doctor.documents import principals_of
from aws_bedrock_inference.doctor.part import named
from aws_bedrock_inference.jobs.trust import lets_assume, statements
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.findings import Finding
    from aws_bedrock_inference.doctor.part import Seen
    from aws_bedrock_inference.doctor.world import Answer, World


@cache
def facts() -> dict[str, dict[str, Any]]:
    """Return the tables of states.toml."""
    return tomllib.loads(files("aws_bedrock_inference.doctor").joinpath("states.toml").read_text(encoding="utf-8"))


def region_of_bucket(answer: Answer) -> str:
    """Return the Region that S3 names in an answer about a bucket, even in a refusal; empty if it names none."""
    response: dict[str, Any] = answer.value or getattr(answer.error, "response", None) or {}
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(response.get("BucketRegion") or headers.get("x-amz-bucket-region") or "")


def bucket(seen: Seen) -> Finding | None:
    """Compare the Region of the bucket with the client's."""
    return _other_region(seen, str(seen.value.get("BucketRegion") or ""))


def bucket_refused(seen: Seen, answer: Answer) -> Finding | None:
    """Do the same where S3 says no more of the bucket than its Region."""
    return _other_region(seen, region_of_bucket(answer))


def _other_region(seen: Seen, region: str) -> Finding | None:
    if region in ("", seen.world.region):
        return None
    message = f"is in {region}, and the client's Region is {seen.world.region}."
    return seen.may(message, "s3-wrong-region-redirect", "lambda-code-object-unreadable")


def stored_object(seen: Seen) -> Finding | None:
    """Look whether the object can be read at once, or is archived."""
    storage = seen.value.get("ArchiveStatus") or seen.value.get("StorageClass") or "STANDARD"
    restore = seen.value.get("Restore", "")
    if storage not in {"GLACIER", "DEEP_ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"}:
        return None
    if 'ongoing-request="true"' in restore:
        return seen.ends(
            f"is archived ({storage}) and is being restored.", _of(seen, "s3-restore-running", "s3-object-archived")
        )
    if restore:
        return seen.well(f"is archived ({storage}), and a restored copy can be read.", "s3-object-archived")
    return seen.ends(f"is archived ({storage}): it must be restored before it is read.", "s3-object-archived")


def object_refused(seen: Seen, answer: Answer) -> Finding | None:
    """Tell an object that was deleted from one that was never there."""
    response: dict[str, Any] = getattr(answer.error, "response", None) or {}
    if response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-delete-marker") == "true":
        return seen.ends("was deleted: its newest version is a delete marker.", "s3-key-missing")
    return None


def public_block(seen: Seen) -> Finding | None:
    """Look whether the bucket refuses public policies and ACLs."""
    settings = seen.value["PublicAccessBlockConfiguration"]
    on = [name for name, value in settings.items() if value]
    if on:
        return seen.may(f"has a public access block: {', '.join(on)}.", "s3-access-denied-public-block")
    return seen.well("has no public access block of its own; that of the account was not looked at.")


def table(seen: Seen) -> Finding | None:
    """Look at the table's status, at the index that the error names, and at its capacity."""
    described = seen.value["Table"]
    status = described.get("TableStatus", "ACTIVE")
    cause = facts()["dynamodb"].get(status)
    if cause:
        return seen.ends(f"has the status {status}.", cause)
    if seen.world.asked_about("dynamodb-index-missing"):
        return _index(seen, described)
    if described.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        return seen.well("is there, and its capacity is on demand.", "dynamodb-provisioned-throughput")
    return seen.well("is there.")


def _index(seen: Seen, described: dict[str, Any]) -> Finding:
    wanted = named(seen.world, "INDEX")
    kinds = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
    found = {each["IndexName"]: each.get("IndexStatus", "ACTIVE") for kind in kinds for each in described.get(kind, ())}
    there = ", ".join(found) or "none"
    if not wanted:
        return seen.may(f"is there; the error names no index, and its indexes are: {there}.")
    if wanted not in found:
        return seen.ends(f"has no index {wanted}; its indexes are: {there}.", "dynamodb-index-missing")
    if found[wanted] == "CREATING":
        return seen.ends(f"is still building its index {wanted}.", "dynamodb-index-missing")
    return seen.well(f"has the index {wanted}.", "dynamodb-index-missing")


def function(seen: Seen) -> Finding | None:
    """Look at the function's state, and at its last update."""
    state, update = seen.value.get("State", "Active"), seen.value.get("LastUpdateStatus", "Successful")
    reasons = facts()["lambda"]
    if state == "Inactive":
        return seen.may("is idle: the next call wakes it, and fails.", "lambda-function-failed-state")
    if state == "Failed":
        why = seen.value.get("StateReasonCode", "")
        message = f"has the state {state}: {_reason(seen, 'StateReason') or why}"
        known = reasons.get(why)
        return seen.ends(message, _of(seen, "lambda-function-failed-state", *([known] if known else [])))
    if state == "Pending":
        vpc = (seen.value.get("VpcConfig") or {}).get("SubnetIds")
        own = "lambda-vpc-not-ready" if vpc else "lambda-resource-conflict-updating"
        return seen.may("is still being created.", own, "lambda-resource-conflict-updating")
    if update == "InProgress":
        return seen.may("is still being updated.", "lambda-resource-conflict-updating", "lambda-vpc-not-ready")
    if update == "Failed":
        why = seen.value.get("LastUpdateStatusReasonCode", "")
        message = f"runs its former code: the last update failed: {_reason(seen, 'LastUpdateStatusReason') or why}"
        return seen.may(message, *([reasons[why]] if why in reasons else []))
    return None


def _reason(seen: Seen, member: str) -> str:
    return masked(str(seen.value.get(member, "")), accounts=True)


def concurrency(seen: Seen) -> Finding | None:
    """Look whether the function may run at all."""
    reserved = seen.value.get("ReservedConcurrentExecutions")
    if reserved == 0:
        return seen.ends("has a reserved concurrency of 0, which stops each call.", "lambda-throttled-concurrency")
    limit = "no reserved concurrency" if reserved is None else f"a reserved concurrency of {reserved}"
    return seen.well(f"has {limit}; how much is used was not looked at.")


def log_group(seen: Seen) -> Finding | None:
    """Look for the very name among the groups that begin with it."""
    names = [each["logGroupName"] for each in seen.value.get("logGroups", ())]
    if named(seen.world, "GROUP") in names:
        return None
    near = f" The nearest are: {', '.join(names[:3])}." if names else ""
    return seen.ends(f"is not there.{near}", "logs-group-missing")


def log_stream(seen: Seen) -> Finding | None:
    """Look for the very name among the streams that begin with it."""
    wanted = named(seen.world, "LOG_STREAM")
    if any(each["logStreamName"] == wanted for each in seen.value.get("logStreams", ())):
        return None
    return seen.ends("is not there.", "logs-stream-missing")


def role(seen: Seen) -> Finding | None:
    """Look whether the role lets the service, or the caller, assume it."""
    causes = ("lambda-role-not-assumable", "assume-role-trust", "sts-assume-role-denied", "states-permissions")
    if not seen.world.candidates or not set(causes) & set(seen.world.candidates):
        return None
    policy = seen.value["Role"].get("AssumeRolePolicyDocument")
    whom, principals = _assuming(seen.world, policy)
    if not whom:
        return seen.may("is there; who is to assume it is not known, so its trust policy was not judged.")
    letting = [each for each in statements(policy) if lets_assume(each, *principals)]
    if not letting:
        return seen.may(f"does not let {whom} assume it in its trust policy.", *causes)
    if any(each.get("Condition") for each in letting) or any(
        each.get("Effect") == "Deny" for each in statements(policy)
    ):
        return seen.may(f"lets {whom} assume it under conditions, which were not judged.")
    return seen.well(f"lets {whom} assume it.", "lambda-role-not-assumable", "assume-role-trust")


def _assuming(world: World, policy: Any) -> tuple[str, set[str]]:
    """Return who is to assume the role in the error, in words and as principals of a policy; nothing where that is not
    known.
    """
    service, operation = (world.error.service, world.error.operation) if world.error is not None else ("", "")
    if service not in ("", "sts", "iam"):
        services = facts()["principals"].get(service, [])
        return " or ".join(services), set(services)
    if operation not in ("", "AssumeRole") or world.caller.why is not None:
        return "", set()
    return "the caller", principals_of(str(world.caller.value["Arn"]), policy)


def rule(seen: Seen) -> Finding | None:
    """Look whether the rule is on, and whose it is."""
    owner = seen.value.get("ManagedBy")
    if owner:
        return seen.may(f"is managed by {owner}.", "events-managed-rule")
    if seen.value.get("State") == "DISABLED":
        return seen.may("is disabled: it matches no event.")
    return seen.well("is there and enabled.", "events-managed-rule")


def targets(seen: Seen) -> Finding | None:
    """Count the rule's targets."""
    count, most = len(seen.value.get("Targets", ())), facts()["events"]["most_targets"]
    if count >= most:
        return seen.may(
            f"has {count} targets, as many as a rule takes.", "events-target-limit", "events-rule-has-targets"
        )
    if count:
        return seen.may(f"has {count} target{'s' * (count > 1)}.", "events-rule-has-targets")
    return seen.well("has no target.", "events-rule-has-targets", "events-target-limit")


def queue(seen: Seen) -> Finding | None:
    """Count the messages in flight."""
    flying, most = (
        int(seen.value["Attributes"]["ApproximateNumberOfMessagesNotVisible"]),
        facts()["sqs"]["most_in_flight"],
    )
    if flying >= most:
        return seen.ends(f"has about {flying:,} messages in flight; it takes {most:,}.", "sqs-in-flight-limit")
    return seen.well(f"is there, with about {flying:,} messages in flight.", "sqs-in-flight-limit")


def stream(seen: Seen) -> Finding | None:
    """Look at the stream's status."""
    status = seen.value["StreamDescriptionSummary"]["StreamStatus"]
    if status in {"CREATING", "DELETING"}:
        return seen.ends(f"has the status {status}.", "kinesis-stream-missing")
    return None


def state_machine(seen: Seen) -> Finding | None:
    """Look whether the state machine is being deleted."""
    if seen.value.get("status") == "DELETING":
        return seen.ends("is being deleted.", "states-machine-missing")
    return None


def execution(seen: Seen) -> Finding | None:
    """Read how the execution ended, and explain the error that it ended with."""
    status = seen.value.get("status", "")
    if status == "TIMED_OUT":
        return seen.may("ran longer than it may.", "states-timeout", "states-task-failed")
    if status == "FAILED":
        error, cause = seen.value.get("error", ""), seen.value.get("cause", "")
        why = explain(f"{error}: {_message(cause)}")
        known = f" The catalogue knows it as {why.cause}." if why.cause != "unknown" else ""
        return seen.may(
            f"failed with {masked(error, accounts=True) or 'no error'}.{known}", "states-task-failed", why.cause
        )
    return seen.well(f"has the status {status}.", "states-task-failed", "states-timeout")


def _message(cause: str) -> str:
    """Return the message in an execution's cause, which is JSON where a function of Lambda raised it."""
    try:
        found = json.loads(cause)
    except ValueError:
        return cause
    return f"{found.get('errorType', '')}: {found.get('errorMessage', '')}" if isinstance(found, dict) else cause


def key(seen: Seen) -> Finding | None:
    """Look whether the key is enabled."""
    state = seen.value["KeyMetadata"]["KeyState"]
    if state != "Enabled":
        return seen.ends(f"has the state {state}.", "kms-denied")
    return seen.well("is enabled; whether its policy allows the caller was not looked at.")


def _of(seen: Seen, *causes: str) -> str:
    """Return that one of the causes which the error may have, else the first."""
    return next((each for each in seen.world.candidates if each in causes), causes[0])
