"""`AssumedRole`: it is created without a request, assumed once, and belongs to the account that its ARN names."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from support.injected import Body
from support.sts import ARN, assumed, signers

from aws_bedrock_inference import AssumedRole
from aws_bedrock_inference.accounts import session_for
from aws_bedrock_inference.transports.endpoint import find_endpoint

if TYPE_CHECKING:
    from support.sts import Sts
    from support.wire import Wire


def principal(session: Any) -> str:
    return find_endpoint(session, endpoint_url="http://127.0.0.1:9").principal


def test_a_client_signs_with_the_role_and_uses_the_quota_of_its_account(
    face: Any, sts: Sts, model: Wire, base: Any
) -> None:
    role = AssumedRole(ARN, external_id="desk-7:blue", session_name="nightly", tags={"team": "news"}, session=base)
    client = face.open(model.url, session=role.session())
    route = client._route(client.model_id)
    assert sts.asked == []
    assert (route.account, route.quota_key.split("|")[0]) == ("210987654321", "210987654321")
    assert face.get(client.invoke("Why?")).text == "Because of Rayleigh."
    assert signers(model) == ["ASIATEST1"]
    assert model.received[0].headers["x-amz-security-token"] == "whisper1"
    (asked,) = sts.asked
    assert asked["signed by"] == "AKIDBASE"
    assert assumed(asked) == {
        "RoleArn": ARN,
        "RoleSessionName": "nightly",
        "DurationSeconds": "3600",
        "ExternalId": "desk-7:blue",
        "Tags.member.1.Key": "team",
        "Tags.member.1.Value": "news",
    }


def test_only_the_required_parameters_are_sent_to_sts_by_default(sts: Sts, base: Any) -> None:
    AssumedRole(ARN, session=base).session().get_credentials().get_frozen_credentials()
    assert assumed(sts.asked[0]) == {
        "RoleArn": ARN,
        "RoleSessionName": "aws-bedrock-inference",
        "DurationSeconds": "3600",
    }


def test_transitive_tags_are_sent_to_sts(sts: Sts, base: Any) -> None:
    role = AssumedRole(ARN, tags={"team": "news", "desk": "7"}, transitive_tags=["team"], session=base)
    role.session().get_credentials().get_frozen_credentials()
    assert sts.asked[0]["TransitiveTagKeys.member.1"] == "team"
    assert "TransitiveTagKeys.member.2" not in sts.asked[0]


def test_clients_of_one_role_assume_it_once(face: Any, sts: Sts, model: Wire, base: Any) -> None:
    clients = [face.open(model.url, session=AssumedRole(ARN, session=base).session()) for _ in range(4)]
    for client in clients:
        face.get(client.invoke("Why?"))
    assert signers(model) == ["ASIATEST1"] * 4
    assert len(sts.asked) == 1


def test_clients_that_start_together_share_one_request_to_sts(sts: Sts, model: Wire, base: Any) -> None:
    from support.client_faces import Blocking  # noqa: PLC0415 - these threads are blocking ones

    face = Blocking()
    clients = [face.open(model.url, session=AssumedRole(ARN, session=base).session()) for _ in range(8)]
    sts.open.clear()
    threads = [threading.Thread(target=client.invoke, args=("Why?",)) for client in clients]
    for thread in threads:
        thread.start()
    assert sts.arrived.acquire(timeout=10)
    sts.open.set()
    for thread in threads:
        thread.join(10)
    face.end()
    assert signers(model) == ["ASIATEST1"] * 8
    assert len(sts.asked) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"external_id": "other"},
        {"tags": {"team": "sport"}},
        {"session_name": "other"},
        {"duration": 1800},
        {"region_name": "eu-west-1"},
    ],
)
def test_roles_with_different_options_have_separate_sessions(sts: Sts, base: Any, other: dict[str, Any]) -> None:
    for options in ({}, other, {}):
        AssumedRole(ARN, session=base, **options).session().get_credentials().get_frozen_credentials()
    assert len(sts.asked) == 2


def test_the_role_is_assumed_by_its_own_session_then_the_client_s_then_boto3_s_default(
    sts: Sts, base: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = boto3.Session("AKIDOTHER", "x", region_name="us-east-1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.Session("AKIDDEFAULT", "x", region_name="us-east-1"))
    for role, given in (
        (AssumedRole(ARN, session=base), other),
        (AssumedRole(ARN), other._session),
        (AssumedRole(ARN), None),
    ):
        session_for(role, given).get_credentials().get_frozen_credentials()
    assert [asked["signed by"] for asked in sts.asked] == ["AKIDBASE", "AKIDOTHER", "AKIDDEFAULT"]


@pytest.mark.parametrize(
    ("arn", "region", "host"),
    [
        (ARN, "eu-west-1", "sts.eu-west-1.amazonaws.com"),
        (ARN, None, "sts.us-east-1.amazonaws.com"),
        ("arn:aws-cn:iam::210987654321:role/x", "cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
        ("arn:aws-us-gov:iam::210987654321:role/x", "us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
    ],
)
def test_requests_go_to_sts_of_the_session_s_region(alone: None, arn: str, region: str | None, host: str) -> None:
    base: Any = boto3.Session("AKIDBASE", "x", region_name="us-east-1")
    urls: list[str] = []

    def keep(request: Any, **_: Any) -> AWSResponse:
        urls.append(request.url)
        return AWSResponse(
            request.url, 403, HTTPHeaders(), Body(b"<ErrorResponse><Error><Code>X</Code></Error></ErrorResponse>")
        )

    base.events.register("before-send.sts", keep)
    session = AssumedRole(arn, region_name=region, session=base).session()
    with pytest.raises(Exception, match="could not assume"):
        session.get_credentials().get_frozen_credentials()
    assert urls == [f"https://{host}/"]
    assert session.region_name == (region or "us-east-1")


def test_a_bearer_token_in_the_environment_does_not_replace_the_role(
    face: Any, sts: Sts, model: Wire, base: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "api-key")
    client = face.open(model.url, session=AssumedRole(ARN, session=base).session())
    face.get(client.invoke("Why?"))
    assert signers(model) == ["ASIATEST1"]


def test_the_role_keeps_the_endpoint_region_and_proxy_of_its_session(sts: Sts, tmp_path: Any) -> None:
    (tmp_path / "config").write_text(
        "[profile lab]\nregion = eu-central-1\nservices = here\naws_access_key_id = A\naws_secret_access_key = x\n"
        "[services here]\nbedrock_runtime =\n  endpoint_url = http://localhost:7\n"
    )
    base: Any = boto3.Session(profile_name="lab")
    base._session.set_default_client_config(Config(proxies={"http": "http://proxy:3128"}))
    found = find_endpoint(AssumedRole(ARN, session=base).session())
    assert (found.url, found.region, found.account) == ("http://localhost:7", "eu-central-1", "210987654321")
    assert found.proxy == "http://proxy:3128"
    assert sts.asked == []


def test_a_role_can_assume_another_role(sts: Sts, base: Any) -> None:
    hub = AssumedRole("arn:aws:iam::111122223333:role/hub", session=base)
    for _ in range(2):
        session = AssumedRole(ARN, session=hub.session()).session()
        assert session.get_credentials().get_frozen_credentials().access_key == "ASIATEST2"
    assert [(asked["RoleArn"][-4:], asked["signed by"]) for asked in sts.asked] == [
        ("/hub", "AKIDBASE"),
        ("ence", "ASIATEST1"),
    ]
    with pytest.raises(
        ValueError, match=r"duration=7200: AWS allows at most 3600 seconds when one role assumes another"
    ):
        AssumedRole(ARN, duration=7200, session=hub.session()).session()


def test_shared_credentials_do_not_outlive_the_session_that_assumed_them(sts: Sts) -> None:
    base: Any = boto3.Session("AKIDBASE", "x", region_name="us-east-1")
    AssumedRole(ARN, session=base).session().get_credentials().get_frozen_credentials()
    core = weakref.ref(base._session)
    del base
    gc.collect()
    assert core() is None


def test_roles_with_different_permissions_are_different_principals(sts: Sts, base: Any) -> None:
    again = boto3.Session("AKIDOTHER", "x", region_name="us-east-1")
    hub = AssumedRole("arn:aws:iam::111122223333:role/hub", tags={"team": "news"}, session=base).session()
    same = [AssumedRole(ARN, session=base), AssumedRole(ARN, external_id="x9", duration=900, session=again)]
    others = [
        AssumedRole(ARN, tags={"team": "news"}, session=base),
        AssumedRole(ARN, session_name="other", session=base),
        AssumedRole(ARN + "2", session=base),
        AssumedRole(ARN, session=hub),
    ]
    found = [principal(role.session()) for role in (*same, *others)]
    assert found[0] == found[1]
    assert len(set(found)) == 5
    assert sts.asked == []


def test_a_session_without_a_region_cannot_assume_a_role(alone: None) -> None:
    with pytest.raises(ValueError, match=r"no AWS Region to assume arn:.*region_name=.*AWS_DEFAULT_REGION"):
        AssumedRole(ARN, session=boto3.Session("AKIDBASE", "x")).session()


def test_moto_s_sts_gives_credentials_of_the_role(moto_url: str, alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_url)
    base = boto3.Session("AKIDBASE", "x", region_name="eu-west-1")
    session = AssumedRole(ARN, external_id="x9", session=base).session()
    client = session.client("sts")
    try:
        assert client.get_caller_identity()["Arn"] == (
            "arn:aws:sts::210987654321:assumed-role/inference/aws-bedrock-inference"
        )
    finally:
        client.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"role_arn": "inference"}, r"role_arn=<str>: pass the ARN of a role, such as arn:aws:iam::"),
        ({"role_arn": "arn:aws:sts::210987654321:assumed-role/a/b"}, "names a session"),
        ({"role_arn": "arn:aws:iam::210987654321:root"}, "cannot be assumed"),
        ({"role_arn": "arn:aws:iam::21098:role/a"}, "pass the ARN of a role"),
        ({"role_arn": None}, "role_arn=None"),
        ({"account": "111122223333"}, r"account='111122223333': .*belongs to account 210987654321"),
        ({"account": "my-password"}, r"account=<str>"),
        ({"account": 210987654321}, r"pass account='210987654321'"),
        ({"external_id": "two words"}, "external_id=<str>: pass the value from the owner of the role: 2 to 1224"),
        ({"external_id": ""}, "external_id"),
        ({"session_name": "a/b"}, "session_name"),
        ({"duration": 899}, "duration=899: pass whole seconds from 900 to 43200"),
        ({"duration": 3600.5}, "duration=3600.5"),
        ({"tags": {"": "x"}}, "tag number 1. Use 1 to 128 characters"),
        ({"tags": {"a": 1}}, "tag number 1. Use 1 to 128 characters"),
        ({"tags": {"Team": "x", "team": "y"}}, "upper and lower case"),
        ({"tags": {str(n): "x" for n in range(51)}}, "50 session tags, but 51 are set"),
        ({"tags": {"team": "x"}, "transitive_tags": "team"}, "each item must be a key in `tags`"),
    ],
)
def test_invalid_options_are_refused_when_the_role_is_created(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        AssumedRole(**{"role_arn": ARN, **options})
    assert "my-password" not in str(raised.value)
    assert "two words" not in str(raised.value)


def test_a_matching_account_is_accepted_and_the_repr_hides_the_options() -> None:
    role = AssumedRole(ARN, account="210987654321", external_id="hidden", tags={"team": "unseen"})
    assert role.account == "210987654321"
    assert repr(role) == f"AssumedRole({ARN!r}, tags=['team'])"
