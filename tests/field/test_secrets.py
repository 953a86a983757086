"""Secrets in every spelling, searched for in every output."""

from __future__ import annotations

import json
import logging
import pickle
import time
import tomllib
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import urllib3
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from support.answers import fault
from support.client_faces import MODEL, Asyncio, Blocking, Streaming
from support.wire import Act, Wire
from yarl import URL

from aws_bedrock_inference import BedrockError, Pipeline, classify, explain, knowledge
from aws_bedrock_inference.cli import main
from aws_bedrock_inference.dialects.echo import without_prompt
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.knowledge.stand_in import stand_in
from aws_bedrock_inference.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY_ID = "ASIAIOSFODNN7EXAMPLE"
REAL = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLEtoken//////////wEaCXVzLWVhc3QtMSJGMEQCIEXAMPLE"
FAKE = "fAkE-seCret_x"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
SECRETS = (KEY_ID, REAL, TOKEN, FAKE, JWT, "hunter2!")

CATALOGUE = Path(knowledge.__file__).parent / "errors"

# Ⓢ stands for a secret behind its name, in any form; Ⓐ, Ⓡ, Ⓣ for a key id, a secret key and a token as AWS makes them.
SPELLINGS = {
    "STS": '{"Credentials": {"AccessKeyId": "Ⓐ", "SecretAccessKey": "Ⓢ", "SessionToken": "Ⓢ"}}',
    "js": "{ accessKeyId: 'Ⓐ', secretAccessKey: 'Ⓢ', sessionToken: 'Ⓢ' }",
    "go": "{AccessKeyID:Ⓐ SecretAccessKey:Ⓢ SessionToken:Ⓢ Source:EnvConfigCredentials CanExpire:false}",
    "java": "AwsSessionCredentials(accessKeyId=Ⓐ, secretAccessKey=Ⓢ, sessionToken=Ⓢ)",
    "java builder": '.accessKeyId("Ⓐ").secretAccessKey("Ⓢ").sessionToken("Ⓢ").build()',
    "java positions": 'AwsSessionCredentials.create("Ⓐ", "Ⓡ", "Ⓣ")',
    ".net": 'new SessionAWSCredentials("Ⓐ", "Ⓡ", "Ⓣ"); SecretKey = "Ⓢ"; AWSSecretKey: Ⓢ',
    "rust": 'Credentials { access_key_id: "Ⓐ", secret_access_key: "Ⓢ", session_token: Some("Ⓢ") }',
    "ruby": 'Aws::Credentials.new(access_key_id: "Ⓐ", secret_access_key: "Ⓢ", :session_token=>"Ⓢ")',
    "php": "'credentials' => ['key' => 'Ⓐ', 'secret' => 'Ⓢ', 'token' => 'Ⓣ']",
    "yaml": "AccessKeyId: Ⓐ\nSecretAccessKey: Ⓢ\nSessionToken: Ⓢ\n",
    "ini": "aws_access_key_id = Ⓐ\naws_secret_access_key = Ⓢ\naws_session_token = Ⓢ",
    "shell": "export AWS_ACCESS_KEY_ID=Ⓐ\nexport AWS_SECRET_ACCESS_KEY='Ⓢ'\nexport AWS_SESSION_TOKEN=\"Ⓢ\"",
    "bearer variable": "export AWS_BEARER_TOKEN_BEDROCK=Ⓢ",
    "cmd": "set AWS_SECRET_ACCESS_KEY=Ⓢ",
    "powershell": '$Env:AWS_SECRET_ACCESS_KEY="Ⓢ"',
    "xml": "<AccessKeyId>Ⓐ</AccessKeyId><SecretAccessKey>Ⓢ</SecretAccessKey><SessionToken>Ⓢ</SessionToken>",
    "python": "{'AccessKeyId': 'Ⓐ', 'SecretAccessKey': 'Ⓢ', 'SessionToken': 'Ⓢ'}",
    "botocore": "ReadOnlyCredentials(access_key='Ⓐ', secret_key='Ⓢ', token='Ⓣ', account_id=None)",
    "keywords": 'boto3.client("bedrock", aws_secret_access_key="Ⓢ", aws_session_token="Ⓢ")',
    "json in json": '"body":"{\\"SecretAccessKey\\":\\"Ⓢ\\",\\"SessionToken\\":\\"Ⓢ\\"}"',
    "json in json in json": '"{\\\\\\"SecretAccessKey\\\\\\":\\\\\\"Ⓢ\\\\\\"}"',
    "html": "&quot;SecretAccessKey&quot;:&quot;Ⓢ&quot;",
    "url": "https://h/?secretAccessKey=Ⓢ&sessionToken=Ⓢ&x=1",
    "url-encoded json": "%22SecretAccessKey%22%3A%22Ⓢ%22",
    "name and value": '{"name": "AWS_SECRET_ACCESS_KEY", "value": "Ⓢ"}',
    "parameters": '{"ParameterKey":"DbPassword","ParameterValue":"Ⓢ"}',
    "app.config": '<add key="AWSSecretKey" value="Ⓢ"/>',
    "command line": "aws configure set aws_secret_access_key Ⓡ",
    "option": "--secret-access-key Ⓡ",
    "table": "|  SecretAccessKey  |  Ⓢ  |",
    "text output": "CREDENTIALS\tⒶ\t2026-11-29T00:00:00Z\tⓇ\tⓉ",
    "curl": "--user Ⓐ:Ⓡ",
    "bearer": "Authorization: Bearer Ⓢ",
    "basic": "Authorization: Basic Ⓢ",
    "bare": "authorization: Ⓢ",
    "proxy": '"Proxy-Authorization": "Basic Ⓢ"',
    "headers as bytes": "{'Authorization': b'Bearer Ⓢ', 'X-Amz-Security-Token': b'Ⓢ'}",
    "headers as pairs": "[('X-Amz-Security-Token', 'Ⓣ'), ('Authorization', 'Bearer Ⓢ')]",
    "headers": "X-Amz-Security-Token: Ⓢ\r\nx-api-key: Ⓢ\r\nCookie: session=Ⓢ; other=Ⓢ\r\nSet-Cookie: a=Ⓢ; HttpOnly",
    "signature": "AWS4-HMAC-SHA256 Credential=Ⓐ/20261129/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature="
    "fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024",
    "presigned": "https://b.s3.amazonaws.com/k?X-Amz-Credential=Ⓐ%2F20261129&X-Amz-Security-Token=Ⓢ&X-Amz-Signature="
    "fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024",
    "redis": "redis://:Ⓢ@host:6379/0",
    "redis, escaped": "redis:\\/\\/:Ⓢ@host",
    "postgres": "postgres://u:Ⓢ@h/db?password=Ⓢ",
    "http proxy": "http://user:Ⓢ@proxy:3128 HTTPS_PROXY=user:Ⓢ@proxy:8080",
    "url in url": "redis%3A%2F%2F%3AⓈ%40host",
    "password": '{"password":"Ⓢ"} password: Ⓢ DB_PASSWORD=Ⓢ pwd=Ⓢ',
    "fakes in positions": 'new SessionAWSCredentials("Ⓐ", "Ⓢ", "Ⓢ")',
    "options": "aws --secret-key Ⓢ --password Ⓢ; Set-AWSCredential -AccessKey Ⓐ -SecretKey Ⓢ; curl -u me:Ⓢ h",
    "headers of go and java": "map[Authorization:[Bearer Ⓢ]] {X-Amz-Security-Token=[Ⓢ], authorization=[Bearer Ⓢ]}",
    "headers as lists": '{"Authorization":["Bearer Ⓢ"],"x-api-key":["Ⓢ"]}',
    "escaped xml": "&lt;SecretAccessKey&gt;Ⓢ&lt;/SecretAccessKey&gt;",
    "hcl": 'access_key = "Ⓐ"\n  secret_key = "Ⓢ"\n  token = "Ⓣ"',
    "swift": '.static(accessKeyId: "Ⓐ", secretAccessKey: "Ⓢ", sessionToken: "Ⓢ")',
    "sso cache": '{"accessToken": "Ⓢ", "clientSecret": "Ⓢ", "refreshToken": "Ⓢ"}',
    "container": "AWS_CONTAINER_AUTHORIZATION_TOKEN=Ⓢ WebIdentityToken=Ⓢ",
    "databases": "Server=h;Uid=me;Pwd=Ⓢ; REDIS_PASS=Ⓢ MYSQL_PWD=Ⓢ AccountKey=Ⓢ",
    "jwt": f"token {JWT}",
    "alone": "Ⓐ Ⓡ Ⓣ",
}
VALUES = [REAL, FAKE, "hunter2!"]


