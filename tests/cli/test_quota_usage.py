"""`bedrock quota watch`, `bedrock quota advise`, and the usage that `bedrock quota show` prints."""

from __future__ import annotations

import json
import re
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import click
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count
from support.service_quotas import GLOBAL, ON_DEMAND, ServiceQuotas, quota

from aws_bedrock_inference import clock
from aws_bedrock_inference.cli import main
from aws_bedrock_inference.cli.quota import quota as quota_command
from aws_bedrock_inference.cli.quota_usage import plain_shared, shared_quotas
from aws_bedrock_inference.rules.quota.leases import LeaseRequest
from aws_bedrock_inference.stores import SqliteStore
from aws_bedrock_inference.tokens.answer_sizes import AnswerSizes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOVA = "us.amazon.nova-pro-v1:0"
KEY = "|us-east-1|amazon.nova-pro-v1:0|geographic"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC).timestamp()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ServiceQuotas]:
    fake = ServiceQuotas()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", fake.url)
    yield fake
    fake.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shares.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite://{path}"


def bedrock(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["quota", *arguments])


def report(**said: Any) -> str:
    """Return the report of a member, as `policies.sharing` writes it."""
    return json.dumps(
        {
            "used": {"requests": 100, "tokens": 300_000},
            "reserved": 20_000,
            "waiting": {"0.0": 2, "2.0": 30},
            "consumers": {"0.0": 50_000, "2.0": 250_000},
            "throttled": 1,
            "answers": answers(),
        }
        | said
    )


def answers(count: int = 100, output: int = 200, reserved: int = 4_000) -> dict[str, Any]:
    sizes = AnswerSizes()
    for _ in range(count):
        sizes.add(output, reserved)
    return sizes.as_dict()


def join(path: Path, *members: str, key: str = KEY, tpm: float = 864_000.0, text: str = "") -> None:
    """Let several processes join; each requests half of the quota."""
    store = SqliteStore(path)
    for member in members:
        ask = LeaseRequest(0.0, ((0.0, 0.5, 1.0),), (("tokens", tpm, 0, False),), text or report(), rate=4.5)
        store.renew(key, member, ask).answer()
    store.close()


