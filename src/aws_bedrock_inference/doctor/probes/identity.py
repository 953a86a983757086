"""Probes that check who makes the calls: the credentials, their source and expiry time, and the identity that they
belong to.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.doctor.findings import Finding, cause_of, failed, ok, warning
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.doctor.sources import (
    BROKEN,
    ENVIRONMENT,
    SOON,
    SSO,
    end,
    end_of_login,
    half,
    hides,
    out_of,
    source,
    wrong_pair,
)
from aws_bedrock_inference.doctor.world import BEARER
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.transports.principals import account_of

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.api_key import ApiKey
    from aws_bedrock_inference.doctor.world import World

_IDENTITY = "identity"
_KEY = "bedrock-api-key-invalid"

# Causes with which STS refuses invalid credentials.
_REFUSED = ("invalid-access-key", "credentials-expired", "signature-mismatch", "clock-skew", "region-disabled")


@probe(
    _IDENTITY,
    needs=["region"],
    tells=[
        *("credentials-missing", "credentials-expired", "credential-source-unreadable", "sdk-config-invalid", _KEY),
        "credential-source-unavailable",
        *("sso-token-expired", "web-identity-token-expired", "identity-token-refused", "oidc-provider-missing"),
        *("sts-assume-role-denied", "assume-role-trust", "mfa-required-or-wrong"),
    ],
)
def credentials(world: World) -> Finding:
    """Check that boto3 finds credentials, and read their source and their expiry time."""
    tried = "fetched the credentials with boto3"
    try:
        found = world.core.get_credentials()  # boto3 does so even with an API key
        if world.api_key is not None:
            return _of_key(world, world.api_key)
        if found is not None:
            if getattr(found, "method", "") == ENVIRONMENT and _is_over(world, end(found)):
                message = f"The credentials expired {_ago(world, end(found))}, according to AWS_CREDENTIAL_EXPIRATION."
                return failed(message, tried, cause="credentials-expired")
            found.get_frozen_credentials()
    except BROKEN as error:
        reason = masked(" ".join(str(error).split()), accounts=True)
        cause = cause_of(error, otherwise="credential-source-unreadable")
        profile = quote(world.core.profile or "default")
        message = f"The credentials cannot be fetched{out_of(world.core)}: {reason}"
        return failed(message, tried, cause=cause, PROFILE=profile)
    if found is None:
        return failed(_with(half(world.environ), "boto3 finds no credentials."), tried, cause="credentials-missing")
    return _found(world, found, tried)


def _found(world: World, found: Any, tried: str) -> Finding:
    where = f"The credentials come from {source(found)}."
    hidden = hides(found, world.core)
    if hidden:
        return warning(f"{where} {hidden}", tried)
    method = getattr(found, "method", "")
    login = end_of_login(world.core) if method == SSO else None
    if _is_near(world, login):
        message = f"{where} The login expires {_soon(world, login)}. Log in again before a long run."
        return warning(message, tried, cause="sso-token-expired")
    if method == ENVIRONMENT and _is_near(world, end(found)):
        message = f"{where} They expire {_soon(world, end(found))} and are not renewed."
        return warning(message, tried, cause="credentials-expired")
    if half(world.environ):
        return warning(_with(half(world.environ), where), tried)
    if method == ENVIRONMENT and found.token and end(found) is None:
        return ok(f"{where} They belong to a session. boto3 does not know when they expire.", tried)
    return ok(where, tried)


def _of_key(world: World, key: ApiKey) -> Finding:
    """Check a Bedrock API key without sending a request. The text of the key shows the kind of the key. The text of a
    short-term key also shows the expiry time and the Region.
    """
    tried = f"read the API key in {BEARER}"
    others = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE") if world.environ.get(name)]
    hides = f" The API key overrides {' and '.join(others)}." if others else ""
    if not key.kind:
        message = (
            f"The value of {BEARER} does not have the form of a Bedrock API key. Set such a key, or unset the variable."
        )
        return warning(f"{message}{hides}", tried, cause=_KEY)
    if _is_over(world, key.ends):
        return failed(f"The short-term API key in {BEARER} expired {_ago(world, key.ends)}.{hides}", tried, cause=_KEY)
    if key.region and key.region != world.region:
        message = (
            f"The short-term API key in {BEARER} is valid only in {key.region}, but calls go to {world.region}.{hides}"
        )
        return failed(message, tried, cause=_KEY)
    what = f"Calls are made with the {key.kind} API key in {BEARER}."
    if _is_near(world, key.ends):
        return warning(f"{what} It expires {_soon(world, key.ends)}.{hides}", tried, cause=_KEY)
    if key.ends is not None:
        return ok(f"{what} It expires in {_minutes(key.ends - world.wall())} at the latest.{hides}", tried)
    return ok(f"{what} Only IAM shows when the key expires.{hides}", tried)


@probe(
    _IDENTITY,
    needs=["credentials"],
    tells=[*_REFUSED, "sso-token-expired", _KEY],
    calls=["sts:GetCallerIdentity", "bedrock:ListFoundationModels"],
)
def identity(world: World) -> Finding:
    """Query STS for the identity of the credentials, and compare the identity's account with the expected account."""
    if world.api_key is not None:
        return _behind_key(world, world.api_key)
    tried = "called sts:GetCallerIdentity"
    answer = world.caller
    if answer.why is not None:
        if answer.why.cause not in _REFUSED:
            return warning(f"STS returned no identity: {answer.reason}.", tried)
        used = world.core.get_credentials()
        pair = wrong_pair(used) if answer.why.cause == "invalid-access-key" else ""
        parts = (f"{answer.why.title}.", pair, f"The credentials come from {source(used)}.", hides(used, world.core))
        return failed(" ".join(filter(None, parts)), tried, cause=answer.why.cause)
    caller = f"The calls are made as {masked(answer.value['Arn'], accounts=True)}."
    mismatch = _other_account(world, answer.value["Account"])
    return warning(f"{caller} {mismatch}", tried) if mismatch else ok(caller, tried)


