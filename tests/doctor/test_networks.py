"""Broken networks on real sockets: each diagnosis ends in time and names the problem."""

from __future__ import annotations

import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from support.certificates import certificate
from support.raw_server import Peer, RawServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doctor.conftest import Broken

    from aws_bedrock_inference.doctor import Report

AWS = "https://bedrock-runtime.us-east-1.amazonaws.com"
PROBES = ("name", "connection", "certificate-and-clock")


@contextmanager
def silence() -> Iterator[int]:
    """The port of a server that accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def blamed(report: Report) -> dict[str, str]:
    failed = (check for check in report.checks if check.status.value == "failed")
    return {check.probe: check.finding.cause for check in failed if check.probe in PROBES}


def to(broken: Broken, url: str, proxy: str = "") -> None:
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", url)
    if proxy:
        broken.environ.setenv("HTTPS_PROXY", proxy)
    broken.environ.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_endpoint_that_never_answers_is_named_in_time(broken: Broken, scheme: str) -> None:
    with silence() as port:
        to(broken, f"{scheme}://127.0.0.1:{port}")
        report = broken.diagnose(wait=0.1)
    assert blamed(report) == {"certificate-and-clock": "client-read-timeout"}


def test_a_proxy_that_never_answers_is_named(broken: Broken) -> None:
    with silence() as port:
        to(broken, AWS, f"http://127.0.0.1:{port}")
        report = broken.diagnose(wait=0.1)
    assert blamed(report) == {"certificate-and-clock": "proxy-unreachable"}


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (b"407 Proxy Authentication Required", "proxy-refused"),
        (b"403 Forbidden", "proxy-refused"),
        (b"503 Service Unavailable", "proxy-unreachable"),
    ],
)
def test_a_proxy_that_refuses_the_tunnel_is_named(broken: Broken, status: bytes, cause: str) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")

    with RawServer(serve) as proxy:
        to(broken, AWS, proxy.url)
        report = broken.diagnose()
    assert blamed(report) == {"certificate-and-clock": cause}
    assert report.cause == cause


def test_a_missing_proxy_is_named(broken: Broken) -> None:
    with silence() as port:
        pass
    to(broken, AWS, f"http://127.0.0.1:{port}")
    assert blamed(broken.diagnose()) == {"connection": "proxy-unreachable"}


def test_a_self_signed_certificate_is_named(broken: Broken, tmp_path: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(tmp_path))

    def serve(peer: Peer) -> None:
        with pytest.raises(ssl.SSLError), context.wrap_socket(peer.socket.dup(), server_side=True):
            pass

    with RawServer(serve) as server:
        to(broken, server.url.replace("http:", "https:"))
        report = broken.diagnose()
    assert blamed(report) == {"certificate-and-clock": "tls-certificate-error"}
    (check,) = [check for check in report.checks if check.probe == "certificate-and-clock"]
    assert "self-signed" in check.finding.message
