"""Executed notebooks to readable editions: templates, styles, assembly and the checks that guard them."""

from evaluation.reporting.render.model import ReportMeta, StageNotebook

__all__ = ["ReportMeta", "StageNotebook", "lint", "render_editions"]


def __getattr__(name: str):
    """Import the assembly when it is first asked for."""
    if name == "render_editions":
        from evaluation.reporting.render.assemble import render_editions

        return render_editions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
