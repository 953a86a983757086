"""Redrives: each letter is sent by one process at a time, refused if it first needs a change, and its end recorded."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import THROTTLE, failed

from aws_bedrock_inference import AsyncBedrockClient, DeadLetterQueue, Route
from aws_bedrock_inference.clock import wall
from aws_bedrock_inference.deadletters.claims import LEASE, claim
from aws_bedrock_inference.deadletters.filters import Wanted
from aws_bedrock_inference.deadletters.redrive import MOST_FAILURES, Redrive
from aws_bedrock_inference.deadletters.sending import being_sent
from aws_bedrock_inference.deadletters.sqlite import SqliteLetters
from aws_bedrock_inference.policies.refusals import budget_exhausted, circuit_open, client_closed, too_large
from aws_bedrock_inference.raising import error_of
from aws_bedrock_inference.stores.request import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.doubles import World

    from aws_bedrock_inference.deadletters.letter import Letter

SLOW = "An error occurred (ThrottlingException) when calling the Converse operation: Too many requests"
DENIED = "An error occurred (AccessDeniedException) when calling the Converse operation: User is not authorized"


class Client:
    """A client with scripted answers, which records its requests."""

    def __init__(self, answers: Callable[[Any], Any] = lambda prompt: {"output": prompt}) -> None:
        self.answers = answers
        self.asked: list[Any] = []
        self.lock = threading.Lock()

    def invoke(
        self, prompt: Any = None, *, timeout: float | None = None, tenant: str | None = None, **more: Any
    ) -> Any:
        with self.lock:
            self.asked.append(prompt)
            self.timeout, self.tenant, self.more, self.letter = timeout, tenant, more, being_sent.get()
        return self.answers(prompt)


def fill(queue: DeadLetterQueue, number: int, error: Any = SLOW) -> list[str]:
    return [str(queue.store_failed_request({"prompt": f"{index}"}, error)) for index in range(number)]


def refuse(_: Any) -> Any:
    raise error_of(failed(THROTTLE), "converse", Route("m", "us-east-1"))


def test_every_dead_letter_is_sent_once_and_its_answer_is_stored(queue: DeadLetterQueue) -> None:
    kept, client, given = fill(queue, 12), Client(), []
    report = queue.redrive(client, on_answer=lambda letter, answer: given.append((letter["request"]["prompt"], answer)))
    assert (report.sent, report.failed, report.refused, report.leased, report.stopped) == (12, 0, 0, 0, "")
    assert sorted(client.asked) == sorted(str(number) for number in range(12))
    assert sorted(given) == sorted((str(number), {"output": str(number)}) for number in range(12))
    letter = queue.get(kept[3])
    assert letter is not None
    assert (letter.state, letter.answer, letter["retry_result"]) == ("redriven", {"output": "3"}, "success")
    assert not letter.summary.sent_twice
    assert queue.redrive(client).sent == 0
    assert client.timeout == LEASE * 0.9
    assert client.letter in kept


def test_a_letter_that_fails_again_is_dead_with_its_new_cause(queue: DeadLetterQueue) -> None:
    (kept,) = fill(queue, 1, "An error occurred (InternalServerException) when calling the Converse operation: oops")
    before = queue.get(kept)
    assert before is not None
    report = queue.redrive(Client(refuse))
    assert (report.sent, report.failed) == (0, 1)
    letter = queue.get(kept)
    assert letter is not None
    assert (letter.state, letter.cause, letter["retry_result"]) == ("dead", THROTTLE.cause, "failed")
    assert letter.summary.attempts == before.summary.attempts + 1
    assert "ThrottlingException" in letter.summary.history[0].error


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (circuit_open("m", 5.0), "throttled-requests-per-minute"),
        (budget_exhausted(2.0, 1.0), "throttled-requests-per-minute"),
        (client_closed(), "throttled-requests-per-minute"),
        (too_large(5000, 100), "request-larger-than-quota"),
    ],
    ids=["circuit", "budget", "closed", "large"],
)
def test_a_letter_that_the_client_refused_to_send_keeps_its_cause(
    queue: DeadLetterQueue, fault: Any, cause: str
) -> None:
    (kept,) = fill(queue, 1)

    def refused(_: Any) -> Any:
        raise error_of(failed(fault), "converse", Route("m", "us-east-1"))

    assert queue.redrive(Client(refused)).failed == 1
    letter = queue.get(kept)
    assert letter is not None
    assert (letter.state, letter.cause, letter.summary.history[0].result) == ("dead", cause, "failed")


def test_a_letter_that_needs_a_change_is_refused_unless_forced(queue: DeadLetterQueue) -> None:
    fill(queue, 2)
    denied = fill(queue, 2, DENIED)
    client = Client()
    dry = queue.redrive(client, dry_run=True)
    assert (dry.sent, dry.refused, client.asked) == (2, 2, [])
    report = queue.redrive(client)
    assert (report.sent, report.refused) == (2, 2)
    assert {each.id for each in report.results if each.result == "refused"} == {*denied}
    letter = queue.get(denied[0])
    assert letter is not None
    assert letter.state == "dead"
    assert queue.redrive(client, remedied="throttled-*").sent == 0
    assert queue.redrive(client, remedied=[letter.cause], limit=1).sent == 1
    assert queue.redrive(client, force=True).sent == 1


def test_a_letter_of_another_region_is_not_sent(queue: DeadLetterQueue) -> None:
    queue.store_failed_request({"prompt": "x"}, error_of(failed(THROTTLE), "converse", Route("m", "eu-central-1")))
    client: Any = Client()
    client.region_name = "us-east-1"
    report = queue.redrive(client)
    assert (report.refused, client.asked) == (1, [])
    assert "failed in eu-central-1, but the client calls us-east-1" in report.results[0].reason
    client.region_name = "eu-central-1"
    assert queue.redrive(client).sent == 1


def test_the_region_of_a_boto3_client_is_checked_too(queue: DeadLetterQueue) -> None:
    error = error_of(failed(THROTTLE), "converse", Route("m", "eu-west-1"))
    queue.store_failed_request({"modelId": "m", "messages": []}, error)

    class Boto3:
        class meta:  # noqa: N801 - boto3's name
            region_name = "us-east-1"

        def converse(self, **request: Any) -> Any:
            return {"asked": request}

    report = queue.redrive(Boto3())
    assert (report.refused, report.results[0].reason) == (1, "it failed in eu-west-1, but the client calls us-east-1")


def test_a_limit_and_filters_bound_a_redrive(queue: DeadLetterQueue, world: World) -> None:
    fill(queue, 10)
    world.now += 1
    queue.store_failed_request({"prompt": "tagged"}, SLOW, tags={"team": "b"})
    client = Client()
    assert queue.redrive(client, limit=3).sent == 3
    assert queue.redrive(client, tag="team=b").sent == 1
    assert client.asked[-1] == "tagged"
    assert queue.stats().states == {"dead": 7, "redriven": 4}
    for wrong in ({"limit": 0}, {"concurrency": 1.5}, {"lease": 0}, {"cause": ""}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            queue.redrive(client, **wrong)


def test_a_redrive_stops_when_every_letter_fails(queue: DeadLetterQueue) -> None:
    fill(queue, MOST_FAILURES + 20)
    client = Client(refuse)
    report = queue.redrive(client, concurrency=2)
    assert f"{MOST_FAILURES} dead letters in a row failed again" in report.stopped
    assert MOST_FAILURES <= report.failed <= MOST_FAILURES + 2
    assert queue.stats().states == {"dead": MOST_FAILURES + 20}


def test_a_letter_in_flight_is_skipped_until_the_lease_of_a_killed_redrive_expires(
    stored: Callable[[], Any], world: World
) -> None:
    queue, other = DeadLetterQueue(stored()), DeadLetterQueue(stored())
    (kept,) = fill(queue, 1)
    letter = queue.get(kept)
    assert letter is not None
    assert claim(queue, letter.summary, "killed", 60.0) is not None
    client = Client()
    assert (other.redrive(client).leased, client.asked) == (1, [])
    with pytest.raises(ValueError, match="claimed by another redrive"):
        other.retry_request(kept, client)
    with pytest.raises(ValueError, match="claimed by a redrive"):
        other.discard(kept)
    world.now += 60
    report = other.redrive(client)
    assert (report.sent, report.leased, client.asked) == (1, 0, ["0"])
    letter = other.get(kept)
    assert letter is not None
    assert [entry.result for entry in letter.summary.history] == ["unknown", "success"]
    assert letter.summary.sent_twice
    assert other.stats().sent_twice == 1


KILLED = """
import os, sys, threading
from pathlib import Path
from aws_bedrock_inference import DeadLetterQueue

