"""Invalid arguments, endpoints and credentials are named by their argument and never quoted."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError
from support.wire import Wire, answer

from aws_bedrock_inference import (
    AsyncBedrockClient,
    BedrockClient,
    BedrockError,
    Pipeline,
    Quota,
    Retry,
    Timeout,
    resilient,
)
from aws_bedrock_inference.bounds import shown_name
from aws_bedrock_inference.call import priority_number
from aws_bedrock_inference.clients.request import TIERS
from aws_bedrock_inference.switch import policies_are_off

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "hunter2"
MODEL = "amazon.nova-lite-v1:0"
WHOLE = {"output": {"message": {"role": "assistant", "content": [{"text": "a"}]}}, "stopReason": "end_turn"}


def everything(error: BaseException) -> str:
    """Return all readable text of an exception and of its causes, handled or not."""
    links, texts = [error], []
    for link in links:
        texts.append(f"{link!s} {link!r} {link.args!r} {vars(link)!r}")
        links += [under for under in (link.__cause__, link.__context__) if under is not None and under not in links]
    return "\n".join(texts)


def session(secret: str = "secret", **more: Any) -> Any:  # noqa: S107 - of no account
    return boto3.Session("AKIDEXAMPLE", secret, region_name="us-east-1", **more)


@pytest.fixture
def url() -> Iterator[str]:
    with Wire(answer(WHOLE)) as wire:
        yield wire.url


@pytest.fixture
def client(url: str) -> Iterator[BedrockClient]:
    with BedrockClient(MODEL, session=session(), endpoint_url=url, pipeline=Pipeline(Retry(attempts=1))) as made:
        yield made


@pytest.mark.parametrize(
    "act",
    [
        lambda client: client.invoke("hi", tier=SECRET),
        lambda client: client.invoke("hi", priority=SECRET),
        lambda client: client.invoke("hi", temperature=SECRET),
        lambda client: client.invoke("hi", stop_sequences=SECRET),
        lambda client: client.invoke("hi", stop_sequences=[SECRET, ""]),
        lambda client: client.invoke("hi", max_tokens=SECRET),
        lambda client: client.invoke("hi", timeout=SECRET),
        lambda _: Timeout(idle=SECRET),  # type: ignore[arg-type]
        lambda _: Retry(jitter=SECRET),
        lambda _: Quota(rpm=SECRET),  # type: ignore[arg-type]
        lambda _: Quota(shares=SECRET),  # type: ignore[arg-type]
        lambda _: BedrockClient(MODEL, session=session(), quota=SECRET),  # type: ignore[arg-type]
        lambda _: BedrockClient(MODEL, session=session(), pipeline=SECRET),  # type: ignore[arg-type]
        lambda _: resilient(len, quota={"rpm": SECRET}),  # type: ignore[call-overload]
        lambda client: client.invoke_model(body=json.dumps({"max_tokens": "\ud800", "inputText": SECRET})),
        lambda client: client.invoke_model(body=json.dumps({"\ud800": 1, "inputText": SECRET})),
    ],
)
def test_a_short_secret_in_the_wrong_argument_is_quoted_nowhere(
    act: Callable[[BedrockClient], Any], client: BedrockClient
) -> None:
    with pytest.raises((ValueError, BedrockError)) as failed:
        act(client)
    assert SECRET not in everything(failed.value)


@pytest.mark.parametrize("misspelt", ["flux", "Flex", "prority", "defualt", "RESERVED"])
def test_a_misspelt_option_name_is_shown(misspelt: str) -> None:
    assert shown_name(misspelt, TIERS) == repr(misspelt)


def test_similar_option_names_are_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="priority='interactiv'"):
        priority_number("interactiv")
    monkeypatch.setenv("AWS_BEDROCK_INFERENCE", "of")
    with pytest.raises(ValueError, match="AWS_BEDROCK_INFERENCE='of'"):
        policies_are_off()
    monkeypatch.setenv("AWS_BEDROCK_INFERENCE", SECRET)
    with pytest.raises(ValueError, match="AWS_BEDROCK_INFERENCE=<str>"):
        policies_are_off()


@pytest.mark.parametrize("made", [BedrockClient, AsyncBedrockClient])
@pytest.mark.parametrize(
    "endpoint", ["ftp://127.0.0.1", "http://127.0.0.1:99999", "http://127.0.0.1:0", "gopher://x:1"]
)
def test_an_invalid_endpoint_is_refused_when_the_client_is_created(made: Any, endpoint: str) -> None:
    with pytest.raises(BotoCoreError, match="does not have the form http://host:port or https://host:port"):
        made(MODEL, session=session(), endpoint_url=endpoint)


@pytest.mark.parametrize("made", [BedrockClient, AsyncBedrockClient])
def test_a_certificate_bundle_that_cannot_be_used_is_named(made: Any, tmp_path: Path, monkeypatch: Any) -> None:
    empty = tmp_path / "bundle.pem"
    for path in (empty, tmp_path, tmp_path / "missing.pem"):
        empty.write_text("no certificate")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
        with pytest.raises(BotoCoreError, match=f"The CA bundle {path} cannot be used: .*AWS_CA_BUNDLE"):
            made(MODEL, session=session())


@pytest.mark.parametrize(
    "credentials",
    [
        {"secret": f"{SECRET}\udcff"},
        {"aws_session_token": f"{SECRET}\udcff"},
        {"aws_session_token": f"{SECRET}\n"},
        {"aws_session_token": f"{SECRET}é"},
    ],
)
def test_credentials_that_cannot_be_sent_are_a_fault_that_does_not_quote_them(
    credentials: dict[str, str], url: str
) -> None:
    whose = session(**credentials)
    with BedrockClient(MODEL, session=whose, endpoint_url=url) as client, pytest.raises(BedrockError) as failed:
        client.invoke("hi")
    assert SECRET not in everything(failed.value)

    async def twin() -> None:
        async with AsyncBedrockClient(MODEL, session=whose, endpoint_url=url) as client:
            await client.invoke("hi")

    with pytest.raises(BedrockError) as failed:
        asyncio.run(twin())
    assert SECRET not in everything(failed.value)


@pytest.mark.parametrize("output", [SECRET, "\\377" + SECRET])
def test_a_credential_process_that_prints_no_json_is_not_quoted(output: str, tmp_path: Path, monkeypatch: Any) -> None:
    config = tmp_path / "config"
    config.write_text(f"[profile x]\nregion = us-east-1\ncredential_process = /usr/bin/printf '{output}'\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BotoCoreError, match="credential_process") as failed:
        BedrockClient(MODEL, session=boto3.Session(profile_name="x"))
    assert SECRET not in everything(failed.value)


@pytest.mark.parametrize("model", ["a\nb", "a\r", "\n", "../../x", "m" * 3000, "m?x=1", "m#x", "é"])
def test_a_model_id_with_any_characters_is_sent_to_the_service(model: str, client: BedrockClient) -> None:
    assert client.invoke("hi", modelId=model).text == "a"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "boo", "type": "invalid_request_error", "code": 400}}, "boo"),
        ({"error": "boo"}, "boo"),
        ({"errors": [{"message": "boo"}]}, "boo"),
        ({"detail": "boo"}, "boo"),
        ({"detail": [{"loc": ["body"], "msg": "boo"}]}, "boo"),
        ({"__type": 5, "message": "boo"}, "boo"),
        ([{"error": {"message": "boo"}}], "boo"),
        ({"error": {"message": {"a": 1}}}, ""),
        ({"errors": []}, ""),
    ],
)
def test_the_message_of_a_gateway_with_its_own_error_format_is_shown(body: Any, message: str) -> None:
    with (
        Wire(answer(body, status="400 Bad Request")) as wire,
        BedrockClient(MODEL, session=session(), endpoint_url=wire.url) as client,
        pytest.raises(BedrockError) as failed,
    ):
        client.invoke("hi")
    assert failed.value.fault.message == message
