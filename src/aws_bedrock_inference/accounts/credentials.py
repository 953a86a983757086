"""The credentials of assumed roles: fetched at the first call, renewed before they expire, shared within the process.

They are botocore's `DeferredRefreshableCredentials`, so that boto3 and our own transports use them as any others.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.exceptions import CredentialRetrievalError
from botocore.session import Session
from cachetools import LRUCache

from aws_bedrock_inference.forks import Locked, renew_after_fork, renew_lock
from aws_bedrock_inference.knowledge.classify import unidentified
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.sessions import core_of, make_client

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from aws_bedrock_inference.accounts.roles import AssumedRole
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.fault import Fault

# Seconds before the end at which a renewal starts: botocore's own 15 minutes, or a quarter of a short session, which
# would else be due for as long as it lives. Calls go on with the credentials they have until the last minute.
_EARLY = 900
_LAST = 60

# The longest session of a role that another role assumes, in seconds: AssumeRole refuses more.
_CHAINED = 3600

# Seconds until a renewal that failed is tried again while its credentials are still valid.
PAUSE = 30.0

# Credentials that one session keeps, as many as it has roles and sets of tags in use.
_MOST = 1000
_COMPONENT = "aws_bedrock_inference_roles"

# One attempt: whoever makes the call repeats it by its own rules.
_STS = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1})

# These decide whether, and for how long, a session is given, and not what it may do.
_NO_IDENTITY = frozenset({"ExternalId", "DurationSeconds"})

_NOT_TRUSTED = frozenset({"sts-assume-role-denied", "assume-role-trust"})


class RoleNotAssumed(CredentialRetrievalError):
    """STS gave no credentials of a role. `fault` has the reason, the role and what to check."""

    fmt = "{error_msg}"

    def __init__(self, fault: Fault) -> None:
        super().__init__(provider="STS", error_msg=fault.message)
        self.fault = fault

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.fault,)


class RoleCredentials(DeferredRefreshableCredentials):
    """The credentials of `role`, which the credentials of botocore's session `base` assume in `region`. `principal` is
    the identity that AWS sees, as a text, with the roles that lead to it; `lead_to` has the credentials of roles that
    these assume.
    """

    def __init__(self, role: AssumedRole, base: Any, region: str, wall: Clock) -> None:
        super().__init__(self._fetch, "assume-role", lambda: datetime.fromtimestamp(wall(), UTC))
        through = base.credentials.principal if isinstance(base, RoleSession) else ""
        self.principal: str = f"{through} {_principal(role)}".strip()
        self._account_id = role.account  # known before the first fetch, since the role's ARN has it
        self._advisory_refresh_timeout = min(_EARLY, role.duration // 4)
        self._mandatory_refresh_timeout = _LAST
        self._role = role
        self._base = base
        self._region = region
        self._wall = wall
        self._source: Any = None
        self._given: dict[str, str] = {}
        self._paused_until = 0.0
        self.lead_to: LRUCache[Hashable, RoleCredentials] = LRUCache(_MOST)
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Replace the locks that a thread of the parent may hold while it renews these credentials or their source."""
        renew_lock(self)
        renew_lock(self._source)

    def refresh_needed(self, refresh_in: int | None = None) -> bool:
        """Return whether the credentials end within `refresh_in` seconds, so that they are to be renewed; just after
        a renewal that failed, whether they must be.
        """
        if self._wall() < self._paused_until:
            refresh_in = _LAST if refresh_in is None else min(refresh_in, _LAST)
        needed: bool = super().refresh_needed(refresh_in)
        return needed

    def _fetch(self) -> dict[str, str]:
        try:
            self._given = self._assume()
        except Exception as error:  # noqa: BLE001 - STS's answers, and whatever the source of credentials raises
            fault = _fault_of(self._role, error)
        else:
            return self._given
        self._paused_until = self._wall() + PAUSE
        if not self.refresh_needed(_LAST):
            LOGGER.warning(
                "%s was not assumed again (%s, %s); its credentials are still valid and are used",
                self._role.role_arn,
                fault.code,
                fault.cause,
            )
            return self._given
        raise RoleNotAssumed(fault)  # here, so that it does not hold the error, which may hold a request

    def _assume(self) -> dict[str, str]:
        client, _, self._source = make_client("sts", self._base, region_name=self._region, config=_STS)
        try:
            given = client.assume_role(**_request(self._role)).get("Credentials")
        finally:
            client.close()
        if not given:
            raise CredentialRetrievalError(provider="STS", error_msg="the answer has no credentials")
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
            "account_id": self._role.account,
        }


