"""The policy on real clients: a permanent failure is stored, and its exception names the letter and stays the same."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import operator
import sqlite3
from hashlib import shake_256
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import FRAMES, INTERNAL, MESSAGES, REPLY, THROTTLED, chunk, fault
from support.client_faces import MODEL, Asyncio, Blocking
from support.doubles import session
from support.wire import Wire, answer, eventually, stream

from aws_bedrock_inference import (
    BedrockClient,
    BedrockError,
    DeadLetter,
    DeadLetterQueue,
    Degrade,
    Fallback,
    InvalidByService,
    Quota,
    ServerFailed,
    StreamBroken,
    load,
    resilient,
    standard,
)
from aws_bedrock_inference.events import DeadLetterKept, DeadLetterLost
from aws_bedrock_inference.policies.degrade import Degrade as Degraded
from aws_bedrock_inference.stores.request import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUND = {"maxTokens": 30, "temperature": 0.2}
IMAGE = {"image": {"format": "png", "source": {"bytes": b"\x89PNG\x00\xff"}}}
# Text that no compression makes smaller.
NOISE = shake_256(b"Why?").hexdigest(50_000)
TOOLS = [{"toolSpec": {"name": "add", "inputSchema": {"json": {"type": "object", "multipleOf": 0.1}}}}]


@pytest.fixture(params=[Blocking, Asyncio])
def client_face(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = request.param()
    yield made
    made.end()


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[DeadLetter]:
    policy = DeadLetter(f"sqlite://{tmp_path / 'dead.db'}", tags={"team": "search"})
    yield policy
    policy.close()


def kept_in(policy: DeadLetter) -> list[Any]:
    return list(policy.queue.letters())


def once(**options: Any) -> Any:
    return standard(Quota(rpm=600_000), retry="outside", **options)


def test_a_failed_call_is_stored_completely_and_its_exception_names_the_letter(client_face: Any, letters: Any) -> None:
    events: list[Any] = []
    messages = [{"role": "user", "content": [{"text": "What is it?"}, IMAGE]}]
    with Wire(INTERNAL, answer(REPLY)) as wire:
        client = client_face.open(wire.url, pipeline=once(dead_letters=letters))
        client.listen(events.append)
        with pytest.raises(ServerFailed) as raised:
            client_face.get(
                client.invoke(
                    messages=messages, max_tokens=30, temperature=0.2, tools=TOOLS, requestMetadata={"job": "7"}
                )
            )
        (letter,) = kept_in(letters)
        assert raised.value.letter_id == letter.id
        assert letter.request["messages"] == messages
        assert letter.request["inferenceConfig"] == ROUND
        assert letter.request["toolConfig"] == {"tools": TOOLS}
        assert letter.summary.tags == {"team": "search", "job": "7"}
        assert letter["error"] == str(raised.value)
        assert [event.letter_id for event in events if isinstance(event, DeadLetterKept)] == [letter.id]
        first = json.loads(wire.received[0].body)
        with BedrockClient(MODEL, session=session(), endpoint_url=wire.url) as other:
            assert letters.queue.redrive(other).sent == 1
        assert json.loads(wire.received[1].body) == first
    (letter,) = letters.queue.letters(state="redriven")
    assert letter.answer["output"] == REPLY["output"]


def test_a_call_that_succeeds_in_the_end_leaves_no_letter(client_face: Any, letters: Any) -> None:
    with Wire(THROTTLED, answer(REPLY)) as wire:
        client = client_face.open(wire.url, pipeline=standard(Quota(rpm=600_000), dead_letters=letters))
        assert client_face.get(client.invoke("Why?", max_tokens=30)).made.letter_id is None
    assert kept_in(letters) == []


def test_a_broken_stream_is_stored_with_the_received_text(client_face: Any, letters: Any) -> None:
    with Wire(("cut", stream(*FRAMES[:2], end=False)), stream(*FRAMES)) as wire:
        client = client_face.open(wire.url, pipeline=once(dead_letters=letters))
        pieces = client_face.get(client.invoke_stream("Why?", max_tokens=30))
        with pytest.raises(StreamBroken) as raised:
            list(client_face.items(pieces))
        (letter,) = kept_in(letters)
        assert raised.value.letter_id == letter.id
        assert letter.received == raised.value.received == "Because "
        assert letter.content.operation == "converse_stream"
        with BedrockClient(MODEL, session=session(), endpoint_url=wire.url) as other:
            reply = letters.queue.retry_request(letter.id, other)
        assert reply.text == "Because of Rayleigh."
        assert wire.received[1].target.endswith("/converse-stream")


@pytest.mark.parametrize("body", [b'{"prompt": "Why?", "temperature": 0.2}', "text", bytearray(b'{"a": 0.1}')])
def test_native_calls_are_stored_with_their_bodies(client_face: Any, letters: Any, body: Any) -> None:
    with Wire(INTERNAL, answer(b'{"completion": "Because."}')) as wire:
        client = client_face.open(wire.url, pipeline=once(dead_letters=letters))
        with pytest.raises(ServerFailed):
            client_face.get(client.invoke_model(body=body, contentType="application/json"))
        (letter,) = kept_in(letters)
        assert letter.request == {"modelId": MODEL, "body": body, "contentType": "application/json"}
        with BedrockClient(MODEL, session=session(), endpoint_url=wire.url) as other:
            result = letters.queue.retry_request(letter.id, other)
            assert result["body"].read() == b'{"completion": "Because."}'
        assert wire.received[1].body == wire.received[0].body
        kept = letters.queue.get(letter.id)
        assert kept.answer["body"] == b'{"completion": "Because."}'


def test_a_failed_native_stream_is_stored_too(client_face: Any, letters: Any) -> None:
    with Wire(("cut", stream(chunk({"outputText": "Bec"}), end=False)), answer(b"{}")) as wire:
        client = client_face.open(wire.url, pipeline=once(dead_letters=letters))
        response = client_face.get(client.invoke_model_with_response_stream(body=b"{}"))
        with pytest.raises(StreamBroken):
            list(client_face.items(response["body"]))
    (letter,) = kept_in(letters)
    assert letter.received == "Bec"


def test_a_redrive_that_fails_makes_no_second_letter(letters: Any) -> None:
    with Wire(INTERNAL) as wire:
        client = Blocking().open(wire.url, pipeline=once(dead_letters=letters))
        for _ in range(2):
            with pytest.raises(ServerFailed):
                client.invoke("Why?", max_tokens=30)
        report = letters.queue.redrive(client)
        assert report.failed == 2
        assert letters.queue.stats().states == {"dead": 2}
        one = kept_in(letters)[0]
        with pytest.raises(ServerFailed) as raised:
            letters.queue.retry_request(one.id, client)
        assert raised.value.letter_id == one.id
        assert letters.queue.stats().states == {"dead": 2}
        client.close()


def test_redrives_have_a_lower_priority_than_other_calls(letters: Any) -> None:
    with Wire(INTERNAL, answer(REPLY)) as wire:
        pipeline = once(dead_letters=letters)
        with BedrockClient(MODEL, session=session(), endpoint_url=wire.url, pipeline=pipeline) as client:
            with pytest.raises(ServerFailed):
                client.invoke("Why?", max_tokens=30)
            seen: list[Any] = []
            send = client._send

            def noted(call: Any) -> Any:
                seen.append(call.priority)
                return send(call)

            client._send = noted
            letters.queue.redrive(client)
            client.invoke("Why?", max_tokens=30)
        assert seen[0] > seen[1]


def test_a_call_answered_by_a_substitute_is_a_letter_too(client_face: Any, letters: Any) -> None:
    with Wire(INTERNAL) as wire:
        pipeline = once(dead_letters=letters, degrade=Degrade("Busy."))
        assert [type(policy) for policy in pipeline.policies[:2]] == [Degraded, DeadLetter]
        reply = client_face.get(client_face.open(wire.url, pipeline=pipeline).invoke("Why?", max_tokens=30))
    assert reply.text == "Busy."
    assert [letter.id for letter in kept_in(letters)] == [reply.made.letter_id]


def test_a_substitute_does_not_complete_a_redrive(letters: Any) -> None:
    with Wire(INTERNAL) as wire:
        client = Blocking().open(wire.url, pipeline=once(dead_letters=letters, degrade=Degrade("Busy.")))
        kept = client.invoke("Why?", max_tokens=30).made.letter_id
        report = letters.queue.redrive(client)
        assert (report.sent, report.failed) == (0, 1)
        with pytest.raises(ValueError, match="substitute"):
            letters.queue.retry_request(kept, client)
        client.close()
    (letter,) = kept_in(letters)
    assert (letter.id, letter.cause, letter.answer) == (kept, "internal-server-error", None)


def test_a_raised_filtered_answer_is_a_letter_that_needs_a_change(client_face: Any, letters: Any) -> None:
    with Wire(answer({**REPLY, "stopReason": "content_filtered"})) as wire:
        client = client_face.open(wire.url, pipeline=once(dead_letters=letters, filtered="raise"))
        with pytest.raises(InvalidByService):
            client_face.get(client.invoke("Why?", max_tokens=30))
    (letter,) = kept_in(letters)
    assert letter.summary.needs_change
    assert letter.received == "Because of Rayleigh."


def test_an_abandoned_stream_and_a_cancelled_call_leave_no_letter(letters: Any) -> None:
    with Wire(stream(*FRAMES), ("stall", b"")) as wire:
        blocking, awaited = Blocking(), Asyncio()
        pieces = blocking.open(wire.url, pipeline=once(dead_letters=letters)).invoke_stream("Why?", max_tokens=30)
        next(pieces)
        pieces.close()
        client = awaited.open(wire.url, pipeline=once(dead_letters=letters))

        async def cancelled() -> None:
            task = asyncio.create_task(client.invoke("Why?", max_tokens=30))
            await asyncio.to_thread(eventually, lambda: len(wire.received) == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        awaited._runner.run(cancelled())
        blocking.end()
        awaited.end()
    assert kept_in(letters) == []


def test_many_simultaneous_failures_are_all_stored(letters: Any) -> None:
    with Wire(INTERNAL) as wire:
        awaited = Asyncio()
        client = awaited.open(wire.url, pipeline=once(dead_letters=letters))

        async def all_of_them() -> list[Any]:
            return await asyncio.gather(
                *(client.invoke(f"Why {number}?", max_tokens=30) for number in range(200)), return_exceptions=True
            )

        errors = awaited._runner.run(all_of_them())
        awaited.end()
    assert len({error.letter_id for error in errors}) == 200
    assert letters.queue.stats().states == {"dead": 200}


def full(policy: Any, _: Path) -> None:
    with policy.queue.store._file.changing() as database:
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")


def locked(policy: Any, path: Path) -> None:
    policy.queue.store._file._timeout = 0.01
    policy.other = sqlite3.connect(path, isolation_level=None)
    policy.other.execute("BEGIN EXCLUSIVE")


def newer(policy: Any, path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    policy.close()


def foreign(policy: Any, path: Path) -> None:
    policy.close()
    path.write_bytes(b"not a database" * 100)


def broken_seal(policy: Any, _: Path) -> None:
    policy.queue._envelope._seal = (lambda _: 1 / 0, bytes)


def broken_redaction(policy: Any, _: Path) -> None:
    policy.queue._envelope._redact = operator.itemgetter("missing")


def odd(policy: Any, _: Path) -> None:
    policy.queue.store.put = None


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (full, "cannot be used to store dead letters: the disk is full"),
        (locked, "locked by other processes for more than"),
        (newer, "was written by a newer version of this package"),
        (foreign, "is damaged or is not a file of dead letters"),
        (broken_seal, "the first function of seal=(encrypt, decrypt) raised ZeroDivisionError"),
        (broken_redaction, "redact raised KeyError, so no part of the request was stored"),
        (odd, "TypeError"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_failing_store_does_not_change_the_exception(
    client_face: Any, letters: Any, trouble: Any, sentence: str, caplog: Any
) -> None:
    events: list[Any] = []
    trouble(letters, letters.queue.store.path)
    with Wire(fault(400, "ValidationException", "The model does not like this: " + "long " * 2_000)) as wire:
        client = client_face.open(wire.url, pipeline=once(dead_letters=letters))
        client.listen(events.append)
        with caplog.at_level(logging.ERROR), pytest.raises(InvalidByService) as raised:
            client_face.get(client.invoke(NOISE, max_tokens=30))
    assert raised.value.letter_id is None
    (lost,) = (event for event in events if isinstance(event, DeadLetterLost))
    assert sentence in lost.message
    assert "not stored as a dead letter" in caplog.text
    if hasattr(letters, "other"):
        letters.other.close()
    gc.collect()


def test_a_failing_store_does_not_replace_an_exception_that_is_being_handled(tmp_path: Path, caplog: Any) -> None:
    queue = DeadLetterQueue(tmp_path / "dead.db")
    (tmp_path / "dead.db").write_bytes(b"not a database" * 100)

    def work() -> None:
        try:
            operator.itemgetter("missing")({})
        except KeyError as error:
            kept.append(queue.store_failed_request({"prompt": "Why?"}, error))
            raise

    kept: list[Any] = []
    with pytest.raises(KeyError) as raised:
        work()
    assert kept == [None]
    assert "not stored as a dead letter" in raised.value.__notes__[0]
    assert "is damaged or is not a file of dead letters" in caplog.text
    with pytest.raises(StoreUnavailable, match="is damaged"):
        queue.store_failed_request({"prompt": "Why?"}, "no")
    queue.close()


def endless() -> Any:
    made: list[Any] = []
    made.append(made)
    return made


class Broken:
    """A store of a program's own that fails in its own way."""

    place, limit = "mine", 1.0

    def put(self, record: Any) -> None:
        raise RuntimeError(f"hunter2 {record.summary.id}")

    def get(self, _: str) -> None: ...

    def update(self, *_: Any) -> bool:
        return False

    def now(self) -> float:
        return 0.0


