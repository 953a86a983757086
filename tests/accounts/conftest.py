"""An STS server, a model and a session that can assume roles; the settings of the machine are hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.session import Session
from support.answers import REPLY
from support.client_faces import Asyncio, Blocking
from support.sts import Sts, Wall
from support.wire import Wire, answer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def sts(alone: None, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sts]:
    with Sts(wall) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", running.url)
        yield running


@pytest.fixture
def model() -> Iterator[Wire]:
    """A model that answers every Converse request and stores the requests."""
    with Wire(answer(REPLY)) as wire:
        yield wire


@pytest.fixture(scope="session")
def loader() -> Any:
    """One for all tests: it reads botocore's models once."""
    return Session().get_component("data_loader")


@pytest.fixture
def base(sts: Sts, loader: Any) -> Any:
    core = Session()
    core.register_component("data_loader", loader)
    return boto3.Session("AKIDBASE", "basesecret", region_name="us-east-1", botocore_session=core)


@pytest.fixture(params=[Blocking, Asyncio])
def face(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = request.param()
    yield made
    made.end()
