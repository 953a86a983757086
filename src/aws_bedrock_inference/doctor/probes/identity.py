"""Probes of who calls: credentials and the identity that they give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError

from aws_bedrock_inference.doctor.findings import Finding, failed, ok, warning
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.world import World

_IDENTITY = "identity"
_BEARER = "AWS_BEARER_TOKEN_BEDROCK"


@probe(
    _IDENTITY,
    needs=["region"],
    tells=["credentials-missing", "credential-source-unreadable", "sso-token-expired", "sdk-config-invalid"],
)
def credentials(world: World) -> Finding:
    """Find the credentials, and where they come from."""
    tried = "let boto3 find the credentials"
    if world.environ.get(_BEARER):
        return ok(f"Calls are signed with the API key in {_BEARER}.", tried)
    try:
        found = world.core.get_credentials()
        if found is not None:
            found.get_frozen_credentials()
    except BotoCoreError as error:
        return failed(masked(str(error), accounts=True), tried, cause=explain(error).cause)
    if found is None:
        return failed("boto3 finds no credentials.", tried, cause="credentials-missing")
    return ok(f"The credentials come from {found.method}.", tried)


@probe(
    _IDENTITY,
    needs=["credentials"],
    tells=["invalid-access-key", "credentials-expired", "signature-mismatch", "sso-token-expired"],
    calls=["sts:GetCallerIdentity"],
)
def identity(world: World) -> Finding:
    """Ask STS whose credentials these are."""
    tried = "called sts:GetCallerIdentity"
    if world.environ.get(_BEARER):
        return ok("An API key of Bedrock has no identity that STS could tell.", "read the settings")
    answer = world.caller
    if answer.why is None:
        return ok(f"The calls are made as {masked(answer.value['Arn'], accounts=True)}.", tried)
    if answer.why.cause in {"invalid-access-key", "credentials-expired", "signature-mismatch", "clock-skew"}:
        return failed(f"{answer.why.title}.", tried, cause=answer.why.cause)
    return warning(f"STS did not answer: {answer.why.title}.", tried)


PROBES = (credentials, identity)