class Stuck:
    def invoke(self, prompt):
        os.write(1, f"{prompt}\\n".encode())
        threading.Event().wait()

DeadLetterQueue(Path(sys.argv[1])).redrive(Stuck(), concurrency=2)
"""


def test_letters_in_flight_in_a_killed_process_are_sent_again_and_marked(tmp_path: Path) -> None:
    path, later = tmp_path / "dead.db", [0.0]
    store = SqliteLetters(path, lambda: wall() + later[0])
    queue = DeadLetterQueue(store)
    fill(queue, 6)
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:  # noqa: S603 - written above
        assert killed.stdout is not None
        in_flight = sorted(killed.stdout.readline().strip() for _ in range(2))
        killed.kill()
    client = Client()
    report = queue.redrive(client)
    assert (report.sent, report.leased) == (4, 2)
    assert queue.redrive(client).leased == 2
    later[0] = LEASE
    assert queue.redrive(client).sent == 2
    assert sorted(client.asked) == [str(number) for number in range(6)]
    marked = sorted(letter.request["prompt"] for letter in queue.letters(state="redriven") if letter.summary.sent_twice)
    assert marked == in_flight
    queue.close()


def test_an_abandoned_letter_that_is_refused_is_dead_again(queue: DeadLetterQueue, world: World) -> None:
    (kept,) = fill(queue, 1, DENIED)
    letter = queue.get(kept)
    assert letter is not None
    assert claim(queue, letter.summary, "killed", 60.0) is not None
    assert queue.redrive(Client()).leased == 1
    world.now += 60
    report = queue.redrive(Client())
    assert (report.refused, report.leased) == (1, 0)
    letter = queue.get(kept)
    assert letter is not None
    assert (letter.state, letter.summary.sent_twice) == ("dead", True)


def test_a_waiting_redrive_takes_over_letters_of_a_killed_one(queue: DeadLetterQueue, world: World) -> None:
    (kept,) = fill(queue, 1)
    letter = queue.get(kept)
    assert letter is not None
    assert claim(queue, letter.summary, "killed", 30.0) is not None
    options: Any = {"limit": None, "force": False, "remedied": (), "lease": 30.0, "concurrency": 2, "on_answer": None}
    redrive = Redrive(queue, Client(), Wanted(), sleep=world.sleep, **options)
    assert redrive.run(dry_run=False, wait=True).sent == 1
    assert 30 <= sum(world.sleeps) <= 32


def test_a_redrive_that_lost_its_lease_changes_nothing(queue: DeadLetterQueue, world: World, caplog: Any) -> None:
    fill(queue, 1)

    def slow(prompt: Any) -> Any:
        if len(client.asked) == 1:  # the lease ends meanwhile, and another redrive sends the letter
            queue.redrive(client)
            world.now += LEASE
            assert queue.redrive(client).sent == 1
        return f"answer {len(client.asked)}"

    client = Client(slow)
    report = queue.redrive(client)
    assert (report.sent, len(client.asked)) == (1, 2)
    assert "the lease of the dead letter had expired" in report.results[0].reason
    (letter,) = queue.letters(state="redriven")
    assert letter.summary.sent_twice


def test_two_simultaneous_redrives_send_no_letter_twice(stored: Callable[[], Any]) -> None:
    fill(DeadLetterQueue(stored()), 40)
    client, reports = Client(), []
    redrives = [
        threading.Thread(target=lambda: reports.append(DeadLetterQueue(stored()).redrive(client, concurrency=3)))
        for _ in range(3)
    ]
    for each in redrives:
        each.start()
    for each in redrives:
        each.join()
    assert sorted(client.asked) == sorted(str(number) for number in range(40))
    assert sum(report.sent for report in reports) == 40


def test_a_single_letter_is_sent_whatever_its_cause(queue: DeadLetterQueue) -> None:
    (kept,) = fill(queue, 1, DENIED)
    with pytest.raises(ValueError, match="not found"):
        queue.retry_request("none", Client())
    with pytest.raises(Exception, match="ThrottlingException"):
        queue.retry_request(kept, Client(refuse))
    client = Client()
    assert queue.retry_request(kept, client) == {"output": "0"}
    assert client.timeout is None
    assert queue.retry_request(kept, client) == {"output": "0"}  # again, because somebody said so
    with pytest.raises(KeyboardInterrupt):
        queue.retry_request(kept, Client(interrupt))
    letter = queue.get(kept)
    assert letter is not None
    assert letter.state == "redriven"
    assert letter.summary.sent_twice


def interrupt(_: Any) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("own", "given"), [(5, 5), (50_000, 54.0), (None, 54.0)])
def test_no_call_outlasts_its_lease(queue: DeadLetterQueue, own: Any, given: float) -> None:
    queue.store_failed_request({"prompt": "0", "timeout": own}, SLOW)
    client = Client()
    assert queue.redrive(client, lease=60.0).sent == 1
    assert client.timeout == given


def test_a_program_that_exits_during_a_call_leaves_no_letter_claimed(queue: DeadLetterQueue) -> None:
    (kept,) = fill(queue, 1)

    def leave(_: Any) -> Any:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        queue.redrive(Client(leave))
    letter = queue.get(kept)
    assert letter is not None
    assert (letter.state, letter.summary.sent_twice) == ("dead", True)


@pytest.mark.parametrize("request_data", ["a text", None, {"body": iter([b"x"])}])
def test_an_incomplete_request_is_not_sent(queue: DeadLetterQueue, request_data: Any) -> None:
    kept = str(queue.store_failed_request(request_data, SLOW))
    client = Client()
    report = queue.redrive(client, force=True)
    assert (report.refused, client.asked) == (1, [])
    with pytest.raises(ValueError, match=r"cannot be sent: (its request is|a part of its request)"):
        queue.retry_request(kept, client)


def test_a_redacted_request_is_sent_only_by_force(stored: Callable[[], Any]) -> None:
    queue = DeadLetterQueue(stored(), redact=lambda request: {**request, "prompt": "***"})
    kept = str(queue.store_failed_request({"prompt": "my name"}, SLOW))
    letter = queue.get(kept)
    assert letter is not None
    assert letter.request == {"prompt": "***"}
    client = Client()
    assert queue.redrive(client).refused == 1
    assert queue.redrive(client, force=True).sent == 1


def test_sealed_letters_are_redriven_only_with_the_key(stored: Callable[[], Any]) -> None:
    def turned(content: bytes) -> bytes:
        return bytes(byte ^ 0x55 for byte in content)

    sealed = DeadLetterQueue(stored(), seal=(turned, turned))
    fill(sealed, 1)
    without = DeadLetterQueue(stored()).redrive(Client())
    assert without.refused == 1
    assert "the dead letter is sealed" in without.results[0].reason
    assert sealed.redrive(Client()).sent == 1
    fill(DeadLetterQueue(stored()), 1)  # one that is not sealed, and stays so
    assert sealed.redrive(Client()).sent == 1
    assert [letter.answer for letter in sealed.letters(state="redriven")] == [{"output": "0"}] * 2
    assert [letter.summary.sealed for letter in sealed.letters(state="redriven")].count(True) == 1


def test_a_store_that_fails_after_an_answer_is_reported_and_not_hidden(
    queue: DeadLetterQueue, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    (kept,) = fill(queue, 1)
    update = queue.store.update

    def failing(summary: Any, version: int, answer: Any = None) -> bool:
        if summary.state == "redriven":
            raise StoreUnavailable("the disk is full")
        return update(summary, version, answer)

    monkeypatch.setattr(queue.store, "update", failing)
    monkeypatch.setattr("aws_bedrock_inference.deadletters.claims.PAUSES", ())
    given: list[Letter] = []
    report = queue.redrive(Client(), on_answer=lambda letter, _: given.append(letter))
    assert (report.sent, report.results[0].reason, given[0].id) == (1, "the disk is full", kept)
    assert "could not be recorded" in caplog.text


def test_a_letter_is_completed_even_if_its_answer_cannot_be_stored(
    queue: DeadLetterQueue, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    (kept,) = fill(queue, 1)
    update = queue.store.update

    def without_room(summary: Any, version: int, answer: Any = None) -> bool:
        if answer is not None:
            raise StoreUnavailable("the disk is full")
        return update(summary, version)

    monkeypatch.setattr(queue.store, "update", without_room)
    monkeypatch.setattr("aws_bedrock_inference.deadletters.claims.PAUSES", ())
    assert queue.redrive(Client()).sent == 1
    letter = queue.get(kept)
    assert letter is not None
    assert (letter.state, letter.answer) == ("redriven", None)
    assert f"dead letter {kept} was sent, but its answer was not stored: the disk is full" in caplog.text


def test_an_exception_of_on_answer_is_logged(queue: DeadLetterQueue, caplog: Any) -> None:
    fill(queue, 1)
    assert queue.redrive(Client(), on_answer=lambda *_: 1 / 0).sent == 1
    assert "on_answer failed" in caplog.text


def test_an_asyncio_client_is_refused(queue: DeadLetterQueue) -> None:
    client: Any = AsyncBedrockClient.__new__(AsyncBedrockClient)
    (kept,) = fill(queue, 1)
    for send in (queue.redrive, lambda client: queue.retry_request(kept, client)):
        with pytest.raises(ValueError, match="not an asynchronous client"):
            send(client)

    async def later() -> Any:
        raise AssertionError("it is never run")

    with pytest.raises(ValueError, match="not an asynchronous client"):  # of a client that hides it
        queue.retry_request(kept, Client(lambda _: later()))
    letter = queue.get(kept)
    assert letter is not None
    assert (letter.state, letter.answer) == ("dead", None)


def test_a_transient_failure_of_the_store_is_retried(
    queue: DeadLetterQueue, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(queue, 3)
    troubles = {"page": 2, "get": 1, "update": 3}

    def troubled(name: str) -> Any:
        ask = getattr(queue.store, name)

        def asked(*given: Any, **named: Any) -> Any:
            troubles[name] -= 1
            if troubles[name] >= 0:
                raise StoreUnavailable("slow down")
            return ask(*given, **named)

        return asked

    monkeypatch.setattr("aws_bedrock_inference.clock.sleep", world.sleep)
    for name in troubles:
        monkeypatch.setattr(queue.store, name, troubled(name))
    client = Client()
    assert queue.redrive(client, concurrency=1).sent == 3
    assert sorted(client.asked) == ["0", "1", "2"]
    assert sorted(world.sleeps) == [0.5, 0.5, 0.5, 1.0, 1.0, 2.0]


def test_a_store_that_becomes_unreachable_stops_the_redrive_and_sent_letters_are_reported(
    queue: DeadLetterQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(queue, 5)
    monkeypatch.setattr("aws_bedrock_inference.deadletters.claims.PAUSES", ())
    get, client = queue.store.get, Client()

    def gone(id: str) -> Any:  # noqa: A002 - its name there
        if len(client.asked) == 2:
            raise StoreUnavailable("the table is not there any more")
        return get(id)

    monkeypatch.setattr(queue.store, "get", gone)
    report = queue.redrive(client, concurrency=1)
    assert (report.sent, report.stopped) == (2, "the table is not there any more")
