"""The endpoint and the credentials of calls, found as boto3 finds them: by asking a boto3 client, once."""

from __future__ import annotations

import os
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


class NoRegion(NoRegionError):
    """No Region was given and none is configured."""

    fmt = (
        "No AWS Region: give region_name='us-east-1' (or another), or a session that has one, set AWS_DEFAULT_REGION, "
        "or write `region` into the profile in ~/.aws/config.{unread}"
    )


class InvalidProxy(InvalidProxiesConfigError):
    """The proxy's URL cannot be right. It is not quoted, since it may hold a password."""

    fmt = (
        "The proxy in HTTPS_PROXY, HTTP_PROXY or Config(proxies=...) is not http://user:password@host:port "
        "(or https://). Write / @ : # in its password as %2F %40 %3A %23."
    )


class UnreadableCredentials(BotoCoreError):
    """The credentials' source does not answer in JSON. The answer is not quoted, since it may hold secrets."""

    fmt = (
        "The credentials cannot be read: their source does not answer in JSON. Run the command in `credential_process` "
        "of the profile by hand, or select another profile."
    )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The endpoint of calls. `url` has no trailing slash. `account` is empty when the credentials do not tell it;
    `whose` then names the access key, and is empty too for credentials that would have to be fetched. `principal` is a
    hash of who signs, as `principals` finds it.

    `proxy` is the proxy's URL or None, `verify` the CA bundle's path, or True for botocore's own. `session` is the one
    it was found with, None for boto3's default one. `beside` keeps what was found from here.
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
        """Return the endpoint of a client with these options; `session` None keeps this one's. It may read files.

        Without a URL, one that is not AWS's own (a gateway, a simulator) stays the same in every Region.
        """
        return find_endpoint(
            self.session if session is None else session,
            region_name=region_name or self.region,
            endpoint_url=endpoint_url or (None if of_aws(self.url) else self.url),
        )


def unread_region() -> str:
    """Return a sentence for those who set `AWS_REGION`: other SDKs read it, boto3 does not."""
    region = os.environ.get("AWS_REGION")
    return f" AWS_REGION is set to {region}, but boto3 reads AWS_DEFAULT_REGION." if region else ""


def find_endpoint(session: Any = None, *, region_name: str | None = None, endpoint_url: str | None = None) -> Endpoint:
    """Return where boto3 would send a call, and the signer it would use.

    `session` is boto3's or botocore's; None for boto3's default one. Region, endpoint (also
    `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`, `AWS_ENDPOINT_URL`, the profile's services section, FIPS and dual-stack),
    proxies, CA bundle, credentials and bearer token (`AWS_BEARER_TOKEN_BEDROCK`) are found by boto3. Client
    certificates and `proxies_config` are not used.

    Raises `NoRegion` when no Region is found, `InvalidEndpointConfigurationError` when a bearer token would travel
    unencrypted to another machine, `InvalidProxy` for a proxy whose URL cannot be right, and what boto3 raises for a
    profile or endpoint that cannot be right.
    """
    try:
        client, core, credentials = make_client(SERVICE, session, region_name=region_name, endpoint_url=endpoint_url)
        asked = _ask(client)
    except NoRegionError:
        raise NoRegion(unread=unread_region()) from None
    except (JSONDecodeError, UnicodeDecodeError):
        asked = None
    if asked is None:  # raised here, since those errors hold what was read
        raise UnreadableCredentials
    url = str(asked.request.url).removesuffix(_PATH)
    _check_url(url)
    if asked.signature_version == "bearer" and not _private(url):
        raise InvalidEndpointConfigurationError(
            msg=masked(f"A bearer token must not travel unencrypted; {url} is not https.")
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


class _Asked(Exception):  # no error: carries botocore's decisions out of a call that is never made
    def __init__(self, request: AWSRequest, signature_version: Any, signing_name: str, region: str) -> None:
        super().__init__("asked")
        self.request = request
        self.signature_version = signature_version
        self.signing_name = signing_name
        self.region = region


def _ask(client: Any) -> _Asked:
    """Let botocore prepare a call up to its signing, and return what it decided on the way.

    The URL in `client.meta` is not it: endpoint rules and authentication schemes are settled call by call.
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
    raise AssertionError("botocore signed nothing")


def _check_url(url: str) -> None:
    """Raise `InvalidEndpointConfigurationError` for a URL that botocore accepts, and that leads nowhere."""
    if not is_http(url):
        raise InvalidEndpointConfigurationError(
            msg=f"The endpoint {masked(url)} is not http://host:port or https://host:port."
        )


def _private(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return url.startswith("https:") or host in ("localhost", "::1") or host.startswith("127.")


def _with_scheme(proxy: str | None) -> str | None:
    """Return the proxy's URL with its scheme. Raises `InvalidProxy`."""
    if not proxy:
        return None
    url = proxy if "://" in proxy else f"http://{proxy.removeprefix('//')}"
    if not is_http(url):
        raise InvalidProxy
    return url
