"""What every study registers, whatever its kind: header, amendments, sourced quantities."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """One block of a protocol. Nothing undeclared, nothing coerced, nothing changed after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Quantity(Section):
    """A number taken from somewhere, with its unit and what it rests on.

    ``standing``: "S" read in the source named; "C" calculated from a named source; "S2" read only in the
    press or another secondary source; "M" general knowledge, not verified; "judgement" a planning choice.
    """

    value: float = Field(description="The number")
    unit: str = Field(min_length=1, description="Unit of the number")
    source: str = Field(min_length=1, description="Where the number comes from")
    standing: Literal["S", "C", "S2", "M", "judgement"] = Field(description="What the number rests on")
    low: float | None = Field(default=None, description="Low value for sensitivity, same unit")
    high: float | None = Field(default=None, description="High value for sensitivity, same unit")
    note: str | None = Field(default=None, description="What a reader must know before using it")


class Amendment(Section):
    """A change to the protocol after it was registered."""

    date: date
    change: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    outcomes_seen: bool = Field(description="Whether anyone had seen outcomes when the change was made")


class Execution(Section):
    """How a run is carried out; only the seed can change a result."""

    seed: int = Field(ge=0, le=2**32 - 1, description="Seed of every random draw of the run")
    cell_timeout_seconds: int = Field(
        ge=1, le=86_400, description="A cell that runs longer is stopped", json_schema_extra={"unit": "seconds"}
    )


class ProtocolHeader(Section):
    """The part of a protocol that is the same for every kind of study."""

    study: str = Field(pattern=r"^[a-z][a-z0-9_]{1,60}$", description="Short name of the study, used in file names")
    kind: str = Field(description="Kind of study")
    title: str = Field(min_length=3, max_length=160, description="Title of the reports")
    protocol_version: str = Field(pattern=r"^\d+\.\d+(\.\d+)?$", description="Version of the registered protocol")
    registered_on: date = Field(description="Day on which this version was registered")
    report_kind: Literal["formative", "interim", "final"] = Field(
        description="A formative run leaves out the stages that estimate effects"
    )
    amendments: tuple[Amendment, ...] = Field(description="Changes since registration, oldest first")
    execution: Execution


class DisclosureChoice(Section):
    """Which disclosure rules hold back small numbers before anything leaves a run; see ``evaluation.reporting.disclosure``."""

    profile: Literal["srs", "dfe_absence", "acro"] = Field(description="Named set of rules, with its thresholds and their source")
    changes: dict[str, int | float | bool | str] | None = Field(
        description="This study's own thresholds in place of the profile's, by name, with `source`; null leaves the profile as it is",
    )
