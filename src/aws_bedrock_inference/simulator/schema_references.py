"""Follow the references in a JSON schema to other parts of the same document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin

if TYPE_CHECKING:
    from collections.abc import Iterable

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def resolved(root: Any, reference: str) -> Any:
    """Return the schema in the document `root` to which `reference` points. If the document has no such schema, return
    True, which is the JSON schema that allows any value.
    """
    document, _, pointer = reference.partition("#")
    place = _identified(root, document, ("$id",)) if document else root
    if pointer and not pointer.startswith("/"):
        return _identified(place, pointer, ("$anchor", "$dynamicAnchor", "$id"))
    for part in pointer.split("/")[1:]:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(place, list) and key.isdecimal() and int(key) < len(place):
            place = place[int(key)]
        elif isinstance(place, dict) and key in place:
            place = place[key]
        else:
            return True
    return place


def referred(schema: dict[str, Any]) -> str | None:
    """Return the reference in a schema, or None. A dynamic reference is treated as a plain reference."""
    found = (schema.get(key) for key in REFERENCES)
    return next((reference for reference in found if isinstance(reference, str)), None)


def _identified(root: Any, name: str, keys: tuple[str, ...]) -> Any:
    """Return the schema that has the id or anchor `name`, from the document `root`. If `root` contains no such schema,
    return True, which is the JSON schema that allows any value.
    """
    own = root.get("$id") if isinstance(root, dict) else None
    base = own if isinstance(own, str) else ""
    wanted = {name, f"#{name}", urljoin(base, name)}
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            given = [part[key] for key in keys if isinstance(part.get(key), str)]
            if any(one in wanted or urljoin(base, one) in wanted for one in given):
                return part
        waiting += [inner for inner in _inner(part) if isinstance(inner, (dict, list))]
    return True


def _inner(part: Any) -> Iterable[Any]:
    return part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
