"""A call gets the answer to its own request or a fault, whatever the server sends and whenever it sends it."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from support.raw_server import Peer, RawServer, prompt_of, reply, text_of
from support.wire import answer, head

from aws_bedrock_inference.call import Call, Route, Timeout
from aws_bedrock_inference.clock import monotonic
from aws_bedrock_inference.transports.failures import ConnectionClosed, MalformedAnswer, clean
from aws_bedrock_inference.transports.http1 import MAX_HEAD, Answer
from aws_bedrock_inference.transports.timeouts import Exchange
from aws_bedrock_inference.transports.wires import Wire

CALLS = 4


def call(text: str, **fields: Any) -> Call:
    params = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": text}]}]}
    return Call("converse", params, Route("m"), **{"timeout": Timeout(total=20), **fields})


def ok(text: str) -> bytes:
    return answer(reply(text))


def framed(text: str, *fields: str) -> bytes:
    """Return an answer with header fields of the test's own."""
    body = json.dumps(reply(text)).encode()
    lines = [field.replace("LENGTH", str(len(body))) for field in fields]
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode() + body


def begun(line: str) -> Any:
    """Return a function that returns a complete answer with this status line."""
    return lambda text: ok("stale").replace(b"HTTP/1.1 200 OK", line.encode("latin-1"), 1)


def chunked(text: str) -> bytes:
    body = json.dumps(reply(text)).encode()
    return head("200 OK", {"Transfer-Encoding": "chunked"}) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def status(line: str) -> bytes:
    return f"HTTP/1.1 {line}\r\n\r\n".encode()


# What the server writes to a prompt; `ok("stale")` must never be anybody's answer.
RIGHT: dict[str, Any] = {
    "plain": ok,
    "chunked": chunked,
    "100 first": lambda text: status("100 Continue") + ok(text),
    "102 first": lambda text: status("102 Processing") + ok(text),
    "103 with headers first": lambda text: head("103 Early Hints", {"Link": "</x>; rel=preload"}) + ok(text),
    "several interim answers": lambda text: status("102 Processing") * 9 + ok(text),
    "a second answer behind the first": lambda text: ok(text) + ok("stale"),
    "a second answer behind chunks": lambda text: chunked(text) + ok("stale"),
    "half of a second answer": lambda text: ok(text) + ok("stale")[:30],
    "an empty line behind the answer": lambda text: ok(text) + b"\r\n",
    "an interim answer behind the answer": lambda text: ok(text) + status("100 Continue"),
}
WRONG: dict[str, Any] = {
    "101": lambda text: head("101 Switching Protocols", {"Upgrade": "h2c", "Connection": "Upgrade"}) + ok("stale"),
    "101 alone": lambda text: status("101 Switching Protocols") + ok("stale"),
    "interim answers without end": lambda text: status("102 Processing") * 100 + ok(text),
    "204 with a body": lambda text: head("204 No Content", {"Content-Length": "0"}) + ok("stale"),
    "204 with a length": lambda text: answer(reply("stale"), status="204 No Content"),
    "304 with a body": lambda text: answer(reply("stale"), status="304 Not Modified"),
    "a length and chunks": lambda text: framed("stale", "Content-Length: LENGTH", "Transfer-Encoding: chunked"),
    "chunks of another coding": lambda text: framed("stale", "Transfer-Encoding: gzip, chunked", "Content-Length: 5"),
    "two lengths": lambda text: framed("stale", "Content-Length: 5", "Content-Length: LENGTH"),
    "two lengths in one": lambda text: framed("stale", "Content-Length: 5, LENGTH"),
    "a negative length": lambda text: framed("stale", "Content-Length: -LENGTH"),
    "a length with a sign": lambda text: framed("stale", "Content-Length: +LENGTH"),
    "a length that is too short": lambda text: framed("stale", "Content-Length: 5") + ok("stale"),
    "a chunk longer than its size": lambda text: chunked(text).replace(b"\r\n{", b"\r\n{{") + ok("stale"),
    "a size with a sign": lambda text: head("200 OK", {"Transfer-Encoding": "chunked"}) + b"-5\r\nhello\r\n0\r\n\r\n",
    "no HTTP at all": lambda text: b"hello\r\n\r\n" + ok("stale"),
    "HTTP/2's preface": lambda text: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + ok("stale"),
    "the version 2.0": begun("HTTP/2.0 200 OK"),
    "the version 0.9": begun("HTTP/0.9 200 OK"),
    "the version 1.10": begun("HTTP/1.10 200 OK"),
    "the version 1.2": begun("HTTP/1.2 200 OK"),
    "the version 2.0 after an interim answer": lambda text: status("100 Continue") + begun("HTTP/2.0 200 OK")(text),
    "the version 2.0 in an interim answer": lambda text: b"HTTP/2.0 103 Hints\r\n\r\n" + ok("stale"),
    "half a version": begun("HTTP/1 200 OK"),
    "no version": begun("HTTP 200 OK"),
    "no protocol": begun("200 OK"),
    "RTSP": begun("RTSP/1.0 200 OK"),
    "Icecast": begun("ICE/1.0 200 OK"),
    "an empty line before the answer": begun("\r\nHTTP/1.1 200 OK"),
    "the status 000": begun("HTTP/1.1 000 Odd"),
    "the status 099": begun("HTTP/1.1 099 Odd"),
    "a null byte in the reason": begun("HTTP/1.1 200 O\0K"),
    "a header without a name": lambda text: b"HTTP/1.1 200 OK\r\n: x\r\n\r\n" + ok("stale"),
}


