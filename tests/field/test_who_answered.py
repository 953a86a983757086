"""A gateway, a proxy or a wrong address answers in place of AWS: the message says so."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import InvalidEndpointConfigurationError
from support.answers import FRAMES, MESSAGES, REPLY, fault
from support.raw_server import Peer, RawServer
from support.wire import Wire, answer, head

from aws_bedrock_inference import BedrockError, Pipeline, ServerFailed, StreamBroken, Unreachable

PAGE = b"<html><title>Sign in</title></html>"
SSE = b'event: message_start\ndata: {"type": "message_start"}\n\n'
STREAM_TYPE = "application/vnd.amazon.eventstream"
ARN = "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.amazon.nova-lite-v1:0"


@pytest.mark.parametrize(
    ("body", "stated", "said"),
    [
        pytest.param(PAGE, {"Content_Type": "text/html; charset=utf-8"}, "Content-Type is text/html", id="page"),
        pytest.param(SSE, {"Content_Type": "text/event-stream"}, "Content-Type is text/event-stream", id="SSE"),
        pytest.param(REPLY, {}, "Content-Type is application/json", id="JSON"),
        pytest.param(
            gzip.compress(b"".join(FRAMES)),
            {"Content_Type": STREAM_TYPE, "Content_Encoding": "gzip"},
            "Content-Encoding is gzip",
            id="gzip",
        ),
    ],
)
def test_another_body_in_place_of_a_stream_is_named(
    client_face: Any, body: Any, stated: dict[str, Any], said: str
) -> None:
    with Wire(answer(body, **stated)) as wire:
        client = client_face.open(wire.url)
        with pytest.raises(ServerFailed, match=f"not an event stream; its {said} .*gateway"):
            client_face.get(client.invoke("Why?", stream=True))


@pytest.mark.parametrize(
    ("body", "stated", "said"),
    [
        pytest.param(PAGE, {"Content_Type": "text/html"}, "Content-Type is text/html", id="page"),
        pytest.param(
            gzip.compress(json.dumps(REPLY).encode()),
            {"Content_Encoding": "gzip"},
            "Content-Encoding is gzip",
            id="gzip",
        ),
    ],
)
def test_another_body_in_place_of_json_is_named(client_face: Any, body: Any, stated: dict[str, Any], said: str) -> None:
    with (
        Wire(answer(body, **stated)) as wire,
        pytest.raises(ServerFailed, match=rf"not valid JSON \(\w+\); its {said}"),
    ):
        client_face.get(client_face.open(wire.url).invoke("Why?"))


def test_a_stream_of_frames_is_read_whatever_its_type(client_face: Any) -> None:
    with Wire(answer(b"".join(FRAMES), Content_Type="application/octet-stream")) as wire:
        assert client_face.get(client_face.open(wire.url).invoke("Why?", stream=True)).text == "Because of Rayleigh."


def test_a_damaged_frame_after_a_good_one_is_a_broken_stream(client_face: Any) -> None:
    damaged = answer(FRAMES[0] + PAGE, Content_Type="text/html")
    with Wire(damaged) as wire, pytest.raises(StreamBroken, match="a frame of the stream is damaged"):
        client_face.get(client_face.open(wire.url).invoke("Why?", stream=True))


def test_a_redirect_is_not_followed_and_names_its_host(client_face: Any) -> None:
    with Wire(head("302 Found", {"Location": "https://login.example/?back=1", "Content-Length": "0"})) as wire:
        with pytest.raises(Unreachable, match=r"redirects to login\.example .*Sign in to the proxy"):
            client_face.get(client_face.open(wire.url).invoke("Why?"))
        assert len(wire.received) == 1


def test_a_refusal_with_a_location_is_no_redirect(client_face: Any) -> None:
    """Regression: a throttled call was not retried."""
    busy = head("429 Too Many Requests", {"Location": "https://status.example/", "Content-Length": "0"})
    with Wire(busy, answer(REPLY)) as wire:
        assert client_face.get(client_face.open(wire.url).invoke("Why?")).text == "Because of Rayleigh."


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the answer does not begin with HTTP/1"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "the answer does not begin with HTTP/1"),
        (b"HTTP/1.1 200 OK\r\nsecret: a\0b\r\n\r\n", "the head is not valid HTTP/1.1"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 40, "the server sent more than 32 interim answers"),
    ],
)
def test_an_answer_that_is_not_http_is_described_and_not_quoted(client_face: Any, data: bytes, said: str) -> None:
    """Regression: with asyncio, the message was "ClientResponseError: HTTP 400", a status that nobody had sent."""

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(data)

    with RawServer(serve) as server:
        client = client_face.open(server.url, pipeline=Pipeline())
        with pytest.raises(ServerFailed, match=f"is not valid HTTP: {said}") as caught:
            client_face.get(client.invoke("Why?"))
    assert "secret" not in str(caught.value)


def test_a_header_of_40_kilobytes_is_read(client_face: Any) -> None:
    with Wire(answer(REPLY, x_policy="p" * 40_000)) as wire:
        assert client_face.get(client_face.open(wire.url).invoke("Why?")).text == "Because of Rayleigh."


@pytest.mark.parametrize("rest", ["?key=secret", "/a b", "/gateway#x", "/gatewäy"])
def test_an_endpoint_url_that_no_request_can_contain_is_refused(client_face: Any, rest: str) -> None:
    with pytest.raises(InvalidEndpointConfigurationError, match="without a query") as caught:
        client_face.open(f"http://127.0.0.1:1{rest}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "refusal",
    [
        ("ValidationException", "The provided model identifier is invalid."),
        ("ResourceNotFoundException", "Could not resolve the profile."),
        ("AccessDeniedException", "You don't have access to the model with the specified model ID."),
    ],
)
def test_the_region_of_an_arn_is_compared_with_the_called_region(client_face: Any, refusal: tuple[str, str]) -> None:
    with Wire(fault(400, *refusal)) as wire:
        client = client_face.open(wire.url, region_name="us-east-1")
        with pytest.raises(
            BedrockError, match="is in us-west-2, but us-east-1 was called: pass region_name='us-west-2'"
        ):
            client_face.get(client.converse(modelId=ARN, messages=MESSAGES))
        with pytest.raises(BedrockError) as caught:
            client_face.get(client.converse(modelId=ARN.replace("us-west-2", "us-east-1"), messages=MESSAGES))
        assert "was called" not in str(caught.value)
