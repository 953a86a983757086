"""Check a job before it is created: its role, its buckets and its model.

AWS accepts an invalid job and reports it as failed minutes later. A check takes only one or two calls. Sometimes a
check cannot be done, usually because the caller lacks a permission that only the check needs. Such a check reports no
problem.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.jobs.model_checks import model_problem
from aws_bedrock_inference.jobs.trust import HOW, distrust
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.sessions import make_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.foundation.models import Models
    from aws_bedrock_inference.s3 import S3Location

# Source: botocore 1.44.8, shape RoleArn of bedrock; AWS's pattern also accepts an ARN without an account.
_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/([!-~]*/)?([\w+=,.@-]{1,64})")

# Source: botocore 1.44.8, shape S3Uri of bedrock: other characters, and empty names between slashes, are refused.
_KEY = re.compile(r"([-!_*'().a-z0-9A-Z]+(/[-!_*'().a-z0-9A-Z]+)*)?/?")

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403", "AllAccessDisabled"})
_REGION = "x-amz-bucket-region"

# The name of an upload that is started and aborted, to check the permission to write.
_PROBE = ".bedrock-may-write"

_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})


class JobChecks:
    """The checks of jobs in one Region.

    `session` is a session of boto3 or botocore; if it is None, boto3's default session is used. `models` lists the
    models of the account. Without `models`, the checks do not find out whether the account has the model of the job.
    """

    def __init__(self, session: Any, region_name: str, *, models: Models | None = None) -> None:
        self._session = session
        self._region = region_name
        self._models = models

    def check(self, *, role_arn: str, model_id: str, output: S3Location, given_input: S3Location | None = None) -> None:
        """Check the job. Raise `ValueError` with one line for each problem.

        `given_input` is an input that is already in S3. If it is None, the caller will upload the input below `output`,
        so the caller's permission to write there is also checked.
        """
        problems = [
            self._found(self._role, role_arn),
            self._found(model_problem, model_id, self._models),
            _key_problem(output),
            self._found(self._bucket, output, "output"),
        ]
        if given_input is not None:
            problems.append(_key_problem(given_input))
            problems.append(self._found(self._bucket, given_input, "input"))
        else:
            problems.append(self._found(self._may_write, output))
        if found := [problem for problem in problems if problem]:
            raise ValueError("\n".join(found))

    def _found(self, check: Callable[..., str], *given: Any) -> str:
        """Return a sentence about the problem that `check` finds. Return an empty text if there is no problem, or if
        the check cannot be done.
        """
        try:
            return check(*given)
        except (BotoCoreError, ClientError, ResponseParserError, OSError, KeyError) as error:
            # botocore raises ResponseParserError and KeyError for responses that are not from AWS.
            LOGGER.debug("a check of a batch job was skipped: %s", error)
            return ""

    def _role(self, role_arn: str) -> str:
        parts = _ROLE.fullmatch(str(role_arn))
        if parts is None:
            return (
                f"role_arn={shown(role_arn)}: pass the ARN of a role that Bedrock can assume, "
                "arn:aws:iam::123456789012:role/NAME"
            )
        partition, account, _, name = parts.groups()
        own = self._asked("sts", lambda sts: sts.get_caller_identity()["Account"])
        if own != account:
            return (
                f"{role_arn} is a role of account {account}, but the credentials belong to account {own}. A role "
                f"cannot be passed to a service across accounts. Use a role of {own}, or credentials of {account}"
            )
        try:
            role = self._asked("iam", lambda iam: iam.get_role(RoleName=name)["Role"])
        except ClientError as error:
            if _code(error) != "NoSuchEntity":
                raise
            return f"the role {role_arn} does not exist. Create it, or pass another role; {HOW}"
        why = distrust(role.get("AssumeRolePolicyDocument"), account, self._region, partition)
        return f"{role_arn} cannot be used: {why}" if why else ""

    def _bucket(self, place: S3Location, purpose: str) -> str:
        try:
            answer = self._asked("s3", lambda s3: s3.head_bucket(Bucket=place.bucket))
        except ClientError as error:
            if _code(error) in ("404", "NoSuchBucket"):
                return f"{place}: the bucket {place.bucket} for the {purpose} does not exist. Create it, or use another"
            answer = error.response
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = answer.get("BucketRegion") or headers.get(_REGION) or self._region
        if region == self._region:
            return ""
        return (
            f"{place}: the bucket for the {purpose} is in {region}, but the job is in {self._region}. Both must be in "
            f"the same Region. Pass a bucket in {self._region}, or region_name={region!r}"
        )

    def _may_write(self, place: S3Location) -> str:
        """Return a sentence about the problem if the caller has no permission to write to `place`. Otherwise, return an
        empty text. The check starts an upload and aborts the upload, so no object remains.
        """
        key = f"{place.key}{_PROBE}"

        def probe(s3: Any) -> None:
            begun = s3.create_multipart_upload(Bucket=place.bucket, Key=key)
            s3.abort_multipart_upload(Bucket=place.bucket, Key=key, UploadId=begun["UploadId"])

        try:
            self._asked("s3", probe)
        except ClientError as error:
            if _code(error) not in _DENIED or error.operation_name != "CreateMultipartUpload":
                raise
            fault = classify(error)
            return f"{place}: the caller has no permission to write here ({fault}). {fault.advice}".rstrip(".")
        return ""

    def _asked(self, service: str, ask: Callable[[Any], Any]) -> Any:
        client, _, _ = make_client(service, self._session, region_name=self._region, config=_CONFIG)
        try:
            return ask(client)
        finally:
            client.close()


def _key_problem(place: S3Location) -> str:
    if _KEY.fullmatch(place.key):
        return ""
    return (
        f"{place}: Bedrock accepts only letters, digits and -!_*'(). between single slashes in a key. Use a prefix "
        "without other characters"
    )


def too_few(records: int, least: int, model_id: str) -> str:
    """Return the message for a job that has fewer records than the service accepts."""
    return (
        f"{records} record{'s' * (records != 1)}: a batch job of {model_id} needs at least {least}. Add records, or "
        "run them on demand with on_too_few='local'"
    )


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
