"""Connections belong to one process and one event loop, are watched by TCP, and end with the client."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import ssl
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.exceptions import InvalidProxiesConfigError
from support.certificates import certificate
from support.doubles import session
from support.raw_server import Peer, RawServer, prompt_of, reply, text_of
from support.transport_faces import Asyncio, Blocking
from support.wire import Wire, answer, eventually, stream
from support.wire import event as encoded

from aws_bedrock_inference.call import Call, Route, Timeout
from aws_bedrock_inference.transports.asynchronous import AiohttpTransport
from aws_bedrock_inference.transports.connections import made_socket
from aws_bedrock_inference.transports.endpoint import Endpoint, find_endpoint
from aws_bedrock_inference.transports.loops import _Handler
from aws_bedrock_inference.transports.wires import Wire as Kept

FRAMES = [encoded("messageStart", {"role": "assistant"}), encoded("messageStop", {"stopReason": "end_turn"})]


def call(operation: str = "converse", *, text: str = "x", **fields: Any) -> Call:
    params = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": text}]}]}
    return Call(operation, params, Route("m"), **{"timeout": Timeout(total=30), **fields})


def echo(peer: Peer) -> None:
    while True:
        peer.send(answer(reply(prompt_of(peer.request()))))


# ---- dead peers


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """Every client socket that is connected."""
    sockets: list[socket.socket] = []

    class Watched(socket.socket):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            if more.get("fileno") is None:
                sockets.append(self)

    monkeypatch.setattr(socket, "socket", Watched)
    return sockets


@pytest.mark.parametrize("through", ["", "proxy"])
def test_every_connection_uses_tcp_keep_alive(face: Any, made: list[socket.socket], through: str) -> None:
    with Wire(answer(reply("y"))) as wire:
        there = find_endpoint(session(), endpoint_url="http://bedrock.test" if through else wire.url)
        proxy = f"http://127.0.0.1:{wire.port}" if through else None
        transport = face.open(Endpoint(there.url, there.region, "", there.signer, proxy=proxy))
        assert text_of(face.send(transport, call())) == "y"
        used = [sock for sock in made if sock.fileno() >= 0 and _peer(sock) == wire.port]
        assert len(used) == 1
        option = used[0].getsockopt
        assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        silent = option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        interval = option(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        unacknowledged = option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) / 1000
        # On Linux the last one ends a silent connection too: one lost probe must not end a long generation.
        assert silent + 2 * interval < unacknowledged < 60


def _peer(sock: socket.socket) -> int:
    try:
        where: Any = sock.getpeername()
    except OSError:
        return 0
    return where[1] if isinstance(where, tuple) else 0


def test_one_lost_connection_closes_all_idle_connections_to_the_server(
    face: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(echo) as server:
        transport = face.open(server.url)
        open_two(face, transport, server)
        vanish(face, transport, monkeypatch)
        fault = face.send(transport, call()).fault
        assert fault.code == "ConnectionClosedError"
        monkeypatch.undo()
        assert text_of(face.send(transport, call(text="again"))) == "again"
        assert server.connections == 3


def open_two(face: Any, transport: Any, server: RawServer) -> None:
    """Open two connections that stay in the pool."""
    if isinstance(face, Asyncio):

        async def both() -> None:
            await asyncio.gather(transport.send(call()), transport.send(call()))

        face.runner.run(both())
    else:
        threads = [threading.Thread(target=transport.send, args=(call(text="x" * 100_000),)) for _ in range(2)]
        with _Held(transport):
            for thread in threads:
                thread.start()
            assert eventually(lambda: server.connections == 2)
        for thread in threads:
            thread.join()
    assert server.connections == 2


class _Held:
    """Delays answers until two connections are open."""

    def __init__(self, transport: Any) -> None:
        self._wires = transport._wires
        self._keep = self._wires.keep
        self._go = threading.Event()

    def __enter__(self) -> None:
        def keep(wire: Any) -> None:
            self._go.wait(60)
            self._keep(wire)

        self._wires.keep = keep

    def __exit__(self, *_: object) -> None:
        self._go.set()
        self._wires.keep = self._keep


def vanish(face: Any, transport: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make TCP give up on the next request."""
    gone = OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    if isinstance(face, Asyncio):

        async def read(self: Any) -> Any:
            self.connection_lost(gone)
            return await super(_Handler, self).read()

        monkeypatch.setattr(_Handler, "read", read)
    else:

        def more(self: Any, *_: object) -> None:
            raise gone

        monkeypatch.setattr(Kept, "more", more)


def test_a_socket_option_that_the_system_refuses_breaks_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aws_bedrock_inference.transports.connections.SOCKET_OPTIONS", [(99, 99, 99)])
    made_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", None)).close()


# ---- forks

