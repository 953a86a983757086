"""Evaluate the state of a resource of another service, with one function for each kind of resource.

Each function gets the resource that a probe has read. It returns a finding, or None if the state is good.
"""

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
    """Return the content of states.toml: the error cause for each state of a resource, AWS's limits, and the principals
    with which services assume roles, such as `lambda.amazonaws.com`.
    """
    return tomllib.loads(files("aws_bedrock_inference.doctor").joinpath("states.toml").read_text(encoding="utf-8"))


def region_of_bucket(answer: Answer) -> str:
    """Return the bucket's Region from an answer of S3, or an empty text. Answers that refuse the request contain the
    Region, too.
    """
    response: dict[str, Any] = answer.value or getattr(answer.error, "response", None) or {}
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(response.get("BucketRegion") or headers.get("x-amz-bucket-region") or "")


def bucket(seen: Seen) -> Finding | None:
    """Compare the bucket's Region with the client's Region."""
    return _other_region(seen, str(seen.value.get("BucketRegion") or ""))


def bucket_refused(seen: Seen, answer: Answer) -> Finding | None:
    """Read the bucket's Region from S3's refusal, and compare it with the client's Region."""
    return _other_region(seen, region_of_bucket(answer))


def _other_region(seen: Seen, region: str) -> Finding | None:
    if region in ("", seen.world.region):
        return None
    message = f"is in {region}, but the client's Region is {seen.world.region}."
    return seen.may(message, "s3-wrong-region-redirect", "lambda-code-object-unreadable")


def stored_object(seen: Seen) -> Finding | None:
    """Check whether the S3 object can be read immediately, or is archived and must be restored first."""
    storage = seen.value.get("ArchiveStatus") or seen.value.get("StorageClass") or "STANDARD"
    restore = seen.value.get("Restore", "")
    if storage not in {"GLACIER", "DEEP_ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"}:
        return None
    if 'ongoing-request="true"' in restore:
        return seen.ends(
            f"is archived ({storage}), and its restore is still in progress.",
            _of(seen, "s3-restore-running", "s3-object-archived"),
        )
    if restore:
        return seen.well(f"is archived ({storage}), but a restored copy can be read.", "s3-object-archived")
    return seen.ends(f"is archived ({storage}). It must be restored before it can be read.", "s3-object-archived")


def object_refused(seen: Seen, answer: Answer) -> Finding | None:
    """Check whether the S3 object was deleted. This check runs after S3 refused to return the object. If the newest
    version of the object is a delete marker, a header of S3's answer states this.
    """
    response: dict[str, Any] = getattr(answer.error, "response", None) or {}
    if response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-delete-marker") == "true":
        return seen.ends("was deleted: its newest version is a delete marker.", "s3-key-missing")
    return None


def public_block(seen: Seen) -> Finding | None:
    """Check whether the S3 bucket refuses public policies and ACLs."""
    settings = seen.value["PublicAccessBlockConfiguration"]
    on = [name for name, value in settings.items() if value]
    if on:
        return seen.may(
            f"has a public access block with these settings: {', '.join(on)}.", "s3-access-denied-public-block"
        )
    return seen.well("has no public access block. The block of the account was not checked.")


def table(seen: Seen) -> Finding | None:
    """Check the status of the DynamoDB table, whether the table has the index that the error names, and the capacity
    mode of the table.
    """
    described = seen.value["Table"]
    status = described.get("TableStatus", "ACTIVE")
    cause = facts()["dynamodb"].get(status)
    if cause:
        return seen.ends(f"has the status {status}. A table accepts calls only while it is ACTIVE or UPDATING.", cause)
    if seen.world.asked_about("dynamodb-index-missing"):
        return _index(seen, described)
    if described.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        return seen.well("exists and uses on-demand capacity.", "dynamodb-provisioned-throughput")
    return seen.well("is there.")


