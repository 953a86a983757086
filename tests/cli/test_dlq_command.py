"""`bedrock dlq`: letters are listed, shown, sent again, discarded, counted and exported, without a secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from support.doubles import THROTTLE, failed

from aws_bedrock_inference import DeadLetterQueue, Route
from aws_bedrock_inference.cli import main
from aws_bedrock_inference.raising import error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MODEL = "amazon.nova-lite-v1:0"
PLANTED = ("AKIAIOSFODNN7EXAMPLE", "hunter2 and more", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12", "s3cr3t-session-9")
DENIED = "An error occurred (AccessDeniedException) when calling the Converse operation: User is not authorized"

Run = "Callable[..., tuple[int, str]]"


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[DeadLetterQueue]:
    made = DeadLetterQueue(tmp_path / "dead.db")
    yield made
    made.close()


@pytest.fixture
def dlq(queue: DeadLetterQueue, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.setenv("BEDROCK_DEAD_LETTERS", f"sqlite://{queue.store.place}")

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["dlq", *arguments])
        return result.exit_code, result.output

    return run


def request(text: str = "Why?") -> dict[str, Any]:
    return {
        "modelId": MODEL,
        "messages": [{"role": "user", "content": [{"text": text}]}],
        "inferenceConfig": {"temperature": 0.2},
    }


def throttled() -> Any:
    return error_of(failed(THROTTLE), "converse", Route(MODEL, "us-east-1"))


def fill(queue: DeadLetterQueue, number: int = 3) -> list[str]:
    return [str(queue.store_failed_request(request(f"Why {index}?"), throttled())) for index in range(number)]


def test_a_list_has_a_line_for_each_letter_and_nothing_of_its_content(queue: Any, dlq: Any) -> None:
    kept = fill(queue)
    queue.store_failed_request(request("Secret plan"), DENIED, tags={"team": "search"})
    code, output = dlq("list")
    assert code == 0
    assert all(each in output for each in kept)
    assert "needs a change team=search" in output
    assert "Why" not in output
    assert "Secret plan" not in output
    assert dlq("list", "--tag", "team", "--json")[1].count("\n") == 1
    assert dlq("list", "--cause", "throttled-*", "--in-region", "us-east-1", "--since", "1h")[1].count("\n") == 3
    code, output = dlq("list", "--limit", "3")
    assert "To list them, add: --after dead/" in output
    cursor = output.split()[-1]
    assert dlq("list", "--after", cursor)[1].count("\n") == 1
    code, output = dlq("list", "--since", "yesterday")
    assert (code, "a duration before now" in output) == (2, True)


def test_a_letter_is_shown_with_its_cause_and_what_to_do(queue: Any, dlq: Any) -> None:
    (kept,) = fill(queue, 1)
    code, output = dlq("show", kept)
    assert code == 0
    for words in (f"{kept}: dead", "ThrottlingException", "do  ", '"temperature": 0.2', "Why 0?", "us-east-1"):
        assert words in output
    shown = json.loads(dlq("show", kept, "--json")[1])
    assert shown["request"] == request("Why 0?")
    code, output = dlq("show", "none")
    assert (code, "bedrock dlq list" in output) == (2, True)


def test_letters_are_sent_again_and_their_answers_written(queue: Any, dlq: Any, stub: Any, tmp_path: Path) -> None:
    fill(queue)
    queue.store_failed_request(request("Denied"), DENIED)
    to = ("--endpoint-url", stub.url, "--region", "us-east-1")
    code, output = dlq("redrive", *to, "--dry-run")
    assert (code, stub.prompts) == (0, [])
    assert "3 would be sent, 0 failed again, 1 refused" in output
    code, output = dlq("redrive", *to, "--limit", "1", "-o", str(tmp_path / "answers.jsonl"))
    assert (code, stub.prompts) == (0, ["Why 0?"])
    assert json.loads((tmp_path / "answers.jsonl").read_text())["text"] == "Why 0?"
    report = json.loads(dlq("redrive", *to, "--json")[1])
    assert (report["sent"], report["refused"]) == (2, 1)
    code, output = dlq("redrive", *to, "--remedied", "*")
    assert "1 answered" in output
    assert sorted(stub.prompts) == ["Denied", "Why 0?", "Why 1?", "Why 2?"]
    assert dlq("list")[1] == ""


def test_a_letter_chosen_by_id_is_sent_whatever_its_cause(queue: Any, dlq: Any, stub: Any) -> None:
    kept = str(queue.store_failed_request({"prompt": "Denied"}, DENIED))
    to = ("--endpoint-url", stub.url, "--region", "us-east-1", "--default-model", MODEL)
    code, output = dlq("redrive", kept, *to)
    assert (code, stub.prompts) == (0, ["Denied"])
    assert f"{kept} was answered" in output
    stub.script = lambda *_: (400, "ValidationException", "no")
    assert dlq("redrive", kept, *to)[0] == 1
    assert "redrive  " in dlq("show", kept)[1]


def test_letters_chosen_by_id_are_sent_even_if_one_fails(queue: Any, dlq: Any, stub: Any) -> None:
    kept = fill(queue)
    to = ("--endpoint-url", stub.url, "--region", "us-east-1")
    assert dlq("redrive", kept[1], "--dry-run") == (0, f"{kept[1]} would be sent\n")
    assert stub.prompts == []

    usual = stub.script

    def fails_once(*_: Any) -> Any:
        stub.script = usual
        return 400, "ValidationException", "no"

    stub.script = fails_once
    code, output = dlq("redrive", kept[2], kept[0], kept[0], *to)
    assert code == 1
    assert f"{kept[2]} failed: " in output
    assert f"{kept[0]} was answered" in output
    assert stub.prompts == ["Why 2?", "Why 0?"]
    assert {letter.id for letter in queue.letters()} == {kept[1], kept[2]}


@pytest.mark.parametrize("option", [("--limit", "1"), ("--cause", "x"), ("--tag", "x"), ("--force",), ("--wait",)])
def test_letters_are_chosen_by_id_or_by_filters_and_not_by_both(queue: Any, dlq: Any, option: Any) -> None:
    (kept,) = fill(queue, 1)
    code, output = dlq("redrive", kept, *option)
    assert (code, "An ID selects one dead letter, so it cannot be combined" in output) == (2, True)


def test_control_characters_of_a_letter_do_not_reach_the_terminal(queue: Any, dlq: Any) -> None:
    odd = "a\x1b[2J\x9b2J\nb\u202e\ud800"
    kept = queue.store_failed_request({"modelId": odd, "prompt": odd}, odd, {"m": odd}, tags={odd: odd})
    assert len(dlq("list")[1].splitlines()) == 1
    printed = "".join(dlq(*command)[1] for command in (("list",), ("show", kept), ("stats",)))
    assert not set(printed) & set("\x1b\x9b\u202e\ud800")


def test_letters_are_discarded_and_counted(queue: Any, dlq: Any) -> None:
    kept = fill(queue)
    assert dlq("discard", kept[0]) == (0, f"{kept[0]} discarded\n")
    assert dlq("discard", kept[0]) == (0, f"{kept[0]} was discarded before\n")
    _code, output = dlq("stats")
    for words in ("2 dead\n", "1 discarded", "2 dead by cause throttled", f"2 dead by model {MODEL}", "oldest"):
        assert words in output
    assert json.loads(dlq("stats", "--json")[1])["states"] == {"dead": 2, "discarded": 1}
    assert len(dlq("export", "--state", "all")[1].splitlines()) == 3


def test_no_secret_is_listed_shown_or_exported(queue: Any, dlq: Any) -> None:
    key, password, secret, token = PLANTED
    planted = {**request(), "requestMetadata": {"password": password, "note": f"key {key}"}}
    error = RuntimeError(f"aws_secret_access_key={secret} and session_token: {token}")
    kept = queue.store_failed_request(
        planted, error, {"deep": [{"password": password}], "key": key}, tags={"password": password}
    )
    body = json.dumps({"prompt": f"key {key}", "meta": {"password": password}}).encode()
    native = queue.store_failed_request({"modelId": MODEL, "body": body}, f"session_token: {token}")
    printed = "".join(
        dlq(*command)[1]
        for command in (
            ("list",),
            ("list", "--json"),
            ("show", kept),
            ("show", native),
            ("show", kept, "--json"),
            ("export",),
            ("stats",),
            ("redrive", "--dry-run"),
        )
    )
    for each in PLANTED:
        assert each not in printed
    assert "Why?" in printed
    letter = queue.get(kept)
    assert letter.request == planted  # what is sent again is whole


def test_only_the_owner_can_read_the_file_of_letters(queue: Any) -> None:
    fill(queue)
    assert queue.store.path.stat().st_mode & 0o077 == 0


def test_an_unusable_store_is_reported(dlq: Any, tmp_path: Path) -> None:
    for place, code, words in (
        ("dead.db", 2, "may be a file or a DynamoDB table"),
        (f"sqlite://{tmp_path}", 3, "it is a directory"),
        ("sqlite:///nowhere/dead.db", 3, "No such file or directory"),
    ):
        result = dlq("list", "--store", place)
        assert (result[0], words in result[1]) == (code, True)


def test_the_option_create_creates_the_file(dlq: Any, tmp_path: Path) -> None:
    place = f"sqlite://{tmp_path / 'new.db'}"
    code, output = dlq("create", "--store", place)
    assert (code, (tmp_path / "new.db").exists()) == (0, True)
    assert "needs no change" in output