def planted(spelling: str, value: str) -> str:
    """Return a text with secrets in one of the spellings."""
    text = SPELLINGS[spelling]
    for sign, secret in (("Ⓢ", value), ("Ⓐ", KEY_ID), ("Ⓡ", REAL), ("Ⓣ", TOKEN)):
        text = text.replace(sign, secret)
    return text


def leaked(*texts: str) -> list[str]:
    """Return the secrets in the output, however the output escapes them."""
    plain = "".join(texts).replace("\\", "")
    return [secret for secret in SECRETS if secret in plain]


def everything(value: str) -> str:
    return "\n".join(planted(spelling, value) for spelling in SPELLINGS)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_secret_is_left_in_any_spelling(spelling: str, value: str) -> None:
    text = planted(spelling, value)
    assert leaked(text)
    shown = masked(f"before {text} after")
    assert not leaked(shown)
    assert shown.startswith("before ")
    assert masked(shown) == shown


@pytest.mark.parametrize("value", [FAKE])  # the form that only its name gives away
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_explain_and_scan_print_no_secret(spelling: str, value: str, tmp_path: Path) -> None:
    text = planted(spelling, value)
    known = f"An error occurred (ThrottlingException) when calling the Converse operation: {text}"
    for asked in (text, known, f"ThrottlingException: {text}"):
        assert not leaked(repr(explain(asked)), repr(classify(asked)), str(classify(asked)))
        for form in ([], ["--json"], ["--short"]):
            assert not leaked(CliRunner().invoke(main, ["explain", *form, asked]).output)
    log = tmp_path / "app.log"
    log.write_text(f"2026-11-29T00:00:00Z ERROR {known}\n".replace("\r", " "), encoding="utf-8")
    for form in ([], ["--json"], ["--by", "service"]):
        shown = CliRunner().invoke(main, ["scan", *form, str(log)]).output
        assert "throttled" in shown
        assert not leaked(shown)


