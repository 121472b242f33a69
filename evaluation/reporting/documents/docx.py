"""Editions as DOCX, for those who must comment on or reuse a report: headings, table headers, alternative texts, language and title kept."""

from __future__ import annotations

import base64
import io
import re
import tempfile
import zipfile
from datetime import date
from functools import lru_cache
from pathlib import Path
from xml.sax.saxutils import escape

from evaluation.errors import GateError
from evaluation.reporting.documents.docx_tables import table_xml
from evaluation.reporting.documents.tree import UNPRINTED, VOID, Edition, Node, read_edition
from evaluation.reporting.documents.typst_source import LONGEST_NUMBERS, PICTURE, POINTS_PER_PIXEL, fitted

PAPER, MARGIN = (16838, 11906), 1021
"""Sides of A4, longer first, and the margins left and right, in twips."""

_KEPT = ("id", "class", "start", "href")
_MARK = "\ue000{}\ue001"
"""Stands for a table until pandoc has written all else; letters of the private area, which no report holds."""

_STAMP = (1980, 1, 1, 0, 0, 0)


def edition_docx(html: str, made: date) -> bytes:
    """Make a DOCX from an edition's page, by pandoc, in this project's look.

    Parameters
    ----------
    html : str
        An edition that passed its checks.
    made : date
        Day on which it was made.

    Returns
    -------
    bytes
        The same bytes for the same page and day.
    """
    import pypandoc

    edition = read_edition(html)
    with tempfile.TemporaryDirectory() as temporary:
        reference, target = Path(temporary) / "reference.docx", Path(temporary) / "report.docx"
        reference.write_bytes(_reference())
        page = _Page(edition, Path(temporary))
        pypandoc.convert_text(page.html(), "docx", format="html", outputfile=str(target), cworkdir=temporary,
                              extra_args=[f"--reference-doc={reference}", "--wrap=none", "--metadata=lang:en-GB", f"--metadata=title:{edition.title}"])
        return _finish(target.read_bytes(), edition, page.tables, made)


class _Page:
    """The page without what a document cannot hold (folded code, links to rows, hidden words): images as files, and a mark where a table stands.

    Pandoc takes most of its time over tables, and writes them with equal columns, so ``tables`` holds them as they are written here.
    """

    def __init__(self, edition: Edition, folder: Path):
        self.edition, self.folder = edition, folder
        self.images = 0
        self.tables: list[str] = []

    def html(self) -> str:
        """For pandoc to read."""
        edition = self.edition
        inner = "".join(self._written(child) for child in edition.main.children)
        return (f'<html lang="en-GB"><body><p><strong>{escape(edition.standing)}</strong></p><p>{escape(edition.kind)}</p>'
                f"<h1>{escape(edition.heading)}</h1>{inner}</body></html>")

    def _written(self, node: Node | str) -> str:
        if isinstance(node, str):
            return escape(node)
        if node.classes & UNPRINTED or node.tag == "summary" or node.tag == "details" and (not self.edition.technical or "code" in node.classes):
            return ""
        if node.tag == "details" and any(len(table.all("tr")) > LONGEST_NUMBERS + 1 for table in node.all("table")):
            return ""
        if node.tag == "table":
            return self._table(node)
        if node.tag == "img":
            return self._image(node)
        inner = "".join(self._written(child) for child in node.children)
        if node.tag in ("details", "section", "div"):
            return inner
        if "verdict" in node.classes:
            return f"<p><strong>{inner}</strong></p>"
        if node.tag == "a" and not node.attributes.get("href", "").startswith("#"):
            return inner
        return _element(node.tag, {k: v for k, v in node.attributes.items() if k in _KEPT}, inner)

    def _table(self, node: Node) -> str:
        self.tables.append(table_xml(node, _room(self.edition.technical), self.edition.technical))
        return _element("div", {k: v for k, v in node.attributes.items() if k == "id"}, f"<p>{_MARK.format(len(self.tables) - 1)}</p>")

    def _image(self, node: Node) -> str:
        kind, _, data = node.attributes.get("src", "").partition(";base64,")
        self.images += 1
        name = f"figure-{self.images}.{kind.rpartition('/')[2] or 'png'}"
        (self.folder / name).write_bytes(base64.b64decode(data))
        width, height = (f"{side / POINTS_PER_PIXEL:.0f}" for side in fitted(node, *PICTURE[self.edition.technical]))
        return _element("img", {"alt": node.attributes.get("alt", ""), "src": name, "width": width, "height": height}, "")


def _element(tag: str, attributes: dict[str, str], inner: str) -> str:
    said = "".join(f' {key}="{escape(value, {chr(34): "&quot;"})}"' for key, value in attributes.items())
    return f"<{tag}{said}>" if tag in VOID else f"<{tag}{said}>{inner}</{tag}>"


def _room(technical: bool) -> int:
    """Twips between the margins."""
    return PAPER[0 if technical else 1] - 2 * MARGIN


@lru_cache(maxsize=1)
def _reference() -> bytes:
    """Pandoc's own reference document."""
    import subprocess

    import pypandoc

    return subprocess.run([pypandoc.get_pandoc_path(), "--print-default-data-file", "reference.docx"], capture_output=True, check=True).stdout