def test_no_failure_of_the_store_replaces_the_caller_s_exception(caplog: Any) -> None:
    error = KeyError("mine")
    queue = DeadLetterQueue(Broken())  # type: ignore[arg-type]  # it has the methods that this test needs
    assert queue.store_failed_request({"prompt": "Why?"}, error) is None
    assert error.__notes__ == ["not stored as a dead letter: RuntimeError"]
    assert "hunter2" not in caplog.text
    with pytest.raises(
        ValueError, match="tags=<str>: pass names and texts"
    ):  # the program's own mistake, with no error
        queue.store_failed_request({"prompt": "Why?"}, "no", tags="search")  # type: ignore[arg-type]


@pytest.mark.parametrize("part", [endless(), memoryview(b"abcdef")[::2], "a\ud800"], ids=["endless", "view", "half"])
def test_a_request_of_any_kind_is_stored(letters: Any, part: Any) -> None:
    kept = letters.queue.store_failed_request({"modelId": part, "prompt": part}, "no", {"part": part})
    assert letters.queue.get(kept).state == "dead"


def test_a_guarded_boto3_client_leaves_letters_too(letters: Any) -> None:
    with Wire(INTERNAL, answer(REPLY)) as wire:
        bare = session().client("bedrock-runtime", endpoint_url=wire.url)
        client: Any = resilient(bare, pipeline=once(dead_letters=letters))
        with pytest.raises(Exception, match="InternalServerException") as raised:
            client.converse(modelId=MODEL, messages=MESSAGES)
        (letter,) = kept_in(letters)
        error: Any = raised.value
        assert error.letter_id == letter.id
        assert letter.request["messages"] == MESSAGES
        assert letters.queue.redrive(client).sent == 1
        bare.close()


