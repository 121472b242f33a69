"""Executed notebooks to readable editions: templates, styles, assembly and the checks that guard them."""

from evaluation.reporting.render.model import ReportMeta, StageNotebook

__all__ = ["ReportMeta", "StageNotebook", "reading_age", "render_editions"]


def __getattr__(name: str):
    """Import assembly and reading age when they are first asked for."""
    if name == "render_editions":
        from evaluation.reporting.render.assemble import render_editions

        return render_editions
    if name == "reading_age":
        from evaluation.reporting.render.reading import reading_age

        return reading_age
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
