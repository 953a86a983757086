"""The places of the repository's files in the site, and links that lead there."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(\]\()([^)\s:]+?)(#[^)\s]*)?(\))")
CODE = re.compile(r"(^ *```.*?^ *```$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)

# Files outside docs/ that are pages of the site, each with its place there.
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "readme.md",
    "SECURITY.md": "vulnerabilities.md",
    "examples/README.md": "examples/index.md",
}


def site_uri(path: str) -> str:
    """Return the place in the site of a file of the repository."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.startswith("examples/") and path.endswith(".py"):
        return path.removesuffix(".py") + ".md"
    return f"source/{path}"


def linked(text: str, path: str) -> set[str]:
    """Return the files of the repository that the page `path` links to."""
    links = LINK.finditer("".join(CODE.split(text)[::2]))
    return {target for link in links if (ROOT / (target := beside(path, link[2]))).is_file()}


def relinked(text: str, path: str) -> str:
    """Return the text of the page `path` with links that lead to the places of their files in the site."""
    here = posixpath.dirname(site_uri(path)) or "."

    def moved(link: re.Match[str]) -> str:
        target = beside(path, link[2])
        if not (ROOT / target).is_file():
            return link[0]
        return f"{link[1]}{posixpath.relpath(site_uri(target), here)}{link[3] or ''}{link[4]}"

    parts = CODE.split(text)
    return "".join(part if number % 2 else LINK.sub(moved, part) for number, part in enumerate(parts))


def beside(path: str, link: str) -> str:
    """Return the file of the repository to which a relative link of the page `path` leads."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
