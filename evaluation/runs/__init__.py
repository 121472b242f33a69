"""Running a study: stages, plan, execution, store, manifest."""

from __future__ import annotations


def open_stage(name, variables, kind=None):
    """Open a stage from its notebook; see :func:`evaluation.runs.stage.open_stage`."""
    from .stage import open_stage as opener

    return opener(name, variables, kind)
