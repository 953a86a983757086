"""The language of the documentation and of all messages: correct spelling, and no phrase that is never right.

CONTRIBUTING.md has the glossary. This list has only phrases without a correct use; the rest is the reviewer's task.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from aws_bedrock_inference.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
SOURCE = ROOT / "src" / "aws_bedrock_inference"
# The text of these rooms is rewritten together with their code.
MODULES = sorted([*SOURCE.rglob("*.py"), *EXAMPLES.glob("*.py")])

NEVER = re.compile(
    r"\b(?:"
    r"(?:stand|stands|standing|stood) in line|in(?:to)? the line for|"
    r"(?:stand|stands|standing) still|standstill|under way|taken for whole|answered whole|the how many-th|"
    r"(?:speak|speaks) of trouble|bears? no time|not then|other chances|rolls? dice|the dice|(?-i:[Pp]atience)|"
    r"(?:is|was|are) ill\b|lets? go of|what limits now|goes? back into the line|is believed to be|"
    r"no whole answer|without being hurt|"
    r"for good(?! measure)|once more|(?:made|read|begins?|learned|sent|written) anew|"
    r"of (?:ours|yours|one's own)|none but|goes? on at|(?:speaks?|stands?) against|stands? in the way|"
    r"in the place of|(?:put|puts) in its place|(?:is|are) told\b|(?:tells?|told) apart|holds? good|"
    r"mend(?:s|ed|ing)?\b|reckon(?:s|ed|ing)?\b|asked for again|(?:nobody|anybody)'s|counts? as no\b|"
    r"lets? nobody|nothing speaks|as it stood|at once\b"
    r")",
    re.IGNORECASE,
)

# A docstring opens with an imperative or a noun phrase, not with a clause that lacks its main clause.
HEADLESS = re.compile(r"\s*(?:What|Who|How|When|Where|Whether)\b")


def without_code(page: str) -> str:
    """Return the prose of a page: no code, and not the glossary, which names what not to say."""
    page = re.sub(r"```.*?```|`[^`]*`", "", page, flags=re.DOTALL)
    return re.sub(r"^\| Say \| Not \|$.*?^$", "", page, flags=re.DOTALL | re.MULTILINE)


def said(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the strings and comments of a module, each with its line; names between backticks are left out."""
    kinds = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(module.read_text(encoding="utf-8")).readline):
        if token.type in kinds:
            text = re.sub(r"`[^`]*`", "", token.string)
            yield token.start[0], re.sub(r"\s+(?:# )?", " ", text)


def docstrings(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the docstrings of a module, also those under constants and attributes, each with its line."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield each command's path and help."""
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, click.Context(inner, parent=context, info_name=name))


HELP = dict(commands(main, click.Context(main, info_name="bedrock")))


def test_every_word_is_spelt_correctly() -> None:
    places = [str(path) for path in (*PAGES, SOURCE, EXAMPLES)]
    command = [sys.executable, "-m", "codespell_lib", "--skip", "*.json,*.jsonl,*.toml,*.lua", *places]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a tool of ours
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_no_page_has_a_phrase_that_is_never_right(page: Path) -> None:
    text = " ".join(without_code(page.read_text(encoding="utf-8")).split())
    assert NEVER.findall(text) == []


@pytest.mark.parametrize("command", HELP)
def test_no_help_has_a_phrase_that_is_never_right(command: str) -> None:
    assert NEVER.findall(" ".join(HELP[command].split())) == []


def test_no_docstring_message_or_comment_has_a_phrase_that_is_never_right() -> None:
    found = [
        f"{module.relative_to(ROOT)}:{line}: {phrase}"
        for module in MODULES
        for line, text in said(module)
        for phrase in NEVER.findall(text)
    ]
    assert found == []


def test_no_docstring_opens_with_a_headless_clause() -> None:
    found = [
        f"{module.relative_to(ROOT)}:{line}: {text.strip().splitlines()[0]}"
        for module in MODULES
        for line, text in docstrings(module)
        if HEADLESS.match(text)
    ]
    assert found == []