def _index(seen: Seen, described: dict[str, Any]) -> Finding:
    wanted = named(seen.world, "INDEX")
    kinds = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
    found = {each["IndexName"]: each.get("IndexStatus", "ACTIVE") for kind in kinds for each in described.get(kind, ())}
    there = ", ".join(found) or "none"
    if not wanted:
        return seen.may(f"exists. The error names no index. The indexes of the table: {there}.")
    if wanted not in found:
        return seen.ends(f"has no index {wanted}. Its indexes: {there}.", "dynamodb-index-missing")
    if found[wanted] == "CREATING":
        return seen.ends(f"is still building its index {wanted}.", "dynamodb-index-missing")
    return seen.well(f"has the index {wanted}.", "dynamodb-index-missing")


def function(seen: Seen) -> Finding | None:
    """Check the state of the Lambda function, and the status of its last update."""
    state, update = seen.value.get("State", "Active"), seen.value.get("LastUpdateStatus", "Successful")
    reasons = facts()["lambda"]
    if state == "Inactive":
        return seen.may(
            "is inactive. The next call reactivates it, but that call fails.", "lambda-function-failed-state"
        )
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
        message = (
            "still runs its previous code, because the last update failed: "
            f"{_reason(seen, 'LastUpdateStatusReason') or why}"
        )
        return seen.may(message, *([reasons[why]] if why in reasons else []))
    return None


def _reason(seen: Seen, member: str) -> str:
    return masked(str(seen.value.get(member, "")), accounts=True)


def concurrency(seen: Seen) -> Finding | None:
    """Check whether the reserved concurrency of the Lambda function is 0. With 0, Lambda throttles every call."""
    reserved = seen.value.get("ReservedConcurrentExecutions")
    if reserved == 0:
        return seen.ends("has a reserved concurrency of 0, so every call is throttled.", "lambda-throttled-concurrency")
    limit = "no reserved concurrency" if reserved is None else f"a reserved concurrency of {reserved}"
    return seen.well(f"has {limit}. Its current use was not checked.")


def log_group(seen: Seen) -> Finding | None:
    """Check whether a CloudWatch log group has the name from the error's text. `seen.value` lists the log groups whose
    names begin with this name.
    """
    names = [each["logGroupName"] for each in seen.value.get("logGroups", ())]
    if named(seen.world, "GROUP") in names:
        return None
    near = f" Groups that begin with this name: {', '.join(names[:3])}." if names else ""
    return seen.ends(f"does not exist.{near}", "logs-group-missing")


def log_stream(seen: Seen) -> Finding | None:
    """Check whether a CloudWatch log stream has the name from the error's text. `seen.value` lists the log streams
    whose names begin with this name.
    """
    wanted = named(seen.world, "LOG_STREAM")
    if any(each["logStreamName"] == wanted for each in seen.value.get("logStreams", ())):
        return None
    return seen.ends("does not exist.", "logs-stream-missing")


def role(seen: Seen) -> Finding | None:
    """Check whether the role's trust policy allows the service, or the caller, to assume the role."""
    causes = ("lambda-role-not-assumable", "assume-role-trust", "sts-assume-role-denied", "states-permissions")
    if not seen.world.candidates or not set(causes) & set(seen.world.candidates):
        return None
    policy = seen.value["Role"].get("AssumeRolePolicyDocument")
    whom, principals = _assuming(seen.world, policy)
    if not whom:
        return seen.may(
            "exists. The error does not show who assumes the role, so the role's trust policy was not checked."
        )
    letting = [each for each in statements(policy) if lets_assume(each, *principals)]
    if not letting:
        return seen.may(f"has a trust policy that does not allow {whom} to assume it.", *causes)
    if any(each.get("Condition") for each in letting) or any(
        each.get("Effect") == "Deny" for each in statements(policy)
    ):
        return seen.may(
            f"possibly allows {whom} to assume it. Its trust policy has conditions or Deny statements, which were not "
            "evaluated."
        )
    return seen.well(f"allows {whom} to assume it.", "lambda-role-not-assumable", "assume-role-trust")


def _assuming(world: World, policy: Any) -> tuple[str, set[str]]:
    """Return the identity that must be allowed to assume the role, in two forms: as words for a message, and as
    principals of a trust policy.

    If STS or IAM returned the error, the identity is the caller, because the caller calls AssumeRole. If another
    service returned the error, the identity is this service, such as Lambda, because the service itself assumes the
    role. If the identity is unknown, both forms are empty.
    """
    service, operation = (world.error.service, world.error.operation) if world.error is not None else ("", "")
    if service not in ("", "sts", "iam"):
        services = facts()["principals"].get(service, [])
        return " or ".join(services), set(services)
    if operation not in ("", "AssumeRole") or world.caller.why is not None:
        return "", set()
    return "the caller", principals_of(str(world.caller.value["Arn"]), policy)


