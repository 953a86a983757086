"""Probes that check the resources of a batch job: its role, its S3 bucket, and the key that encrypts the bucket. A
"probe" is one read-only check of the doctor; it returns a "finding".
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.doctor.documents import Says, bucket_denies, key_policy
from aws_bedrock_inference.doctor.findings import Finding, Status, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.part import named, without_account
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.doctor.states import region_of_bucket
from aws_bedrock_inference.jobs.trust import distrust
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.s3 import S3Location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_bedrock_inference.doctor.world import World

_PLACES = "places"

# The general cause of failed batch jobs. A job reports the same error for every fault of its role; a probe finds the
# actual fault.
_JOB = "batch-role-s3-denied"
_TRUST, _ABSENT, _BUCKET, _REGION = (
    "assume-role-trust",
    "iam-entity-missing",
    "s3-bucket-missing",
    "s3-wrong-region-redirect",
)
_KEY = "kms-denied"

_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/(?:[!-~]*/)?([\w+=,.@-]{1,64})")
_ACCOUNT = re.compile(r"\b\d{12}\b")
_OBJECTS = ("s3:GetObject", "s3:PutObject")
_KEY_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")
_UNNAMED = "This check needs a batch role and an S3 output: pass --role and --output-s3-uri."


def _cause(world: World, cause: str) -> str:
    """Return the cause to report for a problem with the resources of a batch job. Usually, this is `cause`, the actual
    problem, such as a missing bucket.

    Bedrock reports every such problem with the same error. Its cause in the catalogue is `batch-role-s3-denied`. If the
    doctor diagnoses this error, return `batch-role-s3-denied`, so that the report connects the problem with the error.
    """
    return _JOB if _JOB in world.candidates and cause not in world.candidates else cause


class _Role(NamedTuple):
    """A role, by its ARN."""

    arn: str
    partition: str
    account: str
    name: str


def _role_of(world: World) -> _Role | None:
    """Return the role of the batch job: the specified role, or the role that the error of a batch job names. The result
    is None if there is no role, or if its ARN is invalid.
    """
    text = world.role_arn or (named(world, "ROLE_ARN") if _about_jobs(world) else "")
    parts = _ROLE.fullmatch(text)
    return _Role(text, *parts.groups()) if parts else None


def _about_jobs(world: World) -> bool:
    return world.error is not None and (_JOB in world.candidates or world.error.service.startswith("bedrock"))


def _output_of(world: World) -> S3Location | None:
    """Return the S3 location of the batch job's output. The result is None if no location was specified, or if its
    URI is invalid.
    """
    if world.output_s3_uri:
        with suppress(ValueError):
            return S3Location.parse(world.output_s3_uri)
        return None
    bucket = world.named("BUCKET") if _about_jobs(world) else ""
    return S3Location(bucket, "") if bucket else None


def _arn(role: _Role, place: S3Location) -> str:
    return f"arn:{role.partition}:s3:::{place.bucket}"


@probe(_PLACES, needs=["identity"], tells=[_JOB, _TRUST, _ABSENT, "iam-passrole-denied"], calls=["iam:GetRole"])
def batch_role(world: World) -> Finding:
    """Check that the batch role exists and that its trust policy allows Bedrock to assume it."""
    role = _role_of(world)
    if role is None:
        return _no_role(world)
    arn, partition, account, name = role
    shown, tried = masked(arn, accounts=True), f"called iam:GetRole for {name}"
    own = world.caller.value.get("Account", account)
    if own != account:
        message = f"{shown} and the caller belong to different accounts, so the role cannot be passed to Bedrock."
        return failed(message, "compared the accounts of role and caller", cause=_cause(world, "iam-passrole-denied"))
    answer = world.ask("iam", "get_role", RoleName=name)
    if answer.why is not None and answer.why.cause == _ABSENT:
        return failed(f"The role {shown} does not exist.", tried, cause=_cause(world, _ABSENT), ROLE=name)
    if answer.why is not None:
        return warning(f"The role {name} could not be checked: {answer.why_not('iam:GetRole')}.", tried)
    why = distrust(answer.value["Role"].get("AssumeRolePolicyDocument"), account, world.region, partition)
    if why:
        message = f"Bedrock cannot assume {shown}: {_ACCOUNT.sub('*' * 12, why)}"
        return failed(message, tried, cause=_cause(world, _TRUST), ROLE=name, ROLE_ARN=without_account(arn))
    return ok(f"The trust policy of {shown} allows Bedrock to assume the role.", tried, excludes=[_TRUST, _ABSENT])


def _no_role(world: World) -> Finding:
    if world.role_arn:
        message = "The batch role is not a valid role ARN. The form is arn:aws:iam::ACCOUNT:role/NAME."
        return failed(message, "read the settings", cause=_cause(world, _ABSENT))
    return skipped("No batch role was specified: pass --role, or role_arn in Python.")


@probe(_PLACES, needs=["identity"], tells=[_JOB, _BUCKET, _REGION], calls=["s3:ListBucket"])
def batch_bucket(world: World) -> Finding:
    """Check that the bucket of a batch job exists, and that it is in the job's Region."""
    place = _output_of(world)
    if place is None:
        return _no_bucket(world)
    tried = f"called HeadBucket for {place.bucket}"
    answer = world.ask("s3", "head_bucket", Bucket=place.bucket)
    found = region_of_bucket(answer)
    if found and found != world.region:
        message = (
            f"The bucket {place.bucket} is in {found}, but the job is in {world.region}. Both must be in the same "
            "Region."
        )
        return failed(message, tried, cause=_cause(world, _REGION), BUCKET=place.bucket)
    if answer.status == 404:  # noqa: PLR2004 - the HTTP status Not Found
        return failed(
            f"The bucket {place.bucket} does not exist.", tried, cause=_cause(world, _BUCKET), BUCKET=place.bucket
        )
    if answer.why is not None:
        return warning(f"The bucket {place.bucket} could not be checked: {answer.why_not('s3:ListBucket')}.", tried)
    known = f" in {found}" if found else ""
    return ok(f"The bucket {place.bucket} exists{known}.", tried, excludes=[_BUCKET, *([_REGION] if found else [])])


