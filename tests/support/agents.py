"""Input for agents of public libraries: a question that names two tools, and a tool with a nested schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

QUESTION = "What does the clock say in Oslo, and how is the weather?"
CITY: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Address(Closed):
    street: str
    zip: Annotated[str, Field(pattern=r"^\d{5}$")]
    country: Literal["NO", "SE"]


class Line(Closed):
    sku: str
    quantity: Annotated[int, Field(ge=2, le=9)]


class Order(Closed):
    """An order."""

    customer: str
    address: Address
    lines: Annotated[list[Line], Field(min_length=2)]
    note: str | None
