"""What a report is made from: the executed notebooks of a run and the facts that identify it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

LABEL_TEXT = {
    "simulated": "SIMULATED - not a finding",
    "published": "PUBLISHED - made from published statistics",
    "restricted": "RESTRICTED - not cleared for release",
}
"""The words at the top and foot of every page, by the standing of the data."""

DRAFT = "Draft: not yet assured."

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
    amendments : tuple of str
        One sentence for each change since registration.
    registered_on : str
        Day of registration.
    signed : mapping of str to str, optional
        Sign-off: ``commissioner, analyst, assurer, approver, assured_on, approved_on, checks, findings``. Without it the
        report is a draft.
    origin : mapping
        What another evaluator needs to repeat the run: ``inputs, commit, dirty, python, versions, seed, command``.
    tables : tuple of mapping
        ``stage, table, rows, columns, sensitivity, sha256`` of each result table.
    """

    title: str
    study: str
    run_id: str
    label: Literal["simulated", "published", "restricted"]
    report_kind: Literal["formative", "interim", "final"]
    protocol_version: str
    protocol_digest: str
    amendments: tuple[str, ...] = ()
    registered_on: str = ""
    signed: Mapping[str, str] | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    tables: tuple[Mapping[str, Any], ...] = ()

    @property
    def label_text(self) -> str:
        """The label in words."""
        return LABEL_TEXT[self.label]

    @property
    def draft(self) -> bool:
        """Whether nobody has signed the report off."""
        return self.signed is None

    @property
    def standing(self) -> str:
        """Draft, or by whom and when it was assured."""
        return DRAFT if self.signed is None else f"Assured by {self.signed['assurer']} on {self.signed['assured_on']}."

    @property
    def kind_text(self) -> str:
        """The kind of report in words."""
        return KIND_TEXT[self.report_kind]