def _finish(made_by_pandoc: bytes, edition: Edition, tables: list[str], made: date) -> bytes:
    """Set fonts, colours, lines of tables, paper, header and footer, properties; the same bytes every time."""
    source = zipfile.ZipFile(io.BytesIO(made_by_pandoc))
    parts = {name: source.read(name) for name in source.namelist()}
    parts["word/styles.xml"] = _styles(parts["word/styles.xml"].decode("utf-8")).encode("utf-8")
    parts["word/document.xml"] = _body(parts["word/document.xml"].decode("utf-8"), edition, tables).encode("utf-8")
    relations = parts["word/_rels/document.xml.rels"].decode("utf-8")
    for kind in ("header", "footer"):
        parts[f"word/report_{kind}.xml"] = _running(kind, edition).encode("utf-8")
        relations = relations.replace("</Relationships>", f'<Relationship Id="report{kind}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="report_{kind}.xml"/></Relationships>')
    parts["word/_rels/document.xml.rels"] = relations.encode("utf-8")
    types = parts["[Content_Types].xml"].decode("utf-8")
    for kind in ("header", "footer"):
        types = types.replace("</Types>", f'<Override PartName="/word/report_{kind}.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.{kind}+xml"/></Types>')
    parts["[Content_Types].xml"] = types.encode("utf-8")
    day = f"{made.isoformat()}T00:00:00Z"
    core = re.sub(r"(<dcterms:(created|modified)[^>]*>)[^<]*", rf"\g<1>{day}", parts["docProps/core.xml"].decode("utf-8"))
    if "<dc:language>" not in core:
        core = core.replace("</cp:coreProperties>", "<dc:language>en-GB</dc:language></cp:coreProperties>")
    parts["docProps/core.xml"] = core.encode("utf-8")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(parts, key=lambda n: (n != "[Content_Types].xml", n)):
            info = zipfile.ZipInfo(name, _STAMP)
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, parts[name])
    return out.getvalue()


def _styles(text: str) -> str:
    text = re.sub(r"<w:rFonts [^>]*/>", '<w:rFonts w:ascii="Arial" w:hAnsi="Arial" w:cs="Arial" w:eastAsia="Arial"/>', text)
    text = re.sub(r'<w:lang [^>]*/>', '<w:lang w:val="en-GB" w:eastAsia="en-GB" w:bidi="ar-SA"/>', text)
    text = re.sub(r'w:color w:val="(?:0F4761|4F81BD|345A8A|156082|595959|272727|2F5496|1F3763)"[^/]*/', 'w:color w:val="12436D"/', text)
    text = re.sub(r'(w:styleId="TableCaption".*?<w:keepNext ?/>)', r'\1<w:spacing w:before="200" w:after="60"/>', text, count=1, flags=re.S)
    text = re.sub(r'(<w:style w:type="table"[^>]*w:styleId="Table".*?<w:tblPr>)', r'\1<w:tblBorders><w:top w:val="single" w:sz="8" w:color="0B0C0C"/><w:bottom w:val="single" w:sz="4" w:color="B1B4B6"/><w:insideH w:val="single" w:sz="4" w:color="B1B4B6"/></w:tblBorders>', text, count=1, flags=re.S)
    return text


def _body(text: str, edition: Edition, tables: list[str]) -> str:
    size = f'<w:pgSz w:w="{PAPER[0]}" w:h="{PAPER[1]}" w:orient="landscape"/>' if edition.technical else f'<w:pgSz w:w="{PAPER[1]}" w:h="{PAPER[0]}"/>'
    margins = f'<w:pgMar w:top="1134" w:right="{MARGIN}" w:bottom="1021" w:left="{MARGIN}" w:header="567" w:footer="567" w:gutter="0"/>'
    section = f'<w:sectPr><w:headerReference w:type="default" r:id="reportheader"/><w:footerReference w:type="default" r:id="reportfooter"/>{size}{margins}</w:sectPr>'
    text = re.sub(r'<w:p>\s*<w:pPr>\s*<w:pStyle w:val="Title" ?/>.*?</w:p>', "", text, count=1, flags=re.S)
    text = re.sub(r"<w:sectPr\s*/>|<w:sectPr\b.*?</w:sectPr>", "", text, flags=re.S).replace("</w:body>", f"{section}</w:body>")
    if "xmlns:r=" not in text.split(">", 2)[1] + text[:2000]:
        text = text.replace("<w:document ", '<w:document xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" ', 1)
    marked = re.compile(r"<w:p>(?:(?!</w:p>).)*?\ue000(\d+)\ue001.*?</w:p>", re.S)
    text, placed = marked.subn(lambda match: tables[int(match[1])], text)
    if placed != len(tables):
        raise GateError(f"the DOCX has {placed} tables, the page {len(tables)}", where=edition.title, mend="see how its tables are marked for pandoc")
    return text


def _running(kind: str, edition: Edition) -> str:
    tag = "hdr" if kind == "header" else "ftr"
    colour = "942514" if edition.label == "simulated" else "12436D"
    words = escape(edition.standing + (" | Draft" if edition.draft else ""))
    small = '<w:rPr><w:sz w:val="16"/></w:rPr>'
    page = "" if kind == "header" else (
        f'<w:r>{small}<w:t xml:space="preserve">  |  Page </w:t></w:r><w:r>{small}<w:fldChar w:fldCharType="begin"/></w:r><w:r>{small}<w:instrText>PAGE</w:instrText></w:r>'
        f'<w:r>{small}<w:fldChar w:fldCharType="end"/></w:r>')
    return ('<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
            f'<w:{tag} xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:p><w:r><w:rPr><w:b/><w:color w:val="{colour}"/><w:sz w:val="16"/></w:rPr><w:t>{words}</w:t></w:r>{page}</w:p></w:{tag}>')
