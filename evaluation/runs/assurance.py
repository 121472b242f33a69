"""Sign-off of a run's report: who commissioned, analysed, assured and approved it, bound to the digest of exactly that content."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from evaluation.errors import ParameterError
from evaluation.protocol.base import Section
from evaluation.protocol.load import read_values, validate
from evaluation.reporting.text import date_text

ASSURANCE = "assurance.yaml"


class Check(Section):
    """One check that the assurer made."""

    check: str = Field(min_length=3, description="What was checked, and how")
    outcome: Literal["passed", "failed"] = Field(description="Whether it was passed")


class AssuranceFinding(Section):
    """What the assurer found, and what was done about it."""

    finding: str = Field(min_length=3)
    response: str = Field(min_length=3, description="What was done about it, or why nothing was")


class Assurance(Section):
    """The file ``assurance.yaml`` in a run's folder."""

    run_digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="Digest of the run and its report, as checks.json states it")
    commissioner: str = Field(min_length=2, description="Who asked for the analysis")
    analyst: str = Field(min_length=2, description="Who is responsible for the analysis")
    assurer: str = Field(min_length=2, description="Who checked it, and did not make it")
    approver: str = Field(min_length=2, description="Who accepted it as fit for its purpose")
    checks: list[Check] = Field(min_length=1)
    findings: list[AssuranceFinding] = Field(description="May be empty: then nothing was found")
    assured_on: date
    approved_on: date

    @model_validator(mode="after")
    def _sound(self) -> Assurance:
        """Nobody assures their own work; no report is assured over a failed check; dates run forward."""
        if _person(self.assurer) == _person(self.analyst):
            raise ValueError("the assurer is the analyst: nobody assures their own work")
        failed = [check.check for check in self.checks if check.outcome == "failed"]
        if failed:
            raise ValueError(f"a check failed ({failed[0]}): such a report stays a draft")
        if self.approved_on < self.assured_on:
            raise ValueError("approved before it was assured")
        if self.approved_on > datetime.now(UTC).date():
            raise ValueError("approved on a day that has not come")
        return self

    @property
    def signed(self) -> dict[str, str]:
        """What a report says of its sign-off."""
        return {"commissioner": self.commissioner, "analyst": self.analyst, "assurer": self.assurer, "approver": self.approver,
                "assured_on": date_text(self.assured_on), "approved_on": date_text(self.approved_on),
                "checks": f"{len(self.checks)} passed", "findings": str(len(self.findings))}


def _person(name: str) -> str:
    return " ".join(name.split()).casefold()


def read_assurance(folder: Path) -> Assurance | None:
    """The sign-off in a run's folder, or None.

    Raises
    ------
    ParameterError
        The file breaks a rule; it names the line and the mend.
    """
    path = Path(folder) / ASSURANCE
    if not path.exists():
        return None
    values = read_values(path)
    try:
        return validate(Assurance, values, path=path)
    except ParameterError as error:
        raise ParameterError(error.message, where=error.where or ASSURANCE, mend=error.mend) from error
