"""Write the site's pages about errors: one page for each service, and one page with all error codes. The sources are
docs/errors.md and the error catalogue.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.knowledge.catalogue import ANY, catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODES = "errors/codes.md"
MESSAGES = "errors/messages.md"
MOST_MESSAGES = 3
LONGEST_HEADING = 160
# The words that the AWS CLI and boto3 write before a message.
PREFIX = re.compile(r"^(?:[\w.]+: )?An error occurred \([^)]*\) when calling the \w+ operation(?: \([^)]*\))?: ")
HOW_TO_SEARCH = """\
Type a code or a part of a message into the search, for example `ThrottlingException` or `on-demand throughput isn't
supported`. The first letters of a code are enough."""
ABOUT_MESSAGES = """\
Each message from which the catalogue knows a cause, with the cause and the first remedy. Names and numbers in a message
are examples."""
ABOUT_CODES = """\
Each code with the causes that it may have. A code with several causes is decided by its message: `bedrock explain`
reads both."""


class Section(NamedTuple):
    """The part of docs/errors.md about one cause, or about recommended practices for one service."""

    slug: str
    text: str


def errors_pages(root: Path) -> dict[str, str]:
    """Return the text of each page by its path in the site."""
    intro, *chapters = re.split(r"^## ", (root / "docs" / "errors.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    examples = messages(root)
    pages = {}
    homes: dict[str, str] = {}
    rows = []
    for chapter in chapters:
        title, _, text = chapter.partition("\n")
        before, *parts = re.split(r"^### ", text, flags=re.MULTILINE)
        sections = [Section(*(part.strip() for part in section.split("\n", 1))) for section in parts]
        causes = [section for section in sections if section.slug in catalogue().causes]
        name = f"errors/{place(title)}.md"
        pages[name] = service_page(title, before.strip(), sections, examples)
        homes |= {section.slug: name for section in causes}
        rows.append(f"| [{title}]({name}) | {len(causes)} | {', '.join(codes(title)[:3])} |")
    pages[CODES] = codes_page(homes)
    pages[MESSAGES] = messages_page(homes, examples)
    pages["errors.md"] = "\n".join(
        [
            intro.replace("`make index` writes this page.", "").strip(),
            "",
            HOW_TO_SEARCH,
            "",
            f"[All codes]({CODES}) lists each code with the causes that it can have,",
            f"[all messages]({MESSAGES}) the messages from which the catalogue knows them.",
            "",
            "| Service | Causes | Codes with the most causes |",
            "|---|---|---|",
            *rows,
        ]
    )
    return pages


def place(title: str) -> str:
    """Return the name of a chapter's page, which is the service's id in the catalogue."""
    services = catalogue().services
    return next((name for name in services if name != ANY and services[name]["title"] == title), "every-service")


def codes(title: str) -> list[str]:
    """Return the error codes of a chapter. The codes with the most causes come first."""
    counts: dict[str, int] = defaultdict(int)
    for entry in catalogue().entries:
        if (entry.service if entry.service != ANY else "every-service") == place(title):
            for code in entry.codes:
                counts[f"`{code}`"] += len({meaning.cause.slug for meaning in entry.meanings()})
    return sorted(counts, key=lambda code: (-counts[code], code))


def messages(root: Path) -> dict[str, list[str]]:
    """Return, for each cause, the messages by which the catalogue recognizes it."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for path in sorted((root / "src" / "aws_bedrock_inference" / "knowledge" / "errors").glob("*.toml")):
        for table in tables(tomllib.loads(path.read_text(encoding="utf-8"))):
            if isinstance(table.get("cause"), str) and "example" in table:
                found[table["cause"]][
                    " ".join(table["example"].replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())
                ] = None
    return {cause: sorted(texts, key=len) for cause, texts in found.items()}


def plain(message: str) -> str:
    """Return a message on one line. Typographic apostrophes are replaced with the apostrophe on the keyboard."""
    return " ".join(message.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())


def tables(value: Any) -> Iterator[dict[str, Any]]:
    """Yield each table in a TOML file."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from tables(inner)


def service_page(title: str, before: str, sections: list[Section], examples: dict[str, list[str]]) -> str:
    """Return the page about the errors of one service."""
    parts = [f"# Errors: {title}", before]
    for slug, text in sections:
        cause = catalogue().causes.get(slug)
        if cause is None:
            parts += [f"## {slug}", text]
            continue
        lead, _, rest = text.partition("\n")
        lead = lead.removeprefix(f"**{cause.title}.**").strip()
        parts += [
            f"## {cause.title} {{#{slug}}}",
            lead,
            f"* Cause: `{slug}`\n{rest.strip()}".replace("\n\n1. ", "\n\nWhat to do:\n\n1. ", 1),
        ]
        if examples.get(slug):
            parts += [
                "Messages, for example:",
                "\n".join(f"* {literal(message)}" for message in examples[slug][:MOST_MESSAGES]),
            ]
    return "\n\n".join(part for part in parts if part) + "\n"


def literal(text: str) -> str:
    """Return the text as code, so that Markdown does not change it."""
    marks = "``" if "`" in text else "`"
    return f"{marks} {text} {marks}" if "`" in text else f"`{text}`"


def codes_page(homes: dict[str, str]) -> str:
    """Return the page of error codes. It has a heading for each code, followed by the causes that the code can have."""
    known: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in catalogue().entries:
        for meaning in entry.meanings():
            for code in entry.codes:
                services = known[code][meaning.cause.slug]
                if entry.service not in services:
                    services.append(entry.service)
    # The search must list the heading of a code before messages that contain the code.
    lines = ["---", "hide: [toc]", "search: {boost: 1.5}", "---", "# Error codes, from A to Z", ""]
    lines += [
        "Each code with the causes that it can have. `bedrock explain` uses the message to choose the cause.",
        "",
    ]
    for code in sorted(known, key=str.lower):
        lines += [f"## {code}", ""]
        for slug, services in known[code].items():
            cause = catalogue().causes[slug]
            target = homes[slug].removeprefix("errors/")
            where = ", ".join("every service" if service == ANY else service for service in services)
            lines.append(f"* [{cause.title}]({target}#{slug}) ({cause.decision.value}; {where})")
        lines.append("")
    return "\n".join(lines)


def messages_page(homes: dict[str, str], examples: dict[str, list[str]]) -> str:
    """Return the page of messages. It has a heading for each message, followed by its cause and the first remedy."""
    known: dict[str, list[str]] = defaultdict(list)
    for slug, texts in examples.items():
        for text in texts:
            if slug in homes and slug not in known[short(text)]:
                known[short(text)].append(slug)
    # A search for a whole message must list that message first. A search for single words must list the guides first.
    lines = ["---", "hide: [toc]", "search: {boost: 1}", "---", "# Error messages", "", ABOUT_MESSAGES, ""]
    for number, message in enumerate(sorted(known, key=str.lower)):
        lines += [f"## {literal(message)} {{#message-{number}}}", ""]
        for slug in known[message]:
            cause = catalogue().causes[slug]
            target = homes[slug].removeprefix("errors/")
            remedy = next((each.remedy.alone for each in cause.advice if "{" not in each.remedy.do), "")
            lines.append(f"* [{cause.title}]({target}#{slug}) ({cause.decision.value}). {remedy}")
        lines.append("")
    return "\n".join(lines)


def short(message: str) -> str:
    """Return a message without the words that the AWS CLI writes before it, shortened to the length of a heading."""
    message = PREFIX.sub("", message)
    if len(message) <= LONGEST_HEADING:
        return message
    return message[:LONGEST_HEADING].rsplit(" ", 1)[0] + " …"
