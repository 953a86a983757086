"""The preparation of a request in both transports: write it and sign it."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import botocore

from aws_bedrock_inference import __version__
from aws_bedrock_inference.transports.operations import Request

if TYPE_CHECKING:
    from aws_bedrock_inference.transports.endpoint import Endpoint

USER_AGENT = (
    f"aws-bedrock-inference/{__version__} lang/python#{platform.python_version()} botocore/{botocore.__version__}"
)

_PORTS = {"http": 80, "https": 443}


class Outgoing:
    """Writes requests to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        parts = urlsplit(endpoint.url)
        name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        self.host = f"{name}:{parts.port}" if parts.port not in (None, _PORTS[parts.scheme]) else f"{name}"
        self.origin = f"{parts.scheme}://{self.host}"
        self._signer = endpoint.signer
        self._path = parts.path

    def write(self, request: Request, identity: Any, now: float) -> Request:
        """Return `request` with the endpoint's own path and all its headers, signed by `identity` at `now`, seconds
        since the epoch.
        """
        target = self._path + request.target
        headers = {
            "Host": self.host,
            "Accept-Encoding": "identity",
            **request.headers,
            **self._signer.sign(identity, request._replace(target=target), self.host, now),
            "User-Agent": USER_AGENT,
            # Which attempt it is, the retry policy knows; to the service each is a call of its own.
            "amz-sdk-invocation-id": str(uuid4()),
            "amz-sdk-request": "attempt=1; max=1",
        }
        return Request(request.method, target, headers, request.body)
