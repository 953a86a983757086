"""Convert links between the repository's files into links between the pages of the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(\]\()([^)\s:]+?)(#[^)\s]*)?(\))")
CODE = re.compile(r"(^ *```.*?^ *```$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
DIRECTIVE = re.compile(r"^::: aws_bedrock_inference\.([\w.]+)$", re.MULTILINE)
# A complete link, heading or block of code, or a name between backticks outside of these.
MENTION = re.compile(r"<(a|h\d|pre)\b.*?</\1>|<code>(\w+)</code>", re.DOTALL)

# Files outside docs/ that are pages of the site, each with its path in the site.
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "readme.md",
    "SECURITY.md": "vulnerabilities.md",
    "examples/README.md": "examples/index.md",
}


def site_uri(path: str) -> str:
    """Return the path in the site of a file in the repository."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.startswith("examples/") and path.endswith(".py"):
        return path.removesuffix(".py") + ".md"
    return f"source/{path}"


def linked(text: str, path: str) -> set[str]:
    """Return the file in the repository to which a relative link on the page `path` leads."""
    links = LINK.finditer("".join(CODE.split(text)[::2]))
    return {target for link in links if (ROOT / (target := beside(path, link[2]))).is_file()}


def relinked(text: str, path: str) -> str:
    """Return the text of the page `path`. Its links lead to the paths of their files in the site."""
    here = posixpath.dirname(site_uri(path)) or "."

    def moved(link: re.Match[str]) -> str:
        target = beside(path, link[2])
        if not (ROOT / target).is_file():
            return link[0]
        return f"{link[1]}{posixpath.relpath(site_uri(target), here)}{link[3] or ''}{link[4]}"

    parts = CODE.split(text)
    return "".join(part if number % 2 else LINK.sub(moved, part) for number, part in enumerate(parts))


def beside(path: str, link: str) -> str:
    """Return the file in the repository to which a relative link on the page `path` leads."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def unescaped(text: str) -> str:
    """Return the text without the backslash before a vertical bar in the code of a table. GitHub needs this
    backslash, but MkDocs shows it.
    """
    rows = re.compile(r"^\|.*\|$", re.MULTILINE)
    return rows.sub(lambda row: re.sub(r"`[^`\n]+`", lambda code: code[0].replace("\\|", "|"), row[0]), text)


def public_names() -> dict[str, str]:
    """Return, for each public name, the address of its entry in the API reference, relative to the root of the site."""
    return {
        name.rsplit(".", 1)[-1]: f"reference/{page.stem}.html#aws_bedrock_inference.{name}"
        for page in sorted((ROOT / "docs" / "reference").glob("*.md"))
        for name in DIRECTIVE.findall(page.read_text(encoding="utf-8"))
        if not name.islower()
    }


def with_references(html: str, url: str, names: dict[str, str]) -> str:
    """Return the HTML of the page at `url`. The first mention of each public name is a link to the API reference."""
    here = posixpath.dirname(url) or "."
    left = dict(names)

    def link(found: re.Match[str]) -> str:
        target = left.pop(found[2], None) if found[2] else None
        if target is None:
            return found[0]
        address, _, anchor = target.partition("#")
        return f'<a href="{posixpath.relpath(address, here)}#{anchor}"><code>{found[2]}</code></a>'

    return MENTION.sub(link, html)
