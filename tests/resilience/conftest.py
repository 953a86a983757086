"""Clients of moto's server; each test controls their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import session
from support.injected import Script

from aws_bedrock_inference import resilient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.doubles import World


@pytest.fixture
def bare(moto_url: str, alone: None) -> Iterator[Callable[..., Any]]:
    """Creates boto3's own clients of the server."""
    made: list[Any] = []

    def client(service: str, **options: Any) -> Any:
        made.append(session().client(service, endpoint_url=moto_url, **options))
        return made[-1]

    yield client
    for used in made:
        used.close()


@pytest.fixture
def enduring(bare: Callable[..., Any], world: World) -> Callable[..., tuple[Any, Script]]:
    """Creates resilient clients of the server, each with a script of faults for its requests."""

    def client(service: str, **options: Any) -> tuple[Any, Script]:
        own = bare(service)
        return resilient(own, clock=world.clock, sleep=world.sleep, **options), Script(own)

    return client
