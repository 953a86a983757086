"""The caller's context: its values, its nesting, and its isolation in threads, tasks and streams."""

from __future__ import annotations

import asyncio
import json
import threading
from contextvars import copy_context
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import FRAMES, REPLY, THROTTLED, fault
from support.client_faces import Asyncio, Blocking, at_once
from support.wire import Wire, answer, stream

from aws_bedrock_inference import (
    AsyncBatchRun,
    BatchRun,
    BedrockError,
    DeadLetter,
    DeadLetterQueue,
    RequestMetadata,
    context,
    load,
    resilient,
    standard,
)
from aws_bedrock_inference.contexts import LONGEST_VALUE, MOST_NAMES, current, texts
from aws_bedrock_inference.listeners import PROCESS
from aws_bedrock_inference.telemetry.labels import Labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SEARCH = (("team", "search"),)


@pytest.fixture(params=[False, True], ids=["heard", "watched"])
def heard(request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """Return all events of the process; attempts have no context."""
    events: list[Any] = []
    stop = PROCESS.add(events.append, attempts=request.param)
    yield events
    stop()


def contexts(heard: list[Any]) -> set[tuple[str, Any]]:
    return {(type(event).__name__, event.context) for event in heard if hasattr(event, "context")}


def test_nested_contexts_are_merged() -> None:
    assert current() == ()
    with context(team="search", turn=1) as outer:
        assert outer == current() == (("team", "search"), ("turn", 1))
        with context(turn=2, user=True):
            assert current() == (("team", "search"), ("turn", 2), ("user", True))
        assert current() == outer
    assert current() == ()


def test_a_context_can_be_entered_again_and_within_itself() -> None:
    search = context(team="search")
    for _ in range(2):
        with search, context(turn=1), search:
            assert current() == (("team", "search"), ("turn", 1))
    assert current() == ()
    assert repr(search) == "context(team='search')"


def test_a_context_ends_with_an_exception() -> None:
    with pytest.raises(KeyError), context(team="search"):
        raise KeyError("x")
    assert current() == ()


def test_functions_can_be_decorated() -> None:
    @context(team="search")
    def count(depth: int) -> list[Any]:
        return [current(), *(count(depth - 1) if depth else [])]

    assert count(2) == [SEARCH] * 3
    assert count.__name__ == "count"
    assert current() == ()


def test_a_decorated_coroutine_has_its_context_while_it_runs() -> None:
    @context(team="search")
    async def ask() -> Any:
        await asyncio.sleep(0)
        return current()

    async def main() -> list[Any]:
        return [*(await asyncio.gather(ask(), ask())), current()]

    assert asyncio.run(main()) == [SEARCH, SEARCH, ()]


def generator() -> Any:
    yield


async def async_generator() -> Any:
    yield


@pytest.mark.parametrize("function", [generator, async_generator])
def test_a_generator_function_cannot_be_decorated_with_a_context(function: Any) -> None:
    with pytest.raises(ValueError, match="is a generator"):
        context(team="search")(function)


def test_a_generator_closed_by_another_thread_ends_no_other_context() -> None:
    def pieces() -> Any:
        with context(team="search"):
            yield current()

    opened = pieces()
    assert copy_context().run(next, opened) == SEARCH
    with context(team="other"):
        opened.close()
        assert current() == (("team", "other"),)


class Team(StrEnum):
    SEARCH = "search"


@pytest.mark.parametrize("value", ["search", "", "Größe 3", 5, -0.5, True, Team.SEARCH, "x" * LONGEST_VALUE, 2**63 - 1])
def test_values_must_be_short_and_simple(value: Any) -> None:
    with context(name=value):
        [(_, kept)] = current()
        assert kept == value
        assert type(kept) in {str, int, float, bool}


@pytest.mark.parametrize(
    "value",
    [None, b"x", [], {}, object(), float("nan"), float("inf"), 10**30, "x" * 257, "a\nb", "\ud83d", "a\x1b[1m", 1j],
)
def test_invalid_values_are_refused_and_not_shown(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^context\(team=") as refused:
        context(team=value)
    assert str(value)[:20] not in str(refused.value) or isinstance(value, (int, float, type(None)))


@pytest.mark.parametrize("name", ["", "a b", "ä", "9", "x" * 65, "a\n", "{}"])
def test_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid name"):
        context(**{name: 1})


def test_the_number_of_names_is_bounded_over_all_contexts() -> None:
    with pytest.raises(ValueError, match="17 names"):
        context(**{f"n{n}": n for n in range(MOST_NAMES + 1)})
    with context(**{f"n{n}": n for n in range(MOST_NAMES)}) as full:
        with pytest.raises(ValueError, match="17 names"), context(one_more=1):
            pass
        assert current() == full
        with context(n0="again"):
            assert len(current()) == MOST_NAMES


def test_labels_of_metrics_are_bounded() -> None:
    labels = Labels(names=2, values=2)
    assert labels.of((("a", True), ("b", 1), ("c", 1))) == {"a": "true", "b": "1"}
    assert labels.of((("b", 2),)) == {"b": "2"}
    assert labels.of((("b", 3), ("a", False))) == {"b": "other", "a": "false"}
    assert labels.of((("b", 1),)) == {"b": "1"}
    assert texts((("x", 0.5),)) == {"x": "0.5"}


def test_a_call_has_the_context_in_which_it_starts(face: Any, heard: list[Any]) -> None:
    with Wire(THROTTLED, answer(REPLY), answer(REPLY)) as wire:
        client = face.open(wire.url)
        face.get(context(team="search")(client.invoke)("Why?"))
        assert {names for _, names in contexts(heard)} == {SEARCH}
        assert {"RetryScheduled", "CallEnded"} <= {name for name, _ in contexts(heard)}
        heard.clear()
        face.get(client.invoke("Why?"))
    assert {names for _, names in contexts(heard)} == {()}


def test_a_stream_has_its_context_wherever_it_is_read(face: Any, heard: list[Any]) -> None:
    with Wire(fault(503, "ServiceUnavailableException"), stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        with context(team="search"):
            opened = client.invoke_stream("Why?")
        with context(team="reader"):
            assert "".join(face.items(opened))
    assert {names for _, names in contexts(heard)} == {SEARCH}
    assert {"RetryScheduled", "CallEnded"} <= {name for name, _ in contexts(heard)}


def test_a_stream_read_by_another_thread_has_its_context(heard: list[Any]) -> None:
    face = Blocking()
    with Wire(stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        with context(team="search"):
            opened = client.invoke_stream("Why?")
        reader = threading.Thread(target=lambda: "".join(opened))
        reader.start()
        reader.join()
    face.end()
    assert {names for _, names in contexts(heard)} == {SEARCH}


def test_a_dropped_stream_has_its_context_at_its_end(heard: list[Any]) -> None:
    ended = threading.Event()
    stop = PROCESS.add(lambda event: ended.set() if type(event).__name__ == "CallEnded" else None)
    face = Blocking()
    with Wire(stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        with context(team="search"):
            opened = client.invoke_stream("Why?")
            next(iter(opened))
        del opened
        assert ended.wait(10)
    stop()
    face.end()
    assert ("CallEnded", SEARCH) in contexts(heard)


def test_contexts_of_tasks_are_separate(heard: list[Any]) -> None:
    face = Asyncio()
    with Wire(*[answer(REPLY)] * 6) as wire:
        client = face.open(wire.url)

        async def ask(number: int) -> None:
            with context(number=number):
                await asyncio.sleep(0)
                await client.invoke("Why?")

        async def main() -> None:
            await asyncio.gather(*map(ask, range(6)))

        face.get(main())
    face.end()
    ended = [event.context for event in heard if type(event).__name__ == "CallEnded"]
    assert sorted(ended) == [(("number", number),) for number in range(6)]


def test_wrapped_functions_have_the_context(heard: list[Any]) -> None:
    @resilient
    def ask() -> str:
        return "answer"

    with context(team="search"):
        ask()
    assert {names for _, names in contexts(heard)} == {SEARCH}


def records(path: Path) -> tuple[str, str]:
    source = path / "in.jsonl"
    source.write_text("".join(json.dumps({"id": str(n), "prompt": "Why?"}) + "\n" for n in range(4)))
    return str(source), str(path / "out.jsonl")


def test_the_workers_of_a_batch_run_have_the_context_of_its_caller(tmp_path: Path, heard: list[Any]) -> None:
    face = Blocking()
    with Wire(*[answer(REPLY)] * 4) as wire:
        client = face.open(wire.url)
        made = BatchRun(*records(tmp_path), client=client, concurrency=2)
        with context(team="search"), made as run:
            pass_on = [*run]
    face.end()
    assert len(pass_on) == 4
    assert [names for name, names in sorted(contexts(heard)) if name == "CallEnded"] == [SEARCH]


def test_the_workers_of_an_asyncio_batch_run_have_the_context_of_its_caller(tmp_path: Path, heard: list[Any]) -> None:
    face = Asyncio()
    with Wire(*[answer(REPLY)] * 4) as wire:
        client = face.open(wire.url)

        async def main() -> int:
            with context(team="search"):
                async with AsyncBatchRun(*records(tmp_path), client=client) as run:
                    return len([each async for each in run])

        assert face.get(main()) == 4
    face.end()
    assert [names for name, names in sorted(contexts(heard)) if name == "CallEnded"] == [SEARCH]


def test_dead_letters_have_the_context_as_tags(face: Any, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/dead.db"
    keeping = DeadLetter(store, tags={"team": "of the policy"})
    with Wire(fault(400, "ValidationException", "no")) as wire, context(team="search", turn=3, live=True):
        with pytest.raises(BedrockError) as failed:
            face.get(face.open(wire.url, pipeline=standard(dead_letters=keeping)).invoke("Why?"))
        queue = DeadLetterQueue(store)
        queue.store_failed_request({"prompt": "Why?"}, failed.value)
    kept, by_policy = queue.get_failed_requests()
    assert kept.summary.tags == {"team": "search", "turn": "3", "live": "true"}
    assert by_policy.summary.tags == {"team": "of the policy", "turn": "3", "live": "true"}
    queue.close()
    keeping.close()


MANY = {f"n{n}": "" for n in range(15)}


MANY = {f"n{n}": "" for n in range(15)}


def asked(wire: Wire) -> list[Any]:
    return [json.loads(request.body).get("requestMetadata") for request in wire.received]


@pytest.mark.parametrize(
    ("policy", "own", "sent"),
    [
        (None, None, None),
        (RequestMetadata(), None, {"team": "Gr__e _3_", "turn": "3"}),
        (RequestMetadata("turn", "other"), None, {"turn": "3"}),
        (RequestMetadata("other"), None, None),
        (RequestMetadata(), {"team": "own"}, {"team": "own", "turn": "3"}),
        (RequestMetadata(), MANY, {**MANY, "team": "Gr__e _3_"}),
    ],
)
def test_the_context_is_sent_to_the_service_on_request(face: Any, policy: Any, own: Any, sent: Any) -> None:
    policies = at_once() if policy is None else type(at_once())(policy, *at_once().policies)
    more: dict[str, Any] = {"requestMetadata": own} if own else {}
    with Wire(answer(REPLY)) as wire, context(team="Größe (3)", turn=3):
        face.get(face.open(wire.url, pipeline=policies).invoke("Why?", **more))
        assert asked(wire) == [sent]


def test_standard_accepts_the_context_policy() -> None:
    policy = RequestMetadata("team")
    assert standard(request_metadata=policy).policies[0] is policy
    wrong: list[Callable[[], Any]] = [
        lambda: standard(request_metadata=True),  # type: ignore[arg-type]  # a refused value
        lambda: RequestMetadata(5),  # type: ignore[arg-type]  # the same
        lambda: RequestMetadata(""),
    ]
    for make in wrong:
        with pytest.raises(ValueError, match="RequestMetadata"):
            make()


@pytest.mark.parametrize(("written", "names"), [('["team"]', ("team",)), ("[]", ())])
def test_a_policies_file_can_set_the_context_policy(written: str, names: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "bedrock.toml"
    file.write_text(f"request_metadata = {written}\n")
    assert repr(load(file).policies[0]) == repr(RequestMetadata(*names))
    file.write_text("request_metadata = true\n")
    with pytest.raises(ValueError, match="set a list of the names"):
        load(file)


def test_a_redrive_has_the_context_of_its_caller(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Client:
        def invoke(self, **_: Any) -> dict[str, Any]:
            seen.append(current())
            return REPLY

    queue = DeadLetterQueue(f"sqlite:///{tmp_path}/dead.db")
    for _ in range(2):
        queue.store_failed_request({"prompt": "Why?"}, "It went wrong")
    with context(team="search"):
        assert queue.redrive(client=Client(), force=True).sent == 2
    assert seen == [SEARCH] * 2
    queue.close()
