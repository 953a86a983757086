"""Read the account's quotas from Service Quotas, and store them on disk.

The quotas are read only if the program calls `discover`. A client also works without them, so a program can continue
if they cannot be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock
from aws_bedrock_inference.service_quotas import cache as kept
from aws_bedrock_inference.service_quotas.advice import advice_for
from aws_bedrock_inference.service_quotas.names import facts
from aws_bedrock_inference.service_quotas.table import Found, QuotaTable
from aws_bedrock_inference.sessions import key_of, make_client

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from aws_bedrock_inference.clock import Clock

A_DAY = 86_400.0  # seconds

_NEEDED = "servicequotas:ListServiceQuotas and servicequotas:ListAWSDefaultServiceQuotas"


class QuotasUnknown(RuntimeError):
    """Raised if the account's quotas could not be read, and no quotas from an earlier reading are stored."""


def discover(
    session: Any = None,
    *,
    region_name: str | None = None,
    endpoint_url: str | None = None,
    cache: str | Path | None = None,
    max_age: float = A_DAY,
    now: Clock = clock.wall,
) -> QuotaTable:
    """Return the account's quotas for Bedrock in one Region.

    * `session`: a session of boto3 or botocore. Default: boto3's default session.
    * `endpoint_url`: an endpoint of Service Quotas, not of Bedrock.
    * `max_age`, default one day: the seconds for which stored quotas are used. A day is enough, because quotas change
      only on request. With 0, the quotas are always read from AWS.
    * `cache`: the directory that stores the quotas. Default: `aws-bedrock-inference` in `$XDG_CACHE_HOME` or
      `~/.cache`.

    If Service Quotas does not answer, the function returns the stored quotas, although they are older than `max_age`.
    `stale` of the result is then True, `why` is the reason, and `age` is the age of the quotas.

    Raises `QuotasUnknown` if Service Quotas does not answer and no quotas are stored. Raises botocore's `NoRegionError`
    if no Region is found.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy, and only this code needs it

    client, credentials = service_quotas(session, region_name=region_name, endpoint_url=endpoint_url)
    region = client.meta.region_name
    try:
        account, key = _whose(credentials)
    except (BotoCoreError, ClientError) as error:
        raise QuotasUnknown(_failure_message(region, error)) from error
    place = kept.place(cache, key, region, client.meta.endpoint_url)
    reading = kept.read(place)
    if reading is not None and 0 <= now() - reading.at < max_age:
        return QuotaTable(reading.found, region, account, age=now() - reading.at)
    try:
        found = tuple(
            _merged(_listed(client, "list_service_quotas"), _listed(client, "list_aws_default_service_quotas"))
        )
    except (BotoCoreError, ClientError) as error:
        if reading is None:
            raise QuotasUnknown(_failure_message(region, error)) from error
        return QuotaTable(reading.found, region, account, age=max(0.0, now() - reading.at), why=_reason(error))
    kept.write(place, kept.Reading(now(), found))
    return QuotaTable(found, region, account)


def service_quotas(
    session: Any = None, *, region_name: str | None = None, endpoint_url: str | None = None
) -> tuple[Any, Any]:
    """Return a client of Service Quotas, and the credentials with which it signs requests. The Region and the
    credentials are found in the same way as in boto3.

    The client makes up to five attempts with the SDK's own retries, because Service Quotas throttles early.
    """
    from botocore.config import Config  # noqa: PLC0415 - heavy, and only this code needs it

    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5})
    client, _, credentials = make_client(
        "service-quotas", session, region_name=region_name, endpoint_url=endpoint_url, config=config
    )
    return client, credentials


def _whose(credentials: Any) -> tuple[str, str]:
    """Return two texts: the account id, and the text that identifies the account in the cache of quotas.

    The second text is normally the account id, too. If the credentials do not contain the account id, the first text is
    empty and the second is a hash of the access key.
    """
    from botocore.exceptions import NoCredentialsError  # noqa: PLC0415

    if credentials is None:
        raise NoCredentialsError
    frozen = credentials.get_frozen_credentials()
    account = getattr(frozen, "account_id", None) or ""
    return account, account or key_of(frozen.access_key)


def _listed(client: Any, operation: str) -> list[dict[str, Any]]:
    pages = client.get_paginator(operation).paginate(ServiceCode=facts()["service"], PaginationConfig={"PageSize": 100})
    return [quota for page in pages for quota in page.get("Quotas", ())]


def _merged(applied: Iterable[dict[str, Any]], defaults: Iterable[dict[str, Any]]) -> Iterable[Found]:
    applies = {
        quota["QuotaCode"]: quota for quota in applied if quota.get("QuotaAppliedAtLevel", "ACCOUNT") == "ACCOUNT"
    }
    published = {quota["QuotaCode"]: quota for quota in defaults}
    for code, quota in sorted({**published, **applies}.items()):
        yield Found(
            code=code,
            name=quota["QuotaName"],
            applied=_value(applies.get(code)),
            default=_value(published.get(code)),
            adjustable=quota.get("Adjustable", False),
        )


def _value(quota: dict[str, Any] | None) -> float | None:
    return None if quota is None or "Value" not in quota else float(quota["Value"])


def _failure_message(region: str, error: Exception) -> str:
    return (
        f"the quotas of this account in {region} are unknown: {_reason(error)}. {advice_for(error, _NEEDED)} "
        "Or configure rpm and tpm yourself; calls do not need discovery."
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
