"""Slow servers, resolvers and credential providers: a call ends at its deadline, in threads and in asyncio."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.credentials import RefreshableCredentials
from support.doubles import session
from support.raw_server import Peer, RawServer, reply, text_of
from support.wire import STREAM_HEAD, Wire, answer, head

from aws_bedrock_inference import clock
from aws_bedrock_inference.call import Call, Route, Timeout
from aws_bedrock_inference.transports.endpoint import Endpoint, find_endpoint
from aws_bedrock_inference.transports.fast.signing import SigV4

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNKED = head("200 OK", {"Transfer-Encoding": "chunked"})
LONG = 3_000  # dripped bytes: a minute
# What a busy machine may take for a deadline of some tenths of a second; without one each of these takes a minute.
GENEROUS = 30.0


def call(operation: str = "converse", *, text: str = "x", **fields: Any) -> Call:
    params = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": text}]}]}
    return Call(operation, params, Route("m"), **fields)


def drips(before: bytes, dripped: bytes) -> Any:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(before)
        peer.drip(dripped)

    return serve


def endless(before: bytes, again: bytes) -> Any:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(before)
        while True:
            peer.send(again)

    return serve


def reads_nothing(peer: Peer) -> None:
    peer.hold()


SLOW = {
    "status line": drips(b"", b"HTTP/1.1 200 " + b"O" * LONG),
    "header": drips(b"HTTP/1.1 200 OK\r\n", b"x-a: " + b"a" * LONG),
    "headers": drips(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * LONG),
    "interim answers": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * LONG),
    "flood of interim answers": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
    "flood of processing": endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 1_000),
    "endless headers": endless(b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n" * 1_000),
    "endless header": endless(b"HTTP/1.1 200 OK\r\nx-a: ", b"b" * 10_000),
    "body": drips(answer(reply("y")).partition(b"{")[0], b" " * 100),
    "chunk size": drips(CHUNKED, b"0" * LONG),
    "endless chunk size": endless(CHUNKED, b"0" * 10_000),
    "chunk extension": drips(CHUNKED, b"1;" + b"a" * LONG),
    "trailers": drips(CHUNKED + b"1\r\n{\r\n0\r\n", b"a: b\r\n" * LONG),
    "endless trailers": endless(CHUNKED + b"1\r\n{\r\n0\r\n", b"a: b\r\n" * 1_000),
}


def ends(face: Any, transport: Any, sent: Call) -> Any:
    started = clock.monotonic()
    outcome = face.send(transport, sent)
    assert clock.monotonic() - started < GENEROUS
    return outcome


@pytest.mark.parametrize("serve", SLOW.values(), ids=SLOW.keys())
def test_an_endless_answer_ends_at_the_deadline(face: Any, serve: Any) -> None:
    with RawServer(serve) as server:
        fault = ends(face, face.open(server.url), call(timeout=Timeout(total=0.2))).fault
        assert fault.code in {"AttemptTimeout", "MalformedResponse", "IncompleteReadError"}


def test_a_stream_whose_chunk_size_arrives_byte_by_byte_is_idle(face: Any) -> None:
    with RawServer(drips(STREAM_HEAD, b"0" * LONG)) as server:
        opened = face.send(face.open(server.url), call("converse_stream", timeout=Timeout(first_content=0.2)))
        started = clock.monotonic()
        assert face.next(opened.value).code in {"FirstContentTimeout", "StreamBroken", "MalformedResponse"}
        assert clock.monotonic() - started < GENEROUS


def test_a_request_that_the_server_does_not_read_ends_at_the_deadline(face: Any) -> None:
    with RawServer(reads_nothing) as server:
        sent = call(text="x" * 8_000_000, timeout=Timeout(total=0.5))
        assert ends(face, face.open(server.url), sent).fault.code == "AttemptTimeout"


@pytest.mark.parametrize("drip", [b"HTTP/1.1 200 " + b"O" * LONG, b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000])
def test_a_proxy_that_answers_byte_by_byte_is_a_connect_timeout(face: Any, drip: bytes) -> None:
    with RawServer(drips(b"", drip)) as proxy:
        there = find_endpoint(session(), endpoint_url="https://bedrock.test")
        through = Endpoint(there.url, there.region, "", there.signer, proxy=f"http://127.0.0.1:{proxy.port}")
        fault = ends(face, face.open(through), call(timeout=Timeout(connect=0.2))).fault
        assert fault.code in {"ConnectTimeoutError", "ProxyConnectionError", "MalformedResponse"}
        assert fault.reached is False or fault.code == "MalformedResponse"


def test_a_tls_handshake_byte_by_byte_is_a_connect_timeout(face: Any) -> None:
    def serve(peer: Peer) -> None:
        peer.drip(b"\x16\x03\x03\x3f\xff" + b"\0" * LONG)

    with RawServer(serve) as server:
        url = server.url.replace("http:", "https:")
        fault = ends(face, face.open(url), call(timeout=Timeout(connect=0.2))).fault
        assert (fault.code, fault.reached) == ("ConnectTimeoutError", False)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Host names with answers of the test's own: addresses, or a function that returns them."""
    known: dict[str, Any] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host not in known or more.get("flags"):
            return real(host, port, *args, **more)
        found = known[host]() if callable(known[host]) else known[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


def test_a_slow_look_up_ends_at_the_deadline(face: Any, names: dict[str, Any]) -> None:
    answered = threading.Event()
    with Wire(answer(reply("y"))) as wire:
        names["slow.test"] = lambda: answered.wait(60) and ["127.0.0.1"]
        transport = face.open(f"http://slow.test:{wire.port}")
        fault = ends(face, transport, call(timeout=Timeout(connect=0.2))).fault
        assert (fault.code, fault.reached) == ("ConnectTimeoutError", False)
        assert ends(face, transport, call(timeout=Timeout(total=0.2))).fault.code == "ConnectTimeoutError"
        answered.set()
        assert text_of(face.send(transport, call())) == "y"


def test_simultaneous_look_ups_of_one_name_share_one_request(face: Any, names: dict[str, Any]) -> None:
    asked: list[str] = []
    answered = threading.Event()

    def look_up() -> list[str]:
        asked.append("slow.test")
        answered.wait(60)
        return ["127.0.0.1"]

    names["slow.test"] = look_up
    transport = face.open("http://slow.test:1")
    for _ in range(3):
        ends(face, transport, call(timeout=Timeout(connect=0.02)))
    answered.set()
    assert asked == ["slow.test"]


@pytest.fixture
def silent() -> Iterator[int]:
    """A port whose connections are never answered: its queue of one is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port: int = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            yield port


def test_six_addresses_that_swallow_packets_share_one_limit(face: Any, names: dict[str, Any], silent: int) -> None:
    names["six.test"] = ["127.0.0.1"] * 6
    transport = face.open(f"http://six.test:{silent}")
    for timeout in Timeout(connect=0.3), Timeout(total=0.3):
        fault = ends(face, transport, call(timeout=timeout)).fault
        assert (fault.code, fault.reached) == ("ConnectTimeoutError", False)


def test_a_good_address_behind_a_silent_one_is_reached(face: Any, names: dict[str, Any], silent: int) -> None:
    names["two.test"] = ["127.0.0.1", "127.0.0.2"]

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(answer(reply("y")))

    with RawServer(serve, host="127.0.0.2", port=silent):
        assert text_of(ends(face, face.open(f"http://two.test:{silent}"), call())) == "y"


def test_a_good_address_behind_a_refusing_one_is_reached(face: Any, names: dict[str, Any]) -> None:
    names["two.test"] = ["127.0.0.1", "127.0.0.2"]

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(answer(reply("y")))

    with RawServer(serve, host="127.0.0.2") as server:
        assert text_of(face.send(face.open(f"http://two.test:{server.port}"), call())) == "y"


class Provider:
    """Renews credentials when the test allows it."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.asked = 0

    def __call__(self) -> dict[str, str]:
        self.asked += 1
        self.answered.wait(60)
        later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        return {"access_key": "NEW", "secret_key": "s", "token": "t", "expiry_time": later}

    def endpoint(self, url: str, minutes: int) -> Endpoint:
        """Return an endpoint whose credentials expire in some minutes."""
        until = datetime.now(UTC) + timedelta(minutes=minutes)
        credentials = RefreshableCredentials("OLD", "s", "t", until, self, "test")
        return Endpoint(url, "us-east-1", "", SigV4(credentials, "bedrock", "us-east-1"))


def test_a_slow_renewal_of_credentials_ends_at_the_deadline(face: Any) -> None:
    provider = Provider()
    with Wire(answer(reply("y"))) as wire:
        transport = face.open(provider.endpoint(wire.url, minutes=-1))
        for _ in range(2):
            fault = ends(face, transport, call(timeout=Timeout(total=0.2))).fault
            assert (fault.code, fault.reached) == ("CredentialRetrievalError", False)
            assert "credentials" in fault.message
        assert (provider.asked, wire.received) == (1, [])
        provider.answered.set()
        assert text_of(face.send(transport, call())) == "y"


def test_valid_credentials_are_renewed_in_the_background(face: Any) -> None:
    provider = Provider()
    with Wire(answer(reply("y"))) as wire:
        transport = face.open(provider.endpoint(wire.url, minutes=12))
        for _ in range(2):
            assert text_of(ends(face, transport, call())) == "y"
        assert provider.asked == 1
        assert all("Credential=OLD/" in received.headers["authorization"] for received in wire.received)
        provider.answered.set()
