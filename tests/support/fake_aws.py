"""Services of AWS as neither the simulator nor moto have them: one server, whose answers a test writes."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Callable


class FakeAws:
    """Answers any operation, in the protocols of IAM and STS (forms and XML) and of JSON services; those that are asked
    by GET, as Lambda's are, under the last part of their path, such as `configuration`.

    `answers` has for each operation what it answers: a text of XML, which goes into the operation's result; a mapping,
    which is JSON; `(status, code, message)`, which is an error; or a function of the parameters that returns one of
    these. An operation without an answer is denied, as to an identity without that permission. `asked` has what came.
    `gets` has what is answered in JSON to a GET of a path.
    """

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = answers
        self.gets: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body go out together

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                target = self.headers.get("X-Amz-Target")
                if target is not None:
                    operation, params = target.rpartition(".")[2], json.loads(body or b"{}")
                else:
                    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
                    operation, params = form.pop("Action", self.path), form
                self._send(operation, params, xml=target is None)

            def do_GET(self) -> None:
                found = fake.gets.get(self.path.partition("?")[0])
                if found is not None:
                    self._reply(200, "application/json", json.dumps(found).encode())
                    return
                self._send(self.path.partition("?")[0].rpartition("/")[2], {"path": self.path}, xml=False)

            def _send(self, operation: str, params: dict[str, Any], *, xml: bool) -> None:
                status, content = fake.answer(operation, params, xml=xml)
                self._reply(status, "text/xml" if xml else "application/x-amz-json-1.1", content)

            def _reply(self, status: int, kind: str, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def answer(self, operation: str, params: dict[str, Any], *, xml: bool) -> tuple[int, bytes]:
        """Return status and body of the answer to an operation."""
        self.asked.append((operation, params))
        denied = (403, "AccessDenied" if xml else "AccessDeniedException", f"not authorized to perform: {operation}")
        given: Any = self.answers.get(operation, denied)
        if callable(given):
            answer: Callable[[dict[str, Any]], Any] = given
            given = answer(params)
        if isinstance(given, tuple):
            status, code, message = given
            error = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            return status, (error if xml else json.dumps({"__type": code, "message": message})).encode()
        if not xml:
            return 200, json.dumps(given).encode()
        return (
            200,
            f"<{operation}Response><{operation}Result>{given}</{operation}Result></{operation}Response>".encode(),
        )

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
