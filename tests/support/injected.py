"""Faults put between a boto3 client and its service, one for each request, in the order of a script."""

from __future__ import annotations

import json
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError


class Body:
    """A body as urllib3 has it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Any:
        yield self._content

    def read(self, *_: Any) -> bytes:
        return self._content


def answer(content: Any, status: int = 200, **headers: str) -> Any:
    """The service answers so, and does nothing."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    sent: Any = {
        "content-type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return lambda client, request: AWSResponse(request.url, status, sent, Body(body))


def error(code: str, status: int = 400, message: str = "injected", **headers: str) -> Any:
    """The service refuses with this code, in JSON and in XML: each protocol reads its own."""

    def refuse(client: Any, request: Any) -> AWSResponse:
        protocol = client.meta.service_model.protocol
        if protocol in ("rest-xml", "ec2"):
            facts = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
            content: Any = (f"<Response><Errors>{facts}</Errors></Response>" if protocol == "ec2" else facts).encode()
        else:
            content = {"__type": code, "code": code, "message": message}
        return answer(content, status, x_amzn_errortype=code, **headers)(client, request)  # type: ignore[no-any-return]

    return refuse


def refused(client: Any, request: Any) -> None:
    """Nobody listens: the request surely never arrived."""
    raise EndpointConnectionError(endpoint_url=request.url)


def lost(client: Any, request: Any) -> None:
    """The service executes the request; the connection breaks before the answer."""
    client._endpoint.http_session.send(request)
    raise ConnectionClosedError(endpoint_url=request.url)


def late(client: Any, request: Any) -> None:
    """The service does it; the answer does not come in time."""
    client._endpoint.http_session.send(request)
    raise ReadTimeoutError(endpoint_url=request.url)


class Script:
    """The faults for the requests of a client; after the last one, requests succeed."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._faults: list[Any] = []
        self.requests: list[Any] = []
        client.meta.events.register_first("before-send", self._before)

    def then(self, *faults: Any) -> Script:
        self._faults.extend(faults)
        return self

    @property
    def sent(self) -> list[Any]:
        """The bodies of the requests, as JSON."""
        return [json.loads(request.body) for request in self.requests]

    def _before(self, request: Any, **_: Any) -> Any:
        self.requests.append(request)
        return self._faults.pop(0)(self._client, request) if self._faults else None