def _no_bucket(world: World) -> Finding:
    if world.output_s3_uri:
        message = "The output is not an S3 URI with a bucket. The form is s3://BUCKET/PREFIX/."
        return failed(message, "read the settings", cause=_cause(world, _BUCKET))
    return skipped("No S3 output was specified: pass --output-s3-uri, or output_s3_uri in Python.")


@probe(_PLACES, needs=["batch-role", "batch-bucket"], tells=[_JOB], calls=["s3:GetBucketPolicy"])
def batch_bucket_policy(world: World) -> Finding:
    """Check whether the bucket's policy denies the role permission to write or list."""
    role, place = _role_of(world), _output_of(world)
    if role is None or place is None:
        return skipped(_UNNAMED)
    tried = f"called s3:GetBucketPolicy for {place.bucket}"
    answer = world.ask("s3", "get_bucket_policy", Bucket=place.bucket)
    if answer.code == "NoSuchBucketPolicy":
        return ok(f"The bucket {place.bucket} has no policy, so it denies nothing.", tried)
    if answer.why is not None:
        why = answer.why_not("s3:GetBucketPolicy")
        return warning(f"The policy of the bucket {place.bucket} could not be read: {why}.", tried)
    policy, bucket = json.loads(answer.value["Policy"]), _arn(role, place)
    says = [
        bucket_denies(policy, role.arn, "s3:PutObject", f"{bucket}/{place.key}x"),
        bucket_denies(policy, role.arn, "s3:ListBucket", bucket),
    ]
    if Says.DENIED in says:
        message = f"The policy of the bucket {place.bucket} denies the role {role.name} s3:PutObject or s3:ListBucket."
        return failed(message, tried, cause=_JOB, BUCKET=place.bucket, ROLE=role.name)
    if Says.UNKNOWN in says:
        return warning(
            f"The policy of the bucket {place.bucket} has Deny statements that this check cannot evaluate. Make sure "
            f"that they do not deny s3:PutObject and s3:ListBucket to the role {role.name}.",
            tried,
        )
    return ok(f"The policy of the bucket {place.bucket} does not deny the role {role.name} access.", tried)


@probe(_PLACES, needs=["batch-role", "batch-bucket"], tells=[_JOB], calls=["iam:SimulatePrincipalPolicy"])
def batch_access(world: World) -> Finding:
    """Check with IAM's simulator whether the role is allowed to list, read and write in the bucket."""
    role, place = _role_of(world), _output_of(world)
    if role is None or place is None:
        return skipped(_UNNAMED)
    tried = f"called iam:SimulatePrincipalPolicy for the role {role.name} and {place.bucket}"
    for actions, resource in ((_OBJECTS, f"{_arn(role, place)}/{place.key}*"), (["s3:ListBucket"], _arn(role, place))):
        refused = _refused(world, role.arn, actions, resource)
        if isinstance(refused, Finding):
            return replace(refused, tried=tried)
        if refused:
            message = f"The role {role.name} is not allowed to use {' and '.join(refused)} on {resource}."
            fields = {"BUCKET": place.bucket, "ROLE": role.name, "ROLE_ARN": without_account(role.arn)}
            return failed(message, tried, cause=_JOB, **fields)
    return ok(f"IAM allows the role {role.name} to list, read and write in {place.bucket}.", tried)


