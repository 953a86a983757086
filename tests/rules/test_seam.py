"""Two parts of a text are joined without a character twice, and without one lost."""

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
def test_what_is_repeated_is_cut(second: str) -> None:
    assert joined(TEXT, second) == (TEXT + REST, True)


def test_nobody_can_say_where_a_part_without_the_anchor_begins() -> None:
    assert joined(TEXT, REST) == (TEXT + REST, False)
    assert joined(TEXT, TEXT[-20:] + REST) == (TEXT + REST, False), "what both visibly share is cut all the same"
    assert joined(TEXT, "In short: " + REST) == (TEXT + "In short: " + REST, False)


def test_an_anchor_far_from_the_beginning_is_the_answers_own() -> None:
    second = REST * (REACH // len(REST) + 2) + TEXT[-ANCHOR:]
    assert joined(TEXT, second) == (TEXT + second, False)


def test_a_text_that_repeats_itself_is_never_called_verified() -> None:
    again = "la " * 400
    text, verified = joined(again, again[-ANCHOR:] + "end")
    assert (text, verified) == (again + "end", False)
    assert joined(TEXT, f"{TEXT[-ANCHOR:]}x{TEXT[-ANCHOR:]}y") == (f"{TEXT}x{TEXT[-ANCHOR:]}y", True)
    assert joined(TEXT, f"a{TEXT[-ANCHOR:]}x{TEXT[-ANCHOR:]}y")[1] is False


def test_a_few_characters_count_only_at_the_beginning() -> None:
    assert joined("The", "The sky is blue") == ("The sky is blue", True)
    assert joined("The", "Is it? The sky is blue") == ("TheIs it? The sky is blue", False)


def test_the_rest_passes_at_once_when_the_seam_is_found() -> None:
    seam = Seam(TEXT)
    assert seam.add(TEXT[-ANCHOR:]) == ""
    assert (seam.verified, seam.add("At sunset"), seam.end()) == (True, "At sunset", "")


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
