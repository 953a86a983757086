"""moto's server, and clients of it whose time a test controls."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import session
from support.injected import Script

from aws_bedrock_inference import resilient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.doubles import World


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - slow to import, and needed by few

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def bare(server: str, alone: None) -> Iterator[Callable[..., Any]]:
    """Makes boto3's own clients of the server."""
    made: list[Any] = []

    def client(service: str, **options: Any) -> Any:
        made.append(session().client(service, endpoint_url=server, **options))
        return made[-1]

    yield client
    for used in made:
        used.close()


@pytest.fixture
def enduring(bare: Callable[..., Any], world: World) -> Callable[..., tuple[Any, Script]]:
    """Makes resilient clients of the server, each with the script of what happens to its requests."""

    def client(service: str, **options: Any) -> tuple[Any, Script]:
        own = bare(service)
        return resilient(own, clock=world.clock, sleep=world.sleep, **options), Script(own)

    return client
