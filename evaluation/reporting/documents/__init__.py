"""Editions in other formats, from the page that was checked: PDF and DOCX."""

from evaluation.reporting.documents.docx import edition_docx
from evaluation.reporting.documents.pdf import edition_pdf

__all__ = ["edition_docx", "edition_pdf"]
