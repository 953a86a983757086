"""The argument `tenant`: which names it accepts, where it appears, and where it does not."""

from __future__ import annotations

import asyncio
import io
import logging
from typing import Any

import pytest
from support.doubles import call, session

from aws_bedrock_inference import AsyncBedrockClient, BedrockClient
from aws_bedrock_inference.batch.inputs import read_records
from aws_bedrock_inference.batch.records import BadLine
from aws_bedrock_inference.call import tenant_name
from aws_bedrock_inference.events import CallEnded
from aws_bedrock_inference.testing import simulator

MODEL = "amazon.nova-lite-v1:0"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.parametrize("name", ["acme", "a", "Müller & Söhne", "t-" + "x" * 98, "*"])
def test_a_short_name_is_accepted_as_a_tenant(name: str) -> None:
    assert tenant_name(name) == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "a text of 0 characters"),
        ("  ", "a text of 2 characters"),
        ("x" * 101, "a text of 101 characters"),
        ("two\nlines", "a text of 9 characters"),
        ("half \ud800", "a text of 6 characters"),
        (7, "tenant=7"),
        (b"acme", "<bytes>"),
        (["acme"], "<list>"),
    ],
)
def test_an_invalid_tenant_is_refused_and_not_quoted(name: Any, said: str) -> None:
    with pytest.raises(ValueError, match="pass a name of 1 to 100 printable characters") as caught:
        BedrockClient(MODEL, session=session()).invoke("Why?", tenant=name)
    assert said in str(caught.value)
    assert "lines" not in str(caught.value)


def test_every_method_passes_the_tenant_to_its_events_and_the_log_omits_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "aws_bedrock_inference")
    heard: list[Any] = []
    with simulator() as service:
        options: Any = {"endpoint_url": service.url, "region_name": "us-east-1"}
        with BedrockClient(MODEL, **options) as client:
            client.listen(heard.append)
            assert client.invoke("Why?", max_tokens=20, tenant="one").stop_reason
            assert client.invoke("Why?", max_tokens=20, tenant="two", stream=True).stop_reason
            assert "".join(client.invoke_stream("Why?", max_tokens=20, tenant="three"))
            assert client.invoke("Why?", max_tokens=20).stop_reason

        async def main() -> None:
            async with AsyncBedrockClient(MODEL, **options) as client:
                client.listen(heard.append)
                await client.invoke("Why?", max_tokens=20, tenant="four")
                async for _ in client.invoke_stream("Why?", max_tokens=20, tenant="five"):
                    pass

        asyncio.run(main())
    ended = [event.tenant for event in heard if isinstance(event, CallEnded)]
    assert ended == ["one", "two", "three", "", "four", "five"]
    assert "converse" in caplog.text
    assert not [name for name in ended if name and name in caplog.text]


def test_a_call_keeps_its_tenant_with_another_deadline() -> None:
    assert call(tenant="acme").until(5.0).tenant == "acme"


def lines(text: bytes) -> list[Any]:
    return list(read_records(io.BytesIO(text), "in.jsonl"))


def test_a_batch_record_may_name_a_tenant() -> None:
    [good, number, long] = lines(
        b'{"id": "1", "prompt": "Why?", "tenant": "acme"}\n'
        b'{"id": "2", "prompt": "Why?", "tenant": 7}\n'
        b'{"id": "3", "prompt": "Why?", "tenant": "' + b"x" * 101 + b'"}\n'
    )
    assert good.source["tenant"] == "acme"
    assert isinstance(number, BadLine)
    assert '"tenant" is 7. Use 1 to 100 printable characters' in str(number)
    assert isinstance(long, BadLine)
