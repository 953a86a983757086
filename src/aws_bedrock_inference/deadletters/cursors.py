"""Create and read cursors. A cursor is a text with the position in a list of dead letters; a caller passes it to get
the next page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.deadletters.letter import STATES
from aws_bedrock_inference.deadletters.store import Place

if TYPE_CHECKING:
    from aws_bedrock_inference.deadletters.letter import State


def states_of(state: Any) -> tuple[State, ...]:
    """Return the states with this name. The name `all` means every state. Raises `ValueError` for another name."""
    if state == "all":
        return STATES
    if state not in STATES:
        raise ValueError(f"state={shown(state)}: use one of {', '.join(STATES)}, or all")
    return (state,)


def cursor_of(state: State, place: Place | None) -> str:
    """Return the cursor for the position `place` in the list of dead letters with this state. If `place` is None, the
    cursor is for the start of the list.
    """
    return state if place is None else f"{state}/{place.first!r}/{place.id}"


def place_of(states: tuple[State, ...], cursor: str | None) -> tuple[tuple[State, ...], Place | None]:
    """Return where the next page of dead letters starts: the states that remain to be listed, and a position.

    Dead letters are listed state by state. The next page starts in the first of the returned states, with the letter
    after the position. If the position is None, the page starts with the first letter in this state. Raises
    `ValueError` for an invalid cursor.
    """
    if cursor is None:
        return states, None
    name, *place = str(cursor).split("/", 2)
    try:
        index = [*states].index(name)  # type: ignore[arg-type]  # an unknown state raises ValueError
        return states[index:], Place(float(place[0]), place[1]) if place else None
    except (ValueError, IndexError):
        raise ValueError(
            "after: this cursor is invalid or belongs to a list with another `state`. Pass the cursor that the "
            "previous page of the same list returned"
        ) from None
