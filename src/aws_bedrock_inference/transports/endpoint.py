"""Find the endpoint and the credentials of calls as boto3 finds them.

This module lets a boto3 client prepare one call, and stops it before it is sent. The prepared call contains what boto3
has decided: the URL, the Region, and how to sign.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from botocore.credentials import Credentials
from botocore.exceptions import (
    BotoCoreError,
    InvalidEndpointConfigurationError,
    InvalidProxiesConfigError,
    NoRegionError,
)
from botocore.utils import get_environ_proxies

from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.sessions import is_http, key_of, make_client, of_aws
from aws_bedrock_inference.traces import unseen
from aws_bedrock_inference.transports.fast.signing import Signer, signer
from aws_bedrock_inference.transports.operations import SERVICE
from aws_bedrock_inference.transports.principals import account_of, principal

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest

_PATH = "/model/asked/converse"
_UNUSABLE = re.compile(r"[?#]|[^!-~]")


class NoRegion(NoRegionError):
    """No Region was passed and none is configured."""

    fmt = (
        "No AWS Region is set: pass region_name='us-east-1' (or another Region) or a session with a Region, "
        "set AWS_DEFAULT_REGION, or write `region` into the profile in ~/.aws/config.{unread}"
    )


class InvalidProxy(InvalidProxiesConfigError):
    """The proxy's URL is invalid. The message does not quote the URL, because the URL can contain a password."""

    fmt = (
        "The proxy URL in HTTPS_PROXY, HTTP_PROXY or Config(proxies=...) does not have the form "
        "http://user:password@host:port (or https://). Write / @ : # in the password as %2F %40 %3A %23."
    )


