"""Hooks of MkDocs that turn the repository into the site.

The pages under docs/ link to files outside of it, such as ../CONTRIBUTING.md, so that the links work in a checkout. The
hooks add these files to the site and point the links to them. They also write the generated pages: one for the errors
of each service, one for all error codes, and the reference of the command.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).parent))

from site_command import command_reference
from site_errors import errors_pages

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
COMMANDS = "<!-- every command -->"
LINK = re.compile(r"(\]\()([^)\s:]+?)(#[^)\s]*)?(\))")
CODE = re.compile(r"(^ *```.*?^ *```$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)

# Files outside docs/ that are pages of the site, each with its place there.
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
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


def program(path: Path) -> str:
    """Return the page of an example: its first line as the heading, its code, and how to run it."""
    text = path.read_text(encoding="utf-8")
    return f"# {path.name}\n\nRun it from a checkout: `python examples/{path.name}`.\n\n```python\n{text}```\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside docs/ that pages link to, and the generated pages."""
    sources = {f"docs/{file.src_uri}": Path(file.abs_src_path or "") for file in files.documentation_pages()}
    sources |= {name: ROOT / name for name in PAGES}
    targets = set(PAGES) | {str(path.relative_to(ROOT)) for path in (ROOT / "examples").glob("*.py")}
    for path, source in sources.items():
        targets |= linked(source.read_text(encoding="utf-8"), path)
    for target in sorted(target for target in targets if not target.startswith("docs/")):
        uri = site_uri(target)
        if target in PAGES:
            text = relinked((ROOT / target).read_text(encoding="utf-8"), target)
            files.append(File.generated(config, uri, content=text))
        elif uri.endswith(".md"):
            files.append(File.generated(config, uri, content=program(ROOT / target)))
        else:
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / target)))
    for uri, text in errors_pages(ROOT).items():
        known = files.get_file_from_path(uri)
        if known:
            files.remove(known)
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs's
    """Point the links of a page to the site, and write the command's reference where its page wants it."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, command_reference())
    if page.file.generated_by:
        return markdown
    return relinked(markdown, f"docs/{page.file.src_uri}")
