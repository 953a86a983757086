"""Plain chunks are read as h11 reads them; h11 reads everything else, however the answer is split."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.transports import http1
from aws_bedrock_inference.transports.failures import ConnectionClosed, MalformedAnswer
from aws_bedrock_inference.transports.http1 import Answer

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = st.binary(max_size=40).map(lambda data: b"%x\r\n%b\r\n" % (len(data), data) if data else b"1\r\n\r\r\n")
ODD = st.sampled_from(
    [
        *(b"5;x=y\r\nhello\r\n", b"05\r\nhello\r\n", b"A\r\n0123456789\r\n", b"5\nhello\n", b"g\r\n", b"5\r\nhelloXX"),
        *(b"-1\r\n", b"\r\n", b"5 \r\nhello\r\n", b"000000000005\r\nhello\r\n", b"fffffffffffffffff\r\n"),
        *(b"0\r\nx: y\r\n\r\n", b"0\r\n\r\nmore"),
    ]
)
BODY = st.lists(st.one_of(CHUNK, CHUNK, CHUNK, ODD), max_size=8).map(b"".join)
SIZES = st.lists(st.integers(1, 30), max_size=20)


def read(pieces: list[bytes], *, closes: bool) -> tuple[bytes, str, bool, bool]:
    """Return the body, the exception, and whether the answer is complete and its connection reusable."""
    answer, body = Answer(), b""
    try:
        for piece in [*pieces, b""] if closes else pieces:
            if answer.complete:
                break
            answer.feed(piece)
            body += answer.take()
    except (MalformedAnswer, ConnectionClosed) as error:
        return body + answer.take(), type(error).__name__, False, False
    return body, "", answer.complete, answer.reusable


def h11s(pieces: list[bytes], *, closes: bool) -> tuple[bytes, str, bool, bool]:
    """Do the same with h11 alone."""
    with patch.object(http1, "Chunks", lambda: None):
        return read(pieces, closes=closes)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in [*pieces, data] if piece]


@pytest.mark.parametrize("closes", [False, True])
@given(body=BODY, sizes=SIZES, end=st.sampled_from([b"", b"0\r\n\r\n"]))
def test_every_answer_is_read_as_by_h11(body: bytes, sizes: list[int], end: bytes, *, closes: bool) -> None:
    whole = HEAD + body + end
    for pieces in ([HEAD, *cut(body + end, sizes)], cut(whole, sizes), [whole]):
        mine, theirs = read(pieces, closes=closes), h11s(pieces, closes=closes)
        assert mine[1:] == theirs[1:]
        assert mine[0] == theirs[0] or theirs[1]  # of an answer that is broken anyway, how much came before may differ


@given(st.lists(CHUNK, min_size=1, max_size=6), SIZES)
def test_the_received_part_of_a_chunk_is_passed_on_immediately(chunks: list[bytes], sizes: list[int]) -> None:
    answer, theirs, body, other = Answer(), Answer(), b"", b""
    with patch.object(http1, "Chunks", lambda: None):
        theirs.feed(HEAD)
    answer.feed(HEAD)
    for piece in cut(b"".join(chunks), sizes):
        answer.feed(piece)
        theirs.feed(piece)
        body, other = body + answer.take(), other + theirs.take()
        assert body == other


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\n",
        b"HTTP/1.1 103 Early Hints\nLink: a\n\nHTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\r\n",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_the_end_of_a_response_head_is_found_as_by_h11(head: bytes) -> None:
    whole = head + b"a\r\nAA\r\n\r\n1\r\nB\r\n3\r\nCCC\r\n0\r\n\r\n"
    for at in range(1, len(whole)):
        assert read([whole[:at], whole[at:]], closes=False) == h11s([whole[:at], whole[at:]], closes=False)
