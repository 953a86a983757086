"""The temporary credentials of assumed roles. The first call that needs credentials requests them from AWS STS. The
credentials are renewed before they expire. All sessions of the process that use the same role share them.

The credentials are objects of botocore's class `DeferredRefreshableCredentials`. Therefore boto3 and this package use
them like any other credentials.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.credentials import Credentials, DeferredRefreshableCredentials
from botocore.exceptions import CredentialRetrievalError
from botocore.session import Session
from cachetools import LRUCache

from aws_bedrock_inference.accounts.replaced import is_refusal, replaced, with_other_credentials
from aws_bedrock_inference.accounts.spans import LAST, PAUSE
from aws_bedrock_inference.forks import Locked, renew_after_fork, renew_lock
from aws_bedrock_inference.knowledge.classify import unidentified
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.sessions import core_of, make_client

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from aws_bedrock_inference.accounts.roles import AssumedRole
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.fault import Fault

# Seconds before the expiry at which a renewal starts: 15 minutes as in botocore, but at most a quarter of the session,
# so that a short session is not always due for renewal.
_EARLY = 900

# The longest session of a role that another role assumes, in seconds. AssumeRole refuses a longer one.
_CHAINED = 3600

# The number of credentials that one session stores: one for each role and set of tags in use.
_MOST = 1000
_COMPONENT = "aws_bedrock_inference_roles"

# STS gets one attempt, because the client already retries the call that needs the credentials.
_STS = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1})

# These parameters of AssumeRole do not change the permissions of the session.
_NO_IDENTITY = frozenset({"ExternalId", "DurationSeconds"})

_NOT_TRUSTED = frozenset({"sts-assume-role-denied", "assume-role-trust"})


class RoleNotAssumed(CredentialRetrievalError):
    """STS returned no credentials for a role. The attribute `fault` contains the reason, the role and what to check."""

    fmt = "{error_msg}"

    def __init__(self, fault: Fault) -> None:
        super().__init__(provider="STS", error_msg=fault.message)
        self.fault = fault

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.fault,)


class RoleCredentials(DeferredRefreshableCredentials):
    """The temporary credentials of `role`, from AWS STS in `region`. The botocore session `base` signs the request to
    STS.

    Roles can form a chain: role A assumes role B, and role B assumes role C. The credentials of B then have two
    attributes:

    * `principal`: a text that names the roles of the chain up to B, which are A and B.
    * `lead_to`: the credentials of the roles that B has assumed, for example those of C.
    """

    def __init__(self, role: AssumedRole, base: Any, region: str, wall: Clock) -> None:
        super().__init__(self._fetch, "assume-role", lambda: datetime.fromtimestamp(wall(), UTC))
        through = base.credentials.principal if isinstance(base, RoleSession) else ""
        self.principal: str = f"{through} {_principal(role)}".strip()
        self._account_id = role.account  # known before the first fetch, because the role's ARN contains it
        self._advisory_refresh_timeout = min(_EARLY, role.duration // 4)
        self._mandatory_refresh_timeout = LAST
        self._role = role
        self._base = base
        self._region = region
        self._wall = wall
        self._source: Any = None
        self._signed_by: Any = None
        self._given: dict[str, str] = {}
        self._paused_until = 0.0
        self.lead_to: LRUCache[Hashable, RoleCredentials] = LRUCache(_MOST)
        renew_after_fork(self)

    def after_fork(self) -> None:
        """In a forked child, replace two locks: the lock of these credentials, and the lock of the credentials that
        assume the role.

        If a thread of the parent held a lock during the fork, the child's copy of the lock would never be released.
        """
        renew_lock(self)
        renew_lock(self._source)

    def refresh_needed(self, refresh_in: int | None = None) -> bool:
        """Return whether the credentials expire within `refresh_in` seconds. If so, botocore renews them.

        After a failed renewal, return False for 30 s, so that not every call sends a request to STS. In the last minute
        before the credentials expire, however, return True.
        """
        if self._wall() < self._paused_until:
            refresh_in = LAST if refresh_in is None else min(refresh_in, LAST)
        needed: bool = super().refresh_needed(refresh_in)
        return needed

    def _fetch(self) -> dict[str, str]:
        try:
            self._given = self._assume()
        except Exception as error:  # noqa: BLE001 - errors of STS, and any error of the source of credentials
            fault = _fault_of(self._role, error)
            if is_refusal(fault) and self._source_replaced():
                fault = with_other_credentials(fault)
        else:
            return self._given
        self._paused_until = self._wall() + PAUSE
        if not self.refresh_needed(LAST):
            LOGGER.warning(
                "could not renew the credentials of the role %s (error code %s, cause %s). Calls still use the current "
                "credentials; correct the cause before these expire",
                self._role.role_arn,
                fault.code,
                fault.cause,
            )
            return self._given
        raise RoleNotAssumed(fault)  # raised here, so that it does not reference `error`, which may reference a request

    def _source_replaced(self) -> bool:
        """Return whether the access keys have changed since STS refused them.

        For example, another program may have replaced the keys in `~/.aws/credentials`.

        Only access keys are read again. All other credentials renew themselves, and reading them could send another
        request to STS.
        """
        try:
            return type(self._source) is Credentials and replaced(self._base, self._source, self._signed_by)
        except Exception:  # noqa: BLE001 - any error of the source: the refusal of STS is the more useful fault
            return False

    def _assume(self) -> dict[str, str]:
        client, _, self._source = make_client("sts", self._base, region_name=self._region, config=_STS)
        self._signed_by = self._source.get_frozen_credentials() if type(self._source) is Credentials else None
        try:
            given = client.assume_role(**_request(self._role)).get("Credentials")
        finally:
            client.close()
        if not given:
            raise CredentialRetrievalError(provider="STS", error_msg="the answer contains no credentials")
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
            "account_id": self._role.account,
        }


def _request(role: AssumedRole) -> dict[str, Any]:
    """Return the parameters of the request AssumeRole."""
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
    """Return a text that identifies the role's session: the ARN of the role, the session name and the tags.

    The text contains neither the external id nor the duration, because they do not change the permissions.
    """
    return json.dumps({name: value for name, value in _request(role).items() if name not in _NO_IDENTITY})


def _fault_of(role: AssumedRole, error: Exception) -> Fault:
    """Return the fault of a role that could not be assumed because of `error`."""
    fault = unidentified(error)
    itself = fault.cause in _NOT_TRUSTED and not isinstance(
        error, RoleNotAssumed
    )  # if False, the error is about another role: the one that assumes this role
    advice = _what_to_check(role) if itself else fault.advice
    return replace(fault, message=f"could not assume {role.role_arn}: {fault.message}", advice=advice)


def _what_to_check(role: AssumedRole) -> str:
    actions = "sts:AssumeRole and sts:TagSession" if role.tags else "sts:AssumeRole"
    demanded = (
        "requires no external id other than the one that you set"
        if role.external_id is not None
        else "requires no external id, because you set none"
    )
    return (
        f"In account {role.account}, check that the role exists, that its trust policy allows {actions} to the caller, "
        f"and that the trust policy {demanded}. In the caller's own policies, allow {actions} on {role.role_arn}."
    )


class _Kept(Locked):
    """A cache of the credentials of roles, so that the sessions of this process share them.

    The credentials of a role reference the botocore session that assumed the role. The cache is stored in this session.
    When the program no longer uses the session, Python frees the session and the credentials.

    A global cache would reference the credentials, and through them every session. No session would then be freed. A
    session uses megabytes, and some programs create a session for each call.
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
    """A botocore session that signs requests with the credentials of a role."""

    def __init__(self, credentials: RoleCredentials, profile: str | None) -> None:
        super().__init__(profile=profile)
        self.credentials = credentials
        self.register_component(_COMPONENT, credentials.lead_to)

    def get_credentials(self) -> RoleCredentials:
        """Return the role's credentials."""
        return self.credentials