def writes(what: Any) -> Any:
    def serve(peer: Peer) -> None:
        while True:
            peer.send(what(prompt_of(peer.request())))

    return serve


def answers(face: Any, transport: Any) -> list[str | None]:
    return [text_of(face.send(transport, call(f"prompt {number}"))) for number in range(CALLS)]


@pytest.mark.parametrize("what", RIGHT.values(), ids=RIGHT.keys())
def test_each_call_gets_its_own_answer(face: Any, what: Any) -> None:
    with RawServer(writes(what)) as server:
        assert answers(face, face.open(server.url)) == [f"prompt {number}" for number in range(CALLS)]


@pytest.mark.parametrize("what", WRONG.values(), ids=WRONG.keys())
def test_no_call_gets_an_answer_that_may_belong_to_another(face: Any, what: Any) -> None:
    with RawServer(writes(what)) as server:
        assert answers(face, face.open(server.url)) == [None] * CALLS
        assert server.connections == CALLS  # each of them was the last one of its connection


def test_an_answer_whose_first_bytes_come_one_by_one_is_read(face: Any) -> None:
    def serve(peer: Peer) -> None:
        while True:
            data = ok(prompt_of(peer.request()))
            peer.drip(data[:12], every=0.001)
            peer.send(data[12:])

    with RawServer(serve) as server:
        assert answers(face, face.open(server.url)) == [f"prompt {number}" for number in range(CALLS)]
        assert server.connections == 1


@pytest.mark.parametrize("between", [b"", b"HTTP/1.1 102 Processing\r\n\r\n"])
def test_an_interim_response_long_before_the_final_one_is_skipped(face: Any, between: bytes) -> None:
    """Regression: status 102 was read as the answer, and each call got the answer of the call before."""

    def serve(peer: Peer) -> None:
        while True:
            prompt = prompt_of(peer.request())
            peer.drip(status("103 Early Hints") + between, every=0.001)
            peer.send(ok(prompt))

    with RawServer(serve) as server:
        assert answers(face, face.open(server.url)) == [f"prompt {number}" for number in range(CALLS)]
        assert server.connections == 1


def test_data_received_between_two_calls_is_not_used_as_an_answer(face: Any) -> None:
    """A server that closes an idle connection may send an unrequested response first, such as 408."""
    pushed, asked = threading.Event(), threading.Event()

    def serve(peer: Peer) -> None:
        while True:
            peer.send(ok(prompt_of(peer.request())))
            asked.wait(60)
            asked.clear()
            peer.send(ok("stale"))
            pushed.set()

    with RawServer(serve) as server:
        transport = face.open(server.url)
        for number in range(CALLS):
            assert text_of(face.send(transport, call(f"prompt {number}"))) == f"prompt {number}"
            asked.set()
            assert pushed.wait(60)
            pushed.clear()


def test_an_answer_during_the_request_is_read(face: Any) -> None:
    """It may be read or lost; its connection is not used again unless all of the request was read."""
    large = "x" * 3_000_000

    def serve(peer: Peer) -> None:
        first = peer.socket.recv(1_000)
        if b"content-length: 3" in first.lower():
            peer.send(answer({"message": "too large"}, status="413 Too Large", x_amzn_ErrorType="ValidationException"))
            return  # with most of the request unread: the client may see a reset instead
        peer.send(ok("small"))
        peer.hold()

    with RawServer(serve) as server:
        transport = face.open(server.url)
        assert face.send(transport, call(large)).fault is not None
        assert text_of(face.send(transport, call("small"))) == "small"


