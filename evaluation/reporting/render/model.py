"""What a report is made from: the executed notebooks of a run and the facts that identify it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

LABEL_TEXT = {
    "simulated": "SIMULATED - not a finding",
    "published": "PUBLISHED - made from published statistics",
    "restricted": "RESTRICTED - not cleared for release",
}
"""The words at the top and foot of every page, by the standing of the data."""

KIND_TEXT = {"formative": "Formative report", "interim": "Interim report", "final": "Final report"}


@dataclass(frozen=True)
class StageNotebook:
    """One executed notebook.

    Parameters
    ----------
    stage : str
        Name of its stage; the stage ``report`` makes the summary edition.
    notebook : mapping
        An nbformat 4 notebook with its outputs (a ``NotebookNode`` is one).
    """

    stage: str
    notebook: Mapping[str, Any]


@dataclass(frozen=True)
class ReportMeta:
    """What identifies a report to its reader.

    Parameters
    ----------
    title : str
        The only heading of the first level.
    study, run_id : str
        Which study and which run.
    label : {"simulated", "published", "restricted"}
        Standing of the data.
    report_kind : {"formative", "interim", "final"}
    protocol_version, protocol_digest : str
        Which registered protocol.
    draft : bool
        True until the report is assured.
    amendments : tuple of str
        One sentence for each change since registration.
    """

    title: str
    study: str
    run_id: str
    label: Literal["simulated", "published", "restricted"]
    report_kind: Literal["formative", "interim", "final"]
    protocol_version: str
    protocol_digest: str
    draft: bool = True
    amendments: tuple[str, ...] = ()

    @property
    def label_text(self) -> str:
        """The label in words."""
        return LABEL_TEXT[self.label]

    @property
    def kind_text(self) -> str:
        """The kind of report in words."""
        return KIND_TEXT[self.report_kind]