def signing_with(role: AssumedRole, session: Any, wall: Clock) -> Any:
    """Return a boto3 session that signs requests with the credentials of `role`.

    All other settings are those of `session`.

    Raises `ValueError` if neither `role` nor `session` has a Region. Also raises `ValueError` if `session` signs with
    the credentials of another role and `role.duration` is more than one hour. AWS limits the duration to one hour when
    one role assumes another.
    """
    base = core_of(session)
    config = base.get_default_client_config()
    region = role.region_name or base.get_config_variable("region") or getattr(config, "region_name", None)
    if not region:
        raise ValueError(
            f"no AWS Region to assume {role.role_arn}: STS needs a Region. Pass region_name='us-east-1' or another "
            "Region to AssumedRole, pass a session that has a Region, or set AWS_DEFAULT_REGION"
        )
    if role.duration > _CHAINED and isinstance(base, RoleSession):
        raise ValueError(
            f"duration={role.duration}: AWS allows at most {_CHAINED} seconds when one role assumes another role (role "
            f"chaining); pass duration={_CHAINED} or less"
        )
    key = (json.dumps(_request(role)), region, wall)
    credentials = _kept.of(base, key, lambda: RoleCredentials(role, base, region, wall))
    core = RoleSession(credentials, base.profile)
    core.register_component("data_loader", base.get_component("data_loader"))  # it has already read botocore's models
    core.set_config_variable("region", region)
    if config is not None:
        core.set_default_client_config(config)
    # Otherwise AWS_BEARER_TOKEN_BEDROCK would take precedence, and calls would use another account.
    core.get_component("event_emitter").register_first("choose-signer", _signed)
    return boto3.Session(botocore_session=core)


def _signed(*, signing_name: str, **_: object) -> str | None:
    return "v4" if signing_name == "bedrock" else None
