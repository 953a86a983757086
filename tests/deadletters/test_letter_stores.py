"""A file and a table store letters alike: they find, list, filter, change and expire them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from deadletters.conftest import NOON
from support.doubles import World

from aws_bedrock_inference import DeadLetterQueue
from aws_bedrock_inference.deadletters.filters import Wanted, wanted
from aws_bedrock_inference.deadletters.letter import Summary
from aws_bedrock_inference.deadletters.sqlite import SqliteLetters
from aws_bedrock_inference.deadletters.store import KEPT_SECONDS, Place, Record
from aws_bedrock_inference.stores.request import StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def record(number: int, **fields: Any) -> Record:
    summary = Summary(id=f"letter-{number:04}", first=NOON + number, last=NOON + number, **fields)
    return Record(summary, b"content %d" % number)


def ids(page: Any) -> list[str]:
    return [each.summary.id for each in page.records]


def test_a_letter_is_found_by_its_id(stored: Callable[[], Any]) -> None:
    one, other = stored(), stored()
    kept = record(1, tags={"team": "search"}, cause="throttled-rpm", model="m", region="r")
    one.put(kept)
    assert other.get("letter-0001") == kept
    assert other.get("letter-0002") is None


def test_the_next_page_continues_after_the_last_letter(stored: Callable[[], Any]) -> None:
    store = stored()
    for number in range(25):
        store.put(record(number))
    for newest in (True, False):
        place, seen = None, []
        while True:
            page = store.page("dead", Wanted(), 10, place, newest=newest, whole=True)
            seen += page.records
            place = page.after
            if place is None:
                break
        assert seen == [record(number) for number in (reversed(range(25)) if newest else range(25))]
    assert store.page("dead", Wanted(), 3, None, newest=True, whole=False).after == Place(NOON + 22, "letter-0022")
    assert store.page("claimed", Wanted(), 3, None, newest=True, whole=True) == ([], None)


CHOICES: list[tuple[dict[str, Any], list[int]]] = [
    ({"cause": "throttled-*"}, [0, 2]),
    ({"cause": "other"}, [1]),
    ({"model": "amazon.*"}, [0, 1]),
    ({"region": "eu-west-1"}, [2]),
    ({"tag": "team"}, [0, 1]),
    ({"tag": "team=b"}, [1]),
    ({"tag": 'a "quoted" name=1'}, [2]),
    ({"since": NOON + 1}, [1, 2]),
    ({"until": NOON + 1}, [0]),
    ({"since": NOON + 1, "until": NOON + 2}, [1]),
    ({"cause": "throttled-*", "region": "us-east-1"}, [0]),
]


def test_filters_choose_letters(stored: Callable[[], Any]) -> None:
    store = stored()
    store.put(record(0, cause="throttled-rpm", model="amazon.a", region="us-east-1", tags={"team": "a"}))
    store.put(record(1, cause="other", model="amazon.b", region="us-east-1", tags={"team": "b"}))
    store.put(record(2, cause="throttled-tpm", model="meta.c", region="eu-west-1", tags={'a "quoted" name': "1"}))
    for choice, numbers in CHOICES:
        page = store.page("dead", wanted(store.now, **choice), 10, None, newest=False, whole=True)
        assert (choice, ids(page)) == (choice, [f"letter-{number:04}" for number in numbers])


def test_a_change_is_refused_if_the_letter_changed_meanwhile(stored: Callable[[], Any]) -> None:
    one, other = stored(), stored()
    one.put(record(1))
    summary = record(1).summary
    first = replace(summary, state="claimed", version=2, owner="one")
    assert one.update(first, 1)
    assert not other.update(replace(summary, state="discarded", version=2, owner="other"), 1)
    assert other.get(summary.id).summary == first
    assert other.page("dead", Wanted(), 9, None, newest=True, whole=True).records == []
    assert ids(other.page("claimed", Wanted(), 9, None, newest=True, whole=True)) == [summary.id]
    assert one.update(replace(first, state="redriven", version=3), 2, b"answer")
    kept = other.get(summary.id)
    assert (kept.answer, kept.content) == (b"answer", b"content 1")
    assert not one.update(replace(record(9).summary, version=2), 1)


def test_a_claim_ends_when_its_lease_expires(stored: Callable[[], Any], world: World) -> None:
    one, other = stored(), stored()
    one.put(record(1))
    claimed = replace(record(1).summary, state="claimed", version=2, lease=60.0, until=NOON + 60)
    assert one.update(claimed, 1)
    assert not other.has_lapsed(claimed)
    world.now += 59
    assert not other.has_lapsed(claimed)
    world.now += 1
    assert other.has_lapsed(claimed)
    renewed = replace(claimed, version=3, until=world.now + 60)
    assert one.update(renewed, 2)
    assert not other.has_lapsed(renewed)


def test_a_clock_that_was_set_back_locks_no_letter_permanently(tmp_path: Path, world: World) -> None:
    passed = World()
    store = SqliteLetters(tmp_path / "dead.db", world.clock, since_start=passed.clock)
    claimed = replace(record(1).summary, state="claimed", version=2, lease=60.0, until=NOON + 60)
    world.now -= 86_400
    assert not store.has_lapsed(claimed)
    passed.now += 59
    assert not store.has_lapsed(claimed)
    passed.now += 1
    assert store.has_lapsed(claimed)


def test_finished_letters_expire_and_dead_ones_remain(stored: Callable[[], Any], world: World) -> None:
    store = stored()
    store.put(record(1))
    store.put(record(2))
    assert store.update(replace(record(1).summary, state="discarded", version=2), 1)
    world.now += KEPT_SECONDS + 1
    store.put(record(3))
    assert store.get("letter-0002") is not None
    if hasattr(store, "table"):  # DynamoDB itself deletes items with this attribute
        item = store._client().get_item(TableName=store.table, Key={"id": {"S": "letter-0001"}})["Item"]
        assert item["expires"] == {"N": str(int(NOON + KEPT_SECONDS))}
    else:
        assert store.get("letter-0001") is None


def test_a_queue_lists_counts_and_discards(queue: DeadLetterQueue) -> None:
    kept = [queue.store_failed_request({"prompt": str(number)}, "ThrottlingException: slow") for number in range(5)]
    assert all(kept)
    assert len(queue.get_failed_requests(limit=3)) == 3
    assert {letter.id for letter in queue.letters()} == {*kept}
    assert queue.discard(str(kept[0]))
    assert not queue.discard(str(kept[0]))
    assert [letter.id for letter in queue.letters(state="discarded")] == [kept[0]]
    counted = queue.stats()
    assert counted.states == {"dead": 4, "discarded": 1}
    assert list(counted.causes.values()) == [4]
    assert counted.oldest == NOON
    with pytest.raises(ValueError, match="not found"):
        queue.discard("none")


def test_a_page_over_all_states_continues_in_the_next_state(queue: DeadLetterQueue) -> None:
    kept = [str(queue.store_failed_request({"prompt": str(number)}, "no")) for number in range(4)]
    for each in kept[:2]:
        queue.discard(each)
    seen, cursor = [], None
    while True:
        page = queue.page(1, state="all", after=cursor)
        seen += [letter.id for letter in page.letters]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(kept)
    for wrong in ("nonsense", "dead/x/y", "dead/1"):
        with pytest.raises(ValueError, match="after"):
            queue.page(after=wrong)
    with pytest.raises(ValueError, match="state"):
        queue.page(state="gone")
    with pytest.raises(ValueError, match="limit"):
        queue.page(0)


def test_a_request_is_restored_completely(queue: DeadLetterQueue) -> None:
    request = {"messages": [{"role": "user", "content": [{"image": {"source": {"bytes": b"\x00\xff"}}}]}], "n": 0.1}
    kept = queue.store_failed_request(request, "no", {"user": "u", "weight": 0.5})
    letter = queue.get(str(kept))
    assert letter is not None
    assert letter["request"] == request
    assert letter["metadata"] == {"user": "u", "weight": 0.5}


def test_only_the_owner_can_read_a_file_behind_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    queue = DeadLetterQueue(tmp_path / "link.db")
    kept = queue.store_failed_request({"prompt": "Why?"}, "no")
    assert (tmp_path / "real.db").stat().st_mode & 0o077 == 0
    assert [letter.id for letter in queue.get_failed_requests()] == [kept]
    queue.close()


def test_an_unreadable_letter_does_not_hide_the_others(stored: Callable[[], Any], caplog: Any) -> None:
    store = stored()
    queue = DeadLetterQueue(store)
    store.put(record(1))  # its content is none
    with pytest.raises(StoreUnusable, match="letter letter-0001: the content of the dead letter is damaged"):
        queue.get_failed_requests()
    kept = queue.store_failed_request({"prompt": "Why?"}, "no")
    assert [letter.id for letter in queue.get_failed_requests()] == [kept]
    assert [letter.id for letter in queue.letters()] == [kept]
    assert "omitted: dead letter letter-0001" in caplog.text
    assert queue.stats().states == {"dead": 2}
    assert queue.discard("letter-0001")
