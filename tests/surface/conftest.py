"""Readers of the documentation have an account: local servers answer for its quotas and roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.service_quotas import ServiceQuotas
from support.sts import Sts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def service_quotas() -> Iterator[ServiceQuotas]:
    fake = ServiceQuotas()
    yield fake
    fake.close()


@pytest.fixture(scope="session")
def sts() -> Iterator[Sts]:
    with Sts() as running:
        yield running


@pytest.fixture(autouse=True)
def account(service_quotas: ServiceQuotas, sts: Sts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", service_quotas.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
