"""PDF and DOCX of an edition, checked from the files' structure: tags, title, language, headings, table headers, alternative texts."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree
import zipfile
from datetime import date

import pikepdf
import pytest

from evaluation.errors import GateError
from evaluation.reporting.documents import edition_docx, edition_pdf
from evaluation.reporting.documents.docx_tables import column_widths
from evaluation.reporting.documents.tags import name_row_headers
from evaluation.reporting.documents.tree import read_edition
from evaluation.reporting.documents.typst_source import typst_source
from tests.reporting.documents.pdf_structure import RULES, elements, findings, kids, text_of_attributes

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
MADE = date(2026, 1, 5)


def page(alt: str = "One blue point at five days", technical: bool = True, extra: str = "") -> str:
    return f"""<!DOCTYPE html><html lang="en-GB"><head><title>A small study - technical edition</title></head>
<body class="{'technical' if technical else 'summary'}" data-label="restricted"><header><p class="banner restricted">RESTRICTED - not cleared for release</p>
<p class="kind"><strong class="draft">Draft</strong> Interim report</p><h1>A small study</h1></header><main>
<h2 id="answer">The answer</h2><div class="headline"><p class="verdict">No clear evidence</p><dl><dt>Effect</dt><dd><p>0.2 days. #1 * [x] $5 _a_ @b <a class="row-link" href="#r">row 2</a></p></dd></dl></div>
<h3 id="part">A part</h3><p>See <a href="#answer">the answer</a> and <code>run_id</code>.</p><ul><li>One</li><li>Two</li></ul>
<table id="t"><caption>Table 1: Pupils by area</caption><thead><tr><th scope="col">Area</th><th scope="col" class="num">Pupils</th></tr></thead>
<tbody><tr><th scope="row">Knowsley</th><td class="num">40</td></tr><tr><th scope="row">Salford</th><td class="num">[c]</td></tr></tbody></table>
<figure id="f"><figcaption>Figure 1: Days</figcaption><img alt="{alt}" width="200" height="100" src="data:image/png;base64,{PNG}"></figure>
<details class="code"><summary>Code</summary><pre><code>secret_code()</code></pre></details>{extra}</main></body></html>"""


@pytest.fixture(scope="module")
def made() -> bytes:
    return edition_pdf(page(extra='<h2 id="more">More</h2>'), MADE)


@pytest.fixture
def pdf(made):
    with pikepdf.open(io.BytesIO(made)) as opened:
        yield opened


def test_the_pdf_says_that_it_is_accessible_and_for_the_archive(pdf):
    metadata = pdf.open_metadata()
    assert metadata["pdfuaid:part"] == "1" and (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("3", "A")
    assert bool(pdf.Root.MarkInfo.Marked) and bool(pdf.Root.ViewerPreferences.DisplayDocTitle)
    assert str(pdf.Root.Lang) == "en-GB" and metadata["dc:title"] == "A small study - technical edition"


def test_headings_tables_lists_and_figures_are_tagged(pdf):
    kinds = [kind for kind, _ in elements(pdf)]
    assert [k for k in kinds if re.fullmatch("H[1-6]", k)] == ["H1", "H2", "H3", "H2"]
    assert kinds.count("Table") == 1 and kinds.count("TH") == 4 and kinds.count("TD") == 2 and kinds.count("TR") == 3
    assert {"L", "LI", "Caption", "Link"} <= set(kinds)
    figures = [str(node.Alt) for kind, node in elements(pdf) if kind == "Figure"]
    assert figures == ["One blue point at five days"]


def test_headers_of_columns_and_rows_say_what_they_head_and_each_cell_names_both(pdf):
    heads = [(str(text_of_attributes(node, "/Scope")), str(node.ID)) for kind, node in elements(pdf) if kind == "TH"]
    assert [scope for scope, _ in heads] == ["/Column", "/Column", "/Row", "/Row"] and len({identifier for _, identifier in heads}) == 4
    cells = [[str(h) for h in text_of_attributes(node, "/Headers")] for kind, node in elements(pdf) if kind == "TD"]
    assert cells == [[heads[1][1], heads[2][1]], [heads[1][1], heads[3][1]]]


def test_a_table_whose_first_cells_head_no_row_keeps_them_as_data():
    plain = "<table><caption>Table 2: Plain</caption><thead><tr><th scope='col'>One</th><th scope='col'>Two</th></tr></thead><tbody><tr><td>a</td><td>b</td></tr></tbody></table>"
    made = pikepdf.open(io.BytesIO(edition_pdf(page(extra=plain), MADE)))
    second = [node for kind, node in elements(made) if kind == "Table"][1]
    rows = [node for kind, node in elements(made) if kind == "TR"]
    assert rows[-1].P.P == second and [str(cell.S) for cell in kids(rows[-1])] == ["/TD", "/TD"]


def test_tags_that_are_not_those_of_the_page_are_refused():
    made = edition_pdf(page(), MADE)
    for told, words in ((((), ()), "1 tables, the page 2"), ((((0,),),), "2 rows in table 1, the page 1"), ((((0,), (7,)),), "2 cells in row 2 of table 1")):
        with pytest.raises(GateError, match=words):
            name_row_headers(made, told)


def test_every_rule_of_structure_holds(pdf):
    assert findings(pdf) == {}
    assert findings(pikepdf.open(io.BytesIO(edition_pdf(page(technical=False), MADE)))) == {}


def first(pdf, *kinds: str):
    return next(node for kind, node in elements(pdf) if kind in kinds)


def painted(pdf, at: int, more: bytes) -> None:
    """Add what a page paints before or after all else."""
    sheet = pdf.pages[0]
    old = b"".join(part.read_bytes() for part in (sheet.Contents if isinstance(sheet.Contents, pikepdf.Array) else [sheet.Contents]))
    sheet.Contents = pdf.make_stream(more + old if at == 0 else old + more)


def metadata(pdf, old: bytes, new: bytes) -> None:
    said = pdf.Root.Metadata.read_bytes()
    assert old in said
    pdf.Root.Metadata.write(said.replace(old, new))


BROKEN = {
    "tagged": [lambda p: p.Root.MarkInfo.update({"/Marked": False}), lambda p: p.Root.MarkInfo.update({"/Suspects": True})],
    "claims": [lambda p: metadata(p, b"<pdfuaid:part>1<", b"<pdfuaid:part>2<"), lambda p: metadata(p, b"<pdfaid:conformance>A<", b"<pdfaid:conformance>B<")],
    "title": [lambda p: p.Root.ViewerPreferences.update({"/DisplayDocTitle": False}), lambda p: p.docinfo.update({"/Title": "Another"})],
    "language": [lambda p: p.Root.__delitem__("/Lang")],
    "types": [lambda p: first(p, "P").update({"/S": pikepdf.Name.Strange}), lambda p: p.Root.StructTreeRoot.RoleMap.update({"/P": pikepdf.Name.Span})],
    "all content tagged": [lambda p: painted(p, 0, b"0 0 m 9 9 l S\n"), lambda p: painted(p, 1, b"/P <</MCID 999>> BDC 0 0 m 9 9 l S EMC\n"),
                           lambda p: painted(p, 1, b"/Artifact BMC /P <</MCID 0>> BDC 0 0 m 9 9 l S EMC EMC\n"), lambda p: first(p, "H1").K.append(first(p, "P").K[0])],
    "parents": [lambda p: first(p, "TR").update({"/P": first(p, "H1")})],
    "headings": [lambda p: first(p, "H2").update({"/S": pikepdf.Name.H3}), lambda p: first(p, "H2").update({"/S": pikepdf.Name.H1}), lambda p: first(p, "H1").update({"/S": pikepdf.Name.P})],
    "form of tables": [lambda p: first(p, "TD").update({"/S": pikepdf.Name.P}), lambda p: first(p, "TBody").K[0].K.__delitem__(1)],
    "headers of tables": [lambda p: first(p, "TD").A[0].__delitem__("/Headers"), lambda p: first(p, "TH").A[0].__delitem__("/Scope"), lambda p: first(p, "TBody").K[0].K[0].update({"/S": pikepdf.Name.TD})],
    "identifiers": [lambda p: p.Root.StructTreeRoot.IDTree.Names.reverse(), lambda p: first(p, "TH").update({"/ID": first(p, "TBody").K[0].K[0].ID})],
    "figures": [lambda p: first(p, "Figure").__delitem__("/Alt"), lambda p: first(p, "Figure").__delitem__("/A")],
    "lists": [lambda p: first(p, "LI").update({"/S": pikepdf.Name.P}), lambda p: first(p, "LBody").update({"/S": pikepdf.Name.P}), lambda p: first(p, "L").update({"/S": pikepdf.Name.Div})],
    "links": [lambda p: first(p, "Link").update({"/S": pikepdf.Name.Span}), lambda p: p.pages[0].Annots[0].__delitem__("/Contents")],
    "order of tabs": [lambda p: p.pages[0].__delitem__("/Tabs")],
    "fonts": [lambda p: list(p.pages[0].Resources.Font.values())[0].DescendantFonts[0].FontDescriptor.__delitem__("/FontFile2"), lambda p: list(p.pages[0].Resources.Font.values())[0].__delitem__("/ToUnicode")],
    "running lines": [lambda p: painted(p, 0, b"") or p.pages[0].update({"/Contents": p.make_stream(p.pages[0].Contents.read_bytes().replace(b"/Footer", b"/Watermark"))})],
    "archive": [lambda p: p.Root.__delitem__("/OutputIntents"), lambda p: p.Root.update({"/OpenAction": pikepdf.Dictionary(S=pikepdf.Name.JavaScript)})],
    "bookmarks": [lambda p: p.Root.__delitem__("/Outlines")],
}


@pytest.mark.parametrize("rule, broken", [(rule, broken) for rule, ways in BROKEN.items() for broken in ways], ids=lambda v: v if isinstance(v, str) else "")
def test_each_rule_of_structure_finds_the_file_that_breaks_it(made, rule, broken):
    with pikepdf.open(io.BytesIO(made)) as pdf:
        broken(pdf)
        assert rule in findings(pdf)


def test_every_rule_of_structure_has_a_file_that_breaks_it():
    assert set(BROKEN) == set(RULES)


def test_the_same_page_gives_the_same_bytes():
    assert edition_pdf(page(), MADE) == edition_pdf(page(), MADE)
    assert edition_docx(page(), MADE) == edition_docx(page(), MADE)


def test_a_figure_without_words_is_refused_with_the_place():
    with pytest.raises(GateError, match="alternative text|alt"):
        edition_pdf(page(alt=""), MADE)


def test_the_summary_leaves_folded_parts_out_and_marks_what_is_simulated():
    simulated = page(technical=False).replace('data-label="restricted"', 'data-label="simulated"').replace("RESTRICTED - not cleared for release", "SIMULATED - not a finding")
    assert edition_pdf(simulated, MADE)[:5] == b"%PDF-"
    header = zipfile.ZipFile(io.BytesIO(edition_docx(simulated, MADE))).read("word/report_header.xml").decode("utf-8")
    assert "SIMULATED - not a finding" in header


@pytest.fixture(scope="module")
def docx() -> dict[str, str]:
    book = zipfile.ZipFile(io.BytesIO(edition_docx(page(), MADE)))
    assert book.testzip() is None
    return {name: book.read(name).decode("utf-8") for name in book.namelist() if name.endswith((".xml", ".rels"))}


def test_the_docx_keeps_headings_table_headers_alternative_texts_language_and_title(docx):
    body = docx["word/document.xml"]
    styles = re.findall(r'<w:pStyle w:val="(Heading\d)"', body)
    assert styles == ["Heading1", "Heading2", "Heading3"]
    assert body.count("<w:tblHeader") == 1 and 'w:tblCaption w:val="Table 1: Pupils by area"' in body
    assert 'descr="One blue point at five days"' in body and "data:image" not in body
    assert "<dc:title>A small study - technical edition</dc:title>" in docx["docProps/core.xml"] and "en-GB" in docx["docProps/core.xml"]
    assert 'w:lang w:val="en-GB"' in docx["word/styles.xml"]
    assert "secret_code" not in body and "row 2" not in body and "[c]" in body


def test_the_docx_prints_its_standing_on_every_page(docx):
    assert "RESTRICTED - not cleared for release | Draft" in docx["word/report_header.xml"] and "PAGE" in docx["word/report_footer.xml"]
    assert 'r:id="reportheader"' in docx["word/document.xml"] and "report_header.xml" in docx["[Content_Types].xml"]


def test_the_docx_gives_columns_the_width_of_their_words_and_keeps_rows_whole():
    codes = "".join(f'<tr><th scope="row">B_referred_within_area_{n}</th><td>{"a long sentence on how it was compared " * 6}</td><td class="num">{n}</td></tr>' for n in range(3))
    table = f'<table><caption>Table 2: Answers</caption><thead><tr><th scope="col">Estimate</th><th scope="col">How compared</th><th scope="col" class="num">Days</th></tr></thead><tbody>{codes}</tbody></table>'
    body = zipfile.ZipFile(io.BytesIO(edition_docx(page(extra=table), MADE))).read("word/document.xml").decode("utf-8")
    drawn = re.findall(r"<w:tbl>.*?</w:tbl>", body, re.S)
    widths = [int(width) for width in re.findall(r'<w:gridCol w:w="(\d+)"', drawn[1])]
    assert widths[1] > 2 * widths[0] > 4 * widths[2] and abs(sum(widths) - (16838 - 2 * 1021)) <= 3
    assert 'w:tblLayout w:type="fixed"' in drawn[1] and drawn[1].count("<w:cantSplit/>") == drawn[1].count("<w:tr>") == 4
    assert re.findall(r'<w:tcW w:type="dxa" w:w="(\d+)"', drawn[1])[3:6] == [str(width) for width in widths]
    assert 'w:firstColumn="1"' in drawn[1] and "B_referred_within_area_0" in drawn[1]
    assert drawn[0].count("<w:b/>") == 2


def test_a_table_of_the_pdf_too_wide_for_its_page_shares_it_by_longest_words_not_in_equal_parts(tmp_path):
    heads = ["Perspective", "Denominator", "Probability", "Id", *["Estimand"] * 14]
    row = "".join(f"<td>{'long words of a cell ' * 3}</td>" for _ in heads)
    table = f'<table><caption>Table 2: Wide</caption><thead><tr>{"".join(f"<th>{head}</th>" for head in heads)}</tr></thead><tbody><tr>{row}</tr></tbody></table>'
    source = typst_source(read_edition(page(extra=table)), tmp_path, MADE).text
    widths = [int(width) for width in re.findall(r"(\d+)fr", re.search(r"columns: \((\d+fr[^)]*)\)", source)[1])]
    assert len(widths) == len(heads) and widths[0] == widths[1] == widths[2] > widths[4] > widths[3]


def test_a_table_of_the_docx_keeps_place_caption_and_every_cell_as_it_is_printed():
    table = ('<table id="q"><caption><span class="number">Table 2: </span><strong class="simulated">SIMULATED.</strong> Rows &amp; signs</caption><thead><tr><th scope="col">A "b"</th></tr></thead>'
             '<tbody><tr><th scope="row">1 &lt; 2 &amp; 3 <a class="row-link" href="#r">row 4</a></th></tr><tr><th scope="row"></th></tr></tbody></table><p>After it.</p>')
    body = zipfile.ZipFile(io.BytesIO(edition_docx(page(extra=table), MADE))).read("word/document.xml").decode("utf-8")
    xml.etree.ElementTree.fromstring(body)
    drawn = re.findall(r"<w:tbl>.*?</w:tbl>", body, re.S)[1]
    assert re.findall(r"<w:t [^>]*>([^<]*)</w:t>", drawn) == ['A "b"', "1 &lt; 2 &amp; 3", ""] and 'w:tblCaption w:val="Table 2: SIMULATED. Rows &amp; signs"' in drawn
    assert body.index("Figure 1: Days") < body.index("<w:b/></w:rPr><w:t xml:space=\"preserve\">SIMULATED.") < body.index(drawn) < body.index("After it.")
    assert "\ue000" not in body and 'w:name="q"' in body


def test_cells_that_span_others_are_refused():
    with pytest.raises(ValueError, match="span others: Wide"):
        edition_docx(page(extra='<table><caption>Wide</caption><tr><td colspan="2">a</td></tr></table>'), MADE)


def test_widths_of_columns_add_up_and_hold_the_longest_word():
    widths, fits = column_widths([["Area", "Text"], ["Knowsley", "short words " * 40]], 300.0, 8.0)
    assert fits and sum(widths) == pytest.approx(300.0) and widths[0] >= len("Knowsley") * 8.0 * 0.5
    widths, fits = column_widths([["A" * 60, "B" * 60]], 300.0, 8.0)
    assert not fits and sum(widths) == pytest.approx(300.0)
    widths, fits = column_widths([["Area", "Pupils"], ["Salford", "40"]], 300.0, 8.0)
    assert fits and sum(widths) < 150.0


def test_the_docx_has_one_title_and_terms_stay_with_their_texts(docx):
    assert 'w:pStyle w:val="Title"' not in docx["word/document.xml"]
    term = re.search(r'<w:style [^>]*w:styleId="DefinitionTerm".*?</w:style>', docx["word/styles.xml"], re.S)
    assert term and "<w:keepNext" in term[0]
