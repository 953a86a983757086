"""The code of AWS's documents, run as a reader's program, and this package's names in its place."""

from __future__ import annotations

import builtins
import datetime as dt
import inspect
import io
import re
import threading
import uuid
from functools import partial, partialmethod
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aws_bedrock_inference as package

if TYPE_CHECKING:
    from support.doubles import World

BLOCKS = dict(
    re.findall(
        r"^## (\w+)\n\n```python\n(.*?)^```$",
        Path(__file__).parents[1].joinpath("documents", "blocks.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)


class Program:
    """A reader's program: the names of a block, from the document or from this package."""

    def __init__(self, source: str, world: World) -> None:
        self.source = source
        self.world = world
        world.now = 1000.0
        self.printed = io.StringIO()
        self._modules = {
            "time": SimpleNamespace(time=world.clock, sleep=world.sleep),
            "random": SimpleNamespace(uniform=lambda low, high: (low + high) / 2),
        }
        self.names: dict[str, Any] = {
            "__builtins__": {**vars(builtins), "__import__": self._import, "print": partial(print, file=self.printed)},
            "threading": threading,
            "uuid": uuid,
            "datetime": dt,
            **self._modules,
        }

    def run(self, *blocks: str, client: Any = None) -> Program:
        """Run the blocks; for this package's names, import the functions that the blocks define from the package
        instead."""
        if client is not None:
            self.names["client"] = client
        for block in blocks:
            if self.source == "document":
                exec(compile(BLOCKS[block], block, "exec"), self.names)  # noqa: S102 - what a reader would do
            else:
                defined = re.findall(r"^(?:def|class) (\w+)", BLOCKS[block], re.MULTILINE)
                self.names |= {name: self._ours(getattr(package, name)) for name in defined}
        return self

    def __getattr__(self, name: str) -> Any:
        return self.names[name]

    def _ours(self, made: Any) -> Any:
        """Return a name of the package with the test's time and client."""
        if inspect.isclass(made) and issubclass(made, Exception):
            return made
        possible = {
            "clock": self.world.clock,
            "wall": self.world.clock,
            "sleep": self.world.sleep,
            "chance": self.world.chance,
            "client": self.names.get("client"),
        }
        wanted = inspect.signature(made).parameters
        given = {name: value for name, value in possible.items() if name in wanted}
        if inspect.isclass(made):  # a class, since readers write subclasses of it
            return type(made.__name__, (made,), {"__init__": partialmethod(made.__init__, **given)})
        return partial(made, **given)

    def _import(self, name: str, *rest: Any) -> Any:
        return self._modules.get(name) or __import__(name, *rest)