class TestWatch:
    def test_watch_shows_the_total_use_and_the_part_of_each_member(self, path: Path, url: str) -> None:
        join(path, "a:1", "b:2")
        result = bedrock("watch", "--store", url, "--count", "1")
        assert result.exit_code == 0
        lines = result.output.splitlines()
        assert lines[:4] == [
            "amazon.nova-pro-v1:0 geographic in us-east-1",
            "  used in the last minute: 600,000 of 864,000 (69%) tokens, 40,000 of them reserved; 200 requests",
            "  waiting: 4 interactive, 60 batch; throttled: 2",
            "  used by priority: 100,000 interactive, 500,000 batch (tokens per minute)",
        ]
        assert lines[4].startswith("  limited by: even pacing, a pause after throttles")
        assert lines[5].split() == [
            "member", "share", "calls/s", "tokens", "reserved", "requests", "waiting", "throttled", "last", "seen",
        ]  # fmt: skip
        assert [line.split()[0] for line in lines[6:]] == ["a:1", "b:2"]
        assert "4.5  300,000    20,000       100  2 interactive, 30 batch          1" in lines[6]

    def test_watch_shows_the_reason_for_an_estimated_limit(self, path: Path, url: str) -> None:
        found, heard = "repeated rows of throttles", "another member of the shared quota found it"
        join(path, "a:1", text=report(reasons={"tokens": found}))
        join(path, "b:2", "c:3", text=report(reasons={"tokens": heard}))
        said = bedrock("watch", "--store", url, "--count", "1").output
        assert f"  tokens: 864,000 per minute, {heard} (2 of 3 members)\n" in said
        assert f"  tokens: 864,000 per minute, {found} (1 of 3 members)\n" in said
        assert "requests:" not in said
        with closing(SqliteStore(path)) as store:
            [plain] = plain_shared(shared_quotas(store), None)["shared"]
        assert plain["reasons"] == {"tokens": {heard: ["b:2", "c:3"], found: ["a:1"]}}
        assert plain["members"][0]["reasons"] == {"tokens": found}

    @pytest.mark.parametrize(
        ("said", "tpm", "words"),
        [
            ({}, 310_000.0, "limited by: tokens per minute\n"),
            ({"reserved": 200_000}, 310_000.0, "most are reserved and not used, so a lower max_tokens"),
            ({"waiting": {}}, 310_000.0, "limited by: nothing; no call is waiting"),
        ],
    )
    def test_watch_shows_which_limit_holds_calls_back(
        self, path: Path, url: str, said: Any, tpm: float, words: str
    ) -> None:
        join(path, "a:1", tpm=tpm, text=report(**said))
        assert words in bedrock("watch", "--store", url, "--count", "1").output

    def test_watch_shows_what_each_process_states_about_its_waiting_calls(self, path: Path, url: str) -> None:
        day, pause = "AWS reported an exhausted daily quota", "a pause of at most 4 s after 3 throttles in a row"
        join(path, "a:1", text=report(pace=day))
        assert f"  limited by: {day}\n" in bedrock("watch", "--store", url, "--count", "1").output
        join(path, "b:2", "c:3", text=report(pace=pause))
        join(path, "d:4", text=report(pace="the callers determine the rate", waiting={}))
        said = bedrock("watch", "--store", url, "--count", "1").output
        assert f"  limited by: {pause} (2 of 4 members); {day} (1 of 4 members)\n" in said

    def test_only_the_chosen_models_are_shown(self, path: Path, url: str) -> None:
        join(path, "a:1")
        join(path, "a:1", key="|us-east-1|amazon.nova-lite-v1:0|global")
        both = bedrock("watch", "--store", url, "--count", "1").output
        one = bedrock("watch", NOVA, "--store", url, "--count", "1").output
        assert "nova-lite-v1:0 global" in both
        assert "nova-pro-v1:0 geographic" in both
        assert "nova-lite" not in one
        assert "nova-pro-v1:0 geographic" in one

    def test_members_without_a_known_account_are_marked(self, path: Path, url: str) -> None:
        _, region, model, pool = KEY.split("|")
        join(path, "a:1", key=f"123456789012|{region}|{model}|{pool}")
        marked = "The account of these members is unknown. If it is 123456789012, they do not share its quota"
        assert marked not in bedrock("watch", "--store", url, "--count", "1").output
        join(path, "b:2", key=f"|eu-west-1|{model}|{pool}")  # another quota
        assert marked not in bedrock("watch", "--store", url, "--count", "1").output
        join(path, "c:3", key=f"|{region}|{model}|{pool}")
        blocks = bedrock("watch", "--store", url, "--count", "1").output.split("\n\n")
        assert [marked in block for block in blocks] == ["c:3" in block for block in blocks]
        join(path, "d:4", key=f"210987654321|{region}|{model}|{pool}")
        assert "If it is 123456789012 or 210987654321" in bedrock("watch", "--store", url, "--count", "1").output

    @pytest.mark.parametrize("text", ["not JSON", "[1]", '{"used": 3, "waiting": {"x": "y"}, "answers": {"count": 1}}'])
    def test_an_unreadable_report_counts_as_no_use(self, path: Path, url: str, text: str) -> None:
        join(path, "a:1", text=text)
        result = bedrock("watch", "--store", url, "--count", "1")
        assert result.exit_code == 0
        assert "used in the last minute: 0 of 864,000 (0%) tokens; 0 requests" in result.output

    def test_a_member_with_a_report_of_a_newer_version_is_named_and_not_counted(self, path: Path, url: str) -> None:
        join(path, "a:1")
        join(path, "new:2", text=report(version=9))
        output = bedrock("watch", "--store", url, "--count", "1").output
        assert "used in the last minute: 300,000 of" in output
        assert "new:2 is not counted: the report of this process has format 9" in output

    def test_only_the_largest_of_many_members_are_shown(self, path: Path, url: str) -> None:
        join(path, *(f"host:{number}" for number in range(50)))
        output = bedrock("watch", "--store", url, "--count", "1").output
        assert output.count("host:") == 40
        assert "and 10 members with smaller shares" in output

    def test_ctrl_c_ends_watch_cleanly(self, path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        join(path, "a:1")
        slept = sleeps(monkeypatch, None, press_ctrl_c)
        result = bedrock("watch", "--store", url, "--every", "2.5")
        assert result.exit_code == 0
        assert slept == [2.5, 2.5]
        assert result.output.count("a:1 ") == 2
        assert "Error" not in result.output

    def test_an_unreachable_store_is_named_and_tried_again(
        self, path: Path, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        join(path, "a:1")
        sleeps(monkeypatch, lambda: delete(path), lambda: join(path, "b:2"))
        result = bedrock("watch", "--store", url, "--count", "3")
        assert result.exit_code == 0
        first, then = result.output.split(
            f"{path} does not exist yet. The first process with Quota(store=...) creates it."
        )
        assert "a:1 " in first
        assert "b:2 " in then
        assert "a:1 " not in then

    def test_a_silent_server_is_named_without_its_password(self) -> None:
        result = bedrock("watch", "--store", "redis://me:secret@127.0.0.1:1/0", "--count", "2", "--every", "0.1")
        assert result.exit_code == 3
        assert result.output.count("redis://127.0.0.1:1/0 cannot be used to share a quota") == 1
        assert "secret" not in result.output

    def test_watch_creates_no_file(self, path: Path, url: str) -> None:
        bedrock("watch", "--store", url, "--count", "1")
        assert not path.exists()

    def test_a_terminal_keeps_the_last_table_while_the_store_is_unreachable(
        self, path: Path, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "200")
        join(path, "a:1")
        sleeps(monkeypatch, lambda: delete(path))
        result = bedrock("watch", "--store", url, "--count", "2")
        assert result.exit_code == 0
        assert "a:1 " in result.output.partition("does not exist")[2]

    @pytest.mark.parametrize("columns", [80, 120])
    def test_a_narrow_terminal_hides_no_word_of_the_texts_and_no_waiting_call(
        self, path: Path, url: str, monkeypatch: pytest.MonkeyPatch, columns: int
    ) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", str(columns))
        pace = "AWS reported an exhausted daily quota, so calls wait, and within 15 minutes one call tests the service"
        join(path, "ip-10-0-1-23:4567:c78ac090", text=report(pace=pace, waiting={"1.0": 12}))
        sleeps(monkeypatch, lambda: delete(path))
        shown = bedrock("watch", "--store", url, "--count", "2").output
        words = " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).split())
        assert pace in words
        assert "ip-10-0-1-23:4567:c78ac090 90.0% " in words
        assert "12 normal 1 " in words
        assert " s ago" in words
        assert "Start such a process, or correct --store." in words
        assert "…" not in words

    def test_watch_of_a_model_that_no_process_uses_names_the_model(self, path: Path, url: str) -> None:
        join(path, "a:1")
        said = bedrock("watch", "nova-pro", NOVA[3:], "--store", url, "--count", "1").output
        assert said == "No process shares the quota of nova-pro or amazon.nova-pro-v1:0 through this store now.\n"

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ([], "Missing option '--store'"),
            (["--store", "redsi://host"], "The URL of a store cannot begin with redsi://"),
            (["--store", "sqlite://"], "has no file name"),
            (["--store", "sqlite://x.db", "--every", "0"], "--every"),
        ],
    )
    def test_a_mistyped_argument_is_refused_with_a_message(self, arguments: list[str], words: str) -> None:
        result = bedrock("watch", *arguments)
        assert result.exit_code == 2
        assert words in result.stderr


