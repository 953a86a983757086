"""An STS endpoint on a real socket: it returns credentials or scripted refusals, and records its requests."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

from aws_bedrock_inference.clock import wall as real_wall

if TYPE_CHECKING:
    from support.wire import Wire

    from aws_bedrock_inference.clock import Clock

ARN = "arn:aws:iam::210987654321:role/inference"

_SPACE = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'


class Wall:
    """The time of day, which a test advances. It starts at a whole second, because STS's answers have no fractions."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Sts:
    """Answers AssumeRole. `refusals` are (status, code, message) for the next requests; `wall` is its time; if
    `until` is set, answers wait for it; `asked` has the parameters of each request with its signing key."""

    def __init__(self, wall: Clock = real_wall) -> None:
        self.wall = wall
        self.refusals: list[tuple[int, str, str]] = []
        self.asked: list[dict[str, str]] = []
        self.arrived = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body go out together

            def do_POST(self) -> None:
                form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                form["signed by"] = self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
                status, text = fake.answer(form)
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, form: dict[str, str]) -> tuple[int, str]:
        self.asked.append(form)
        number = len(self.asked)
        self.arrived.release()
        self.open.wait(30)
        if self.refusals:
            status, code, message = self.refusals.pop(0)
            error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            return status, f"<ErrorResponse {_SPACE}>{error}<RequestId>r-{number}</RequestId></ErrorResponse>"
        end = datetime.fromtimestamp(self.wall() + int(form.get("DurationSeconds", 3600)), UTC)
        given = (
            f"<Credentials><AccessKeyId>ASIATEST{number}</AccessKeyId><SecretAccessKey>hush{number}</SecretAccessKey>"
            f"<SessionToken>whisper{number}</SessionToken><Expiration>{end:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
        )
        result = f"<AssumeRoleResult>{given}</AssumeRoleResult>"
        return 200, f"<AssumeRoleResponse {_SPACE}>{result}</AssumeRoleResponse>"

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()


def assumed(form: dict[str, str]) -> dict[str, Any]:
    """Return the parameters of a request, without those that every request has."""
    return {name: value for name, value in form.items() if name not in ("Action", "Version", "signed by")}


def signers(model: Wire) -> list[str]:
    """Return the access keys that signed the requests to a model."""
    return [sent.headers["authorization"].partition("Credential=")[2].partition("/")[0] for sent in model.received]
