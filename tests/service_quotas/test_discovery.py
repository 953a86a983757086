"""How a program discovers the quotas of its account."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import CredentialRetrievalError
from support.service_quotas import GEOGRAPHIC, ON_DEMAND, ServiceQuotas, quota

from aws_bedrock_inference import sessions
from aws_bedrock_inference.service_quotas.discovery import QuotasUnknown, discover, service_quotas
from aws_bedrock_inference.service_quotas.table import Found, QuotaTable, explain_hold
from aws_bedrock_inference.transports.endpoint import find_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-pro-v1:0"
DAY = 86_400.0


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, alone: None) -> Iterator[ServiceQuotas]:
    fake = ServiceQuotas()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield fake
    fake.close()


class Reader:
    """Reads from `service`, at a time that the test sets."""

    def __init__(self, service: ServiceQuotas) -> None:
        self.service = service
        self.seconds = 1_800_000_000.0

    def __call__(self, key: str = "AKIDONE", region: str = "us-east-1", **options: Any) -> QuotaTable:
        session = boto3.Session(key, "secret", region_name=region)
        url = options.pop("endpoint_url", self.service.url)
        return discover(session, endpoint_url=url, now=lambda: self.seconds, **options)


@pytest.fixture
def read(service: ServiceQuotas) -> Reader:
    return Reader(service)


def test_limits_are_those_of_the_model_and_the_pool(read: Reader) -> None:
    table = read()
    limits = table.limits(NOVA, "geographic")
    assert limits is not None
    assert (limits.rpm, limits.tpm, limits.tpd) == (500, 2_000_000, 700_000_000)
    on_demand = table.limits(NOVA, "on-demand")
    assert on_demand is not None
    assert (on_demand.rpm, on_demand.tpm) == (None, 1_000_000)
    assert table.limits(NOVA, "global") is None


def test_an_applied_quota_takes_precedence_over_the_default_and_both_are_shown(read: Reader) -> None:
    read.service.apply("L-C0326783", 3_000_000)
    limits = read().limits(NOVA, "geographic")
    assert limits is not None
    assert limits.tpm == 3_000_000
    name = GEOGRAPHIC.format("tokens", "Amazon Nova Pro")
    assert limits.known["tpm"] == Found("L-C0326783", name, 3_000_000, 2_000_000, adjustable=True)


def test_a_quota_without_an_applied_value_has_its_default(read: Reader) -> None:
    read.service.applied = []
    limits = read().limits(NOVA, "geographic")
    assert limits is not None
    assert limits.tpm == 2_000_000
    assert limits.known["tpm"].applied is None


def test_a_quota_of_a_single_resource_is_not_used_for_the_account(read: Reader) -> None:
    read.service.applied.append(
        quota("L-C0326783", GEOGRAPHIC.format("tokens", "Amazon Nova Pro"), 7, QuotaAppliedAtLevel="RESOURCE")
    )
    limits = read().limits(NOVA, "geographic")
    assert limits is not None
    assert limits.tpm == 2_000_000


def test_a_model_without_a_request_quota_has_no_request_limit(read: Reader) -> None:
    limits = read().limits(SONNET, "global")
    assert limits is not None
    assert limits.rpm is None


def test_the_long_context_variant_has_a_separate_quota(read: Reader) -> None:
    read.service.apply("L-8EA73537", 12)
    limits = read().limits(SONNET, "geographic")
    assert limits is not None
    assert limits.tpm == 5_000_000


@pytest.mark.parametrize("model", ["anthropic.claude-sonnet-4-20250514-v1:0", "unheard.of-v1:0", "nonsense", ""])
def test_an_ambiguous_quota_is_unknown(read: Reader, model: str) -> None:
    assert read().limits(model, "geographic") is None


def test_a_quota_on_hold_is_distinguished_from_one_that_is_zero_by_default(read: Reader) -> None:
    read.service.apply("L-C0326783", 0)
    read.service.defaults.append(quota("L-0", ON_DEMAND.format("tokens", "Amazon Nova Premier"), 0))
    read.service.applied.append(quota("L-0", ON_DEMAND.format("tokens", "Amazon Nova Premier"), 0))
    table = read()
    held, zero, fine = (
        table.limits(NOVA, "geographic"),
        table.limits("amazon.nova-premier-v1:0", "on-demand"),
        table.limits(NOVA, "on-demand"),
    )
    assert held is not None
    assert zero is not None
    assert fine is not None
    assert (held.held, zero.held, fine.held) == (True, False, False)
    assert [found.code for found in table.held] == ["L-C0326783"]
    for words in ("never help", "Support case (Account and billing"):
        assert words in explain_hold()


def test_models_are_listed_by_name(read: Reader) -> None:
    assert [(row.model, row.pool) for row in read().models()] == [
        ("Amazon Nova Lite", "geographic"),
        ("Amazon Nova Pro", "on-demand"),
        ("Amazon Nova Pro", "geographic"),
        ("Anthropic Claude Sonnet 4.5 V1", "geographic"),
        ("Anthropic Claude Sonnet 4.5 V1", "global"),
        ("Anthropic Claude Sonnet 4.5 V1 1M Context Length", "geographic"),
    ]


def test_a_reading_is_valid_for_a_day_and_has_its_age(read: Reader) -> None:
    assert (read().age, read().stale) == (0, False)
    asked = len(read.service.asked)
    read.seconds += DAY - 1
    table = read()
    assert (table.age, table.stale, len(read.service.asked)) == (DAY - 1, False, asked)
    read.service.apply("L-C0326783", 9)
    read.seconds += 1
    limits = read().limits(NOVA, "geographic")
    assert limits is not None
    assert limits.tpm == 9


def test_a_max_age_of_zero_reads_again(read: Reader) -> None:
    read()
    asked = len(read.service.asked)
    read(max_age=0)
    assert len(read.service.asked) == 2 * asked


def test_a_reading_from_the_future_is_not_used(read: Reader) -> None:
    read()
    read.seconds -= 10
    asked = len(read.service.asked)
    read()
    assert len(read.service.asked) > asked


@pytest.mark.parametrize("other", [{"key": "AKIDTWO"}, {"region": "eu-west-1"}])
def test_each_account_and_region_has_its_own_reading(read: Reader, other: dict[str, str]) -> None:
    read()
    asked = len(read.service.asked)
    read(**other)
    assert len(read.service.asked) == 2 * asked


def test_each_endpoint_has_its_own_reading(read: Reader) -> None:
    read()
    other = ServiceQuotas()
    read(endpoint_url=other.url)
    other.close()
    assert other.asked


def test_access_keys_of_one_account_share_a_reading(read: Reader) -> None:
    sessions = [boto3.Session(key, "secret", region_name="us-east-1", aws_account_id="1") for key in ("A", "B")]
    tables = [discover(session, endpoint_url=read.service.url) for session in sessions]
    assert [table.account for table in tables] == ["1", "1"]
    assert read.service.operations().count("ListServiceQuotas") == 4  # the pages of one reading


def test_sessions_of_boto3_and_botocore_are_accepted(read: Reader) -> None:
    session = boto3.Session("AKIDONE", "secret", region_name="us-east-1")
    assert discover(session._session, endpoint_url=read.service.url).region == "us-east-1"


class Watched:
    """A session that records, for each client it creates, whether another thread could create one simultaneously."""

    def __init__(self) -> None:
        self.core = boto3.Session(region_name="us-east-1")._session
        self.alone: dict[str, bool] = {}

    def create_client(self, service: str, **options: Any) -> Any:
        self.alone[service] = sessions._making._lock.locked()
        return self.core.create_client(service, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)


def test_a_session_creates_one_client_at_a_time(service: ServiceQuotas) -> None:
    session = Watched()
    find_endpoint(session)
    service_quotas(session, endpoint_url=service.url)
    assert session.alone == {"bedrock-runtime": True, "service-quotas": True}


def test_nothing_of_the_access_key_is_stored_on_disk(read: Reader, tmp_path: Path) -> None:
    read(key="AKIDSECRETKEY", cache=tmp_path / "here")
    (file,) = (tmp_path / "here").iterdir()
    assert "AKIDSECRETKEY" not in file.name + file.read_text()


@pytest.mark.parametrize(
    "content",
    ["", "not json", "[]", "null", "{}", '{"format": 1}', '{"format": 2, "at": 1, "quotas": []}']
    + [json.dumps({"format": 1, "at": 1.8e9, "quotas": quotas}) for quotas in [7, [7], [{}], [{"code": "L-1"}]]]
    + ['{"format": 1, "at": "soon", "quotas": []}', "[" * 100_000, "\x00\xff"],
)
def test_a_file_that_is_not_a_reading_is_ignored(read: Reader, tmp_path: Path, content: str) -> None:
    read(cache=tmp_path / "here")
    (file,) = (tmp_path / "here").iterdir()
    file.write_bytes(content.encode("latin-1"))
    assert read(cache=tmp_path / "here").limits(NOVA, "geographic") is not None
    assert read.service.operations().count("ListServiceQuotas") == 8


def test_a_read_only_cache_directory_is_no_error(read: Reader, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert read(cache=tmp_path / "file" / "below").found


def test_a_reading_is_written_atomically(read: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(cache=tmp_path / "here")
    (file,) = (tmp_path / "here").iterdir()
    before = file.read_text()

    def full(content: Any, new: Any) -> None:
        new.write("{")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    read(cache=tmp_path / "here", max_age=0)
    assert [(each, each.read_text()) for each in (tmp_path / "here").iterdir()] == [(file, before)]


def test_an_old_reading_is_used_if_no_new_one_is_possible_and_is_marked(read: Reader) -> None:
    read()
    read.seconds += 3 * DAY
    read.service.refusals["ListServiceQuotas"] = ("AccessDeniedException", "no identity-based policy allows it")
    table = read()
    assert table.limits(NOVA, "geographic") is not None
    assert (table.stale, table.age) == (True, 3 * DAY)
    assert "no identity-based policy allows it" in table.why


@pytest.mark.parametrize("operation", ["ListServiceQuotas", "ListAWSDefaultServiceQuotas"])
def test_without_any_reading_the_error_names_the_permission(read: Reader, operation: str) -> None:
    read.service.refusals[operation] = ("AccessDeniedException", "no identity-based policy allows it")
    with pytest.raises(QuotasUnknown, match="no identity-based policy allows it") as caught:
        read()
    assert "servicequotas:ListServiceQuotas and servicequotas:ListAWSDefaultServiceQuotas" in str(caught.value)
    assert "us-east-1" in str(caught.value)


def test_without_credentials_the_quotas_are_unknown(service: ServiceQuotas) -> None:
    with pytest.raises(QuotasUnknown, match="credentials"):
        discover(region_name="us-east-1", endpoint_url=service.url)
    assert service.asked == []


def test_credentials_that_cannot_be_fetched_leave_the_quotas_unknown(
    read: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def expired(self: Any) -> None:
        raise CredentialRetrievalError(provider="sso", error_msg="the session has ended")

    monkeypatch.setattr(Credentials, "get_frozen_credentials", expired)
    with pytest.raises(QuotasUnknown, match="the session has ended"):
        read()
