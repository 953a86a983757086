"""Check the site that `make docs` built. Every link within the site must lead to an existing page or anchor, and no
page may load a file from another host.

MkDocs checks only the links in Markdown. This script reads the HTML, so it also checks links and anchors that the
theme, the API reference and the hooks write. It also checks that the API reference contains every public name.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "script": "src",
    "source": "src",
    "video": "src",
}
LOADING_RELATIONS = {
    "icon",
    "manifest",
    "modulepreload",
    "preconnect",
    "preload",
    "prefetch",
    "stylesheet",
    "dns-prefetch",
}
STYLES = re.compile(r"""(?:url\(\s*|@import\s+)["']?(?:https?:)?//[^)"']+""")
# Material's script loads mermaid from a content delivery network as soon as a page has such a diagram.
NETWORKED_CLASSES = {"mermaid"}


class Reader(HTMLParser):
    """Collects the anchors of an HTML page, its links, and the addresses from which it loads files."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.networked: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the anchors, links and addresses of one element."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        self.networked |= NETWORKED_CLASSES & set(found.get("class", "").split())
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in LOADED and found.get(LOADED[tag]):
            self.loaded.append(found[LOADED[tag]])
        if tag == "link" and LOADING_RELATIONS & set(found.get("rel", "").split()):
            self.loaded.append(found.get("href", ""))


def read(page: Path) -> Reader:
    """Return the anchors and the links of a page, and the addresses from which it loads files."""
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader


def is_foreign(address: str) -> bool:
    """Return whether an address leads to another host."""
    parts = urlsplit(address)
    return bool(parts.netloc) and parts.scheme in ("", "http", "https")


def problems(site: Path) -> list[str]:
    """Return one line for each problem in the site."""
    # A server shows 404.html at any address, so its links begin at the server's root.
    pages = {page.resolve(): read(page) for page in sorted(site.rglob("*.html")) if page.name != "404.html"}
    found = []
    for page, reader in pages.items():
        name = page.relative_to(site)
        found += [f"{name} loads {address} from another host" for address in reader.loaded if is_foreign(address)]
        found += [f"{name} has an element of class {kind}, which loads a script" for kind in sorted(reader.networked)]
        found += [f"{name} links to {link}: {why}" for link in reader.links if (why := dead(link, page, pages))]
    for style in sorted(site.rglob("*.css")):
        found += [f"{style.relative_to(site)} loads {address}" for address in STYLES.findall(style.read_text("utf-8"))]
    return found


def dead(link: str, page: Path, pages: dict[Path, Reader]) -> str | None:
    """Return the reason why a link leads nowhere. Return None if the link works, or if it leads to another host."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_file():
        return "no such file"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors | {"__comments"}:
        return "no such anchor"
    return None


def unreferenced(site: Path, surface: str) -> list[str]:
    """Return one line for each public name in tests/surface/public.txt that the site's API reference does not contain.

    The API reference contains a name if it has an anchor for it.
    """
    anchors = set[str]().union(*(read(page).anchors for page in (site / "reference").glob("*.html")))
    names = re.findall(r"^[\w.]+(?=$|[(:])", surface, re.MULTILINE)
    return [
        f"the reference has no entry for {name}"
        for name in names
        if name not in anchors and not name.endswith("__version__")
    ]


def main() -> int:
    """Print the problems, and return 1 if there are any."""
    site = Path(sys.argv[1]).resolve()
    found = problems(site) + unreferenced(site, Path(sys.argv[2]).read_text(encoding="utf-8"))
    print(
        "\n".join(found)
        or f"The site is in {site}: {len(list(site.rglob('*.html')))} pages, and every link within the site works"
    )
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