@pytest.fixture(params=[Blocking, Streaming, Asyncio])
def face(request: pytest.FixtureRequest, alone: None) -> Iterator[Any]:
    made = request.param()
    yield made
    made.end()


def out_of(error: BaseException) -> Iterator[str]:
    """Yield everything visible of an exception and of its causes."""
    yield "".join(traceback.format_exception(error))
    link: BaseException | None = error
    while link is not None:
        yield from (str(link), repr(link), repr(link.args), repr(vars(link)), *getattr(link, "__notes__", ()))
        yield repr([getattr(link, name, None) for name in ("response", "headers", "request_info", "history", "advice")])
        link = link.__cause__ or link.__context__


@pytest.mark.parametrize("value", VALUES)
def test_an_exception_an_event_and_a_log_show_no_secret(
    face: Any, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "botocore", "aiohttp", "asyncio"):  # their own logs are theirs
        caplog.set_level(logging.CRITICAL, name)
    text = everything(value)
    head = "HTTP/1.1 400 Bad\r\nSet-Cookie: session=" + value + "\r\nContent-Length: 2\r\n\r\n{}"
    answers: list[Act] = [
        fault(400, "ValidationException", text),
        fault(503, "ServiceUnavailableException", text),
        ("cut", f"Authorization: Bearer {value}\r\n\r\n".encode()),
        ("cut", f"HTTP/1.1 Bearer {TOKEN}\r\n\r\n".encode()),
        head.encode(),
    ]
    events: list[object] = []
    for act in answers:
        with Wire(act) as wire:
            client = face.open(wire.url, pipeline=Pipeline())
            client.listen(events.append)
            with pytest.raises(BedrockError) as raised:
                face.whole(client.invoke("Why?"))
        copy = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 - our own
        assert not leaked(*out_of(raised.value), *out_of(copy), repr(raised.value.fault.response))
    assert events
    assert not leaked(repr(events), caplog.text)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("form", [[], ["--debug"]])
