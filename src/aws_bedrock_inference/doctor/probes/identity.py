"""Probes of who calls: credentials and the identity that they give."""

from __future__ import annotations

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

# What STS says where the credentials are not good.
_REFUSED = ("invalid-access-key", "credentials-expired", "signature-mismatch", "clock-skew", "region-disabled")


@probe(
    _IDENTITY,
    needs=["region"],
    tells=[
        *("credentials-missing", "credentials-expired", "credential-source-unreadable", "sdk-config-invalid", _KEY),
        *("sso-token-expired", "web-identity-token-expired", "identity-token-refused", "oidc-provider-missing"),
        *("sts-assume-role-denied", "assume-role-trust", "mfa-required-or-wrong"),
    ],
)
def credentials(world: World) -> Finding:
    """Find the credentials, where they come from, and when they end."""
    tried = "let boto3 find and fetch the credentials"
    try:
        found = world.core.get_credentials()  # boto3 does so beside an API key, too
        if world.api_key is not None:
            return _of_key(world, world.api_key)
        if found is not None:
            if getattr(found, "method", "") == ENVIRONMENT and _is_over(world, end(found)):
                message = f"AWS_CREDENTIAL_EXPIRATION says that the credentials ended {_ago(world, end(found))}."
                return failed(message, tried, cause="credentials-expired")
            found.get_frozen_credentials()
    except BROKEN as error:
        said = masked(" ".join(str(error).split()), accounts=True)
        cause = cause_of(error, otherwise="credential-source-unreadable")
        return failed(f"The credentials cannot be fetched{out_of(world.core)}: {said}", tried, cause=cause)
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
        return warning(f"{where} The login ends {_soon(world, login)}.", tried, cause="sso-token-expired")
    if method == ENVIRONMENT and _is_near(world, end(found)):
        message = f"{where} They end {_soon(world, end(found))}, and nothing renews them."
        return warning(message, tried, cause="credentials-expired")
    if half(world.environ):
        return warning(_with(half(world.environ), where), tried)
    if method == ENVIRONMENT and found.token and end(found) is None:
        return ok(f"{where} They are those of a session; boto3 does not know when it ends.", tried)
    return ok(where, tried)


def _of_key(world: World, key: ApiKey) -> Finding:
    """Judge an API key of Bedrock by what it tells itself."""
    tried = f"read the API key in {BEARER}"
    others = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE") if world.environ.get(name)]
    hides = f" It goes before {' and '.join(others)}." if others else ""
    if not key.kind:
        return warning(f"What {BEARER} holds has not the form of an API key of Bedrock.{hides}", tried, cause=_KEY)
    if _is_over(world, key.ends):
        return failed(f"The short-term API key in {BEARER} ended {_ago(world, key.ends)}.{hides}", tried, cause=_KEY)
    if key.region and key.region != world.region:
        message = (
            f"The short-term API key in {BEARER} is for {key.region} alone, and calls go to {world.region}.{hides}"
        )
        return failed(message, tried, cause=_KEY)
    what = f"Calls are made with the {key.kind} API key in {BEARER}."
    if _is_near(world, key.ends):
        return warning(f"{what} It ends {_soon(world, key.ends)}.{hides}", tried, cause=_KEY)
    if key.ends is not None:
        return ok(f"{what} It ends in {_minutes(key.ends - world.wall())} at the latest.{hides}", tried)
    return ok(f"{what} It does not tell when it ends; IAM does.{hides}", tried)


@probe(
    _IDENTITY,
    needs=["credentials"],
    tells=[*_REFUSED, "sso-token-expired", _KEY],
    calls=["sts:GetCallerIdentity", "bedrock:ListFoundationModels"],
)
def identity(world: World) -> Finding:
    """Ask STS whose credentials these are, and whether the account is the one that is meant."""
    if world.api_key is not None:
        return _behind_key(world, world.api_key)
    tried = "called sts:GetCallerIdentity"
    answer = world.caller
    if answer.why is not None:
        if answer.why.cause not in _REFUSED:
            return warning(f"STS did not answer: {answer.said}.", tried)
        used = world.core.get_credentials()
        pair = wrong_pair(used) if answer.why.cause == "invalid-access-key" else ""
        said = (f"{answer.why.title}.", pair, f"The credentials come from {source(used)}.", hides(used, world.core))
        return failed(" ".join(filter(None, said)), tried, cause=answer.why.cause)
    caller = f"The calls are made as {masked(answer.value['Arn'], accounts=True)}."
    meant = _other_account(world, answer.value["Account"])
    return warning(f"{caller} {meant}", tried) if meant else ok(caller, tried)


def _behind_key(world: World, key: ApiKey) -> Finding:
    """Let Bedrock judge an API key, since STS takes none."""
    tried = "read the API key, and called bedrock:ListFoundationModels with it"
    answer = world.ask("bedrock", "list_foundation_models")
    if answer.why is not None and answer.why.cause == _KEY:
        fields = {"USER": key.user} if key.user else {}
        return failed(f"Bedrock refuses the API key in {BEARER}.", tried, cause=_KEY, **fields)
    whose = f"that of the IAM user {key.user}" if key.user else "one that STS cannot tell"
    return ok(f"The identity behind the API key is {whose}.", tried)


def _other_account(world: World, account: str) -> str:
    """Return a sentence if another account is meant than that of the caller. Account ids are told by their end."""
    model = (world.model_id or "").split(":")
    meant = {
        "you name": world.account,
        "the model's ARN names": model[4] if model[0] == "arn" and len(model) > 5 else "",  # noqa: PLR2004 - of an ARN
        "the profile names": account_of(world.core, world.core.get_credentials(), None),
    }
    for who, which in meant.items():
        if which and which != account:
            return f"Their account ends in {account[-4:]}; that which {who} ends in {which[-4:]}."
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
    """Return a time as a person says it."""
    minutes = max(0, round(seconds / 60))
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} days"
    if minutes >= 120:  # noqa: PLR2004 - two hours
        return f"{minutes // 60} hours"
    return f"{minutes} minute{'s' * (minutes != 1)}"


PROBES = (credentials, identity)
