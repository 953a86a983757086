"""Two parts of a text are joined with no character duplicated and none lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.rules.seam import ANCHOR, REACH, Seam, anchor_of

TEXT = "The sky is blue because air scatters short waves more than long ones, as Lord Rayleigh found out in 1871. "
REST = "At sunset the light has a longer way, and what is left of it is red."


def joined(received: str, second: str, size: int = 7) -> tuple[str, bool | None]:
    seam = Seam(received)
    given = "".join(seam.add(second[at : at + size]) for at in range(0, len(second), size))
    return received + given + seam.end(), seam.verified


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(TEXT[-ANCHOR:] + REST, id="as it was asked"),
        pytest.param(TEXT[-90:] + REST, id="more is repeated"),
        pytest.param(TEXT + REST, id="all is repeated"),
        pytest.param("Certainly! I go on:\n\n" + TEXT[-ANCHOR:] + REST, id="a lead-in"),
        pytest.param("…" + TEXT[-60:] + REST, id="a mark and more"),
    ],
)
def test_a_repeated_passage_is_removed(second: str) -> None:
    assert joined(TEXT, second) == (TEXT + REST, True)


def test_the_seam_of_a_part_without_the_anchor_is_not_verified() -> None:
    assert joined(TEXT, REST) == (TEXT + REST, False)
    assert joined(TEXT, TEXT[-20:] + REST) == (TEXT + REST, False), "what both visibly share is cut all the same"
    assert joined(TEXT, "In short: " + REST) == (TEXT + "In short: " + REST, False)


def test_an_anchor_far_from_the_start_counts_as_new_text() -> None:
    second = REST * (REACH // len(REST) + 2) + TEXT[-ANCHOR:]
    assert joined(TEXT, second) == (TEXT + second, False)


def test_the_seam_of_a_text_that_repeats_itself_is_never_verified() -> None:
    again = "la " * 400
    text, verified = joined(again, again[-ANCHOR:] + "end")
    assert (text, verified) == (again + "end", False)
    assert joined(TEXT, f"{TEXT[-ANCHOR:]}x{TEXT[-ANCHOR:]}y") == (f"{TEXT}x{TEXT[-ANCHOR:]}y", True)
    assert joined(TEXT, f'Going on after "{TEXT[-ANCHOR:]}":\n{TEXT[-ANCHOR:]}y') == (f"{TEXT}y", False), "a quotation"
    assert joined(TEXT, f"{TEXT[-60:]}x{TEXT[-ANCHOR:]}y") == (f"{TEXT}x{TEXT[-ANCHOR:]}y", False), "no quotation"


def test_a_short_overlap_counts_only_at_the_start() -> None:
    assert joined("The", "The sky is blue") == ("The sky is blue", True)
    assert joined("The", "Is it? The sky is blue") == ("TheIs it? The sky is blue", False)
    assert joined("The", "=====\nThe\n=====\n sky is blue") == ("The sky is blue", False)


def test_text_after_the_seam_is_passed_on_immediately() -> None:
    seam = Seam(TEXT)
    assert seam.add(TEXT[-ANCHOR:]) == ""
    assert (seam.verified, seam.add("At sunset"), seam.end()) == (True, "At sunset", "")


SAID = 'She said "no" - it isn\'t far: two days, at most three, on foot through the hills.'
LONG = " ".join(f"Sentence {number} says that {number * number} is the square of {number}." for number in range(99))


@pytest.mark.parametrize(
    ("received", "second", "whole"),
    [
        pytest.param(SAID, SAID[-50:].replace(" ", "\u00a0") + REST, SAID + REST, id="no-break spaces"),
        pytest.param(
            SAID[:28], "She said \u201cno\u201d \u2014 it isn\u2019t far.", SAID[:28] + ".", id="quotation marks"
        ),
        pytest.param(TEXT + "\n\n", TEXT[-40:] + "\n" + REST, TEXT + "\n\n" + REST, id="one line break of two"),
        pytest.param(TEXT[:-1], TEXT[-31:].replace(" ", "  ") + REST, TEXT[:-1] + "  " + REST, id="less, and wider"),
        pytest.param(
            "1\uff12\uff13\uff0c" + SAID[:8],
            "12\uff13," + SAID[:11],
            "1\uff12\uff13\uff0c" + SAID[:11],
            id="full-width",
        ),
        pytest.param(TEXT, "=====\n" + TEXT[-40:] + "\n=====\n" + REST, TEXT + REST, id="the lines around it, too"),
        pytest.param(TEXT[-40:] + TEXT, TEXT[-60:] + REST, TEXT[-40:] + TEXT + REST, id="half of a long anchor"),
    ],
)
def test_a_passage_repeated_in_equivalent_characters_is_removed_but_not_verified(
    received: str, second: str, whole: str
) -> None:
    for size in (1, 7, 4000):
        text, verified = joined(received, second, size)
        assert text == whole
        assert verified is False


@pytest.mark.parametrize("lead", ["", "Sure, here is all of it:\n\n"])
@pytest.mark.parametrize("start", [0, 900])
def test_a_restarted_answer_is_skipped_up_to_the_break(lead: str, start: int) -> None:
    assert joined(LONG, lead + LONG[start:] + " " + REST) == (f"{LONG} {REST}", True)


def test_a_restarted_answer_in_equivalent_characters_is_skipped_too() -> None:
    received = LONG.replace("says", 'says "yes"')
    second = LONG.replace("says", "says \u201cyes\u201d")
    assert joined(received, f"{second} {REST}") == (f"{received} {REST}", False)


def test_a_restarted_answer_that_diverges_is_passed_on() -> None:
    seam = Seam(LONG)
    assert seam.add(LONG[:900]) == ""
    assert (seam.add("But then,"), seam.verified) == (LONG[:900] + "But then,", False)


@pytest.mark.parametrize("rest", ["| 1 | x |\n| 2 | x |\n" * 20, "    return None\n" * 30])
def test_repeated_lines_are_verified_only_if_nothing_is_lost(rest: str) -> None:
    for cut in range(1, len(rest)):
        for repeated in (anchor_of(rest[:cut]), rest[max(0, cut - ANCHOR) : cut]):
            text, verified = joined(rest[:cut], repeated + rest[cut:], 40)
            assert text == rest or not verified


def test_an_anchor_does_not_start_inside_a_character() -> None:
    for character in ("e\u0301", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\u0932\u093f"):
        for more in range(ANCHOR - len(character), ANCHOR + 1):
            assert anchor_of("before " + character + TEXT[:more])[0] in {character[0], " ", TEXT[0]}


PIECES = st.text(alphabet="abc \n", max_size=300)


@given(PIECES, PIECES, st.integers(0, 200), st.integers(1, 50))
def test_no_character_of_the_rest_is_lost(received: str, rest: str, overlap: int, size: int) -> None:
    """Whatever is repeated, the last characters of the second part arrive; where the seam is verified, exactly once."""
    second = received[len(received) - overlap :] + rest if 0 < overlap <= len(received) else rest
    text, verified = joined(received, second, size)
    assert text.startswith(received)
    assert (received + second).endswith(text[len(received) :])
    if verified and len(anchor_of(received)) <= overlap <= len(received):
        assert text == received + rest
