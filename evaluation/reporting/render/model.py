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

WORKING_TEXT = "Working edition: not cleared for publication; it stays in the secure setting"
"""The words at the top and foot of every page of a working edition."""

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
    working : bool
        Whether these are working editions: in full, not cleared, never published.
    profile : str
        Name of the disclosure rules that what is shown passed; empty where there are none.
    threshold, rounding_base : int
        Of these rules: fewest pupils shown, and what counts are rounded to.
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
    working: bool = False
    profile: str = ""
    threshold: int = 0
    rounding_base: int = 1

    @property
    def label_text(self) -> str:
        """The label in words: restricted data that passed the rules wait for their checker."""
        if self.label == "restricted" and self.profile:
            return f"FOR OUTPUT CHECKING - passed the rules of profile {self.profile}"
        return LABEL_TEXT[self.label]

    @property
    def protection(self) -> str:
        """How pupils are protected, in words."""
        if self.working:
            return f"Not at all: this is a working edition, in which every number stands as it was computed. {WORKING_TEXT}."
        if not self.profile:
            return "Every number is made from published statistics, whose publisher protected the pupils behind them. Nothing was withheld or rounded here."
        said = [f"Counts of fewer than {self.threshold} pupils are withheld, and with them every number from which such a count could be worked out, here or in another table."]
        if self.rounding_base > 1:
            said.append(f"Counts that are shown are rounded to the nearest {self.rounding_base}.")
        said.append(f"The rules are those of the profile {self.profile}; that no withheld count can be worked out was proved by linear programming over all tables together. "
                    "The sign [c] stands for a number that is withheld, [x] for one that is not available. A table, figure or sentence that may not be shown is "
                    "replaced by a note that says why.")
        return " ".join(said)

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
