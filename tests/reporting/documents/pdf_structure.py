"""What a PDF must hold to be read aloud and kept: rules by name, read from the file's own structure.

The rules are those of ISO 14289-1 (PDF/UA-1), by the checkpoints of the Matterhorn Protocol that a program can decide, as far as
these reports have what they are about (no forms, notes, formulae, attachments), and two of ours: each cell names the headers of
its column and its row, and a long document has bookmarks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pikepdf

STANDARD = frozenset(
    "Document Part Div Sect P H1 H2 H3 H4 H5 H6 L LI Lbl LBody Table TR TH TD THead TBody Caption Figure Span Link Reference Code Quote TOC TOCI".split()
)
PAINTED = frozenset("Tj TJ ' \" f F f* S s B B* b b* Do sh EI".split())


def elements(pdf: pikepdf.Pdf) -> list[tuple[str, pikepdf.Dictionary]]:
    """Every element of the structure tree in reading order, with its type."""
    return list(_walk(pdf.Root.StructTreeRoot)) if "/StructTreeRoot" in pdf.Root else []


def _walk(node) -> Iterator[tuple[str, pikepdf.Dictionary]]:
    for child in kids(node):
        if isinstance(child, pikepdf.Dictionary) and "/S" in child:
            yield str(child.S)[1:], child
            yield from _walk(child)


def kids(node) -> list:
    """Children of an element: elements, numbers of marked content, references to annotations."""
    held = node.get("/K")
    return [] if held is None else list(held) if isinstance(held, pikepdf.Array) else [held]


def text_of_attributes(node, name: str):
    """One attribute of an element that belongs to tables, or None."""
    held = node.get("/A")
    for given in [] if held is None else list(held) if isinstance(held, pikepdf.Array) else [held]:
        if isinstance(given, pikepdf.Dictionary) and given.get("/O") == "/Table" and name in given:
            return given[name]
    return None


def _tagged(pdf) -> list[str]:
    mark = pdf.Root.get("/MarkInfo", {})
    roots = [str(n.S) for n in kids(pdf.Root.get("/StructTreeRoot", pikepdf.Dictionary()))]
    found = [] if mark.get("/Marked") else ["the file is not marked as tagged"]
    return found + (["the tags are marked as suspect"] if mark.get("/Suspects") else []) + ([] if roots == ["/Document"] else [f"the tree begins with {roots}"])


def _claims(pdf) -> list[str]:
    said = pdf.open_metadata()
    wanted = {"pdfuaid:part": "1", "pdfaid:part": "3", "pdfaid:conformance": "A"}
    return [f"metadata say {name} is {said.get(name)}" for name, value in wanted.items() if said.get(name) != value]


def _title(pdf) -> list[str]:
    said = str(pdf.open_metadata().get("dc:title", "")).strip()
    shown = pdf.Root.get("/ViewerPreferences", {}).get("/DisplayDocTitle")
    same = not pdf.docinfo.get("/Title") or str(pdf.docinfo.Title) == said
    return [words for words, right in (("no title in the metadata", bool(said)), ("the title is not displayed", bool(shown)), ("two titles differ", same)) if not right]


def _language(pdf) -> list[str]:
    return [] if re.fullmatch(r"[a-z]{2,3}(-[A-Z]{2})?", str(pdf.Root.get("/Lang", ""))) else ["no language"]


def _types(pdf) -> list[str]:
    roles = {str(k)[1:]: str(v)[1:] for k, v in pdf.Root.StructTreeRoot.get("/RoleMap", {}).items()}
    found = [f"{kind} is no standard type and has no role" for kind in {k for k, _ in elements(pdf)} if kind not in STANDARD and roles.get(kind) not in STANDARD]
    return found + [f"the standard type {kind} is mapped to another" for kind in roles if kind in STANDARD]


def _content(pdf) -> list[str]:
    """All that a page paints lies in marked content that the tree holds once, or is an artifact; the two do not nest."""
    held: dict[tuple[int, int], int] = {}
    for _, node in elements(pdf):
        for child in kids(node):
            number, page = (child, node.get("/Pg")) if isinstance(child, int) else (child.get("/MCID"), child.get("/Pg", node.get("/Pg")))
            if number is not None:
                held[page.objgen[0], int(number)] = held.get((page.objgen[0], int(number)), 0) + 1
    found = [f"content {number} stands twice in the tree" for (_, number), times in held.items() if times > 1]
    for place, page in enumerate(pdf.pages, start=1):
        open_marks: list[int | str | None] = []
        for instruction in pikepdf.parse_content_stream(page):
            operator, operands = str(instruction.operator), instruction.operands
            if operator in ("BDC", "BMC"):
                number = operands[1].get("/MCID") if len(operands) > 1 and isinstance(operands[1], pikepdf.Dictionary) else None
                mark = "artifact" if str(operands[0]) == "/Artifact" else None if number is None else int(number)
                if mark is not None and any(m is not None for m in open_marks):
                    found.append(f"page {place}: content and artifact nest in each other")
                open_marks.append(mark)
                if isinstance(mark, int) and (page.objgen[0], mark) not in held:
                    found.append(f"page {place}: content {mark} is in no element")
            elif operator == "EMC":
                open_marks.pop()
            elif operator in PAINTED and all(m is None for m in open_marks):
                found.append(f"page {place}: {operator} outside any tag")
    return sorted(set(found))


def _parents(pdf) -> list[str]:
    found = []
    for kind, node in elements(pdf):
        for child in kids(node):
            if isinstance(child, pikepdf.Dictionary) and "/S" in child and child.get("/P") != node:
                found.append(f"{child.S} does not name {kind} as its parent")
    return found


def _headings(pdf) -> list[str]:
    levels = [int(kind[1]) for kind, _ in elements(pdf) if re.fullmatch("H[1-6]", kind)]
    found = [] if levels[:1] == [1] and levels.count(1) == 1 else [f"headings begin {levels[:2]}, with {levels.count(1)} of level 1"]
    return found + [f"level {low} is followed by {high}" for low, high in zip(levels, levels[1:], strict=False) if high > low + 1]


def _table_form(pdf) -> list[str]:
    inside = {"Table": {"Caption", "THead", "TBody", "TR"}, "THead": {"TR"}, "TBody": {"TR"}, "TR": {"TH", "TD"}}
    found = []
    for kind, node in elements(pdf):
        wrong = {str(c.S)[1:] for c in kids(node) if isinstance(c, pikepdf.Dictionary) and "/S" in c} - inside.get(kind, set())
        found += [f"{inner} lies in {kind}" for inner in wrong if kind in inside]
        if kind == "Table":
            lengths = {len(kids(row)) for name, row in _walk(node) if name == "TR"}
            found += [f"rows of {sorted(lengths)} cells"] if len(lengths) != 1 else []
    return found


def _headers(pdf) -> list[str]:
    """Each header has its scope; each cell names the header of its column and that of its row, where there is one."""
    found = []
    for table in (node for kind, node in elements(pdf) if kind == "Table"):
        rows = [kids(row) for kind, row in _walk(table) if kind == "TR"]
        for at, row in enumerate(rows):
            own = {str(cell.ID) for cell in row if cell.S == "/TH" and text_of_attributes(cell, "/Scope") == "/Row"}
            for place, cell in enumerate(row):
                named = {str(h) for h in text_of_attributes(cell, "/Headers") or []}
                above = {str(r[place].ID) for r in rows[:at] if place < len(r) and r[place].S == "/TH" and text_of_attributes(r[place], "/Scope") == "/Column"}
                if cell.S == "/TH" and text_of_attributes(cell, "/Scope") not in ("/Column", "/Row"):
                    found.append("a header without its scope")
                elif cell.S == "/TD" and (named != own | above or not named):
                    found.append(f"cell {place + 1} of row {at + 1} names {sorted(named)}, not {sorted(own | above)}")
            if not own and any(cell.S == "/TD" for cell in row):
                found.append(f"row {at + 1} has no header")
    return found


def _identifiers(pdf) -> list[str]:
    index = pdf.Root.StructTreeRoot.get("/IDTree")
    told = [] if index is None else [bytes(v) for v in list(index.Names)[::2]]
    borne = [bytes(node.ID) for _, node in elements(pdf) if "/ID" in node]
    found = [] if len(set(borne)) == len(borne) else ["an identifier stands twice"]
    return found + ([] if sorted(borne) == told else ["the index of identifiers is not theirs, in order"])


def _figures(pdf) -> list[str]:
    figures = [node for kind, node in elements(pdf) if kind == "Figure"]
    found = [f"a figure is called `{node.get('/Alt', '')}`" for node in figures if len(str(node.get("/Alt", "")).split()) < 3]
    return found + ["a figure has no bounds" for node in figures if "/BBox" not in str(node.get("/A", ""))]


def _lists(pdf) -> list[str]:
    found = []
    for kind, node in elements(pdf):
        inner = {str(c.S)[1:] for c in kids(node) if isinstance(c, pikepdf.Dictionary) and "/S" in c}
        if kind == "L" and not inner <= {"LI", "L", "Caption"}:
            found.append(f"a list holds {sorted(inner)}")
        elif kind == "LI" and not {"LBody"} <= inner <= {"LBody", "Lbl"}:
            found.append(f"an item of a list holds {sorted(inner)}")
        elif kind not in ("L", "Document", "Sect", "Part") and "LI" in inner:
            found.append(f"an item lies in {kind}")
    return found


def _links(pdf) -> list[str]:
    tagged = {child.Obj.objgen for kind, node in elements(pdf) if kind == "Link" for child in kids(node) if isinstance(child, pikepdf.Dictionary) and "/Obj" in child}
    found = []
    for place, page in enumerate(pdf.pages, start=1):
        for note in page.get("/Annots", []):
            if note.objgen not in tagged:
                found.append(f"page {place}: a link is in no element")
            if not str(note.get("/Contents", "")).strip():
                found.append(f"page {place}: a link says nothing of itself")
    return found


def _tab_order(pdf) -> list[str]:
    return [f"page {place}: no order of tabs" for place, page in enumerate(pdf.pages, start=1) if "/Annots" in page and page.get("/Tabs") != "/S"]


def _fonts(pdf) -> list[str]:
    found = []
    for page in pdf.pages:
        for font in page.get("/Resources", {}).get("/Font", {}).values():
            inner = font.DescendantFonts[0] if "/DescendantFonts" in font else font
            if not any(name in inner.get("/FontDescriptor", {}) for name in ("/FontFile", "/FontFile2", "/FontFile3")):
                found.append(f"{font.BaseFont} is not embedded")
            if "/ToUnicode" not in font:
                found.append(f"{font.BaseFont} does not say its letters")
    return sorted(set(found))


def _running(pdf) -> list[str]:
    """Lines at the top and foot of a page are artifacts: every page has such, and none of them is read as content."""
    found = []
    for place, page in enumerate(pdf.pages, start=1):
        kinds = {str(i.operands[1].get("/Subtype")) for i in pikepdf.parse_content_stream(page)
                 if str(i.operator) == "BDC" and str(i.operands[0]) == "/Artifact" and isinstance(i.operands[1], pikepdf.Dictionary)}
        found += [f"page {place}: no running {kind[1:].lower()} that is an artifact" for kind in ("/Header", "/Footer") if kind not in kinds]
    return found


def _archive(pdf) -> list[str]:
    held = pdf.Root.get("/OutputIntents")
    colours = held is not None and any("/DestOutputProfile" in intent for intent in held)
    wrong = [name for name in ("/OpenAction", "/AA", "/AcroForm", "/Collection") if name in pdf.Root]
    return ([] if colours else ["no colour profile"]) + [f"{name} has no place in an archive" for name in wrong] + (["encrypted"] if pdf.is_encrypted else [])


def _bookmarks(pdf) -> list[str]:
    entries = pdf.Root.get("/Outlines", {}).get("/Count", 0)
    return ["no bookmarks"] if sum(kind == "H2" for kind, _ in elements(pdf)) > 1 and not entries else []


RULES: dict[str, Callable[[pikepdf.Pdf], list[str]]] = {
    "tagged": _tagged, "claims": _claims, "title": _title, "language": _language, "types": _types, "all content tagged": _content, "parents": _parents,
    "headings": _headings, "form of tables": _table_form, "headers of tables": _headers, "identifiers": _identifiers, "figures": _figures, "lists": _lists,
    "links": _links, "order of tabs": _tab_order, "fonts": _fonts, "running lines": _running, "archive": _archive, "bookmarks": _bookmarks,
}
"""Every rule by its name; each gives what breaks it."""


def findings(pdf: pikepdf.Pdf) -> dict[str, list[str]]:
    """What breaks which rule; empty for a file in order."""
    return {name: found for name, rule in RULES.items() if (found := rule(pdf))}
