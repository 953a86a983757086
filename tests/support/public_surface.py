"""The public surface as text: every public name with its signature. `make surface` writes it to `public.txt`."""

from __future__ import annotations

import enum
import inspect
import re
import sys
from typing import TYPE_CHECKING, Any

import aws_bedrock_inference as package
from aws_bedrock_inference import events, testing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ADDRESS = re.compile(r" of \w+ object at 0x[0-9a-f]+| at 0x[0-9a-f]+")


def lines() -> list[str]:
    """Return one line for each public name, and for each public part of a class."""
    homes = ((package, package.__all__), (testing, testing.__all__), (events, public_names(events)))
    return [line for home, names in homes for name in sorted(names) for line in described(home, name)]


def public_names(module: Any) -> list[str]:
    """Return the classes that a module defines itself."""
    return [
        name for name, value in vars(module).items() if inspect.isclass(value) and value.__module__ == module.__name__
    ]


def described(home: Any, name: str) -> Iterator[str]:
    """Yield a name's own line, then those of its parts."""
    value = getattr(home, name)
    prefix = f"{home.__name__}.{name}"
    if not callable(value):
        yield prefix
        return
    if inspect.isclass(value) and issubclass(value, enum.Enum):
        yield f"{prefix}: {', '.join(value.__members__)}"
        return
    yield prefix + signature(value)
    for part, member in sorted(vars(value).items()) if inspect.isclass(value) else ():
        if part.startswith("_"):
            continue
        function = getattr(member, "__func__", member)  # of a static or class method
        if inspect.isfunction(function):
            yield f"{prefix}.{part}{signature(function)}"
        elif isinstance(member, property):
            yield f"{prefix}.{part}"


def signature(value: Callable[..., Any]) -> str:
    """Return the parameters and their defaults; annotations differ between releases of Python."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except ValueError:  # an exception with BaseException's own __init__
        return "(...)"
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return _ADDRESS.sub("", str(inspect.Signature(bare)))


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in lines()))