def sleeps(monkeypatch: pytest.MonkeyPatch, *meanwhile: Callable[[], object] | None) -> list[float]:
    """Make each wait end immediately, and run a function during it."""
    slept: list[float] = []
    happenings = iter(meanwhile)

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        happening = next(happenings)
        if happening is not None:
            happening()

    monkeypatch.setattr(clock, "sleep", sleep)
    return slept


def press_ctrl_c() -> None:
    raise KeyboardInterrupt


def delete(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


class TestShow:
    def test_show_with_a_store_lists_the_members_and_their_use(
        self, service: ServiceQuotas, path: Path, url: str
    ) -> None:
        join(path, "a:1")
        join(path, "a:1", key="|us-east-1|amazon.nova-lite-v1:0|geographic")
        output = bedrock("show", NOVA, "--store", url).output
        assert "2,000,000" in output
        assert "used in the last minute: 300,000 of 864,000 (35%) tokens" in output
        assert "nova-lite" not in output
        assert "nova-lite" in bedrock("show", "--store", url).output

    def test_show_prints_the_quotas_and_fails_if_the_store_is_unreachable(
        self, service: ServiceQuotas, url: str
    ) -> None:
        result = bedrock("show", NOVA, "--store", url)
        assert result.exit_code == 3
        assert "2,000,000" in result.stdout
        assert "does not exist" in result.stderr

    def test_show_reports_a_store_without_members(self, service: ServiceQuotas, path: Path, url: str) -> None:
        join(path, "a:1", key="|us-east-1|amazon.nova-lite-v1:0|geographic")
        result = bedrock("show", NOVA, "--store", url)
        assert result.exit_code == 0
        assert "No process shares these quotas through the store now." in result.output

    def test_json_has_the_members(self, service: ServiceQuotas, path: Path, url: str) -> None:
        join(path, "a:1")
        (shared,) = json.loads(bedrock("show", "--store", url, "--json").output)["shared"]
        assert (shared["quota"], shared["limits"]) == (KEY, {"tokens": 864_000.0})
        (member,) = shared["members"]
        assert (member["name"], member["reserved"], member["throttled"]) == ("a:1", 20_000, 1)
        assert member["waiting"] == {"interactive": 2, "batch": 30}

    @mock_aws
    def test_usage_covers_the_last_minute_and_the_last_day(
        self, service: ServiceQuotas, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clock, "wall", lambda: NOON + 30)
        counted(NOVA, {2: (400_000, 9, 1), 60: (900_000, 20, 0), 1439: (100_000, 5, 4), 1500: (7, 7, 7)})
        counted("amazon.nova-lite-v1:0", {700: (5, 1, 0)})
        output = bedrock("show", "--usage").output
        row = next(line for line in output.splitlines() if line.startswith(NOVA)).split()
        assert row == [NOVA, "400,000", "20%", "900,000", "45%", "1,400,000", "9", "34", "1", "5"]
        other = next(line for line in output.splitlines() if line.startswith("amazon.nova-lite")).split()
        assert other == ["amazon.nova-lite-v1:0", "0", "5", "5", "0", "1", "0", "0"]
        assert "throttles may occur although the reading is low" in " ".join(output.split())
        assert "nova-lite" not in bedrock("show", NOVA, "--usage").output.partition("tokens last minute")[2]
        (used,) = json.loads(bedrock("show", NOVA, "--usage", "--json").output)["usage"]
        assert used == {
            "model": NOVA,
            "minute": {"tokens": 400_000, "calls": 9, "throttles": 1},
            "day": {"tokens": 1_400_000, "calls": 34, "throttles": 5},
            "busiest": 900_000,
        }

    @mock_aws
    def test_usage_without_any_call_is_reported(self, service: ServiceQuotas) -> None:
        result = bedrock("show", "--usage")
        assert result.exit_code == 0
        assert "CloudWatch counted no call" in result.output

    @mock_aws
    @set_initial_no_auth_action_count(0)  # whoever asks is refused
    def test_unreadable_usage_names_the_missing_permission(self, service: ServiceQuotas) -> None:
        result = bedrock("show", "--usage")
        assert result.exit_code == 3
        assert "2,000,000" in result.stdout
        assert "cloudwatch:GetMetricData" in result.stderr


def counted(model: str, minutes: dict[int, tuple[int, int, int]]) -> None:
    """Let CloudWatch have counted tokens, calls and throttles of minutes that long before noon."""
    client = boto3.client("cloudwatch")
    names = ("EstimatedTPMQuotaUsage", "Invocations", "InvocationThrottles")
    client.put_metric_data(
        Namespace="AWS/Bedrock",
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [{"Name": "ModelId", "Value": model}, *sizes],
                "Timestamp": datetime.fromtimestamp(NOON - 60 * ago, UTC),
                "Value": value,
            }
            for ago, values in minutes.items()
            for name, value in zip(names, values, strict=True)
            for sizes in ([], [{"Name": "ImageSize", "Value": "1024"}])
        ],
    )


