"""Write and sign the HTTP request of a call, for both transports."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import botocore

from aws_bedrock_inference import __version__
from aws_bedrock_inference.knowledge.classify import unanswered
from aws_bedrock_inference.transports.connections import proxy_authorization
from aws_bedrock_inference.transports.operations import Request

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.transports.endpoint import Endpoint

USER_AGENT = (
    f"aws-bedrock-inference/{__version__} lang/python#{platform.python_version()} botocore/{botocore.__version__}"
)

PORTS = {"http": 80, "https": 443}


class UnsendableHeader(ValueError):
    """Raised for a header that cannot be sent, such as a session token with a line break in it."""


class Outgoing:
    """Writes the requests to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        parts = urlsplit(endpoint.url)
        name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        self.host = f"{name}:{parts.port}" if parts.port not in (None, PORTS[parts.scheme]) else f"{name}"
        self.origin = f"{parts.scheme}://{self.host}"
        self._signer = endpoint.signer
        self._path = parts.path
        # A proxy that forwards plain HTTP needs the whole URL and its own authorization header.
        forwards = endpoint.proxy is not None and parts.scheme == "http"
        self._before = self.origin if forwards else ""
        self._forwarded = proxy_authorization(endpoint.proxy) if forwards and endpoint.proxy else {}

    def write(self, request: Request, identity: Any, now: float) -> Request:
        """Return `request` with the endpoint's path, all headers and the signature of `identity`. `now` is the current
        time as a Unix timestamp.

        Raises `UnsendableHeader`.
        """
        target = self._path + request.target
        try:
            proof = self._signer.sign(identity, request._replace(target=target), self.host, now)
        except UnicodeEncodeError:  # the exception contains the secret
            proof = None
        if proof is None:
            raise UnsendableHeader(
                "the AWS credentials contain a character that cannot be encoded; set the access key, the secret key "
                "and the session token again"
            )
        headers = {
            "Host": self.host,
            "Accept-Encoding": "identity",
            **request.headers,
            **proof,
            "User-Agent": USER_AGENT,
            # The header states that this is the first attempt, because only the retry policy knows the number. For the
            # service, each attempt is a separate call.
            "amz-sdk-invocation-id": str(uuid4()),
            "amz-sdk-request": "attempt=1; max=1",
            **self._forwarded,
        }
        for name, value in headers.items():
            if not (value.isascii() and value.isprintable()):
                raise UnsendableHeader(
                    f"the header {name} contains a character that HTTP does not allow; use only printable ASCII "
                    "characters"
                )
        return Request(request.method, target, headers, request.body)

    def encoded(self, request: Request) -> bytes:
        """Return the bytes to send for a request that `write` returned."""
        lines = [f"{request.method} {self._before}{request.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        if request.body or request.method != "GET":
            lines.append(f"Content-Length: {len(request.body)}")
        return "\r\n".join([*lines, "", ""]).encode() + request.body


def unsendable(error: UnsendableHeader) -> Fault:
    """Return the fault for a request that cannot be sent. `error` states the reason."""
    return unanswered(UnsendableHeader(*error.args), code="ParamValidationError", message=str(error))
