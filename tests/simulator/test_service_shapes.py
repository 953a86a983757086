"""The shapes that requests must have, compared with botocore's own reader of the same file."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from aws_bedrock_inference.simulator.service_shapes import body_of, shape

MODEL = botocore.session.get_session().get_service_model("bedrock-runtime")


def own(part: Any) -> bool:
    return not part.serialization.get("location")


@pytest.mark.parametrize("operation", ["Converse", "ConverseStream", "CountTokens"])
def test_a_request_has_the_shapes_that_botocore_describes(operation: Any) -> None:
    waiting: list[Any] = [(body_of(operation), MODEL.operation_model(operation).input_shape)]
    seen: dict[str, str] = {}
    while waiting:
        ours, theirs = waiting.pop()
        if theirs.name in seen:
            continue
        seen[theirs.name] = ours.kind
        limits = (None if ours.kind == "blob" else theirs.metadata.get("max"), theirs.metadata.get("min"))
        assert (ours.kind, ours.most, ours.least) == (theirs.type_name, *limits)
        assert (ours.union, ours.free) == (
            bool(theirs.metadata.get("union")),
            bool(getattr(theirs, "is_document_type", False)),
        )
        if ours.kind == "structure":
            members = {name: part for name, part in theirs.members.items() if own(part)}
            assert list(ours.members) == list(members)
            assert list(ours.required) == [name for name in theirs.required_members if name in members]
            waiting += [(shape(ours.members[name]), part) for name, part in members.items()]
        elif ours.kind == "string":
            assert ours.values == list(theirs.enum)
        elif ours.kind in {"list", "map"}:
            waiting.append((shape(ours.item), theirs.member if ours.kind == "list" else theirs.value))
    assert {"structure", "list", "string"} <= set(seen.values())