FORK = """
import asyncio, os, sys
from aws_bedrock_inference.call import Call, Route, Timeout
from aws_bedrock_inference.transports.asynchronous import AiohttpTransport
from aws_bedrock_inference.transports.blocking import BlockingTransport
from aws_bedrock_inference.transports.endpoint import find_endpoint
import boto3

def call(text, operation="converse"):
    params = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": text}]}]}
    return Call(operation, params, Route("m"), timeout=Timeout(total=60))

def text(outcome):
    assert outcome.fault is None, outcome.fault
    return outcome.value["output"]["message"]["content"][0]["text"]

endpoint = find_endpoint(boto3.Session("AK", "SK", region_name="us-east-1"), endpoint_url=sys.argv[1])
blocking, awaited = BlockingTransport(endpoint), AiohttpTransport(endpoint)
loop = asyncio.new_event_loop()

def check(who, loop):
    for number in range(5):
        assert text(blocking.send(call(f"{who} {number}"))) == f"{who} {number}"
        assert text(loop.run_until_complete(awaited.send(call(f"{who} {number}")))) == f"{who} {number}"

check("parent", loop)
children = []
for child in range(2):
    pid = os.fork()
    if not pid:
        own = asyncio.new_event_loop()
        check(f"child {child}", own)
        own.run_until_complete(awaited.close())
        own.close()
        sys.exit(0)
    children.append(pid)
check("parent", loop)
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0]
check("parent", loop)
blocking.close()
loop.run_until_complete(awaited.close())
loop.close()
"""


def test_a_forked_child_has_its_own_connections() -> None:
    """The finding: forked workers got each other's answers. Even a child that exits does nothing to its parent's."""
    served: list[tuple[int, str]] = []

    def serve(peer: Peer) -> None:
        while True:
            prompt = prompt_of(peer.request())
            served.append((peer.number, prompt.rpartition(" ")[0]))
            peer.send(answer(reply(prompt)))

    with RawServer(serve) as server:
        command = [sys.executable, "-c", FORK, server.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - ours
        assert (done.returncode, done.stderr) == (0, "")
        assert server.connections == 6  # two worlds in three processes
    assert len({number for number, _ in served}) == len(set(served)) == 6


# ---- event loops


def test_connections_close_with_their_event_loop() -> None:
    """The finding: a module's client with one `asyncio.run` for each event ran out of descriptors."""
    complaints: list[Any] = []
    with RawServer(echo) as server:
        transport: Any = AiohttpTransport(find_endpoint(session(), endpoint_url=server.url))

        async def event(number: int) -> str | None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
            return text_of(await transport.send(call(text=f"event {number}")))

        for number in range(20):
            assert asyncio.run(event(number)) == f"event {number}"
            assert to(server) == 0
        transport = None
        gc.collect()
    assert complaints == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_connections_of_an_event_loop_that_was_only_closed_are_closed_too(scheme: str, tmp_path: Any) -> None:
    with TlsServer(tmp_path) if scheme == "https" else RawServer(echo) as server:
        there = find_endpoint(session(), endpoint_url=server.url)
        verify = str(tmp_path / "cert.pem") if scheme == "https" else True
        transport: Any = AiohttpTransport(Endpoint(server.url, "us-east-1", "", there.signer, verify=verify))

        def event(number: int) -> str | None:
            loop = asyncio.new_event_loop()
            try:
                return text_of(loop.run_until_complete(transport.send(call(text=f"event {number}"))))
            finally:
                loop.close()

        for number in range(5):
            assert event(number) == f"event {number}"
            assert to(server) == 1  # the last loop's, until there is another
        transport = None
        gc.collect()
        assert to(server) == 0


def to(server: RawServer) -> int:
    """Return the number of this process's open connections to `server`."""
    count = 0
    for number in range(256):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                with socket.fromfd(number, socket.AF_INET, socket.SOCK_STREAM) as sock:
                    count += _peer(sock) == server.port
    return count


class TlsServer(RawServer):
    """An echo server with a self-made certificate for 127.0.0.1."""

    def __init__(self, folder: Any) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(folder))

        def serve(peer: Peer) -> None:
            with context.wrap_socket(peer.socket.dup(), server_side=True) as secured:
                inner = Peer(secured, peer.number, peer._ended)
                with inner._incoming:
                    echo(inner)

        super().__init__(serve)
        self.url = self.url.replace("http:", "https:")


def test_a_call_over_tls_works_in_threads_and_asyncio(face: Any, tmp_path: Any) -> None:
    with TlsServer(tmp_path) as server:
        there = find_endpoint(session(), endpoint_url=server.url)
        trusting = face.open(Endpoint(server.url, "us-east-1", "", there.signer, verify=str(tmp_path / "cert.pem")))
        assert [text_of(face.send(trusting, call(text="x" * 200_000)))] == ["x" * 200_000]
        assert text_of(face.send(trusting, call(text="y"))) == "y"
        assert server.connections == 1
        fault = face.send(face.open(server.url), call()).fault
        assert (fault.code, fault.reached) == ("SSLError", False)


# ---- closing


