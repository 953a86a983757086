"""moto's server, for the rooms that use a service of AWS other than Bedrock."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def one_at_a_time(app: Any) -> Any:
    """Return the application with its requests serialized: moto checks a condition and changes an item in two steps,
    which DynamoDB does in one."""
    lock = threading.Lock()

    def answer(environ: Any, start_response: Any) -> Any:
        with lock:
            return [b"".join(app(environ, start_response))]

    return answer


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """The URL of moto's server, which has one state for the whole process; tests use `moto_url`."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: PLC0415 - slow, and needed by few
    from werkzeug.serving import make_server  # noqa: PLC0415 - the same

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = one_at_a_time(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def moto_url(moto_server: str) -> str:
    """The URL of moto's server, without the state of other tests."""
    reset = Request(f"{moto_server}/moto-api/reset", method="POST")  # noqa: S310 - our own server
    urlopen(reset, timeout=30).close()  # noqa: S310 - the same
    return moto_server