def test_a_silently_closed_connection_never_gives_a_wrong_answer(face: Any) -> None:
    def serve(peer: Peer) -> None:
        peer.send(ok(prompt_of(peer.request())))

    with RawServer(serve) as server:
        for number, text in enumerate(answers(face, face.open(server.url))):
            assert text in {f"prompt {number}", None}  # None: the request was sent before the end was seen


def test_a_call_that_gave_up_leaves_no_answer_behind(face: Any) -> None:
    late = threading.Event()

    def serve(peer: Peer) -> None:
        while True:
            prompt = prompt_of(peer.request())
            if prompt == "slow":
                late.wait(60)
            peer.send(ok(prompt))

    with RawServer(serve) as server:
        transport = face.open(server.url)
        assert text_of(face.send(transport, call("first"))) == "first"
        assert face.send(transport, call("slow", timeout=Timeout(total=0.1))).fault.code == "AttemptTimeout"
        late.set()
        assert answers(face, transport) == [f"prompt {number}" for number in range(CALLS)]


@pytest.mark.parametrize("size", [1, 2, 7, 1_000])
@pytest.mark.parametrize(
    "data",
    [
        status("102 x") + ok("a"),
        chunked("a"),
        b"HTTP/1.1 200 OK\nContent-Length: 2\nX-Folded: a\n b\n\nhi",
        head("200 OK", {"Transfer-Encoding": "Chunked"})
        + b"3;name=value\r\nabc\r\n10 \r\n0123456789abcdef\r\n0\r\nx: y\r\n\r\n",
    ],
)
def test_an_answer_is_the_same_however_it_is_cut(data: bytes, size: int) -> None:
    whole, cut, parts = Answer(), Answer(), []
    whole.feed(data)
    for start in range(0, len(data), size):
        assert not cut.complete
        cut.feed(data[start : start + size])
        parts.append(cut.take())
    assert b"".join(parts) == whole.take()
    assert (cut.status, dict(cut.headers)) == (whole.status, dict(whole.headers))
    assert cut.complete
    assert whole.complete
    assert cut.reusable
    assert whole.reusable


@pytest.mark.parametrize("first", [b"HTTP/1.0 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\nConnection: close"])
def test_an_answer_without_a_length_ends_with_its_connection(first: bytes) -> None:
    read = Answer()
    read.feed(first + b"\r\n\r\nabc")
    assert not read.complete
    read.feed(b"")
    assert (read.complete, read.reusable, read.take()) == (True, False, b"abc")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",  # a body may come all the same, and later
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_connection_is_not_reused_after_its_last_answer(data: bytes) -> None:
    read = Answer()
    read.feed(data)
    assert (read.complete, read.reusable) == (True, False)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\na: " + b"b" * MAX_HEAD,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * (MAX_HEAD + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * MAX_HEAD,
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 020 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1" + b"0" * 400 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 21 + b"5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",  # nothing more would come
        b"\x15\x03\x03\0\x02\x02\x46",  # TLS does not like our plain HTTP
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2 200\r\n",
        b"HTTP/2.0 103 Hints\r\n\r\n",
    ],
)
def test_a_response_that_is_not_http_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        Answer().feed(data)


@pytest.mark.parametrize(
    "before", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]
)
def test_a_malformed_response_is_not_quoted(before: bytes) -> None:
    with pytest.raises(MalformedAnswer) as raised:
        Answer().feed(before + b"the prompt\r\n\r\n")
    assert "prompt" not in f"{raised.value!r} {clean(raised.value)!r} {clean(raised.value).__context__!r}"


def test_a_repeated_equal_content_length_is_accepted() -> None:
    read = Answer()
    read.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi")
    assert (read.complete, read.reusable, read.take()) == (True, True, b"hi")


def test_a_connection_that_did_not_read_the_whole_request_is_not_reused() -> None:
    class Early:
        """Answers before the request was read, and reads no more."""

        def __init__(self) -> None:
            self.unread = [head("413 Too Large", {"Content-Length": "2"}), b"no"]

        def settimeout(self, left: float | None) -> None: ...

        def sendall(self, data: bytes) -> None:
            raise BrokenPipeError

        def recv(self, most: int) -> bytes:
            return self.unread.pop(0)

    exchange = Exchange(call("x"), "bedrock.test", monotonic)
    wire = Wire(Early())
    read = wire.ask(b"request", exchange)
    wire.more(read, exchange)
    assert (read.status, read.complete, read.reusable, read.take()) == (413, True, False, b"no")


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", b"HTTP/1.1 2", chunked("a")[:-3]])
def test_an_answer_that_ends_too_early_is_a_fault(data: bytes) -> None:
    read = Answer()
    read.feed(data)
    with pytest.raises(ConnectionClosed):
        read.feed(b"")
