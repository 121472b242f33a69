"""An edition's HTML as a small tree, so that other formats are made from the very page that was checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser
from threading import Lock

UNPRINTED = frozenset({"row-link", "hidden"})
"""Classes of what other formats leave out: links to rows, and words that only a screen reader says."""

VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())


@dataclass
class Node:
    """One element: tag, attributes, children (elements and texts)."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node | str] = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        """Its classes."""
        return set(self.attributes.get("class", "").split())

    @property
    def text(self) -> str:
        """All text below, spaces collapsed."""
        return " ".join("".join(self._texts()).split())

    @property
    def words(self) -> str:
        """The text that is printed: without links to rows and words for screens alone."""
        return " ".join("".join(self._texts(UNPRINTED)).split())

    def _texts(self, without: frozenset[str] = frozenset()) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            elif not child.classes & without:
                yield from child._texts(without)

    def walk(self) -> Iterator[Node]:
        """This element and all below it, in order."""
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.walk()

    def find(self, *tags: str) -> Node | None:
        """The first element below with one of these tags."""
        return next((node for node in self.walk() if node.tag in tags and node is not self), None)

    def all(self, *tags: str) -> list[Node]:
        """Every element below with one of these tags."""
        return [node for node in self.walk() if node.tag in tags and node is not self]


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("document")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {key: value or "" for key, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Node(tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        for depth in range(len(self.open) - 1, 0, -1):
            if self.open[depth].tag == tag:
                del self.open[depth:]
                return

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(html: str) -> Node:
    """The tree of a page."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    return builder.root


_READING = Lock()


@dataclass(frozen=True)
class Edition:
    """What other formats need of an edition: its title, standing, body, and the line that names edition and kind."""

    title: str
    heading: str
    label: str
    standing: str
    kind: str
    technical: bool
    draft: bool
    main: Node


def read_edition(html: str) -> Edition:
    """Read an edition as it was written; the formats of one page share what was read, which none of them changes.

    Raises
    ------
    ValueError
        It is not one of this project's editions.
    """
    with _READING:
        return _read(html)


@lru_cache(maxsize=4)
def _read(html: str) -> Edition:
    tree = parse(html)
    body, title, heading, main = tree.find("body"), tree.find("title"), tree.find("h1"), tree.find("main")
    if body is None or title is None or heading is None or main is None:
        raise ValueError("not an edition: it lacks title, first heading or main part")
    banner = next((n for n in body.walk() if "banner" in n.classes), None)
    kind = next((n for n in body.walk() if "kind" in n.classes), None)
    return Edition(title.text, heading.text, body.attributes.get("data-label", ""), banner.text if banner else "", kind.text if kind else "",
                   "technical" in body.classes, any("draft" in n.classes for n in body.walk()), main)
