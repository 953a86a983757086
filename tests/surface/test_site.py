"""The site is complete: its navigation names every page, and its reference has every name, option, event and error."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import check_site
import click
import pytest
import site_links
from site_command import command_reference, commands
from site_errors import CODES, MESSAGES, errors_pages, literal, messages, short
from support.public_surface import public_names

import aws_bedrock_inference as package
from aws_bedrock_inference import events, testing
from aws_bedrock_inference.cli import main
from aws_bedrock_inference.knowledge.catalogue import catalogue

ROOT = Path(__file__).parents[2]
CONFIGURATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
NAVIGATION = re.findall(r"[:-] ([\w/.-]+\.md)$", CONFIGURATION.split("\nnav:\n")[1], re.MULTILINE)
DIRECTIVE = re.compile(r"^::: aws_bedrock_inference\.([\w.]+)$", re.MULTILINE)
REFERENCE = {
    page.stem: DIRECTIVE.findall(page.read_text(encoding="utf-8"))
    for page in sorted((ROOT / "docs" / "reference").glob("*.md"))
}
ERRORS = errors_pages(ROOT)
CAUSES = "\n".join(text for uri, text in ERRORS.items() if uri not in (CODES, MESSAGES))
COMMANDS = list(commands(main, click.Context(main, info_name="bedrock")))


def test_the_navigation_names_every_page_once() -> None:
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    examples = {f"examples/{program.stem}.md" for program in (ROOT / "examples").glob("*.py")}
    assert sorted(NAVIGATION) == sorted(pages | examples | set(site_links.PAGES.values()) | set(ERRORS))


def test_the_reference_has_every_public_name_once() -> None:
    names = Counter(name for named in REFERENCE.values() for name in named)
    assert not {name for name, times in names.items() if times > 1}
    assert set(package.__all__) - {"__version__"} <= set(names)


def test_the_reference_has_every_exception_on_one_page() -> None:
    errors = {
        name
        for name in package.__all__
        if isinstance(kind := getattr(package, name), type) and issubclass(kind, package.BedrockError)
    }
    assert errors == set(REFERENCE["exceptions"])


def test_the_reference_has_the_whole_modules_of_events_and_of_testing() -> None:
    """A directive for a module shows each of its classes that has a docstring."""
    assert (REFERENCE["events"], REFERENCE["testing"]) == (["events"], ["testing"])
    shown = [getattr(events, name) for name in public_names(events)] + [getattr(testing, n) for n in testing.__all__]
    assert all(value.__doc__ for value in shown)


@pytest.mark.parametrize(("command", "context"), COMMANDS, ids=[context.command_path for _, context in COMMANDS])
def test_the_reference_has_every_option_of_each_command(command: click.Command, context: click.Context) -> None:
    sections = re.split(r"^## ", command_reference(), flags=re.MULTILINE)
    (section,) = (text for text in sections if text.startswith(f"{context.command_path}\n"))
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option) and not parameter.hidden:
            for name in parameter.opts:
                assert re.search(rf"`{re.escape(name)}[ `]", section), name
            assert parameter.help, name


@pytest.mark.parametrize("name", ["explain", "run"])
def test_the_page_of_the_command_is_where_the_reference_is_written(name: str) -> None:
    page = (ROOT / "docs" / "reference" / "command.md").read_text(encoding="utf-8")
    assert "<!-- every command -->" in page
    assert f"## bedrock {name}\n" in command_reference()


def test_each_cause_of_an_error_has_one_section() -> None:
    anchors = Counter(re.findall(r"^## .* \{#([\w-]+)\}$", CAUSES, re.MULTILINE))
    assert set(anchors) == {meaning.cause.slug for entry in catalogue().entries for meaning in entry.meanings()}
    assert set(anchors.values()) == {1}


def test_each_code_of_an_error_is_a_heading_that_the_search_finds() -> None:
    headings = set(re.findall(r"^## (.*)$", ERRORS[CODES], re.MULTILINE))
    assert headings == {code for entry in catalogue().entries for code in entry.codes}


def test_each_message_of_an_error_is_a_heading_that_the_search_finds() -> None:
    for texts in messages(ROOT).values():
        for text in texts:
            assert f"## {literal(short(text))} {{#" in ERRORS[MESSAGES]


def test_links_out_of_the_documentation_lead_to_places_in_the_site() -> None:
    text = "[a](../CONTRIBUTING.md#setup) [b](../examples/sync.py) [c](clients.md) `[d](../README.md)`"
    moved = "[a](contributing.md#setup) [b](examples/sync.md) [c](clients.md) `[d](../README.md)`"
    assert site_links.relinked(text, "docs/batch.md") == moved
    assert site_links.relinked("[a](../../LICENSE)", "docs/policies/retry.md") == "[a](../source/LICENSE)"
    assert site_links.relinked("[a](docs/clients.md)", "README.md") == "[a](clients.md)"


def test_a_bar_in_the_code_of_a_table_has_no_backslash_in_the_site() -> None:
    assert site_links.unescaped("| `a\\|b` | c \\| d |\n`e\\|f`") == "| `a|b` | c \\| d |\n`e\\|f`"


def test_the_first_mention_of_a_public_name_links_to_the_reference() -> None:
    html = "<h1><code>Quota</code></h1><p><code>Quota</code> and <code>Quota</code>, <code>quota</code></p>"
    assert site_links.with_references(html, "policies/quota.html", site_links.public_names()) == (
        "<h1><code>Quota</code></h1>"
        '<p><a href="../reference/quota.html#aws_bedrock_inference.Quota"><code>Quota</code></a>'
        " and <code>Quota</code>, <code>quota</code></p>"
    )


def test_the_check_of_the_site_finds_what_is_loaded_from_other_hosts(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<link rel="stylesheet" href="https://fonts.example/a.css"><script src="//cdn.example/a.js"></script>'
        '<img src="a.png"><a href="https://docs.example/">x</a><pre class="mermaid">x</pre>'
    )
    (tmp_path / "a.css").write_text('@import "https://fonts.example/b.css"; a { background: url(b.png) }')
    assert check_site.problems(tmp_path) == [
        "index.html loads https://fonts.example/a.css from another host",
        "index.html loads //cdn.example/a.js from another host",
        "index.html has an element of class mermaid, which loads a script",
        'a.css loads @import "https://fonts.example/b.css',
    ]


def test_the_check_of_the_site_finds_dead_links(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<a href="other.html#here">x</a><a href="other.html#gone">x</a><a href="gone.html">x</a><a href="#gone">x</a>'
    )
    (tmp_path / "other.html").write_text('<h2 id="here">x</h2>')
    assert check_site.problems(tmp_path) == [
        "index.html links to other.html#gone: no such anchor",
        "index.html links to gone.html: no such file",
        "index.html links to #gone: no such anchor",
    ]


def test_the_check_of_the_site_finds_public_names_that_the_reference_lacks(tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "quota.html").write_text('<h2 id="aws_bedrock_inference.Quota">Quota</h2>')
    surface = "aws_bedrock_inference.Quota(*, rpm=None)\naws_bedrock_inference.Quota.explain(self)\n"
    assert check_site.unreferenced(tmp_path, surface) == [
        "the reference has no entry for aws_bedrock_inference.Quota.explain"
    ]
