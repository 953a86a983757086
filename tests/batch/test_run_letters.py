"""The dead letters of a run's failures: their causes, their number, and a store that fails."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference import DeadLetter
from aws_bedrock_inference.batch.answers import error_line, unexpected
from aws_bedrock_inference.batch.ending import Ending
from aws_bedrock_inference.batch.fates import Fate, State
from aws_bedrock_inference.batch.job import Job
from aws_bedrock_inference.batch.journal import Journal
from aws_bedrock_inference.batch.letters import Kept, keep_letters
from aws_bedrock_inference.batch.schema import DoesNotFit
from aws_bedrock_inference.batch.spooled import Spooled
from aws_bedrock_inference.fault import Category, Decision
from aws_bedrock_inference.knowledge.classify import unanswered
from aws_bedrock_inference.policies.refusals import too_close
from aws_bedrock_inference.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from aws_bedrock_inference.fault import Fault

MODEL = "us.amazon.nova-lite-v1:0"
TOLD = unanswered(None, code="MalformedResponse", message="the answer cannot be read")


class Store:
    """A store that counts letters, and fails after `most` of them."""

    place = "a store of a test"
    limit = 1.0

    def __init__(self, most: float = float("inf")) -> None:
        self.most = most
        self.records: list[Any] = []
        self.calls = 0

    def put(self, record: Any) -> None:
        self.calls += 1
        if len(self.records) >= self.most:
            raise StoreUnavailable("a store of a test: the disk is full.")
        self.records.append(record._replace(content=b""))

    def get(self, id: str) -> Any:  # noqa: A002 - its name in the protocol
        return next((record for record in self.records if record.summary.id == id), None)

    def page(self, state: str, wanted: Any, limit: int, after: Any, **_: Any) -> Any:
        found = [each for each in self.records if each.summary.state == state and wanted.fits(each.summary)]
        return type("Page", (), {"records": found, "after": None})

    def update(self, summary: Any, version: int, answer: Any = None) -> bool:
        place = next(number for number, each in enumerate(self.records) if each.summary.id == summary.id)
        self.records[place] = self.records[place]._replace(summary=summary)
        return True

    def has_lapsed(self, summary: Any) -> bool:
        return False

    def now(self) -> float:
        return 1_000.0

    def create(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "out.jsonl.journal") as made:
        yield made


@pytest.fixture
def keep(journal: Journal, tmp_path: Path) -> Callable[..., tuple[Kept | None, list[str]]]:
    job = Job(source=tmp_path / "in.jsonl", output=tmp_path / "out.jsonl", model=MODEL)

    def end(store: Any, ending: Ending = Ending()) -> tuple[Kept | None, list[str]]:  # noqa: B008 - it is frozen
        said: list[str] = []
        return keep_letters(DeadLetter(store), job, journal, ending, region="us-east-1", say=said.append), said

    return end


def fail(journal: Journal, number: int, fault: Fault = TOLD, text: str = "Hi") -> None:
    records = [
        Spooled(f"p{each}", b"", json.dumps({"id": f"p{each}", "prompt": text}))
        for each in range(journal.size, journal.size + number)
    ]
    journal.spool(records, "keep")
    claimed = journal.turn([], number)
    journal.turn([Fate(each, State.FAILED, json.dumps(error_line(fault, 1))) for each, _ in claimed], 0)


@pytest.mark.parametrize(
    "fault", [TOLD, unexpected(KeyError("x")), too_close("the deadline passed"), DoesNotFit("no member", "{}").fault]
)
def test_a_letter_has_the_cause_and_the_decision_of_the_failure(
    journal: Journal, keep: Callable[..., Any], fault: Fault
) -> None:
    fail(journal, 1, fault)
    store = Store()
    keep(store)
    (record,) = store.records
    assert (record.summary.cause, record.summary.code) == (fault.cause, fault.code)
    assert record.summary.decision == fault.decision.value
    assert record.summary.needs_change is (fault.category is not Category.TRANSIENT and fault.decision is Decision.FAIL)


def test_letters_in_a_redrive_are_neither_duplicated_nor_discarded(journal: Journal, keep: Callable[..., Any]) -> None:
    fail(journal, 2)
    store = Store()
    keep(store)
    store.records = [each._replace(summary=replace(each.summary, state="claimed", until=9e9)) for each in store.records]
    assert keep(store) == (Kept(store.place, 2, 0), [])
    journal.turn([Fate(1, State.ANSWERED, "{}\n")], 0)
    assert keep(store) == (Kept(store.place, 1, 0), [])
    assert len(store.records) == 2


@pytest.mark.parametrize("ending", [Ending(interrupted=True), Ending(fault=TOLD)])
def test_a_resumed_run_discards_answered_letters_and_adds_none(
    journal: Journal, keep: Callable[..., Any], ending: Ending
) -> None:
    fail(journal, 1)
    store = Store()
    keep(store)
    fail(journal, 1)
    journal.turn([Fate(1, State.ANSWERED, "{}\n")], 0)
    assert keep(store, ending) == (Kept(store.place, 0, 1), [])
    assert [each.summary.state for each in store.records] == ["discarded"]


def test_a_failing_store_is_reported_once_and_not_called_for_each_failure(
    journal: Journal, keep: Callable[..., Any], tmp_path: Path
) -> None:
    fail(journal, 500)
    store = Store(most=3)
    kept, said = keep(store)
    assert kept is None
    failed = tmp_path / "out.jsonl.failed.jsonl"
    assert said == [
        f"Failures were not stored as dead letters: a store of a test: the disk is full. They are in {failed}."
    ]
    assert store.calls < 500
    store.most = 1_000
    assert keep(store) == (Kept(store.place, 500, 0), [])
    assert len(store.records) == 500


def test_failures_are_processed_in_pieces_to_bound_memory(journal: Journal, keep: Callable[..., Any]) -> None:
    class Empty(Store):
        def put(self, record: Any) -> None:
            self.calls += 1

    def peak() -> int:
        tracemalloc.start()
        try:
            keep(Empty())
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    fail(journal, 200, text="x" * 40_000)
    few = peak()
    fail(journal, 400, text="x" * 40_000)
    assert peak() < 1.5 * few