def test_a_policies_file_can_name_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bedrock.toml").write_text('dead_letters = "sqlite://dead.db"\n')
    assert isinstance(load("bedrock.toml").policies[0], DeadLetter)
    (tmp_path / "bedrock.toml").write_text('[dead_letters]\nstore = "sqlite://dead.db"\ntags = { team = "search" }\n')
    policy: Any = load("bedrock.toml").policies[0]
    assert policy.tags == {"team": "search"}
    policy.close()
    for wrong, sentence in (
        ('dead_letters = "dead.db"', "may be a file or a DynamoDB table"),
        ("dead_letters = 5", "set a table"),
        ("[dead_letters]\nseal = 5", "only Python code can set this option"),
        ("[dead_letters]\ntags = { a = 1 }", "names and texts"),
    ):
        (tmp_path / "bedrock.toml").write_text(wrong)
        with pytest.raises(ValueError, match=sentence):
            load("bedrock.toml")


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("dead.db", "may be a file or a DynamoDB table"),
        ("folder/dead.SQLITE3", "may be a file or a DynamoDB table"),
        ("no table!", "not the name of a DynamoDB table"),
        ("redis://host", "cannot be stored at"),
        ("sqlitte:///x", "'sqlitte'"),
        ("sqlite://", "has no file name"),
        ("dynamodb://t", "not the name of a DynamoDB table"),
        ("dynamodb://table?regoin=x", "no option 'regoin'"),
        ("sqlite:dead.db", "Write sqlite://dead.db or"),
        ("sqlite://:memory:", "would lose its letters at the end of the program"),
        ("postgres://me:hunter2@host/db", "cannot be stored at"),
        ("dynamodb://me:hunter2@host", "'host' is not the name|may be a file"),
        ("dynamodb://me:hunter2@host?x=1", "dynamodb://host has no option"),
        ("me:hunter2@host/dead.db", "may be a file or a DynamoDB table"),
        (5, "pass the name of a DynamoDB table"),
        (DeadLetterQueue, "pass the name of a DynamoDB table"),
    ],
)
def test_an_invalid_store_url_is_refused(named: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as raised:
        DeadLetterQueue(named)
    assert "hunter2" not in str(raised.value)


def test_an_invalid_option_of_the_policy_is_refused(letters: Any) -> None:
    with pytest.raises(ValueError, match="pass a DeadLetter"):
        standard(dead_letters="sqlite://dead.db")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the queue has its own seal"):
        DeadLetter(letters.queue, redact=str)
    assert DeadLetter(letters.queue).queue is letters.queue
    assert issubclass(ServerFailed, BedrockError)


def test_a_letter_lists_all_attempted_routes(client_face: Any, letters: Any) -> None:
    with Wire(INTERNAL) as wire:
        pipeline = once(dead_letters=letters, fallback=Fallback("amazon.nova-pro-v1:0"))
        with pytest.raises(ServerFailed):
            client_face.get(client_face.open(wire.url, pipeline=pipeline).invoke("Why?"))
    (letter,) = kept_in(letters)
    assert letter.content.routes == (f"{MODEL} in us-east-1", "amazon.nova-pro-v1:0 in us-east-1")