def test_the_command_prints_no_secret(
    value: str, form: list[str], alone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", REAL)
    with Wire(fault(400, "ValidationException", everything(value))) as wire:
        arguments = ["invoke", "Why?", "--model", MODEL, "--region", "us-east-1", "--endpoint-url", wire.url]
        result = CliRunner().invoke(main, [*form, *arguments])
        assert result.exit_code == 1
        assert "ValidationException" in result.output
        assert not leaked(result.output, result.stderr, str(result.exception))
    for url in (f"http://user:{value}@127.0.0.1:1", f"redis://:{value}@[nowhere"):
        arguments = ["invoke", "Why?", "--model", MODEL, "--region", "us-east-1", "--endpoint-url", url]
        assert not leaked(CliRunner().invoke(main, [*form, *arguments, f"--token={url}"]).output)
    for arguments in (
        ["quota", "watch", "--store", f"http://me:{value}@h"],
        ["explain", f"password={value}", "--service", f"token={TOKEN}"],
        ["scan", f"/nowhere/password={value}"],
        ["errors", f"password={value}"],
    ):
        assert not leaked(CliRunner().invoke(main, [*form, *arguments]).output)


def test_an_exception_of_the_http_client_is_replaced_by_its_masked_text() -> None:
    headers = CIMultiDictProxy(CIMultiDict({"Authorization": f"Bearer {FAKE}"}))
    url = URL(f"http://user:{FAKE}@proxy:3128")
    theirs = aiohttp.ClientHttpProxyError(
        aiohttp.RequestInfo(url, "POST", headers, url), (), status=407, message="Proxy Authentication Required"
    )
    theirs.__cause__ = urllib3.exceptions.ProxyError(f"cannot reach {url}", OSError(111, f"password={FAKE}"))
    theirs.__cause__.__context__ = ExceptionGroup("all failed", [ConnectionRefusedError(111, "refused")])
    ours = stand_in(theirs)
    assert isinstance(ours, aiohttp.ClientHttpProxyError)
    assert isinstance(ours.__cause__, urllib3.exceptions.ProxyError)
    assert "all failed" in str(ours.__cause__.__context__)
    assert "Proxy Authentication Required" in str(ours)
    assert not leaked(*out_of(ours), *out_of(pickle.loads(pickle.dumps(ours))))  # noqa: S301 - our own
    refused = stand_in(ConnectionRefusedError(111, "Connection refused"))
    assert isinstance(refused, ConnectionRefusedError)
    assert refused.errno == 111


def test_the_message_of_a_store_contains_no_password() -> None:
    assert not leaked(str(StoreUnavailable(f"redis://:{FAKE}@host:6379 cannot be used")))


# What is no secret, and is needed to understand an error.
KEPT = """
The security token included in the request is invalid.
ExpiredToken: The security token included in the request is expired
Unexpected token < in JSON at position 0
Invalid API key: missing; password: incorrect; the API key is required
{'error': {'code': 'invalid_api_key', 'message': 'Invalid bearer token', 'type': 'invalid_request_error'}}
Too many tokens, please wait before trying again. max_tokens: 4096, inputTokens: 12345, totalTokens=123456
arn:aws:sts::123456789012:assumed-role/App/session is not authorized to perform: bedrock:InvokeModel on resource: *
arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-sonnet-20241022-v2:0
arn:aws:iam::123456789012:role/service-role/MyExecutionRoleForLambda9Abc
Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter.
The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key.
secret: arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf
aws_secret_access_key = None, session_token: null
http://127.0.0.1:8099/model/x@y/converse
request id 11111111-2222-3333-4444-555555555555, x-amz-id-2: 6DmL2mWRXTG9hUlSyxzkPPkJ9WOcVB8zqTeH6QoGSJw0jRjWcEnbOWc7+E
commit 329aac4329aac4329aac4329aac4329aac432900
Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY
The bearer token is invalid; Bearer authentication is required; basic authentication failed
""".strip().splitlines()


@pytest.mark.parametrize("text", KEPT)
def test_masking_keeps_the_text_that_explains_an_error(text: str) -> None:
    assert masked(text) == text


def test_no_text_of_the_catalogue_looks_like_a_secret() -> None:
    """The examples of the catalogue are real messages: masking keeps the explanatory text, so that they are
    explained alike."""
    texts: list[str] = []
    waiting: list[Any] = [tomllib.loads(file.read_text(encoding="utf-8")) for file in CATALOGUE.glob("*.toml")]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, (dict, list)):
            waiting += part.values() if isinstance(part, dict) else part
    assert len(texts) > 5_000
    assert not [text for text in texts if masked(text) != text]


