"""Request a quota increase from AWS. A request that AWS would certainly refuse is not sent. The package states the
reason instead.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.knowledge.models import split_profile
from aws_bedrock_inference.service_quotas.names import facts
from aws_bedrock_inference.service_quotas.table import POOLS, explain_hold

if TYPE_CHECKING:
    from aws_bedrock_inference.service_quotas.table import Found, QuotaTable

UNITS = {"rpm": "requests per minute", "tpm": "tokens per minute"}


class IncreaseRefused(ValueError):
    """The request for a quota increase was not sent, or AWS did not accept it. The message states the reason and what
    to do.
    """


@dataclass(frozen=True, slots=True)
class Increase:
    """A request for a quota increase: raise the quota `found` to the value `to` in `region`."""

    found: Found
    to: int
    region: str

    @property
    def command(self) -> str:
        """The AWS CLI command that sends the request."""
        return (
            f"aws service-quotas request-service-quota-increase --service-code {facts()['service']} "
            f"--quota-code {self.found.code} --desired-value {self.to} --region {self.region}"
        )

    @property
    def history(self) -> str:
        """The AWS CLI command that shows the state of all requests for this quota."""
        return (
            "aws service-quotas list-requested-service-quota-change-history-by-quota "
            f"--service-code {facts()['service']} --quota-code {self.found.code} --region {self.region}"
        )

    def advice(self, model: str) -> str:
        """Return a text for the user that describes how AWS decides about the request.

        The decision depends on the lifecycle status of `model` and on the account's usage of the model. The text
        contains two commands: one shows the status, the other shows the usage.
        """
        base, name = shlex.quote(split_profile(model)[0]), shlex.quote(model)
        return (
            f"{facts()['increase']['text'].strip()} Check both first:\n"
            f"  $ aws bedrock get-foundation-model --model-identifier {base} --region {self.region} "
            "--query modelDetails.modelLifecycle.status\n"
            f"  $ bedrock quota show {name} --usage --region {self.region}"
        )

    def file(self, client: Any) -> dict[str, Any]:
        """Send the request with `client`, a client of Service Quotas. Return AWS's record of the request, with `Id`,
        `Status` and perhaps `CaseId`.

        Raises `IncreaseRefused` if AWS does not accept the request.
        """
        from botocore.exceptions import ClientError  # noqa: PLC0415 - heavy, and only this code needs it

        try:
            answer = client.request_service_quota_increase(
                ServiceCode=facts()["service"], QuotaCode=self.found.code, DesiredValue=float(self.to)
            )
        except ClientError as error:
            raise IncreaseRefused(self._refused(error.response["Error"])) from error
        record: dict[str, Any] = answer["RequestedQuota"]
        return record

    def _refused(self, error: Any) -> str:
        known = facts()["increase"]["errors"].get(error["Code"])
        answer = f"{error['Code']}: {error['Message']}"
        return f"{known}\n{answer}\nSee {self.history}" if known else f"AWS did not accept the request: {answer}"


def plan_increase(table: QuotaTable, base_model_id: str, pool: str, dimension: str, to: int) -> Increase:
    """Return the request that raises one quota of a model to the value `to`.

    `pool` is the quota pool of this quota. `dimension` is `rpm` for requests per minute or `tpm` for tokens per minute.

    Raises `IncreaseRefused` if `table` does not contain the quota, or if AWS would certainly refuse the request.
    """
    limits = table.limits(base_model_id, pool)
    if limits is None:
        raise IncreaseRefused(_no_pool(table, base_model_id, pool))
    found = limits.known.get(dimension)
    if found is None:
        raise IncreaseRefused(
            f"{base_model_id} has no known quota of {UNITS[dimension]} in the quota pool {pool} (--pool). Choose a "
            "quota that `bedrock quota show` lists."
        )
    if found.held:
        raise IncreaseRefused(f"The quota {found.name} ({found.code}) is 0.\n{explain_hold()}")
    if not found.adjustable:
        instead = "" if (pool, dimension) == ("geographic", "tpm") else f" {facts()['increase']['instead'].strip()}"
        raise IncreaseRefused(
            f"The quota {found.name} ({found.code}) is not adjustable: AWS accepts no request to raise it.{instead}"
        )
    for value, which in (
        (found.value, "is the current value"),
        (found.default, "is the default, and the API accepts only higher values"),
    ):
        if value is not None and to <= value:
            raise IncreaseRefused(
                f"{found.name}: {to:,} is not higher than {value:,.15g}, which {which}. Request a higher value."
            )
    return Increase(found, to, table.region)


def _no_pool(table: QuotaTable, base_model_id: str, pool: str) -> str:
    others = [other for other in POOLS if table.limits(base_model_id, other) is not None]
    known = (
        f" It has quotas in these pools (--pool): {', '.join(others)}."
        if others
        else " `bedrock quota show` lists the known quotas."
    )
    return f"no quota of {base_model_id} in the pool {pool} is known in {table.region}.{known}"
