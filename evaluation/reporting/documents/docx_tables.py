"""Tables of a DOCX: columns as wide as their words need, rows that stay whole, the first column named as header of its row."""

from __future__ import annotations

import re

TWIPS_PER_POINT = 20
SIDES_POINTS = 12.0
"""What a cell needs beside its words: the margins of both sides, and a little for letters wider than most."""

LETTER_POINTS, HEAD_POINTS = 0.58, 0.66
"""Width of a letter or digit of Arial as a share of its size, and of a bold one in the row of headers."""

SIZES = {True: (7.5, 6.5, 6.0), False: (8.5, 7.5)}
"""Sizes of letters tried in turn, in points, by whether the edition is the technical one."""

_ROW = re.compile(r"<w:tr\b.*?</w:tr>", re.S)
_CELL = re.compile(r"<w:tc>.*?</w:tc>", re.S)
_WORDS = re.compile(r"(<w:t(?: [^>]*)?>)([^<]*)(</w:t>)")


def set_tables(document: str, room: int, technical: bool) -> str:
    """Set every table of a document's XML.

    Parameters
    ----------
    document : str
        ``word/document.xml`` as pandoc writes it: equal columns, rows that may break across pages.
    room : int
        Width between the margins, in twips.
    technical : bool
        Whether the edition is the technical one, whose tables are set smaller.

    Returns
    -------
    str
    """
    return re.sub(r"<w:tbl>.*?</w:tbl>", lambda match: _table(match[0], room, SIZES[technical]), document, flags=re.S)


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
    columns = range(max(len(row) for row in rows))

    def need(column: int, parts: bool) -> float:
        lengths = [
            len(part) * (LETTER_POINTS if place else HEAD_POINTS)
            for place, row in enumerate(rows) if column < len(row) for part in (re.split(r"[\s\u200b]", row[column]) if parts else [row[column]])
        ]
        return max(lengths, default=1.0) * size + SIDES_POINTS

    whole, words = [need(column, False) for column in columns], [need(column, True) for column in columns]
    if sum(whole) <= room:
        return whole, True
    left = room - sum(words)
    if left < 0:
        return [width * room / sum(words) for width in words], False
    shares = [(most - least) ** 0.5 for most, least in zip(whole, words, strict=True)]
    return [least + left * share / sum(shares) for least, share in zip(words, shares, strict=True)], True


def _table(table: str, room: int, sizes: tuple[float, ...]) -> str:
    if "<w:gridSpan" in table or "<w:vMerge" in table:
        return table
    points = room / TWIPS_PER_POINT
    for broken in (False, True):
        said = _WORDS.sub(lambda m: m[1] + m[2].replace("_", "_\u200b") + m[3], table) if broken else table
        rows = [["".join(words for _, words, _ in _WORDS.findall(cell)) for cell in _CELL.findall(row)] for row in _ROW.findall(said)]
        for size in sizes:
            widths, fits = column_widths(rows, points, size)
            if fits:
                break
        if fits:
            break
    return _written(said, [round(width * TWIPS_PER_POINT) for width in widths], size)


def _written(table: str, widths: list[int], size: float) -> str:
    table = re.sub(r"<w:tblW [^>]*/>", f'<w:tblW w:type="dxa" w:w="{sum(widths)}"/><w:tblLayout w:type="fixed"/>', re.sub(r"<w:tblLayout [^>]*/>", "", table))
    table = re.sub(r"<w:tblGrid>.*?</w:tblGrid>", "<w:tblGrid>" + "".join(f'<w:gridCol w:w="{width}"/>' for width in widths) + "</w:tblGrid>", table, flags=re.S)
    table = re.sub(r'(<w:tblLook [^>]*w:firstColumn=)"0"([^>]*w:val=)"0020"', r'\1"1"\2"00A0"', table)
    half_points = f'<w:sz w:val="{round(2 * size)}"/>'

    def row(match: re.Match[str]) -> str:
        heads = "<w:tblHeader" in match[0]
        inner = match[0].replace("<w:trPr>", "<w:trPr><w:cantSplit/>", 1) if "<w:trPr>" in match[0] else match[0].replace("<w:tr>", "<w:tr><w:trPr><w:cantSplit/></w:trPr>", 1)
        place = iter(widths)
        inner = re.sub(r"<w:tcPr\s*/>|<w:tcPr>", lambda m: f'<w:tcPr><w:tcW w:type="dxa" w:w="{next(place)}"/>' + ("</w:tcPr>" if m[0].endswith("/>") else ""), inner)
        inner = re.sub(r"<w:rPr>(.*?)</w:rPr>", lambda m: f"<w:rPr>{m[1]}{half_points}</w:rPr>", inner, flags=re.S)
        return re.sub(r"<w:r>(?!<w:rPr>)", f"<w:r><w:rPr>{'<w:b/>' if heads else ''}{half_points}</w:rPr>", inner)

    return _ROW.sub(row, table)