def test_closing_the_client_does_not_end_calls_in_flight() -> None:
    for face in Blocking(), Asyncio():
        asked, go = threading.Event(), threading.Event()

        def serve(peer: Peer) -> None:
            while True:
                prompt = prompt_of(peer.request())
                asked.set()  # noqa: B023 - the server ends with the turn
                go.wait(60)  # noqa: B023
                peer.send(answer(reply(prompt)))

        with RawServer(serve) as server:
            transport: Any = face.open(server.url)
            if isinstance(face, Asyncio):

                async def both() -> Any:
                    task = asyncio.create_task(transport.send(call(text="in flight")))  # noqa: B023
                    await asyncio.to_thread(asked.wait, 60)  # noqa: B023
                    await transport.close()  # noqa: B023
                    go.set()  # noqa: B023
                    return await task

                assert text_of(face.runner.run(both())) == "in flight"
            else:
                outcomes: list[Any] = []
                thread = threading.Thread(target=lambda: outcomes.append(transport.send(call(text="in flight"))))  # noqa: B023
                thread.start()
                assert asked.wait(60)
                transport.close()
                go.set()
                thread.join()
                assert text_of(outcomes[0]) == "in flight"
            assert face.send(transport, call(text="later")).fault is None
            assert server.connections == 2  # no connection was kept
            face.end()


def test_a_stream_in_flight_outlives_closing(face: Any) -> None:
    with Wire(stream(*FRAMES)) as wire:
        transport = face.open(wire.url)
        source = face.send(transport, call("converse_stream")).value
        assert face.next(source) == {"messageStart": {"role": "assistant"}}
        if isinstance(face, Asyncio):
            face.runner.run(transport.close())
        else:
            transport.close()
        assert "messageStop" in face.next(source)
        assert face.next(source) is None
        assert wire.gone.wait(60)


# ---- secrets


@pytest.mark.parametrize("kind", ["bearer", "session"])
@pytest.mark.parametrize(
    "written",
    [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", b"", b"HTTP/1.1 200 OK\r\n: x\r\n\r\n"],
)
def test_no_fault_contains_a_secret(face: Any, kind: str, written: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(written)

    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "SECRET-token") if kind == "bearer" else None
    with RawServer(serve) as server:
        temporary = boto3.Session("AK", "SECRET-key", "SECRET-session", region_name="us-east-1")
        transport = face.open(find_endpoint(temporary, endpoint_url=server.url))
        assert "SECRET" not in everything(face.send(transport, call(text="SECRET-prompt")).fault)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("written", [answer(b"", status="407 Proxy Authentication Required"), b"", b"nonsense\r\n\r\n"])
def test_no_fault_contains_the_password_of_the_proxy(face: Any, scheme: str, written: bytes) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(written)

    with RawServer(serve) as proxy:
        there = find_endpoint(session(), endpoint_url=f"{scheme}://bedrock.test")
        url = f"http://SECRET-user:SECRET-password@127.0.0.1:{proxy.port}"
        fault = face.send(face.open(Endpoint(there.url, "us-east-1", "", there.signer, proxy=url)), call()).fault
        assert "SECRET" not in everything(fault)
        if scheme == "https" and b"407" in written:
            assert (fault.code, "407" in fault.message) == ("ProxyConnectionError", True)


def everything(fault: Any) -> str:
    """Return all that can be reached from a fault's exception, variables of tracebacks included."""
    shown = [repr(fault), str(fault), repr(fault.response)]
    waiting: list[Any] = [fault.error]
    seen: set[int] = set()
    while waiting:
        item = waiting.pop()
        if item is None or id(item) in seen or len(seen) > 10_000:
            continue
        seen.add(id(item))
        shown.append(repr(item))
        if isinstance(item, BaseException):
            waiting += [item.__cause__, item.__context__, *item.args, *vars(item).values()]
            frame = item.__traceback__
            while frame is not None:
                waiting += frame.tb_frame.f_locals.values()
                frame = frame.tb_next
        elif hasattr(item, "__dict__"):
            waiting += vars(item).values()
        elif isinstance(item, (list, tuple, set)):
            waiting += item
        elif isinstance(item, dict):
            waiting += item.values()
    return "\n".join(shown)


def test_a_header_that_cannot_be_sent_is_refused_without_its_value(face: Any) -> None:
    with Wire(answer(reply("y"))) as wire:
        broken = boto3.Session("AK", "SK", "SECRET\r\nX-Injected: 1", region_name="us-east-1")
        fault = face.send(face.open(find_endpoint(broken, endpoint_url=wire.url)), call()).fault
        assert "X-Amz-Security-Token" in fault.message
        assert "SECRET" not in everything(fault)
        assert wire.received == []


@pytest.mark.parametrize(
    "proxy", ["http://me:SECRET/x@proxy.test:80", "socks5://me:SECRET@proxy.test", "http://:SECRET@"]
)
def test_an_invalid_proxy_is_refused_without_its_password(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(InvalidProxiesConfigError, match="%2F") as raised:
        find_endpoint(session())
    assert "SECRET" not in str(raised.value)
