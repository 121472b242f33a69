"""An edition as Typst source: every heading, list, table header and alternative text of the page, written for tagging."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from evaluation.reporting.documents.tree import UNPRINTED, Edition, Node

LONGEST_NUMBERS = 40
"""Rows of a table of plotted numbers that are printed; longer ones stay beside the figure."""

WIDE = 8
"""Columns from which a table is set smaller."""

PAGE_WIDTH = {True: 750.0, False: 505.0}
"""Points between the margins, by whether the edition is the technical one (which lies on its side)."""

PICTURE = {True: (440.0, 410.0), False: (290.0, 240.0)}
"""Most points that a picture is wide and high, by whether the edition is the technical one."""

POINTS_PER_PIXEL = 0.75

_SPECIAL = re.compile(r"([\\#$*_`<>@\[\]~=\-+/'\"])")
_IDENTIFIER = re.compile(r"[A-Za-z][\w:.-]*$")
_INLINE = frozenset("a span strong b em i code sub sup abbr small br kbd var mark cite q".split())
_HEADINGS = {f"h{n}": n for n in range(1, 7)}


@dataclass(frozen=True)
class TypstSource:
    """A page as Typst source, and what Typst does not tag: for each table, by row of its body, the places of the cells that head the row."""

    text: str
    row_heads: tuple[tuple[tuple[int, ...], ...], ...]


def typst_source(edition: Edition, folder: Path, made: date) -> TypstSource:
    """Write an edition as Typst source; its images are written into ``folder``.

    Parameters
    ----------
    edition : Edition
    folder : Path
        Holds the images that the source names.
    made : date
        Day on which it was made.

    Returns
    -------
    TypstSource
    """
    writer = _Writer(edition, folder)
    body = writer.blocks(edition.main.children)
    template = (Path(__file__).parent / "report.typ").read_text(encoding="utf-8")
    values = {
        "title": _string(edition.title), "heading": _string(edition.heading), "standing": _string(edition.standing), "kind": _string(edition.kind),
        "technical": "true" if edition.technical else "false", "simulated": "true" if edition.label == "simulated" else "false",
        "draft": "true" if edition.draft else "false", "made": f"datetime(year: {made.year}, month: {made.month}, day: {made.day})",
    }
    for name, value in values.items():
        template = template.replace(f"<<{name}>>", value)
    return TypstSource(template + "\n" + body, tuple(writer.row_heads))


def fitted(image: Node, widest: float, highest: float) -> tuple[float, float]:
    """Width and height of an image in points, made smaller where it would not fit the page."""
    width, height = (float(image.attributes.get(side) or 600) * POINTS_PER_PIXEL for side in ("width", "height"))
    scale = min(1.0, widest / width, highest / height)
    return width * scale, height * scale


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _breakable(markup: str) -> str:
    """Cells in which a long code may break after an underscore."""
    return markup.replace("\\_", "\\_#sym.zws;")


def _escape(text: str) -> str:
    return re.sub(r"(?m)^(\s*)(\d+)\.", r"\1\2\\.", _SPECIAL.sub(r"\\\1", text))


class _Writer:
    def __init__(self, edition: Edition, folder: Path):
        self.edition, self.folder = edition, folder
        self.images = 0
        self.row_heads: list[tuple[tuple[int, ...], ...]] = []
        kept = [node for node in edition.main.walk()]
        self.targets = {n.attributes["id"] for n in kept if n.tag in _HEADINGS and _IDENTIFIER.match(n.attributes.get("id", ""))}

    def blocks(self, children: Sequence[Node | str]) -> str:
        """Blocks one after another; runs of text and inline elements between them become paragraphs."""
        written, run = [], []
        for child in children:
            if isinstance(child, str) or child.tag in _INLINE:
                run.append(child)
                continue
            written += self._paragraph(run)
            run = []
            written.append(self._block(child))
        written += self._paragraph(run)
        return "\n\n".join(part for part in written if part.strip())

    def _paragraph(self, run: list[Node | str]) -> list[str]:
        text = self.inline(run).strip()
        return [text] if text else []

    def _block(self, node: Node) -> str:
        if node.tag == "details":
            return self._details(node)
        if node.tag in _HEADINGS:
            label = node.attributes.get("id", "")
            mark = f" <{label}>" if label in self.targets else ""
            return f"#heading(level: {_HEADINGS[node.tag]})[{self.inline(node.children)}]{mark}"
        if node.tag == "p":
            return self._sentence(node)
        if node.tag in ("ul", "ol"):
            items = "".join(f"[{self.blocks(item.children)}], " for item in node.children if isinstance(item, Node) and item.tag == "li")
            return f"#{'list' if node.tag == 'ul' else 'enum'}({items})"
        if node.tag == "dl":
            return self._terms(node)
        if node.tag == "table":
            return self._table(node)
        if node.tag == "figure":
            return self._figure(node)
        if node.tag == "pre":
            return f"#raw({_string(''.join(node._texts()))}, block: true)"
        if node.tag == "hr":
            return ""
        if node.tag == "img":
            return self._image(node, "none")
        inner = self.blocks(node.children)
        return f"#headline-box[\n{inner}\n]" if "headline" in node.classes and inner else inner

    def _sentence(self, node: Node) -> str:
        text = self.inline(node.children).strip()
        if not text:
            return ""
        if "verdict" in node.classes:
            return f"#verdict[{text}]"
        if "headline-label" in node.classes or "simulated" in node.classes:
            return f"#standing-line[{text}]"
        return f"#note[{text}]" if "note" in node.classes else text

    def _details(self, node: Node) -> str:
        """Folded parts: code stays in the page; numbers behind a figure are printed in the technical edition unless they are long."""
        if not self.edition.technical or "code" in node.classes:
            return ""
        if any(len(table.all("tr")) > LONGEST_NUMBERS + 1 for table in node.all("table")):
            return ""
        return self.blocks([c for c in node.children if not (isinstance(c, Node) and c.tag == "summary")])

    def _terms(self, node: Node) -> str:
        items, term = [], ""
        for child in node.children:
            if isinstance(child, Node) and child.tag == "dt":
                term = self.inline(child.children)
            elif isinstance(child, Node) and child.tag == "dd":
                items.append(f"terms.item[{term}][{self.blocks(child.children)}]")
        return f"#terms({', '.join(items)})" if items else ""

    def _table(self, node: Node) -> str:
        head = [cell for row in (node.find("thead").all("tr") if node.find("thead") else []) for cell in row.all("th", "td")]
        body = node.find("tbody") or node
        rows = [row.all("th", "td") for row in body.all("tr") if not (row.all("th", "td") and row.all("th", "td")[0] in head)]
        columns = len(head) or max((len(row) for row in rows), default=0)
        if not columns:
            return ""
        numeric = ["num" in cell.classes for cell in (head or rows[0])]
        size = 7.5 if columns > WIDE + 4 else 8 if columns > WIDE else 9
        size -= 0 if self.edition.technical else 0.75
        widths = self._widths([[c.text for c in row] for row in ([head] if head else []) + rows], numeric, size)
        sides = ", ".join("right" if right else "left" for right in numeric)
        header = "table.header(" + ", ".join(f"[{self.inline(cell.children)}]" for cell in head) + ")," if head else ""
        # Typst's pdf.header-cell needs its feature a11y-extras, which the Python binding (0.15.2) cannot switch on: see documents/tags.py.
        self.row_heads.append(tuple(tuple(place for place, cell in enumerate(row) if cell.tag == "th") for row in rows))
        cells = "\n".join(", ".join(self._cell(cell) for cell in row) + "," for row in rows)
        caption = node.find("caption")
        drawn = f"table(columns: ({', '.join(widths)},), align: ({sides},), {header}\n{cells}\n)"
        title = f"[{self.inline(caption.children)}]" if caption else "none"
        return f"#data-table({size}pt, {title}, {drawn})"

    def _cell(self, cell: Node) -> str:
        """A cell: plain words as a string, which Typst sets in less time than markup."""
        if any(isinstance(child, Node) for child in cell.children):
            return f"[{_breakable(self.inline(cell.children))}]"
        return _string(re.sub(r"\s+", " ", "".join(str(child) for child in cell.children)).replace("_", "_\u200b"))

    def _widths(self, rows: list[list[str]], numeric: list[bool], size: float) -> list[str]:
        """Widths of columns: as they come where all fit; otherwise numbers as wide as they need, and texts share what is left."""
        def longest(column: int) -> int:
            return max((len(row[column]) for row in rows if column < len(row)), default=1)

        letter = size * 0.66
        room = PAGE_WIDTH[self.edition.technical]
        if sum(longest(c) * letter + 8 for c in range(len(numeric))) <= room:
            return ["auto"] * len(numeric)
        words = [max((len(word) for row in rows if c < len(row) for word in re.split(r"[\s_]", row[c])), default=1) * letter + 9 for c in range(len(numeric))]
        heads = [len(rows[0][c]) * letter / 2.5 + 9 if c < len(rows[0]) else 0.0 for c in range(len(numeric))]
        texts = [c for c, right in enumerate(numeric) if not right and longest(c) > 3]
        needed = [words[c] if c in texts else max(words[c], heads[c]) for c in range(len(numeric))]
        if sum(needed) > room:  # too narrow for all: by their longest words, heads being bold, because columns of one width print heads over one another
            bold = [max((len(word) for word in re.split(r"[\s_]", rows[0][c])), default=1) * letter * 1.15 + 9 if c < len(rows[0]) else 0.0 for c in range(len(numeric))]
            return [f"{max(words[c], bold[c]):.0f}fr" for c in range(len(numeric))]
        if not texts:
            return ["auto"] * len(numeric)
        if sum(longest(c) * letter + 8 if c in texts else needed[c] for c in range(len(numeric))) <= room:
            return ["auto" if c in texts else f"{needed[c]:.0f}pt" for c in range(len(numeric))]
        left, wishes = room - sum(needed), {c: longest(c) * letter + 8 - needed[c] for c in texts}
        share = left / max(1.0, sum(wish**0.75 for wish in wishes.values() if wish > 0))
        return [f"{needed[c] + (min(wishes[c], share * wishes[c] ** 0.75) if wishes.get(c, 0) > 0 else 0):.0f}pt" for c in range(len(numeric))]

    def _figure(self, node: Node) -> str:
        caption, image = node.find("figcaption"), node.find("img")
        if image is None:
            return self.blocks(node.children)
        return self._image(image, f"[{self.inline(caption.children)}]" if caption else "none")

    def _image(self, node: Node, caption: str) -> str:
        kind, _, data = node.attributes.get("src", "").partition(";base64,")
        if not data:
            return ""
        self.images += 1
        name = f"figure-{self.images}.{kind.rpartition('/')[2] or 'png'}"
        (self.folder / name).write_bytes(base64.b64decode(data))
        width, _ = fitted(node, *PICTURE[self.edition.technical])
        return f"#picture({_string(name)}, {_string(node.attributes.get('alt', ''))}, {width:.0f}pt, {caption})"

    def inline(self, children: Sequence[Node | str]) -> str:
        """Text and inline elements in one line."""
        written = []
        for child in children:
            if isinstance(child, str):
                written.append(_escape(re.sub(r"\s+", " ", child)))
            elif child.tag == "br":
                written.append(" \\ ")
            elif child.classes & UNPRINTED:
                continue
            else:
                written.append(self._inline(child, self.inline(child.children)))
        return "".join(written)

    def _inline(self, node: Node, inner: str) -> str:
        if not inner.strip():
            return inner
        if node.tag in ("strong", "b"):
            return f"#strong[{inner}]"
        if node.tag in ("em", "i"):
            return f"#emph[{inner}]"
        if node.tag == "code":
            return f"#raw({_string(node.text)})"
        target = node.attributes.get("href", "")
        if node.tag == "a" and target.startswith("#") and target[1:] in self.targets:
            return f"#link(<{target[1:]}>)[{inner}]"
        return inner
