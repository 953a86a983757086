"""The public interface: its names are in one list, its import is light, and every part of it is documented."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from support import public_surface

import aws_bedrock_inference as package
from aws_bedrock_inference import events, testing
from aws_bedrock_inference.cli import COMMANDS, main

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SOURCE = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
PAGES = {
    str(page.relative_to(ROOT)): page.read_text(encoding="utf-8")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
CODE = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
HEAVY = ["boto3", "botocore", "urllib3", "aiohttp", "asyncio", "click", "rich", "granian"]
PUBLIC: list[Any] = [getattr(package, name) for name in package.__all__ if name != "__version__"]
CONSTRUCTED = [package.BedrockClient, *(kind for kind in PUBLIC if "policies" in kind.__module__), package.Timeout]
EVENTS = [
    value
    for value in vars(events).values()
    if inspect.isclass(value) and "route" in getattr(value, "__annotations__", {})
]
ERRORS = [kind for kind in PUBLIC if inspect.isclass(kind) and issubclass(kind, BaseException)]


def imported() -> dict[str, str]:
    """Return the names imported for type checkers, each with its module."""
    block = next(node for node in SOURCE.body if isinstance(node, ast.If))
    return {
        alias.asname or alias.name: (node.module or "").removeprefix("aws_bedrock_inference.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def named(name: str, places: dict[str, str] = PAGES) -> bool:
    """Return True if some page has `name` as a separate word in code: fenced, or between backticks."""
    code = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    return any(
        code.search(part) for text in places.values() for part in re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL)
    )


def test_the_names_are_the_same_in_all_their_lists() -> None:
    homes = {name: home for home, names in package._HOMES.items() for name in names}
    assert homes == imported()
    assert sorted(homes) == sorted(set(package.__all__) - {"__version__"})
    assert len(package.__all__) == len(set(package.__all__))


def test_every_name_exists_and_is_listed() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)
    assert re.fullmatch(r"\d+\.\d+\.\d+", package.__version__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'BedrockKlient'"):
        _ = package.BedrockKlient  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("statement", "free_of"),
    [
        ("import aws_bedrock_inference", HEAVY),
        ("from aws_bedrock_inference import Call, Fault, Route, Timeout", HEAVY),
        ("from aws_bedrock_inference import Quota, Retry, Breaker, standard", HEAVY),
        ("from aws_bedrock_inference import BedrockClient", ["aiohttp", "asyncio", "click", "rich", "granian"]),
        ("from aws_bedrock_inference import AsyncBedrockClient", ["click", "rich", "granian"]),
        ("import aws_bedrock_inference.cli", [name for name in HEAVY if name != "click"]),
    ],
)
def test_an_import_loads_only_what_it_needs(statement: str, free_of: list[str]) -> None:
    script = f"{statement}\nimport sys\nprint(*sorted(set({free_of!r}) & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    assert loaded.stdout.split() == []


def described(kind: Any) -> Iterator[tuple[str, Any]]:
    """Return the class or function, and the public members of a class."""
    yield kind.__name__, kind
    if inspect.isclass(kind):
        for name, member in vars(kind).items():
            if not name.startswith("_") and (callable(member) or isinstance(member, (property, classmethod))):
                yield f"{kind.__name__}.{name}", member


@pytest.mark.parametrize(
    ("name", "part"),
    [
        pytest.param(name, part, id=name)
        for kind in [*PUBLIC, *EVENTS, *(getattr(testing, name) for name in testing.__all__)]
        for name, part in described(kind)
    ],
)
def test_every_public_part_is_described(name: str, part: Any) -> None:
    assert (inspect.getdoc(part) or "").strip(), f"{name} has no docstring"


def options(kind: Any) -> list[str]:
    return [name for name in inspect.signature(kind).parameters if name != "self"]


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.__name__) for kind in CONSTRUCTED])
def test_every_option_is_in_the_documentation(kind: Any) -> None:
    pages = {name: text for name, text in PAGES.items() if named(kind.__name__, {name: text})}
    if not inspect.isclass(kind):
        assert pages
        return
    assert [option for option in options(kind) if not named(option, pages)] == []


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=kind.__name__) for kind in CONSTRUCTED if inspect.isclass(kind)]
)
def test_every_option_is_in_its_docstring(kind: Any) -> None:
    text = inspect.getdoc(kind) or ""
    assert [option for option in options(kind) if f"`{option}`" not in text] == []


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.__name__) for kind in [*PUBLIC, *EVENTS]])
def test_every_name_event_and_exception_is_in_the_documentation(kind: Any) -> None:
    assert named(kind.__name__)


@pytest.mark.parametrize("name", ["code", "decision", "cause", "advice", "attempts", "request_id", "route", "received"])
def test_every_attribute_of_an_exception_is_in_the_documentation(name: str) -> None:
    assert any(hasattr(kind, name) for kind in ERRORS) or name == "route"
    assert named(name)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_in_the_documentation(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    pages = {page: text for page, text in PAGES.items() if f"bedrock {name}" in text}
    assert pages
    missing = [
        spelling
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for spelling in parameter.opts
        if spelling.startswith("--") and not any(spelling in text for text in pages.values())
    ]
    assert missing == []


def test_the_public_surface_changes_on_purpose_only() -> None:
    kept = Path(__file__).with_name("public.txt").read_text(encoding="utf-8").splitlines()
    assert public_surface.lines() == kept, "if it changed on purpose: `make surface`, and say so in CHANGELOG.md"


def test_the_wheel_is_reproducible(tmp_path: Path) -> None:
    built: list[Path] = []
    for name in ("one", "two"):
        copy = tmp_path / name
        shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
            shutil.copyfile(ROOT / file, copy / file)
        for source in copy.rglob("*.py"):
            os.utime(source, (1_000_000_000 + len(built), 1_000_000_000))
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
        subprocess.run(command, cwd=copy, check=True, capture_output=True)  # noqa: S603 - the locked back end
        built.append(next((copy / "dist").glob("*.whl")))
    assert built[0].read_bytes() == built[1].read_bytes()
    with zipfile.ZipFile(built[0]) as wheel:
        names = {Path(name).name for name in wheel.namelist()}
    assert {"modelled.json", "releases.toml", "leases.lua", "py.typed", "NOTICE"} <= names
