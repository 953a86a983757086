"""Hooks of MkDocs that turn the repository into the site.

Pages under docs/ link to files outside of docs/, such as ../CONTRIBUTING.md, so that the links work on GitHub. The
hooks add these files to the site and point the links to them. They also write the generated pages: one about the errors
of each service, one with all error codes, and one about the command `bedrock`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).parent))

from site_command import command_reference
from site_errors import errors_pages
from site_links import PAGES, ROOT, linked, public_names, relinked, site_uri, unescaped, with_references

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

COMMANDS = "<!-- every command -->"
# The weight of pages in the search. The first row that matches a page applies.
WEIGHTS = {
    "how-do-i": 3,
    "errors/": 0.5,
    "reference/": 1,
    "errors": 1,
    "architecture": 1,
    "traps/": 0.5,
    "contributing": 1,
    "changelog": 1,
    "": 2,
}


def program(path: Path) -> str:
    """Return the page about an example: its first line as the heading, its code, and how to run it."""
    text = path.read_text(encoding="utf-8")
    return f"# Example: {path.name}\n\nRun it from a checkout: `python examples/{path.name}`.\n\n```python\n{text}```\n"


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
    """Prepare the Markdown of a page: its links lead to pages of the site, and its rank in the search is set. The page
    about the command `bedrock` gets its content.

    A word can occur in the headings of several pages. The search then lists the short answers of "How do I …?" first,
    then the guides, and the pages about errors last. It omits the README, which repeats other pages.
    """
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, command_reference())
    uri = page.file.src_uri
    weight = next(weight for start, weight in WEIGHTS.items() if uri.startswith(start))
    page.meta.setdefault("search", {"exclude": True} if uri == "readme.md" else {"boost": weight})
    markdown = unescaped(markdown)
    if page.file.generated_by:
        return markdown
    return relinked(markdown, f"docs/{page.file.src_uri}")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs's
    """Make each public name a link to the API reference. The API reference itself is not changed."""
    if page.file.src_uri.startswith(("reference/", "errors", "changelog")):
        return html
    return with_references(html, page.file.url, public_names())
