"""Read the shapes of requests from the service model in botocore.

The module reads the JSON file itself. An import of botocore's reader takes longer than an import of the simulator.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

_TYPES: dict[str, Any] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "blob": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str),
}


RUNTIME, CONTROL = "bedrock-runtime", "bedrock"
"""The services whose requests are checked."""

# Matches the same names as the pattern in the service model, which takes forever for a name with many hyphens.
_QUICKER = {
    r"[a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9\+\-\.]){0,63}": r"[a-zA-Z0-9][a-zA-Z0-9+.-]*",
}


class Shape(NamedTuple):
    """One shape of the service model: the description of a type. `members` are the shapes of a structure's members by
    name. `item` is the shape of the items in a list or a map.
    """

    kind: str
    types: Any
    least: float | None
    most: float | None
    members: dict[str, str]
    item: str
    required: tuple[str, ...]
    union: bool
    values: list[str]
    free: bool
    pattern: str
    service: str


@cache
def shape(name: str, service: str = RUNTIME) -> Shape:
    """Return the shape with this name."""
    given = _model(service)["shapes"][name]
    kind = given["type"]
    item = given.get("member") or given.get("value") or {}
    return Shape(
        kind,
        _TYPES[kind],
        given.get("min"),
        None if kind == "blob" else given.get("max"),  # a blob's limit counts the bytes before base64
        {member: part["shape"] for member, part in given.get("members", {}).items() if "location" not in part},
        item.get("shape", ""),
        tuple(member for member in given.get("required", ()) if "location" not in given["members"][member]),
        given.get("union", False),
        given.get("enum", []),
        given.get("document", False),
        given.get("pattern", ""),
        service,
    )


def quicker(pattern: str) -> str:
    """Return a pattern that matches the same texts as `pattern`. Matching it never takes exponential time."""
    return _QUICKER.get(pattern, pattern)


@cache
def body_of(operation: str, service: str = RUNTIME) -> Shape:
    """Return the shape of an operation's body. It is the operation's input without the members in the path and in
    headers.
    """
    return shape(_model(service)["operations"][operation]["input"]["shape"], service)


@cache
def parameters_of(operation: str) -> dict[str, Shape]:
    """Return the parameters in the path and the query of a control-plane operation: the shape of each, by its name."""
    model = _model(CONTROL)
    members = model["shapes"][model["operations"][operation]["input"]["shape"]]["members"].values()
    return {part["locationName"]: shape(part["shape"], CONTROL) for part in members if "location" in part}


@cache
def _model(service: str) -> dict[str, Any]:
    folders = files("botocore").joinpath("data", service).iterdir()
    newest = max((folder for folder in folders if folder.is_dir()), key=lambda folder: folder.name)
    (file,) = (file for file in newest.iterdir() if file.name.startswith("service-2.json"))
    text = file.read_bytes()
    model: dict[str, Any] = json.loads(gzip.decompress(text) if file.name.endswith(".gz") else text)
    return model
