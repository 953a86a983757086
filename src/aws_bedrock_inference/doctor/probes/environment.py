"""Probes that check the environment of the program: its versions, its Region and its endpoint. These probes read
settings and send no requests.
"""

from __future__ import annotations

import re
import sys
from difflib import get_close_matches
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ProfileNotFound
from botocore.session import Session

from aws_bedrock_inference.doctor.findings import Finding, cause_of, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.doctor.sources import BROKEN
from aws_bedrock_inference.sessions import of_aws
from aws_bedrock_inference.transports.endpoint import unread_region

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.world import World

_ENVIRONMENT = "environment"

# The first botocore with Converse: https://github.com/boto/botocore/blob/develop/CHANGELOG.rst, 1.34.116 (2024-05-30).
_CONVERSE_SINCE = (1, 34, 116)

# The Region in the host name of an AWS endpoint, public or private.
_REGION = re.compile(r"\.([a-z]{2,4}(?:-[a-z]+)+-\d)\.")


@probe(_ENVIRONMENT, tells=["sdk-too-old", "unknown-operation-unexplained", "parameter-validation-failed"])
def sdk(_: World) -> Finding:
    """Read the versions of Python, boto3 and botocore."""
    found = version("botocore")
    tried = f"read the versions: Python {sys.version.split()[0]}, boto3 {version('boto3')}, botocore {found}"
    if _numbers(found) < _CONVERSE_SINCE:
        return failed(f"botocore {found} is too old: it does not support Converse.", tried, cause="sdk-too-old")
    return ok(f"botocore {found} supports Converse.", tried, excludes=["sdk-too-old"])


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdigit())


@probe(_ENVIRONMENT, tells=["region-missing", "sdk-config-invalid", "credentials-missing"])
def region(world: World) -> Finding:
    """Check whether a Region is set."""
    tried = "read the Region as boto3 does: argument, AWS_DEFAULT_REGION, profile"
    try:
        found = world.region
    except BotoCoreError as error:
        cause = cause_of(error, otherwise="sdk-config-invalid")
        return failed(f"The AWS settings cannot be read: {error}{_like(error)}", tried, cause=cause)
    if not found:
        return failed(f"No Region is set.{unread_region()}", tried, cause="region-missing")
    return ok(f"The Region is {found}.", tried, excludes=["region-missing"])


def _like(error: BotoCoreError) -> str:
    """Return the hint to add to the message of an error.

    If the error reports that a profile does not exist, the hint names a similar profile, for example
    `. The most similar profile is prod.`

    The hint begins with a full stop, because botocore's message ends without one. If no profile has a similar name, the
    hint is only the full stop. For other errors, the hint is empty.
    """
    if not isinstance(error, ProfileNotFound):
        return ""
    found = get_close_matches(error.kwargs["profile"], Session(profile="default").full_config["profiles"], 1)
    return f". The most similar profile is {found[0]}." if found else "."


@probe(
    _ENVIRONMENT,
    needs=["sdk", "region"],
    tells=["endpoint-url-wrong", "wrong-client-service", "signature-region"],
)
def endpoint(world: World) -> Finding:
    """Find the endpoint of Bedrock's runtime, and check whether a setting overrides AWS's endpoint."""
    tried = "resolved the endpoint of bedrock-runtime with boto3"
    try:
        world.core.get_credentials()
    except BROKEN:
        return skipped("boto3 cannot create a client, because the credentials cannot be fetched.")
    try:
        url = world.endpoint.url
    except (BotoCoreError, ValueError) as error:
        return failed(f"boto3 finds no endpoint: {error}", tried, cause="endpoint-url-wrong")
    if not of_aws(url):
        return warning(
            f"Calls go to {url}. This URL is not an endpoint of AWS. If you do not want this, remove endpoint_url from "
            "the code and the profile, and unset AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_BEDROCK_RUNTIME.",
            tried,
        )
    if "bedrock-runtime" not in url:
        return failed(
            f"Calls go to {url}, which is the endpoint of another service.", tried, cause="endpoint-url-wrong"
        )
    there = _REGION.search(urlsplit(url).hostname or "")
    if there is not None and there[1] != world.region and world.api_key is None:
        message = f"Calls go to {url} in {there[1]}, but they are signed for {world.region}."
        return failed(message, tried, cause="signature-region")
    return ok(f"Calls go to {url}.", tried, excludes=["endpoint-url-wrong", "signature-region"])


PROBES = (sdk, region, endpoint)