def rule(seen: Seen) -> Finding | None:
    """Check whether the EventBridge rule is enabled, and whether an AWS service manages it."""
    owner = seen.value.get("ManagedBy")
    if owner:
        return seen.may(f"is managed by the service {owner}.", "events-managed-rule")
    if seen.value.get("State") == "DISABLED":
        return seen.may("is disabled, so it matches no events.")
    return seen.well("exists and is enabled.", "events-managed-rule")


def targets(seen: Seen) -> Finding | None:
    """Count the targets of the EventBridge rule, and compare the count with AWS's maximum."""
    count, most = len(seen.value.get("Targets", ())), facts()["events"]["most_targets"]
    if count >= most:
        return seen.may(
            f"has {count} targets. A rule can have at most {most}.", "events-target-limit", "events-rule-has-targets"
        )
    if count:
        return seen.may(f"has {count} target{'s' * (count > 1)}.", "events-rule-has-targets")
    return seen.well("has no targets.", "events-rule-has-targets", "events-target-limit")


def queue(seen: Seen) -> Finding | None:
    """Count the messages in flight of the SQS queue, and compare the count with AWS's maximum."""
    flying, most = (
        int(seen.value["Attributes"]["ApproximateNumberOfMessagesNotVisible"]),
        facts()["sqs"]["most_in_flight"],
    )
    if flying >= most:
        return seen.ends(
            f"has about {flying:,} messages in flight. SQS allows at most {most:,}.", "sqs-in-flight-limit"
        )
    return seen.well(f"exists and has about {flying:,} messages in flight.", "sqs-in-flight-limit")


def stream(seen: Seen) -> Finding | None:
    """Check whether the Kinesis stream has a status in which it can be used."""
    status = seen.value["StreamDescriptionSummary"]["StreamStatus"]
    if status in {"CREATING", "DELETING"}:
        return seen.ends(f"has the status {status}.", "kinesis-stream-missing")
    return None


def state_machine(seen: Seen) -> Finding | None:
    """Check whether the Step Functions state machine is being deleted."""
    if seen.value.get("status") == "DELETING":
        return seen.ends("is being deleted.", "states-machine-missing")
    return None


def execution(seen: Seen) -> Finding | None:
    """Read how the execution of the Step Functions state machine ended. If it failed, look up its error in the
    catalogue.
    """
    status = seen.value.get("status", "")
    if status == "TIMED_OUT":
        return seen.may("exceeded its timeout.", "states-timeout", "states-task-failed")
    if status == "FAILED":
        error, cause = seen.value.get("error", ""), seen.value.get("cause", "")
        why = explain(f"{error}: {_message(cause)}")
        known = f" The catalogue lists this error as {why.cause}." if why.cause != "unknown" else ""
        return seen.may(
            f"failed with {masked(error, accounts=True) or 'an error without a name'}.{known}",
            "states-task-failed",
            why.cause,
        )
    return seen.well(f"has the status {status}.", "states-task-failed", "states-timeout")


def _message(cause: str) -> str:
    try:
        found = json.loads(cause)
    except ValueError:
        return cause
    return f"{found.get('errorType', '')}: {found.get('errorMessage', '')}" if isinstance(found, dict) else cause


def key(seen: Seen) -> Finding | None:
    """Check whether the key is enabled."""
    state = seen.value["KeyMetadata"]["KeyState"]
    if state != "Enabled":
        return seen.ends(f"has the state {state}, so it cannot be used.", "kms-denied")
    return seen.well("is enabled. Its key policy was not checked.")


def _of(seen: Seen, *causes: str) -> str:
    """Return the one of `causes` that is most likely according to the error's text. If the error's text suggests none
    of them, return the first of `causes`, which is the default.
    """
    return next((each for each in seen.world.candidates if each in causes), causes[0])