def _behind_key(world: World, key: ApiKey) -> Finding:
    """Check an API key with a request to Bedrock, because STS accepts no API keys."""
    tried = "read the API key, and called bedrock:ListFoundationModels with it"
    answer = world.ask("bedrock", "list_foundation_models")
    if answer.why is not None and answer.why.cause == _KEY:
        fields = {"USER": key.user} if key.user else {}
        return failed(f"Bedrock refuses the API key in {BEARER}.", tried, cause=_KEY, **fields)
    message = f"The API key belongs to the IAM user {key.user}." if key.user else "The API key does not name its owner."
    return ok(message, tried)


def _other_account(world: World, account: str) -> str:
    """Return a sentence if the caller's account differs from the expected account; otherwise return an empty text.
    The sentence contains only the last 4 digits of both account ids.
    """
    model = (world.model_id or "").split(":")
    expected = {
        "you specified": world.account,
        "in the model's ARN": model[4] if model[0] == "arn" and len(model) > 5 else "",  # noqa: PLR2004 - of an ARN
        "in the profile": account_of(world.core, world.core.get_credentials(), None),
    }
    for who, which in expected.items():
        if which and which != account:
            return f"The account id ends in {account[-4:]}, but the id {who} ends in {which[-4:]}."
    return ""


def _with(more: str, message: str) -> str:
    return f"{message} {more}" if more else message


def _is_over(world: World, moment: float | None) -> bool:
    return moment is not None and moment <= world.wall()


def _is_near(world: World, moment: float | None) -> bool:
    return moment is not None and moment - world.wall() < SOON


def _ago(world: World, moment: float | None) -> str:
    return f"{_minutes(world.wall() - (moment or 0))} ago"


def _soon(world: World, moment: float | None) -> str:
    return f"in {_minutes((moment or 0) - world.wall())}"


def _minutes(seconds: float) -> str:
    """Return a duration in words, such as `2 hours`."""
    minutes = max(0, round(seconds / 60))
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} days"
    if minutes >= 120:  # noqa: PLR2004 - two hours
        return f"{minutes // 60} hours"
    return f"{minutes} minute{'s' * (minutes != 1)}"


PROBES = (credentials, identity)
