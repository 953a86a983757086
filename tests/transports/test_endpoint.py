"""The endpoint and its settings are found where boto3 finds them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.exceptions import InvalidEndpointConfigurationError, NoRegionError

from aws_bedrock_inference.transports.endpoint import NoRegion, find_endpoint
from aws_bedrock_inference.transports.fast.signing import Bearer, SigV4, Unsigned

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


def boto3s_url(**arguments: Any) -> str:
    """Return the URL that boto3 would call, from the request it would send."""
    client: Any = boto3.Session().client("bedrock-runtime", **arguments)
    sent = []

    def keep(request: Any, **_: Any) -> Any:
        sent.append(request.url)
        raise InterruptedError

    client.meta.events.register("before-send", keep)
    with pytest.raises(InterruptedError):
        client.converse(modelId="m", messages=[])
    return str(sent[0]).removesuffix("/model/m/converse")


@pytest.mark.parametrize(
    ("environment", "region", "url"),
    [
        ({}, "eu-west-3", "https://bedrock-runtime.eu-west-3.amazonaws.com"),
        ({"AWS_DEFAULT_REGION": "us-west-2"}, None, "https://bedrock-runtime.us-west-2.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "us-east-1", "https://bedrock-runtime-fips.us-east-1.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "us-east-1", None),
        ({}, "cn-north-1", None),
        ({}, "us-gov-west-1", None),
        ({"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://localhost:9/x"}, "us-east-1", "http://localhost:9/x"),
        ({"AWS_ENDPOINT_URL": "http://localhost:9"}, "us-east-1", "http://localhost:9"),
    ],
)
def test_the_url_equals_boto3_s(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], region: str | None, url: str | None
) -> None:
    for name, value in {**KEYS, **environment}.items():
        monkeypatch.setenv(name, value)
    found = find_endpoint(region_name=region)
    assert found.url == boto3s_url(region_name=region)
    assert url in (None, found.url)
    assert found.region == (region or "us-west-2")


def test_a_profile_of_the_session_is_used(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "[profile lab]\nregion = eu-central-1\nservices = here\naws_account_id = 123456789012\n"
        "aws_access_key_id = AK\naws_secret_access_key = SK\n"
        "[services here]\nbedrock_runtime =\n  endpoint_url = http://localhost:7\n"
    )
    found = find_endpoint(boto3.Session(profile_name="lab"))
    assert (found.url, found.region, found.account) == ("http://localhost:7", "eu-central-1", "123456789012")
    assert found.signer.identity().access_key == "AK"


def test_a_botocore_session_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    session = botocore.session.Session()
    session.set_credentials("AK", "SK")
    found = find_endpoint(session, region_name="us-east-1", endpoint_url="http://localhost:7")
    assert found.signer.identity().access_key == "AK"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    assert found.signer.identity().access_key == "AK"


def test_the_default_session_is_that_of_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    boto3.setup_default_session(region_name="sa-east-1")
    assert find_endpoint().region == "sa-east-1"


def test_a_missing_region_is_refused_with_how_to_set_one() -> None:
    with pytest.raises(NoRegion, match=r"region_name=.*AWS_DEFAULT_REGION.*config") as raised:
        find_endpoint()
    assert isinstance(raised.value, NoRegionError)


def test_a_bearer_token_takes_precedence_as_in_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "api-key")
    found = find_endpoint(region_name="us-east-1")
    assert isinstance(found.signer, Bearer)
    assert found.signer.identity() == "api-key"
    assert "api-key" not in repr(found) + repr(found.signer)
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK")
    assert isinstance(find_endpoint(region_name="us-east-1").signer, SigV4)


def test_a_bearer_token_is_refused_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "api-key")
    with pytest.raises(InvalidEndpointConfigurationError, match="unencrypted"):
        find_endpoint(region_name="us-east-1", endpoint_url="http://example.test")
    assert find_endpoint(region_name="us-east-1", endpoint_url="http://127.0.0.1:8080").url == "http://127.0.0.1:8080"


def test_an_unsigned_session_stays_unsigned() -> None:
    session = botocore.session.Session()
    session.set_default_client_config(Config(signature_version=UNSIGNED, region_name="us-east-1"))
    assert isinstance(find_endpoint(session).signer, Unsigned)


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({"HTTPS_PROXY": "http://proxy:3128"}, None, "http://proxy:3128"),
        ({"HTTPS_PROXY": "proxy:3128"}, None, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://localhost:7", None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "amazonaws.com"}, None, None),
    ],
)
def test_a_proxy_is_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str | None, proxy: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert find_endpoint(region_name="us-east-1", endpoint_url=url).proxy == proxy


def test_proxies_of_the_session_s_configuration_take_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://environment:1")
    session = botocore.session.Session()
    session.set_default_client_config(Config(region_name="us-east-1", proxies={"https": "http://user:pw@set:2"}))
    found = find_endpoint(session)
    assert found.proxy == "http://user:pw@set:2"
    assert "pw" not in repr(found)


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_the_ca_bundle_is_that_of_boto3(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert find_endpoint(boto3.Session(region_name="us-east-1")).verify is True
    monkeypatch.setenv(name, "/ca.pem")
    assert find_endpoint(boto3.Session(region_name="us-east-1")).verify == "/ca.pem"


def test_finding_the_endpoint_does_not_fetch_deferred_credentials() -> None:
    def fetch() -> Any:
        raise AssertionError("fetched")

    session: Any = botocore.session.Session()
    session._credentials = DeferredRefreshableCredentials(fetch, "assume-role")
    found = find_endpoint(session, region_name="us-east-1")
    assert found.account == ""
    assert found.signer.due()


def test_many_threads_may_find_the_endpoint_simultaneously() -> None:
    session = boto3.Session("AK", "SK", region_name="us-east-1")
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(find_endpoint(session).url)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["https://bedrock-runtime.us-east-1.amazonaws.com"] * 8
