"""Headers of rows in the structure tree of a PDF: Typst tags headers of columns only, so the cells that head a row are named here."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from evaluation.errors import GateError

if TYPE_CHECKING:
    import pikepdf

TableHeads = Sequence[Sequence[Sequence[int]]]
"""For each row of a table's body, the places of the cells that head it."""


def name_row_headers(content: bytes, tables: Sequence[TableHeads]) -> bytes:
    """Tag the cells that head a row as headers, with scope and identifier, and name them in the cells of their row.

    A reader that follows the headers of a cell then says row and column; one that follows scopes finds both as well. The file is
    written with object streams, which a structure tree of many cells makes several times smaller. PDF/UA-1 (ISO 14289-1, 7.5)
    asks for the headers of each cell; ISO 32000-1, 14.8.5.7 defines ``Scope`` and ``Headers``.

    Parameters
    ----------
    content : bytes
        A tagged PDF as Typst writes it.
    tables : sequence
        What heads the rows of each table, in the order of the page.

    Returns
    -------
    bytes
        The same bytes for the same content.

    Raises
    ------
    GateError
        The tables of the file are not those that were told, row by row and cell by cell.
    """
    import pikepdf

    with pikepdf.open(io.BytesIO(content)) as pdf:
        found = list(_below(pdf.Root.StructTreeRoot, "/Table")) if "/StructTreeRoot" in pdf.Root else []
        if len(found) != len(tables):
            raise _differs(f"{len(found)} tables, the page {len(tables)}")
        named = {}
        for number, (table, heads) in enumerate(zip(found, tables, strict=True), start=1):
            named |= _name_rows(table, heads, number)
        if named:
            _enter(pdf.Root.StructTreeRoot, named)
        out = io.BytesIO()
        pdf.save(out, object_stream_mode=pikepdf.ObjectStreamMode.generate, deterministic_id=True)
        return out.getvalue()


def _name_rows(table: pikepdf.Dictionary, heads: TableHeads, number: int) -> dict[str, pikepdf.Object]:
    """Name the headers of one table's rows; the elements by their new identifiers."""
    import pikepdf

    rows = [row for row in _below(table, "/TR") if row.P.get("/S") != "/THead"]
    if len(rows) != len(heads):
        raise _differs(f"{len(rows)} rows in table {number}, the page {len(heads)}")
    named: dict[str, pikepdf.Object] = {}
    for place, (row, chosen) in enumerate(zip(rows, heads, strict=True), start=1):
        cells = list(row.K)
        if any(at >= len(cells) for at in chosen):
            raise _differs(f"{len(cells)} cells in row {place} of table {number}, the page a header at {max(chosen) + 1}")
        for at in chosen:
            identifier = f"R{number}x{at}y{place}"
            cells[at].S, cells[at].ID = pikepdf.Name.TH, pikepdf.String(identifier)
            _attributes(cells[at]).Scope = pikepdf.Name.Row
            named[identifier] = cells[at]
        identifiers = [cells[at].ID for at in chosen]
        for at, cell in enumerate(cells):
            if at not in chosen:
                headers = _attributes(cell)
                if "/Headers" not in headers:
                    headers.Headers = pikepdf.Array()
                headers.Headers.extend(identifiers)
    return named


def _attributes(cell: pikepdf.Object) -> Any:
    """The attributes of a cell that belong to tables; made if it has none."""
    import pikepdf

    held = cell.get("/A")
    if held is None:
        cell.A = pikepdf.Array()
    elif not isinstance(held, pikepdf.Array):
        cell.A = pikepdf.Array([held])
    for given in cell.A:
        if isinstance(given, pikepdf.Dictionary) and given.get("/O") == "/Table":
            return given
    cell.A.append(pikepdf.Dictionary(O=pikepdf.Name.Table))
    return cell.A[len(cell.A) - 1]


def _enter(tree: pikepdf.Object, named: dict[str, pikepdf.Object]) -> None:
    """Enter the new identifiers into the tree's index, which is ordered by bytes."""
    import pikepdf

    known = dict(pikepdf.NameTree(tree.IDTree).items()) if "/IDTree" in tree else {}
    both = sorted({**known, **named}.items(), key=lambda pair: pair[0].encode("utf-8"))
    tree.IDTree = pikepdf.Dictionary(Names=pikepdf.Array([part for identifier, element in both for part in (pikepdf.String(identifier), element)]))


def _below(node: pikepdf.Object, kind: str) -> Iterator[pikepdf.Dictionary]:
    """The nearest elements of one kind below a node, in reading order."""
    import pikepdf

    held = node.get("/K")
    for child in held if isinstance(held, pikepdf.Array) else [held]:
        if isinstance(child, pikepdf.Dictionary):
            if child.get("/S") == kind:
                yield child
            else:
                yield from _below(child, kind)


def _differs(said: str) -> GateError:
    return GateError(f"the PDF's tags have {said}", where="tables", mend="see how the tables of the page are written as Typst source")
