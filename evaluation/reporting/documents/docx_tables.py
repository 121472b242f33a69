"""Tables of a DOCX: columns as wide as their words need, rows that stay whole, the first column named as header of its row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

from evaluation.reporting.documents.tree import UNPRINTED, Node

TWIPS_PER_POINT = 20
SIDES_POINTS = 12.0
"""What a cell needs beside its words: the margins of both sides, and a little for letters wider than most."""

LETTER_POINTS, HEAD_POINTS = 0.58, 0.66
"""Width of a letter or digit of Arial as a share of its size, and of a bold one in the row of headers."""

SIZES = {True: (7.5, 6.5, 6.0), False: (8.5, 7.5)}
"""Sizes of letters tried in turn, in points, by whether the edition is the technical one."""

_SPACES, _PARTS = re.compile(r"\s+"), re.compile(r"[\s\u200b]")
_LOOK = '<w:tblLook w:firstRow="1" w:lastRow="0" w:firstColumn="1" w:lastColumn="0" w:noHBand="0" w:noVBand="0" w:val="00A0" />'


def table_xml(table: Node, room: int, technical: bool) -> str:
    """Write a table as WordprocessingML: its caption above it, rows that stay whole, the row of headers on every page.

    Parameters
    ----------
    table : Node
        As the page has it, without cells that span others.
    room : int
        Width between the margins, in twips.
    technical : bool
        Whether the edition is the technical one, whose tables are set smaller.

    Returns
    -------
    str
    """
    caption, head = table.find("caption"), table.find("thead")
    said = caption.words if caption else ""
    cells = [row.all("th", "td") for row in table.all("tr")]
    if any({"colspan", "rowspan"} & set(cell.attributes) for row in cells for cell in row):
        raise ValueError(f"a table with cells that span others: {said}")
    heads = len(head.all("tr")) if head else 0
    rows, points, size = _fitted([[cell.words for cell in row] for row in cells], room / TWIPS_PER_POINT, SIZES[technical])
    widths = [round(width * TWIPS_PER_POINT) for width in points]
    sides = ['<w:jc w:val="right" />' if "num" in cell.classes else "" for cell in max(cells, key=len, default=[])]
    starts = [f'<w:tc><w:tcPr><w:tcW w:type="dxa" w:w="{width}"/></w:tcPr><w:p><w:pPr><w:pStyle w:val="Compact" />{side}</w:pPr><w:r><w:rPr>'
              for width, side in zip(widths, sides, strict=True)]
    letters = f'<w:sz w:val="{round(2 * size)}"/></w:rPr><w:t xml:space="preserve">'
    written = []
    for at, row in enumerate(rows):
        bold, repeated = ("<w:b/>", '<w:tblHeader w:val="on" />') if at < heads else ("", "")
        inner = "".join(f"{start}{bold}{letters}{escape(words)}</w:t></w:r></w:p></w:tc>" for start, words in zip(starts, row, strict=False))
        written.append(f"<w:tr><w:trPr><w:cantSplit/>{repeated}</w:trPr>{inner}</w:tr>")
    above = f'<w:p><w:pPr><w:pStyle w:val="TableCaption" /></w:pPr>{"".join(_runs(caption)) if caption else ""}</w:p>'
    grid = "".join(f'<w:gridCol w:w="{width}"/>' for width in widths)
    title = f'<w:tblCaption w:val="{escape(said, {chr(34): "&quot;"})}" />'
    return (f'{above}<w:tbl><w:tblPr><w:tblStyle w:val="Table" /><w:tblW w:type="dxa" w:w="{sum(widths)}"/><w:tblLayout w:type="fixed"/>{_LOOK}{title}</w:tblPr>'
            f"<w:tblGrid>{grid}</w:tblGrid>{''.join(written)}</w:tbl>")


def _runs(node: Node, bold: bool = False) -> Iterator[str]:
    """Words of a caption, those that stand out in bold."""
    for child in node.children:
        if isinstance(child, str):
            yield f'<w:r>{"<w:rPr><w:b/></w:rPr>" if bold else ""}<w:t xml:space="preserve">{escape(_SPACES.sub(" ", child))}</w:t></w:r>'
        elif not child.classes & UNPRINTED:
            yield from _runs(child, bold or child.tag in ("strong", "b"))


def column_widths(rows: list[list[str]], room: float, size: float) -> tuple[list[float], bool]:
    """Widths of columns in points, and whether every word fits its column.

    Parameters
    ----------
    rows : list of list of str
        Texts of the cells, header first; rows may be shorter than the widest.
    room : float
        Points between the margins.
    size : float
        Size of letters in points.

    Returns
    -------
    (list of float, bool)
        As wide as the longest text where all fit; otherwise each column has its longest word, and what is left is shared by
        the square root of what each still wants. Where even the longest words do not fit, they share the room by need.
    """
    whole, words = _longest(rows, size, False), _longest(rows, size, True)
    if sum(whole) <= room:
        return whole, True
    left = room - sum(words)
    if left < 0:
        return [width * room / sum(words) for width in words], False
    shares = [(most - least) ** 0.5 for most, least in zip(whole, words, strict=True)]
    return [least + left * share / sum(shares) for least, share in zip(words, shares, strict=True)], True


def _longest(rows: list[list[str]], size: float, parts: bool) -> list[float]:
    """Points that each column needs for its longest text, or for the longest word of its texts."""
    needed = [1.0] * max(len(row) for row in rows)
    for place, row in enumerate(rows):
        letter = LETTER_POINTS if place else HEAD_POINTS
        for column, text in enumerate(row):
            needed[column] = max(needed[column], (max(map(len, _PARTS.split(text))) if parts else len(text)) * letter)
    return [width * size + SIDES_POINTS for width in needed]


def _fitted(rows: list[list[str]], room: float, sizes: tuple[float, ...]) -> tuple[list[list[str]], list[float], float]:
    """Texts, widths and size of letters: the largest size at which every word fits; codes may break after an underscore where none does."""
    for broken in (False, True):
        said = [[text.replace("_", "_\u200b") for text in row] for row in rows] if broken else rows
        for size in sizes:
            widths, fits = column_widths(said, room, size)
            if fits:
                return said, widths, size
    return said, widths, size