class UnreadableCredentials(BotoCoreError):
    """The source of the credentials did not return JSON. The message does not quote the output of the source, because
    the output can contain secrets.
    """

    fmt = (
        "The credentials cannot be read: their source did not return JSON. Run the command in `credential_process` "
        "of the profile by hand to see its output, or select another profile."
    )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The endpoint of calls.

    * `url`: the URL, without a trailing slash.
    * `account`: the AWS account of the credentials. It is empty if the account is unknown before the credentials are
      fetched.
    * `whose`: a name for the owner of the credentials. This is the account. If the account is unknown, it is a hash of
      the fixed access key. If there is no fixed access key either, `whose` is empty.
    * `principal`: a hash of the signing identity (see `principals`).
    * `proxy`: the proxy's URL, or None.
    * `verify`: the path of the CA bundle, or True for botocore's own bundle.
    * `session`: the session in which the endpoint was found, or None for boto3's default session.
    * `beside`: a cache for objects that belong to this endpoint's client, such as the endpoints of its other Regions.
    """

    url: str
    region: str
    account: str
    signer: Signer = field(repr=False)
    principal: str = field(default="", repr=False)
    proxy: str | None = field(default=None, repr=False)
    verify: str | bool = True
    whose: str = field(default="", repr=False)
    session: Any = field(default=None, repr=False, compare=False)
    beside: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def elsewhere(self, *, session: Any, region_name: str | None, endpoint_url: str | None) -> Endpoint:
        """Return the endpoint of a client with these options. If `session` is None, this endpoint's session is used.
        The method can read files.

        If `endpoint_url` is not set and this endpoint is a gateway or a simulator, the returned endpoint has the same
        URL in every Region.
        """
        return find_endpoint(
            self.session if session is None else session,
            region_name=region_name or self.region,
            endpoint_url=endpoint_url or (None if of_aws(self.url) else self.url),
        )


def unread_region() -> str:
    """Return a sentence for users who set `AWS_REGION`, which other SDKs read but boto3 ignores. Return an empty text
    if `AWS_REGION` is not set.
    """
    region = os.environ.get("AWS_REGION")
    return f" AWS_REGION is set to {region}, but boto3 reads AWS_DEFAULT_REGION." if region else ""


def find_endpoint(session: Any = None, *, region_name: str | None = None, endpoint_url: str | None = None) -> Endpoint:
    """Return the address to which boto3 would send a call, with the signer that boto3 would use.

    `session` is a boto3 or botocore session, or None for boto3's default session. As in boto3, these settings are
    found:

    * the Region, proxies, the CA bundle and credentials
    * the bearer token in `AWS_BEARER_TOKEN_BEDROCK`
    * the endpoint in `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`, in `AWS_ENDPOINT_URL`, or in the services section of the
      profile
    * the settings for FIPS and dual-stack

    Client certificates and `proxies_config` are not used.

    These exceptions are raised:

    * `NoRegion` if no Region is found.
    * `InvalidProxy` if the proxy's URL is invalid.
    * `UnreadableCredentials` if the source of the credentials does not return JSON.
    * `InvalidEndpointConfigurationError` if no connection to the URL is possible, or if a bearer token would be sent
      unencrypted to another machine.
    * boto3's exceptions for an invalid profile or endpoint.
    """
    try:
        client, core, credentials = make_client(SERVICE, session, region_name=region_name, endpoint_url=endpoint_url)
        asked = _ask(client)
    except NoRegionError:
        raise NoRegion(unread=unread_region()) from None
    except (JSONDecodeError, UnicodeDecodeError):
        asked = None
    if asked is None:  # raised outside the handler, whose exception contains the output, which may be secret
        raise UnreadableCredentials
    url = str(asked.request.url).removesuffix(_PATH)
    _check_url(url)
    if asked.signature_version == "bearer" and not _private(url):
        raise InvalidEndpointConfigurationError(
            msg=masked(f"A bearer token must not be sent unencrypted, and {url} is not an https:// URL.")
        )
    proxies = client.meta.config.proxies
    if proxies is None:
        proxies = get_environ_proxies(url)
    token_for = asked.signing_name if asked.signature_version == "bearer" else None
    account = account_of(core, credentials, token_for)
    return Endpoint(
        url=url,
        region=client.meta.region_name,
        account=account,
        principal=principal(core, credentials, token_for),
        signer=signer(core, asked.signature_version, asked.signing_name, asked.region),
        proxy=_with_scheme(proxies.get(urlsplit(url).scheme)),
        verify=core.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True,
        whose=account or (key_of(credentials.access_key) if type(credentials) is Credentials else ""),
        session=session,
    )


class _Asked(Exception):  # not an error: returns botocore's decisions about a call that is never sent
    def __init__(self, request: AWSRequest, signature_version: Any, signing_name: str, region: str) -> None:
        super().__init__("asked")
        self.request = request
        self.signature_version = signature_version
        self.signing_name = signing_name
        self.region = region


def _ask(client: Any) -> _Asked:
    """Let botocore prepare a call, and stop botocore before it signs the call. Return what botocore decided: the
    URL, and how to sign.

    `client.meta` does not contain the final URL, because botocore resolves endpoint rules and authentication schemes
    for each call.
    """

    def stop(request: AWSRequest, signature_version: Any, signing_name: str, region_name: str, **_: object) -> NoReturn:
        signing = request.context.get("signing", {})
        raise _Asked(
            request,
            signature_version,
            signing.get("signing_name") or signing_name,
            signing.get("region") or region_name,
        )

    client.meta.events.register_last(f"before-sign.{SERVICE}.Converse", stop)
    try:
        with unseen():
            client.converse(modelId="asked", messages=[])
    except _Asked as asked:
        return asked
    raise AssertionError("botocore signed no request; report this bug of aws_bedrock_inference")


def _check_url(url: str) -> None:
    """Raise `InvalidEndpointConfigurationError` for a URL that botocore accepts although no connection to it is
    possible.
    """
    if not is_http(url):
        raise InvalidEndpointConfigurationError(
            msg=f"The endpoint URL {masked(url)} does not have the form http://host:port or https://host:port."
        )
    if _UNUSABLE.search(url):
        raise InvalidEndpointConfigurationError(
            msg="The endpoint URL contains a ? or #, white space or a character outside ASCII. Pass the URL without a "
            "query or fragment, and percent-encode white space and characters outside ASCII in its path."
        )


def _private(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return url.startswith("https:") or host in ("localhost", "::1") or host.startswith("127.")


def _with_scheme(proxy: str | None) -> str | None:
    """Return the proxy's URL with a scheme, such as `http://`. Raises `InvalidProxy` if the URL is invalid."""
    if not proxy:
        return None
    url = proxy if "://" in proxy else f"http://{proxy.removeprefix('//')}"
    if not is_http(url):
        raise InvalidProxy
    return url