class TestAdvise:
    def test_advise_computes_max_tokens_from_the_answers_of_a_run(self, service: ServiceQuotas, tmp_path: Path) -> None:
        file = written(tmp_path, (short(number, 90) for number in range(60)))
        result = bedrock("advise", file, "--model", NOVA, "--max-tokens", "4000")
        assert result.exit_code == 0
        lines = result.output.splitlines()
        assert lines[0] == f"amazon.nova-pro-v1:0 geographic, 60 answers ({file})"
        assert lines[1].startswith("  98 % of answers are under ")
        assert "you reserve 4,000; max_tokens=190 allows 19.1 times as many calls at the same time" in lines[1]
        assert "share this quota" in lines[-1]
        assert "AWS refuses increases for Legacy models" in lines[-2]
        assert lines[-3].startswith(
            "  Tokens per day: 700,000,000, weighted by price. All models of the Region share this quota"
        )

    def test_advise_without_max_tokens_states_the_value_that_it_assumes(
        self, service: ServiceQuotas, tmp_path: Path
    ) -> None:
        file = written(tmp_path, (short(number, 90) for number in range(60)))
        output = bedrock("advise", file, "--model", NOVA).output
        assert "60 records have no max_tokens; the model's maximum" in output
        assert "If the run had --max-tokens, pass the same value here." in output

    @pytest.mark.parametrize(
        ("request_", "answer"),
        [
            (
                {"messages": [], "inferenceConfig": {"maxTokens": 3_000}},
                {"usage": {"inputTokens": 20, "outputTokens": 90, "totalTokens": 110}},
            ),
            (
                {"messages": [], "max_tokens": 3_000},
                {"usage": {"input_tokens": 20, "output_tokens": 90, "cache_read_input_tokens": 500}},
            ),
            (
                {"inputText": "x", "textGenerationConfig": {"maxTokenCount": 3_000}},
                {"inputTextTokenCount": 20, "results": [{"tokenCount": 90}]},
            ),
        ],
    )
    def test_advise_reads_the_reserved_tokens_from_batch_records(
        self, service: ServiceQuotas, tmp_path: Path, request_: Any, answer: Any
    ) -> None:
        lines = ({"recordId": f"r{number}", "modelInput": request_, "modelOutput": answer} for number in range(60))
        output = bedrock("advise", written(tmp_path, lines), "--model", NOVA).output
        assert "you reserve 3,000" in output
        assert "do not say their max_tokens" not in output
        assert ("Tokens read from the prompt cache" in output) == ("cache" in json.dumps(answer))

    def test_advise_combines_the_members_of_a_shared_quota(self, service: ServiceQuotas, path: Path, url: str) -> None:
        join(path, "a:1", text=report(answers=answers(30, 200), reserved=0))
        join(path, "b:2", text=report(answers=answers(30, 200), reserved=0))
        output = bedrock("advise", "--store", url).output
        assert "amazon.nova-pro-v1:0 geographic, 60 answers (2 processes in us-east-1)" in output
        # 3,000 tokens a call were used, 200 of them answer: (2,800 + 4,000) / (2,800 + 410)
        assert "max_tokens=410 allows 2.1 times as many calls at the same time" in output

    def test_advise_weighs_answers_with_the_burndown_that_members_learned(
        self, service: ServiceQuotas, path: Path, url: str
    ) -> None:
        store = SqliteStore(path)
        limits = (("tokens", 60_000.0, 0, False), ("burndown", 2.0, 0, False))
        text = report(answers=answers(60, 200), reserved=0)
        store.renew(KEY, "a:1", LeaseRequest(0.0, ((0.0, 0.5, 1.0),), limits, text, rate=4.5)).run()
        store.close()
        output = bedrock("advise", "--store", url).output
        # 3,000 tokens a call were used, 400 of them for 200 of answer: (2,600 + 4,000) / (2,600 + 410)
        assert "max_tokens=410 allows 2.2 times as many calls at the same time" in output

    def test_advise_reports_prompts_of_unknown_length_that_it_leaves_out(
        self, service: ServiceQuotas, path: Path, url: str
    ) -> None:
        join(path, "a:1", text=report(used={}))
        assert "The length of the prompts is unknown now" in bedrock("advise", "--store", url).output

    def test_advise_names_a_pool_with_a_larger_quota(self, service: ServiceQuotas, tmp_path: Path) -> None:
        file = written(tmp_path, (short(number, 90) for number in range(60)))
        pools = bedrock("advise", file, "--model", "amazon.nova-pro-v1:0").output
        assert "Pool geographic: 2,000,000 tokens per minute, 2 times the 1,000,000 of on-demand." in pools
        assert "Pool" not in bedrock("advise", file, "--model", NOVA).output

    def test_advise_does_not_name_a_pool_on_hold_at_0(self, service: ServiceQuotas, tmp_path: Path) -> None:
        service.applied = [
            quota("L-1", ON_DEMAND.format("tokens", "Amazon Nova Micro"), 10),
            quota("L-2", GLOBAL.format("tokens", "Amazon Nova Micro"), 0),
        ]
        service.defaults = [quota("L-2", GLOBAL.format("tokens", "Amazon Nova Micro"), 1_000)]
        file = written(tmp_path, (short(number, 90) for number in range(60)))
        assert "Pool" not in bedrock("advise", file, "--model", "amazon.nova-micro-v1:0").output

    def test_advise_works_without_access_to_the_quotas(self, service: ServiceQuotas, tmp_path: Path) -> None:
        service.refusals["ListServiceQuotas"] = ("AccessDeniedException", "not allowed")
        result = bedrock("advise", written(tmp_path, (short(n, 90) for n in range(60))), "--model", NOVA)
        assert result.exit_code == 0
        assert "98 % of answers" in result.output
        assert "Other pools were not compared: the quotas of this account in us-east-1 are unknown" in result.output

    def test_advise_reports_that_it_has_few_answers(self, service: ServiceQuotas, tmp_path: Path) -> None:
        result = bedrock("advise", written(tmp_path, [short(1, 90)]), "--model", NOVA)
        assert result.exit_code == 0
        assert "1 answers are too few to recommend max_tokens; at least 50 are needed." in result.output

    def test_lines_without_an_answer_are_named_and_the_others_are_used(
        self, service: ServiceQuotas, tmp_path: Path
    ) -> None:
        good = (short(number, 90) for number in range(60))
        file = written(tmp_path, [*good, {"id": "x", "prompt": "why"}, {"id": "y", "text": "no usage"}])
        with Path(file).open("a") as lines:
            lines.write("half a li")
        result = bedrock("advise", file, "--model", NOVA, "--max-tokens", "4000")
        assert result.exit_code == 2
        assert "60 answers" in result.stdout
        assert f"{file}, line 61: not an answer" in result.stderr
        assert f"{file}, line 62: the answer has no token usage" in result.stderr
        assert f"{file}, line 63: not JSON" in result.stderr

    def test_invalid_lines_after_the_first_twenty_are_only_counted(
        self, service: ServiceQuotas, tmp_path: Path
    ) -> None:
        result = bedrock("advise", written(tmp_path, [{"id": "x"}] * 30), "--model", NOVA)
        assert result.stderr.count("not an answer.") == 20
        assert "(further bad lines are counted, not shown)" in result.stderr

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            ([], 2, "Pass output files of `bedrock run`, or --store URL."),
            (["empty.jsonl"], 2, "No model is set. Pass --model ID"),
            (["empty.jsonl", "--model", NOVA], 1, "No answers were found."),
            (["missing.jsonl", "--model", NOVA], 2, "'missing.jsonl' does not exist"),
            (["--store", "sqlite://missing.db"], 3, "missing.db does not exist"),
            (["--store", "redsi://x"], 2, "The URL of a store cannot begin with redsi://"),
        ],
    )
    def test_advise_without_any_data_says_what_is_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "empty.jsonl").write_text("\n")
        result = bedrock("advise", *arguments)
        assert result.exit_code == code
        assert words in result.stderr


def short(number: int, output: int) -> dict[str, Any]:
    return {"id": f"p{number}", "text": "...", "usage": {"input_tokens": 20, "output_tokens": output}, "attempts": 1}


def written(directory: Path, lines: Any) -> str:
    path = directory / f"answers-{next(NUMBERS)}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


NUMBERS = count()


@pytest.mark.parametrize("name", sorted(quota_command.commands))
def test_every_option_is_on_the_documentation_page(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "quotas.md").read_text(encoding="utf-8")
    _, heading, rest = page.partition(f"\n## `bedrock quota {name}")
    assert heading
    section = rest.partition("\n## ")[0]
    options = [option for option in quota_command.commands[name].params if isinstance(option, click.Option)]
    assert [option.opts[0] for option in options if option.opts[0] not in section] == []
