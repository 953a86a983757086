"""The principal that signs: principals are distinguished without a request, and never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.credentials import DeferredRefreshableCredentials
from botocore.session import Session

from aws_bedrock_inference.transports.endpoint import find_endpoint

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
[profile reader]
region = us-east-1
role_arn = arn:aws:iam::111122223333:role/reader
source_profile = base
[profile writer]
region = us-east-1
role_arn = arn:aws:iam::111122223333:role/writer
source_profile = base
[profile base]
region = us-east-1
aws_access_key_id = AKIDBASE
aws_secret_access_key = hunter2
[profile tool]
region = us-east-1
credential_process = cat {directory}/keys.json
[profile sso]
region = us-east-1
sso_account_id = 111122223333
sso_role_name = analyst
sso_region = us-east-1
sso_start_url = https://sso.example
"""


@pytest.fixture(autouse=True)
def _profiles(alone: None, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(CONFIG.replace("{directory}", str(tmp_path)))
    (tmp_path / "keys.json").write_text('{"Version": 1, "AccessKeyId": "AKIDTOOL", "SecretAccessKey": "x"}')


def principal(profile: str | None = None, **keys: Any) -> str:
    session: Any = boto3.Session(profile_name=profile, **keys) if profile or keys else Session()
    return find_endpoint(session, region_name="us-east-1").principal


def of(key: str, token: str | None = None) -> str:
    return principal(aws_access_key_id=key, aws_secret_access_key="x", aws_session_token=token)


def test_different_keys_and_roles_are_different_principals_and_equal_ones_are_equal(tmp_path: Path) -> None:
    found = [of("AKIDONE"), of("AKIDTWO"), *map(principal, ("reader", "writer", "base", "tool"))]
    assert len(set(found)) == len(found)
    assert all(len(name) == 16 for name in found)
    assert found == [of("AKIDONE"), of("AKIDTWO", "token"), *map(principal, ("reader", "writer", "base", "tool"))]
    assert principal("base") == of("AKIDBASE")


def test_the_principal_contains_no_key_and_is_not_shown(caplog: Any) -> None:
    for profile in ("reader", "base", "tool"):
        endpoint = find_endpoint(boto3.Session(profile_name=profile))
        assert "AKID" not in endpoint.principal
        assert endpoint.principal not in repr(endpoint)


def test_each_bearer_token_is_its_own_principal(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for token in ("one", "two", "one"):
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", token)
        found.append(principal())
    assert found[0] == found[2] != found[1]


def test_a_web_identity_has_the_principal_of_its_role(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("jwt")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    found = []
    for role in ("reader", "writer", "reader"):
        monkeypatch.setenv("AWS_ROLE_ARN", f"arn:aws:iam::111122223333:role/{role}")
        found.append(principal())
    assert found[0] == found[2] != found[1]


def test_without_credentials_there_is_no_principal() -> None:
    assert principal() == ""


def account(profile: str | None = None) -> str:
    session: Any = boto3.Session(profile_name=profile) if profile else Session()
    return find_endpoint(session, region_name="us-east-1").account


def test_the_account_is_that_of_the_role_before_credentials_are_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So processes that assume a role share a quota with those that have keys of its account."""
    assert [account(profile) for profile in ("reader", "writer", "sso")] == ["111122223333"] * 3
    assert [account(profile) for profile in ("base", "tool")] == ["", ""]
    (tmp_path / "token").write_text("jwt")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws-us-gov:iam::444455556666:role/path/pod")
    assert account() == "444455556666"
    assert account("reader") == "111122223333"
    monkeypatch.delenv("AWS_WEB_IDENTITY_TOKEN_FILE")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDONE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert account() == ""  # the keys are not the role's
    monkeypatch.setenv("AWS_ACCOUNT_ID", "777788889999")
    assert account() == "777788889999"


def test_a_named_profile_takes_precedence_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As botocore does."""
    (tmp_path / "token").write_text("jwt")
    role = "arn:aws:iam::111122223333:role/pod"
    pod = f"[profile pod]\nregion = us-east-1\nrole_arn = {role}\nweb_identity_token_file = {tmp_path}/token\n"
    with (tmp_path / "config").open("a") as config:
        config.write(pod)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::444455556666:role/other")
    assert account("pod") == "111122223333"


@pytest.mark.parametrize("role", ["role", "arn:aws:iam::1234:role/x", "arn:aws:sts::111122223333:assumed-role/x/y"])
def test_a_role_without_an_account_in_its_arn_has_no_account(
    role: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("jwt")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", role)
    assert account() == ""


def test_for_tokens_and_instance_roles_the_account_is_the_one_that_the_user_sets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The role of the profile does not sign if a token is set, and may belong to another account."""
    session: Any = Session()
    keys: Any = {"access_key": "AKIDONE", "secret_key": "x", "token": "t"}
    session._credentials = DeferredRefreshableCredentials(lambda: keys, "iam-role")
    assert find_endpoint(session, region_name="us-east-1").account == ""
    monkeypatch.setenv("AWS_ACCOUNT_ID", "777788889999")
    assert find_endpoint(session, region_name="us-east-1").account == "777788889999"
    monkeypatch.delenv("AWS_ACCOUNT_ID")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "one")
    assert [account(), account("reader")] == ["", ""]
    monkeypatch.setenv("AWS_ACCOUNT_ID", "777788889999")
    assert [account(), account("reader")] == ["777788889999"] * 2
