"""Editions in other formats, from the page that was checked: PDF and DOCX."""