def _request(role: AssumedRole) -> dict[str, Any]:
    """Return the parameters of AssumeRole."""
    request: dict[str, Any] = {
        "RoleArn": role.role_arn,
        "RoleSessionName": role.session_name,
        "DurationSeconds": int(role.duration),
    }
    if role.external_id is not None:
        request["ExternalId"] = role.external_id
    if role.tags:
        request["Tags"] = [{"Key": key, "Value": value} for key, value in sorted(role.tags.items())]
    if role.transitive_tags:
        request["TransitiveTagKeys"] = sorted(role.transitive_tags)
    return request


def _principal(role: AssumedRole) -> str:
    """Return a text that is the same for roles whose calls are allowed the same."""
    return json.dumps({name: value for name, value in _request(role).items() if name not in _NO_IDENTITY})


def _fault_of(role: AssumedRole, error: Exception) -> Fault:
    """Return the fault of a role that `error` kept from being assumed."""
    fault = unidentified(error)
    itself = fault.cause in _NOT_TRUSTED and not isinstance(error, RoleNotAssumed)  # else the role that leads to it
    advice = _what_to_check(role) if itself else fault.advice
    return replace(fault, message=f"{role.role_arn} was not assumed: {fault.message}", advice=advice)


def _what_to_check(role: AssumedRole) -> str:
    actions = "sts:AssumeRole and sts:TagSession" if role.tags else "sts:AssumeRole"
    demanded = (
        "demands no other external id than the one given"
        if role.external_id is not None
        else "demands no external id, since none is given"
    )
    return (
        f"In account {role.account}, see that the role exists, that its trust policy allows {actions} to the caller, "
        f"and that it {demanded}. In the caller's own policies, allow {actions} on {role.role_arn}."
    )


class _Kept(Locked):
    """The credentials of this process. Each session of botocore has those that it assumes as a component, so that they
    end with it: a session takes megabytes, and some programs make one for each call.
    """

    def of(self, base: Any, key: Hashable, make: Callable[[], RoleCredentials]) -> RoleCredentials:
        with self._lock:
            try:
                kept = base.get_component(_COMPONENT)
            except ValueError:
                kept = LRUCache(_MOST)
                base.register_component(_COMPONENT, kept)
            credentials: RoleCredentials | None = kept.get(key)
            if credentials is None:
                credentials = kept[key] = make()
            return credentials


_kept = _Kept()


class RoleSession(Session):
    """A session of botocore that signs with the credentials of a role."""

    def __init__(self, credentials: RoleCredentials, profile: str | None) -> None:
        super().__init__(profile=profile)
        self.credentials = credentials
        self.register_component(_COMPONENT, credentials.lead_to)

    def get_credentials(self) -> RoleCredentials:
        """Return the role's credentials."""
        return self.credentials


def signing_with(role: AssumedRole, session: Any, wall: Clock) -> Any:
    """Return a session of boto3 like `session`, that signs with `role`.

    Raises `ValueError` for want of a Region, and for a longer duration than a role gets from another.
    """
    base = core_of(session)
    config = base.get_default_client_config()
    region = role.region_name or base.get_config_variable("region") or getattr(config, "region_name", None)
    if not region:
        raise ValueError(
            f"no AWS Region to assume {role.role_arn} in: give AssumedRole(..., region_name='us-east-1') (or another), "
            "or a session that has one, or set AWS_DEFAULT_REGION"
        )
    if role.duration > _CHAINED and isinstance(base, RoleSession):
        raise ValueError(
            f"duration={role.duration}: a role that assumes another gets {_CHAINED} seconds at most; "
            f"give duration={_CHAINED}"
        )
    key = (json.dumps(_request(role)), region, wall)
    credentials = _kept.of(base, key, lambda: RoleCredentials(role, base, region, wall))
    core = RoleSession(credentials, base.profile)
    core.register_component("data_loader", base.get_component("data_loader"))  # it has read botocore's models
    core.set_config_variable("region", region)
    if config is not None:
        core.set_default_client_config(config)
    # AWS_BEARER_TOKEN_BEDROCK would else win over the role, and the calls be those of another account.
    core.get_component("event_emitter").register_first("choose-signer", _signed)
    return boto3.Session(botocore_session=core)


def _signed(*, signing_name: str, **_: object) -> str | None:
    return "v4" if signing_name == "bedrock" else None
