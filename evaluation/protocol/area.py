"""What an area study registers: which published bands, who is compared with whom, and how an effect is judged."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .base import DisclosureChoice, ProtocolHeader, Quantity, Section

AcademicYear = Annotated[str, Field(pattern=r"^20\d{2}/\d{2}$", description="Academic year, such as 2022/23")]
AuthorityCode = Annotated[str, Field(pattern=r"^\d{3}$", description="Three-digit number of a local authority")]
SchoolType = Literal["State-funded primary", "State-funded secondary", "Special"]
Outcome = Literal["persistent_absence", "severe_absence", "mean_absence"]
Characteristic = Literal["fsm_share", "sen_share", "log_enrolments"]


class NamedAuthority(Section):
    """An authority with the reason why it is named."""

    code: AuthorityCode
    name: str = Field(min_length=1, description="Name, for the reader; the code decides")
    reason: str = Field(min_length=1, description="Why it is named here")


class PublishedFigure(Section):
    """A published figure that the bands must reproduce before anything is estimated from them."""

    academic_year: AcademicYear
    authority: str = Field(pattern=r"^(England|\d{3})$", description="England, or an authority's three-digit number")
    school_type: Literal["all", "State-funded primary", "State-funded secondary", "Special"] = Field(
        description="A school type, or all of them"
    )
    outcome: Literal["persistent_absence", "severe_absence"] = Field(description="Which share")
    value: float = Field(ge=0, le=100, description="The figure as published", json_schema_extra={"unit": "percent of enrolments"})
    decimals: int = Field(ge=0, le=4, description="Decimals to which it was published")
    source: str = Field(min_length=1, description="Where it was published")


class Statement(Section):
    """A fact that the report relies on, with its standing (see ``Quantity``)."""

    text: str = Field(min_length=1)
    source: str = Field(min_length=1)
    standing: Literal["S", "C", "S2", "M", "judgement"]


class BaseChoice(Section):
    """Years that an effect is measured from."""

    name: str = Field(min_length=1, max_length=60, description="Name of the choice in tables")
    years: tuple[AcademicYear, ...] = Field(min_length=1, description="Years before the programme; their gaps are averaged")


class AreaPanelSection(Section):
    """From published bands to an authority by year panel."""

    school_type: SchoolType = Field(description="Schools whose enrolments are counted")
    academic_years: tuple[AcademicYear, ...] = Field(min_length=3, description="Years of the study, in order")
    missing_years: tuple[AcademicYear, ...] = Field(description="Years within the span for which nothing was published")
    year_groups: tuple[Annotated[int, Field(ge=1, le=14)], ...] = Field(min_length=1, description="National curriculum years counted")
    last_band_midpoint: Quantity = Field(description="Mean absence of enrolments in the band from 50 to 100%")
    unclassified: Literal["keep", "leave_out"] = Field(
        description="Enrolments with an unclassified characteristic: kept in the outcomes, or left out"
    )
    published_figures: tuple[PublishedFigure, ...] = Field(description="Figures that the bands must reproduce")

    @model_validator(mode="after")
    def _ordered(self) -> AreaPanelSection:
        if list(self.academic_years) != sorted(set(self.academic_years)):
            raise ValueError("academic_years must be in order and without repeats")
        starts = [int(year[:4]) for year in self.academic_years]
        between = [f"{start}/{(start + 1) % 100:02d}" for start in range(starts[0], starts[-1] + 1) if start not in starts]
        if list(self.missing_years) != between:
            raise ValueError(f"missing_years must be the years between the first and the last that are not studied: {between}")
        middle = self.last_band_midpoint
        if middle.low is None or middle.high is None or not 50 <= middle.low <= middle.value <= middle.high <= 100:
            raise ValueError("last_band_midpoint needs 50 <= low <= value <= high <= 100")
        return self


class AreaComparisonSection(Section):
    """Which authorities the treated one is compared with."""

    treated_authority: NamedAuthority = Field(description="The authority where the programme began")
    later_areas: tuple[NamedAuthority, ...] = Field(description="Areas that joined the programme later: in no pool")
    further_exclusions: tuple[NamedAuthority, ...] = Field(description="Other authorities kept out of both pools")
    characteristic_years: tuple[AcademicYear, ...] = Field(min_length=1, description="Years in which characteristics are measured")
    characteristics: tuple[Characteristic, ...] = Field(min_length=1, description="Characteristics matched on")
    region_penalty: float = Field(
        ge=0, le=10, description="Distance added for another region", json_schema_extra={"unit": "standard deviations"}
    )
    matches: int = Field(ge=2, le=100, description="Authorities in a matched set", json_schema_extra={"unit": "authorities"})


class AreaImpactSection(Section):
    """How the effect is estimated and judged."""

    outcomes: tuple[Outcome, ...] = Field(min_length=1, description="Outcomes, in the order in which they are printed")
    pool_weighting: Literal["enrolments", "authorities"] = Field(
        description="A pool's mean over its enrolments, or over its authorities"
    )
    follow_up_year: AcademicYear
    support_began: str = Field(min_length=1, description="When support began, as figures say it")
    base_years: tuple[AcademicYear, ...] = Field(min_length=1, description="Years before the programme that the effect is measured from")
    other_bases: tuple[BaseChoice, ...] = Field(description="Other base years, printed beside the registered ones")
    confidence_level: float = Field(ge=0.5, lt=1, description="Level of intervals; one minus it is the level of tests")
    power: float = Field(ge=0.5, lt=1, description="Power at which the smallest detectable effect is stated")
    envelope_level: float = Field(ge=0.5, lt=1, description="Share of placebo gaps inside the envelope of the figure")
    drift_level: float = Field(gt=0, le=0.5, description="Placebo p-value at or below which an earlier movement is named")
    pupils_started: Quantity = Field(description="Pupils who started support by the follow-up year")
    months_of_support: Quantity = Field(description="Months of the follow-up year in which they had support")
    months_in_school_year: Quantity = Field(description="Length of a school year")
    plausible_effect: Quantity = Field(description="Effect on a supported pupil that planning assumes, percentage points of sessions")

    @model_validator(mode="after")
    def _years(self) -> AreaImpactSection:
        for years in (self.base_years, *(choice.years for choice in self.other_bases)):
            if any(year >= self.follow_up_year for year in years):
                raise ValueError("every base year must come before follow_up_year")
        if self.pupils_started.value <= 0 or self.months_in_school_year.value <= 0:
            raise ValueError("pupils_started and months_in_school_year must be above zero")
        if not 0 < self.months_of_support.value <= self.months_in_school_year.value:
            raise ValueError("months_of_support must be above zero and at most months_in_school_year")
        return self


class AreaReportSection(Section):
    """What the report leads with and what it must not leave out."""

    disclosure: DisclosureChoice = Field(description="Rules that hold back small numbers before anything is released")
    headline_outcome: Outcome = Field(description="The outcome of the verdict; all outcomes are printed")
    days_in_school_year: Quantity = Field(description="School days that one hundred points of absence are worth")
    programme_facts: tuple[Statement, ...] = Field(description="What is known of the programme in this area")
    other_programmes: tuple[Statement, ...] = Field(description="What else ran in the treated and the comparison areas")
    measurement_notes: tuple[Statement, ...] = Field(description="What a reader must know of the published figures")


class AreaProtocol(ProtocolHeader):
    """The registered protocol of an area study."""

    kind: Literal["area"] = Field(description="Kind of study")
    area_panel: AreaPanelSection
    area_comparison: AreaComparisonSection
    area_impact: AreaImpactSection
    report: AreaReportSection

    @model_validator(mode="after")
    def _years_known(self) -> AreaProtocol:
        if self.report_kind == "formative":
            raise ValueError("an area study is nothing without its effect stages: report_kind must be interim or final")
        known = set(self.area_panel.academic_years)
        impact = self.area_impact
        named = {impact.follow_up_year, *impact.base_years, *self.area_comparison.characteristic_years}
        named |= {year for choice in impact.other_bases for year in choice.years}
        if named - known:
            raise ValueError(f"years {sorted(named - known)} are not among area_panel.academic_years")
        if any(year >= impact.follow_up_year for year in self.area_comparison.characteristic_years):
            raise ValueError("characteristic_years must come before follow_up_year")
        if self.report.headline_outcome not in impact.outcomes:
            raise ValueError("report.headline_outcome is not among area_impact.outcomes")
        return self
