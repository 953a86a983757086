"""Places in lists of letters, as texts that a caller passes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.deadletters.letter import STATES
from aws_bedrock_inference.deadletters.store import Place

if TYPE_CHECKING:
    from aws_bedrock_inference.deadletters.letter import State


def states_of(state: Any) -> tuple[State, ...]:
    """Return the states for a name; `all` means every state. Raises `ValueError`."""
    if state == "all":
        return STATES
    if state not in STATES:
        raise ValueError(f"state={shown(state)}: use one of {', '.join(STATES)}, or all")
    return (state,)


def cursor_of(state: State, place: Place | None) -> str:
    """Return the cursor of a place in a state; None is the start of the state."""
    return state if place is None else f"{state}/{place.first!r}/{place.id}"


def place_of(states: tuple[State, ...], cursor: str | None) -> tuple[tuple[State, ...], Place | None]:
    """Return the remaining states, and the place in the first of them. Raises `ValueError`."""
    if cursor is None:
        return states, None
    name, *place = str(cursor).split("/", 2)
    try:
        index = [*states].index(name)  # type: ignore[arg-type]  # an unknown state raises ValueError
        return states[index:], Place(float(place[0]), place[1]) if place else None
    except (ValueError, IndexError):
        raise ValueError("after: pass the cursor of an earlier page with the same state") from None
