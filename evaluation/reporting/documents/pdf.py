"""Editions as PDF for everyone and for the archive: PDF/UA-1 and PDF/A-3a, tagged, titled, in British English."""

from __future__ import annotations

import tempfile
from datetime import date
from importlib.util import find_spec
from pathlib import Path

from evaluation.errors import GateError
from evaluation.reporting.documents.tags import name_row_headers
from evaluation.reporting.documents.tree import read_edition
from evaluation.reporting.documents.typst_source import typst_source

STANDARDS = ["ua-1", "a-3a"]


def edition_pdf(html: str, made: date) -> bytes:
    """Make a PDF from an edition's page.

    Parameters
    ----------
    html : str
        An edition that passed its checks.
    made : date
        Day on which it was made, which an archive asks for.

    Returns
    -------
    bytes
        The same bytes for the same page and day.

    Raises
    ------
    GateError
        The page cannot be made into a PDF that keeps the standards; the message says what it lacks.
    """
    import typst

    edition = read_edition(html)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source, path = typst_source(edition, folder, made), folder / "report.typ"
        path.write_text(source.text, encoding="utf-8")
        try:
            content = typst.compile(str(path), root=str(folder), font_paths=[str(_fonts())], ignore_system_fonts=True, format="pdf", pdf_standards=STANDARDS, timestamp=0)
        except Exception as error:  # the binding raises its own error for all that Typst refuses
            raise GateError(f"the PDF does not keep {' and '.join(STANDARDS)}: {str(error).replace(str(folder), '')[:600]}", where=edition.title,
                            mend="see the place that the message names in the page") from error
    return name_row_headers(content, source.row_heads)


def _fonts() -> Path:
    """The folder of fonts that the drawing library brings along, so that every machine sets the same pages."""
    spec = find_spec("matplotlib")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