@probe(
    _PLACES,
    needs=["batch-role", "batch-bucket"],
    tells=[_JOB, _KEY],
    calls=["s3:GetEncryptionConfiguration", "kms:DescribeKey", "kms:GetKeyPolicy", "iam:SimulatePrincipalPolicy"],
)
def batch_key(world: World) -> Finding:
    """Find the KMS key that encrypts the bucket, and check whether the role is allowed to use the key."""
    role, place = _role_of(world), _output_of(world)
    if role is None or place is None:
        return skipped(_UNNAMED)
    tried = f"called s3:GetEncryptionConfiguration for {place.bucket}"
    answer = world.ask("s3", "get_bucket_encryption", Bucket=place.bucket)
    if answer.why is not None and answer.code != "ServerSideEncryptionConfigurationNotFoundError":
        why = answer.why_not("s3:GetEncryptionConfiguration")
        return warning(f"The encryption of the bucket {place.bucket} could not be checked: {why}.", tried)
    key = _key_in(answer.value)
    if not key:
        return ok(f"No KMS key is configured for the bucket {place.bucket}.", tried, excludes=[_KEY])
    tried += ", and kms:DescribeKey, kms:GetKeyPolicy and iam:SimulatePrincipalPolicy for its key"
    status, why = _key_state(world, key) or _key_rights(world, key, role.arn)
    message = f"The KMS key of the bucket {place.bucket} {why}."
    if status is Status.FAILED:
        cause, short = _cause(world, _KEY), key.rpartition("/")[2]
        return failed(message, tried, cause=cause, KMS_KEY=short, ROLE=role.name, BUCKET=place.bucket)
    return Finding(status, message, tried, excludes=(_KEY,) if status is Status.OK else ())


def _key_in(encryption: dict[str, Any]) -> str:
    rules = encryption.get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
    defaults = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
    return next((each["KMSMasterKeyID"] for each in defaults if each.get("KMSMasterKeyID")), "")


def _key_state(world: World, key: str) -> tuple[Status, str] | None:
    """Check the state of the KMS key. Return the status and the message of the finding.

    Return None if the key is enabled and is not the AWS managed key for S3. In this case, only the key's policy shows
    whether the role can use the key.
    """
    answer = world.ask("kms", "describe_key", KeyId=key)
    if answer.code == "NotFoundException":
        return Status.FAILED, f"does not exist in {world.region}"
    if answer.why is not None:
        return Status.WARNING, f"could not be checked: {answer.why_not('kms:DescribeKey')}"
    if answer.value["KeyMetadata"].get("KeyState", "Enabled") != "Enabled":
        return Status.FAILED, f"has the state {answer.value['KeyMetadata']['KeyState']}, so it cannot be used"
    if answer.value["KeyMetadata"].get("KeyManager") == "AWS":
        return Status.OK, "is the AWS managed key for S3, which every role of the account is allowed to use through S3"
    return None


def _key_rights(world: World, key: str, arn: str) -> tuple[Status, str]:
    """Check whether the KMS key's policy allows the role with this ARN to use the key. If the key's policy lets IAM
    decide, also check the role's IAM policies.

    Return the status and the message of the finding.
    """
    answer = world.ask("kms", "get_key_policy", KeyId=key, PolicyName="default")
    if answer.why is not None:
        return Status.WARNING, f"has a policy that could not be read: {answer.why_not('kms:GetKeyPolicy')}"
    says = key_policy(json.loads(answer.value["Policy"]), arn, _KEY_ACTIONS)
    if says is not Says.LEFT_TO_IAM:
        return _SAID[says]
    refused = _refused(world, arn, _KEY_ACTIONS, key)
    if isinstance(refused, Finding):
        return Status.WARNING, f"has a policy that lets IAM decide. {refused.message.rstrip('.')}"
    if refused:
        return (
            Status.FAILED,
            f"has a policy that lets IAM decide, and no policy of the role allows {' and '.join(refused)}",
        )
    return Status.OK, "can be used by the role, because the key policy lets IAM decide, and IAM allows it"


_SAID = {
    Says.ALLOWED: (Status.OK, "can be used by the role, because the key policy allows it"),
    Says.DENIED: (Status.FAILED, "cannot be used by the role, because the key policy denies it"),
    Says.SILENT: (
        Status.FAILED,
        "cannot be used by the role, because the key policy neither allows it nor lets IAM decide",
    ),
    Says.UNKNOWN: (Status.WARNING, "has a policy with conditions for the role, which this check does not evaluate"),
}


def _refused(world: World, arn: str, actions: Sequence[str], resource: str) -> list[str] | Finding:
    """Return those of `actions` that the role's IAM policies do not allow on the resource. If the request to
    IAM's policy simulator failed, return a warning.
    """
    answer = world.ask(
        "iam",
        "simulate_principal_policy",
        PolicySourceArn=arn,
        ActionNames=list(actions),
        ResourceArns=[resource],
    )
    if answer.why is not None:
        return warning(f"The role's permissions could not be checked: {answer.why_not('iam:SimulatePrincipalPolicy')}.")
    return [each["EvalActionName"] for each in answer.value["EvaluationResults"] if each["EvalDecision"] != "allowed"]


PROBES = (batch_role, batch_bucket, batch_bucket_policy, batch_access, batch_key)
