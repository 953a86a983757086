"""Connections, threads and reservations that are left behind do not block, leak or put blame on others."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import threading
import warnings
from typing import Any

import pytest
from support.doubles import OK, ROUTE, World, call, session
from support.raw_server import Peer, RawServer, reply
from support.wire import STREAM_HEAD, Wire, answer, eventually, stream

from aws_bedrock_inference import BedrockClient
from aws_bedrock_inference.call import Call, Route, Timeout
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.fault import Origin
from aws_bedrock_inference.flow import Pipeline, send
from aws_bedrock_inference.policies import Quota
from aws_bedrock_inference.rules.quota.ledger import Ledger
from aws_bedrock_inference.stores.request import Question, StoreUnavailable
from aws_bedrock_inference.transports.blocking import BlockingTransport
from aws_bedrock_inference.transports.connections import KEPT_SECONDS
from aws_bedrock_inference.transports.endpoint import Endpoint, find_endpoint

LIMIT = 60


def converse(operation: str = "converse", **fields: Any) -> Call:
    params = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": "x"}]}]}
    return Call(operation, params, Route("m"), **fields)


@pytest.mark.parametrize("addresses", [1, 3])
def test_a_refused_connection_fails_immediately(face: Any, monkeypatch: pytest.MonkeyPatch, addresses: int) -> None:
    """The call fails immediately, and not after the connect timeout, which is an hour here."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **more: Any) -> Any:
        return real("127.0.0.1", *args, **more) * addresses if host == "refuses.test" else real(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    transport = face.open(f"http://refuses.test:{port}")
    faults: list[Any] = []

    def ask() -> None:
        faults.append(face.send(transport, converse(timeout=Timeout(connect=3600.0))).fault)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert [(fault.code, fault.reached) for fault in faults] == [("EndpointConnectionError", False)]


NO_PROXY = {
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "silence": b"",
    "half an answer": b"HTTP/1.1 200 OK\r\nx-a: b",
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
    "a refusal": b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
}


@pytest.mark.parametrize("written", NO_PROXY.values(), ids=NO_PROXY.keys())
def test_a_server_that_is_not_a_proxy_is_not_blamed_on_the_model(face: Any, written: bytes) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(written)

    with RawServer(serve) as server:
        there = find_endpoint(session(), endpoint_url="https://bedrock.test")
        through = Endpoint(there.url, there.region, "", there.signer, proxy=f"http://127.0.0.1:{server.port}")
        fault = face.send(face.open(through), converse()).fault
    assert (fault.code, fault.origin) == ("ProxyConnectionError", Origin.NETWORK)
    assert (fault.reached, fault.unhealthy) == (False, False)


def test_a_late_answer_of_a_store_raises_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    threads: list[threading.Thread] = []
    answered = threading.Event()

    def slow() -> None:
        threads.append(threading.current_thread())
        answered.wait(LIMIT)

    with pytest.raises(StoreUnavailable, match="took longer than"):
        asyncio.run(Question(slow, 0.01, "the store").arun())
    answered.set()
    assert eventually(lambda: bool(threads))
    threads[0].join(LIMIT)
    assert failures == []


def test_a_client_that_is_dropped_closes_its_connections_quietly() -> None:
    gc.collect()  # collect the objects that other tests dropped
    with Wire(answer(reply("y"))) as wire, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        client = BedrockClient("amazon.nova-lite-v1:0", session=session(), endpoint_url=wire.url)
        assert client.invoke("x").text == "y"
        cycle = [client]
        cycle.append(cycle)  # type: ignore[arg-type]
        del client, cycle
        gc.collect()
        assert wire.gone.wait(LIMIT)
    of_client = f"raddr=('127.0.0.1', {wire.port})"
    assert [str(each.message) for each in warned if of_client in str(each.message)] == []


def test_idle_connections_of_a_burst_are_closed_while_calls_continue() -> None:
    now = 0.0
    frames = stream().removeprefix(STREAM_HEAD)
    gone = threading.Event()

    def serve(peer: Peer) -> None:
        try:
            while True:
                peer.request()
                peer.send(STREAM_HEAD + frames)
        finally:
            if peer.number == 0:
                gone.set()

    with RawServer(serve) as server:
        transport = BlockingTransport(find_endpoint(session(), endpoint_url=server.url), clock=lambda: now)
        burst = [transport.send(converse("converse_stream")).value for _ in range(2)]
        for source in burst:
            assert source.next() is None
        for _ in range(2):
            now += KEPT_SECONDS / 2
            transport.send(converse("converse_stream")).value.next()
        assert gone.wait(LIMIT)
        assert server.connections == 2
        transport.close()


@pytest.mark.parametrize("busy", [False, True])
def test_ctrl_c_during_a_reservation_leaves_none_behind(*, busy: bool) -> None:
    world = World()
    quota = Quota(rpm=60, tpm=60_000, concurrency=1)
    step = Pipeline(quota).around(send, world.clock)
    ledger = quota.ledger(ROUTE, world.clock())
    other = ledger.reserve(1.0, 0.0, world.clock()) if busy else None

    def interrupt(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code is not Ledger.enter.__code__:
            return None
        if event == "return":
            sys.settrace(None)
            raise KeyboardInterrupt
        return interrupt

    before = sys.gettrace()
    sys.settrace(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            Driver(lambda _: OK, clock=world.clock, sleep=world.sleep).run(step(call()))
    finally:
        sys.settrace(before)
    if other is not None:
        ledger.settle(other, 0.0, world.clock())
    left = ledger.snapshot(world.clock())
    assert (left.in_flight, left.outstanding, dict(left.waiting), ledger.ahead()) == (0, 0.0, {}, 0)
