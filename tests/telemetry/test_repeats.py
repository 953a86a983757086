"""Sampling: the first lines of a kind are written, the others are counted, and no count is lost."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.telemetry.repeats import Repeated, Repeats


def test_the_first_lines_are_written_and_the_others_are_counted() -> None:
    repeats = Repeats[str](first=2, seconds=10)
    assert [repeats.admits("a", f"line {n}", float(n)) for n in range(5)] == [True, True, False, False, False]
    assert repeats.admits("b", "another", 5.0)
    assert repeats.due == 10.0
    assert repeats.ended(9.9) == []
    assert repeats.ended(10.0) == [Repeated(3, "line 4", 10)]
    assert (repeats.due, repeats.ended(11.0)) == (inf, [])
    assert repeats.admits("a", "again", 12.0)


def test_a_new_line_of_the_same_kind_ends_an_old_window() -> None:
    repeats = Repeats[str](first=1, seconds=10)
    repeats.admits("a", "1", 0.0)
    repeats.admits("a", "2", 1.0)
    assert repeats.admits("a", "3", 11.0)
    assert repeats.ended(11.0) == [Repeated(1, "2", 10)]


def test_a_clock_that_is_set_back_starts_a_new_window() -> None:
    repeats = Repeats[str](first=1, seconds=10)
    repeats.admits("a", "1", 1000.0)
    repeats.admits("a", "2", 1001.0)
    assert repeats.admits("a", "3", 5.0)
    assert repeats.ended(5.0) == [Repeated(1, "2", 10)]


def test_with_too_many_kinds_the_first_count_is_reported_early() -> None:
    repeats = Repeats[str](first=1, seconds=10, most=2)
    for kind in ("a", "a", "b", "c"):
        repeats.admits(kind, kind, 0.0)
    assert repeats.ended(0.0) == [Repeated(1, "a", 10)]
    assert not repeats.admits("c", "c", 1.0)
    assert repeats.ended(inf) == [Repeated(1, "c", 10)]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 30)), max_size=80))
def test_every_line_is_written_or_counted_once(lines: list[tuple[str, float]]) -> None:
    repeats = Repeats[str](first=2, seconds=10, most=3)
    now, written, held = 0.0, 0, 0
    for kind, wait in lines:
        now += wait
        written += repeats.admits(kind, kind, now)
        if now >= repeats.due:
            held += sum(each.held for each in repeats.ended(now))
    held += sum(each.held for each in repeats.ended(inf))
    assert written + held == len(lines)
    assert repeats.due == inf