HOSTILE = [
    *(
        "aws_secret_access_key ",
        "password=",
        'password="',
        "://a:",
        "@://:",
        "A1b/",
        "\\",
        "secret'",
        "password" + " " * 50,
    ),
    *("bearer ", "token|", "eyJ", "eyJaaaaaaaaaaaaaaa.", "-----BEGIN PRIVATE KEY-----", "%", "authorization: ", "AKIA"),
    *("sk-", "/a/b", "secret_key " + "a" * 300, 'password","value', "0", "x", "a" * 40 + " ", "cookie=", "a_proxy=b:"),
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_the_cost_of_masking_is_linear_in_the_length_of_the_text(unit: str) -> None:
    def cost(length: int) -> float:
        text = (unit * length)[:length]
        start = time.process_time()
        masked(text)
        return time.process_time() - start

    masked(unit)
    assert cost(200_000) < 2.0  # 0.1 s; with a quadratic pattern minutes


@given(st.lists(st.sampled_from([*SPELLINGS.values(), " ", '"', "\\", "'", "=", ":", ",", "***", "password", "\n"])))
def test_masking_is_idempotent(parts: list[str]) -> None:
    once = masked("".join(parts))
    assert masked(once) == once


PROMPT = 'Tell me "everything" about\nproject Nightingale, please'


@pytest.mark.parametrize(
    "echo",
    [
        f"Malformed input request: #/messages/0: got '{PROMPT}'",
        f"Malformed input request: expected a list, found {json.dumps(PROMPT)}",
        "The text 'project Nightingale, please' is not allowed",
        f"Input is too long: {PROMPT[:40]}...",
    ],
)
def test_a_message_that_echoes_the_prompt_is_masked(face: Any, echo: str) -> None:
    events: list[object] = []
    with Wire(fault(400, "ValidationException", echo)) as wire:
        client = face.open(wire.url, pipeline=Pipeline())
        client.listen(events.append)
        with pytest.raises(BedrockError) as raised:
            face.whole(client.invoke(PROMPT))
    for text in (*out_of(raised.value), repr(events), repr(raised.value.fault.response)):
        assert "Nightingale" not in text
        assert "everything" not in text
    assert echo[:9] in str(raised.value)


def test_the_prompt_of_a_native_body_is_masked_too() -> None:
    body = json.dumps({"prompt": "the secret plan", "max_tokens": 5})
    assert without_prompt("bad value 'the secret plan' at prompt", {"body": body}) == "bad value '…' at prompt"
    assert without_prompt("bad value 'x' at prompt", {"body": b"\xff"}) == "bad value 'x' at prompt"
    assert (
        without_prompt("no tool lookup_weather", {"messages": [{"name": "lookup_weather"}]}) == "no tool lookup_weather"
    )
