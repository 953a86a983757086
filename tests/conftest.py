"""What many tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import settings
from support.doubles import World, session
from support.moto_server import moto_server, moto_url
from support.transport_faces import Asyncio, Blocking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["moto_server", "moto_url"]

settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests from the lists of models and quotas that the user of this machine has cached."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No settings of the machine that runs the tests."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy") or name == "REQUESTS_CA_BUNDLE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture
def oracle(alone: None) -> Iterator[Callable[[str], Any]]:
    """Creates boto3's own clients, without retries."""
    made = []

    def client(url: str) -> Any:
        config = Config(retries={"total_max_attempts": 1})
        made.append(session().client("bedrock-runtime", endpoint_url=url, config=config))
        return made[-1]

    yield client
    for used in made:
        used.close()


@pytest.fixture(params=[Blocking, Asyncio])
def face(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A transport of each kind."""
    made = request.param()
    yield made
    made.end()
