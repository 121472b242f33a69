"""What the trial registers: one section for each stage, from the registers to the report."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .base import DisclosureChoice, ProtocolHeader, Section
from .simulation import SimulationSection
from .value import ValueForMoneySection


HALF_TERMS_A_YEAR = 6

Stratum = Literal["year_6_baseline", "year_11_followup", "other"]


class RegistersSection(Section):
    """Stage `registers`: how much of an extract may be faulty, and when registers are too thin to pass unremarked."""

    reject_tolerance: dict[str, float] = Field(
        ..., description="Rejected rows of each extract table above which the run stops",
        json_schema_extra={"unit": "% of rows read"},
    )
    completeness_floor: float = Field(
        ..., ge=0, le=100, description="Completeness of registers below which an area's half-term is pointed out",
        json_schema_extra={"unit": "% of expected sessions"},
    )

    @model_validator(mode="after")
    def _known_tables(self) -> RegistersSection:
        """One tolerance for every extract table, so that none is forgotten."""
        known = {"schools", "pupils", "marks", "calendar", "programmes", "referrals", "meetings", "costs", "absence_by_period", "barriers",
                 "suspensions", "survey_items", "survey_scales", "deliveries"}
        if set(self.reject_tolerance) != known:
            raise ValueError(f"`reject_tolerance` needs exactly the tables {', '.join(sorted(known))}")
        if any(not 0 <= value <= 100 for value in self.reject_tolerance.values()):
            raise ValueError("`reject_tolerance` lies between 0 and 100 for every table")
        return self


class CohortSection(Section):
    """Stage `cohort`: which pupils are compared, when each one's clock starts, and what is measured around it."""

    eligibility: Literal["persistent_absence", "severe_absence", "persistent_not_severe"] = Field(
        ..., description="The rule that a pupil must meet in the eligibility window, on harmonised counts: absent for 10% or more, 50% or more, "
                         "or 10% to below 50% of possible sessions",
    )
    phases: list[Literal["primary", "secondary", "special"]] = Field(..., min_length=1, description="Phases of the schools that are studied")
    year_groups: list[int] = Field(
        ..., min_length=1, description="Year groups, in the window, that are studied", json_schema_extra={"unit": "year group"},
    )
    first_window_half_term: int = Field(
        ..., ge=1, le=600, description="First half-term that may be an eligibility window", json_schema_extra={"unit": "half-term"},
    )
    last_window_half_term: int = Field(
        ..., ge=1, le=600, description="Last half-term that may be an eligibility window", json_schema_extra={"unit": "half-term"},
    )
    window_length: int = Field(
        ..., ge=1, le=4, description="Length of the eligibility window, over which the rule is met", json_schema_extra={"unit": "half-terms"},
    )
    gap: int = Field(
        ..., ge=0, le=2, description="Half-terms left out on either side of the window", json_schema_extra={"unit": "half-terms"},
    )
    measured_length: int = Field(
        ..., ge=1, le=5, description="Length of the baseline and of the follow-up", json_schema_extra={"unit": "half-terms"},
    )
    minimum_sessions: int = Field(
        ..., ge=1, le=400, description="Possible sessions below which a baseline excludes a pupil and a follow-up counts as attrition",
        json_schema_extra={"unit": "sessions"},
    )
    opening_without_mentors: int | None = Field(
        ..., ge=1, le=600, description="Half-term from which pupils enter in areas that have no school with mentors; null keeps them out",
        json_schema_extra={"unit": "half-term"},
    )
    excluded_strata: list[Stratum] = Field(..., description="Strata that are not studied")
    minimum_schools_per_arm: int = Field(
        ..., ge=1, le=50, description="Schools with and schools without mentors that an area needs to enter the design within areas",
        json_schema_extra={"unit": "schools"},
    )
    between_pool_areas: list[str] | None = Field(
        ..., description="Area codes that give comparison pupils between areas; null for all areas without mentors",
    )
    programme: str = Field(..., min_length=1, description="The programme under study, as table `programmes` calls it")
    pool_programmes: list[str] = Field(
        ..., description="Other programmes that an area must have had when the areas with mentors did, to give comparison pupils between areas",
    )
    placebo_half_terms_earlier: int = Field(
        ..., ge=1, le=60, description="How much earlier the placebo cohort's areas are taken to have opened", json_schema_extra={"unit": "half-terms"},
    )
    placebo_gap: int = Field(
        ..., ge=0, le=2, description="Half-terms left out on either side of the placebo cohort's window", json_schema_extra={"unit": "half-terms"},
    )
    placebo_measured_length: int = Field(
        ..., ge=1, le=5, description="Length of the placebo cohort's baseline and follow-up", json_schema_extra={"unit": "half-terms"},
    )

    @model_validator(mode="after")
    def _season_matched(self) -> CohortSection:
        """Baseline and follow-up must be symmetric around the window and the same half-terms one year apart."""
        if 2 * self.gap + self.measured_length + self.window_length != HALF_TERMS_A_YEAR:
            raise ValueError(
                f"2 x gap + measured_length + window_length must be {HALF_TERMS_A_YEAR}, "
                "so that baseline and follow-up are the same half-terms one year apart")
        if self.last_window_half_term < self.first_window_half_term:
            raise ValueError("`last_window_half_term` lies before `first_window_half_term`")
        for name in ("phases", "year_groups", "pool_programmes", "excluded_strata"):
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise ValueError(f"`{name}` names something twice")
        if not all(1 <= group <= 13 for group in self.year_groups):
            raise ValueError("`year_groups` lie between 1 and 13")
        if self.programme in self.pool_programmes:
            raise ValueError("the programme under study cannot be one that comparison areas must have")
        return self


Design = Literal["within_area", "between_areas"]

BASELINE_COLUMNS = ("baseline_rate", "baseline_absent", "baseline_possible")
OUTCOME_COLUMNS = ("followup_rate", "followup_absent", "followup_possible", "change", "referred_by_followup", "started", "moved_school")


class MatchingAlternatives(Section):
    """Choices of the matching that could as well have been made otherwise: the branches of the specification curve."""

    design: list[Design] = Field(..., description="Designs beside the leading one")
    entries: list[Literal["first", "matched_history", "risk_set"]] = Field(..., description="Windows in which pupils enter")
    method: list[Literal["nearest", "nearest_reuse", "optimal", "full", "entropy", "att_weights", "overlap_weights", "same_rule"]] = Field(
        ..., description="Methods of matching or weighting; same_rule takes everyone who met the rule",
    )
    distance: list[Literal["logit", "propensity", "mahalanobis"]] = Field(..., description="Scales of nearness")
    caliper: list[float | None] = Field(
        ..., description="Largest distances in a pair; null for none", json_schema_extra={"unit": "standard deviations of the score"},
    )
    ratio: list[int] = Field(..., description="Comparison pupils sought for each referred pupil", json_schema_extra={"unit": "pupils"})
    covariates: dict[str, list[str]] = Field(..., description="Other lists of characteristics in the score, by a name of their own")
    crossed: list[Literal["design", "entries", "method", "distance", "caliper", "ratio", "covariates"]] = Field(
        ..., description="Choices that are combined with one another; the others change one at a time",
    )

    @model_validator(mode="after")
    def _ranges(self) -> MatchingAlternatives:
        """The same ranges as for the registered choice."""
        if any(c is not None and not 0 < c <= 5 for c in self.caliper):
            raise ValueError("an alternative `caliper` lies above 0 and at most 5, or is null")
        if any(not 1 <= k <= 10 for k in self.ratio):
            raise ValueError("an alternative `ratio` lies from 1 to 10")
        if "registered" in self.covariates or not all(self.covariates.values()):
            raise ValueError("an alternative list of `covariates` needs a name other than `registered` and at least one column")
        return self


class MatchingSection(Section):
    """Stage `matching`: which comparison pupils stand beside the referred ones."""

    designs: list[Design] = Field(..., min_length=1, description="Registered designs; the first one leads")
    entries: Literal["first", "matched_history", "risk_set"] = Field(
        ..., description="Whether referred pupils and their comparison enter at their first qualifying window only, at every one with as many before it, "
                         "or at every one; all eligible pupils (the offer) always enter at the first",
    )
    score_covariates: list[str] = Field(..., min_length=1, description="Characteristics in the propensity score")
    exact_columns: list[str] = Field(..., description="Columns on which matched pupils are equal, besides the design's own")
    distance: Literal["logit", "propensity"] = Field(..., description="Scale on which nearness is measured")
    caliper: float | None = Field(
        ..., gt=0, le=5, description="Largest distance in a pair; null for none",
        json_schema_extra={"unit": "standard deviations of the distance"},
    )
    ratio: int = Field(
        ..., ge=1, le=10, description="Comparison pupils sought for each referred pupil", json_schema_extra={"unit": "pupils"},
    )
    replace: bool = Field(..., description="Whether a comparison pupil may stand beside several referred pupils")
    order: Literal["largest", "smallest", "data"] = Field(..., description="Which referred pupil chooses first")
    unmatched_tolerance: float = Field(
        ..., ge=0, le=1, description="Share of referred pupils that may be left unmatched before the leading design is refused",
        json_schema_extra={"unit": "share"},
    )
    pre_means_check: bool = Field(..., description="Whether to match once more with the baseline mean, to be shown beside the headline")
    baseline_overlap_reason: str | None = Field(
        ..., description="Why the headline matches on a column that overlaps the baseline; null when it does not",
    )
    alternatives: MatchingAlternatives = Field(..., description="Registered alternatives, each matched anew for the specification curve")

    @model_validator(mode="after")
    def _coherent(self) -> MatchingSection:
        """Matching on the baseline re-opens regression to the mean, so it needs a registered reason."""
        used = [*self.score_covariates, *self.exact_columns]
        later = [name for name in used if name in OUTCOME_COLUMNS]
        if later:
            raise ValueError(f"{', '.join(later)}: known only after the window, so nobody may be matched on it")
        overlapping = [name for name in used if name in BASELINE_COLUMNS]
        if overlapping and not self.baseline_overlap_reason:
            raise ValueError(f"these columns overlap the baseline: {', '.join(overlapping)}. Give `baseline_overlap_reason` or leave them out")
        others = [name for columns in self.alternatives.covariates.values() for name in columns]
        unfit = [name for name in others if name in (*OUTCOME_COLUMNS, *BASELINE_COLUMNS)]
        if unfit:
            raise ValueError(f"{', '.join(unfit)}: no alternative may match on what overlaps the baseline or is known only after the window")
        for name in ("designs", "score_covariates", "exact_columns"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"`{name}` names something twice")
        return self


SecondaryOutcome = Literal["absence_rate_official", "absence_rate_off_site_absent", "persistent_absence", "severe_absence", "unauthorised_rate",
                           "lateness_rate", "suspension_sessions", "part_time_timetable_rate", "medical_rate", "illness_rate", "attended_of_open",
                           "possible_of_open"]


class CurveSection(Section):
    """Choices of the specification curve that come after matching; those of the matching are in its own section."""

    outcome: list[Literal["absence_rate_official", "absence_rate_off_site_absent", "attended_of_open"]] = Field(
        ..., description="Other definitions of the primary outcome, by their names in table `cohort_outcomes`",
    )
    windows: list[Annotated[list[int], Field(min_length=2, max_length=2)]] = Field(
        ..., description="Other windows as pairs of gap and measured length, inside the registered ones", json_schema_extra={"unit": "half-terms"},
    )
    weighting: list[Literal["sessions"]] = Field(..., description="Other weighting: by possible sessions in the baseline")
    interval: list[Literal["CR1", "CR3"]] = Field(..., description="Other standard errors by school, with degrees of freedom of schools less one")
    crossed: list[Literal["outcome", "windows", "weighting", "interval"]] = Field(
        ..., description="Choices that are combined with every match; the others are changed one at a time with the registered match",
    )

    @model_validator(mode="after")
    def _ranges(self) -> CurveSection:
        """Windows that can be laid around an eligibility window."""
        if any(gap < 0 or length < 1 for gap, length in self.windows):
            raise ValueError("`windows` needs gaps of at least 0 and measured lengths of at least 1")
        return self


class ImpactSection(Section):
    """Stage `impact`: what difference mentoring made, by which test, and by which rule it is put into words."""

    outcome: Literal["absence_rate"] = Field(..., description="Primary outcome, on harmonised counts")
    secondary_outcomes: list[SecondaryOutcome] = Field(
        ..., description="Outcomes estimated beside the primary one, by their names in table `cohort_outcomes`",
    )
    headline_design: Design = Field(..., description="The design whose estimate leads")
    decision_test: Literal["CR2"] = Field(..., description="The test that decides, named before outcomes; the interval inverts it")
    confidence_level: float = Field(..., ge=0.5, le=0.999, description="Level of every interval", json_schema_extra={"unit": "share"})
    power: float = Field(..., ge=0.5, le=0.99, description="Power of the smallest detectable effect", json_schema_extra={"unit": "share"})
    minimum_treated_schools: int = Field(
        ..., ge=2, le=50, description="Schools with mentors below which the decision test is not trusted", json_schema_extra={"unit": "schools"},
    )
    minimum_df: float = Field(
        ..., ge=1, le=100, description="Satterthwaite degrees of freedom below which the decision test is not trusted",
        json_schema_extra={"unit": "degrees of freedom"},
    )
    draws: int = Field(
        ..., ge=999, le=999_999, description="Draws of randomisation inference, the wild bootstrap and simultaneous bands", json_schema_extra={"unit": "draws"},
    )
    honest_relative_magnitudes: list[float] = Field(
        ..., min_length=1, description="Departures from parallel trends that bounds are stated for, as multiples of the largest one seen before the window",
        json_schema_extra={"unit": "multiple"},
    )
    honest_smoothness: list[float] = Field(
        ..., min_length=1, description="Changes of slope of the difference in trends that bounds are stated for",
        json_schema_extra={"unit": "percentage points of sessions per half-term, per half-term"},
    )
    offer_leads_up_to: float = Field(
        ..., gt=0, le=100, description="The offer effect per referred pupil leads if its smallest detectable effect is at most this",
        json_schema_extra={"unit": "percentage points of sessions"},
    )
    placebo_tolerance: float = Field(
        ..., gt=0, le=20, description="A placebo passes if its whole interval lies this close to zero", json_schema_extra={"unit": "percentage points of sessions"},
    )
    negative_control_tolerance: float = Field(
        ..., gt=0, le=20, description="A negative control passes if its whole interval lies this close to zero",
        json_schema_extra={"unit": "percentage points of sessions"},
    )
    subgroups: list[Literal["severity", "fsm", "sen", "phase", "area", "sex", "year_group"]] = Field(
        ..., description="Registered subgroups, no other one is looked at; one that the panel lacks is refused by name",
    )
    subgroup_minimum_pupils: int = Field(
        ..., ge=2, le=1000, description="Pupils of either arm below which a group is too few to say anything of", json_schema_extra={"unit": "pupils"},
    )
    subgroup_minimum_schools: int = Field(
        ..., ge=2, le=50, description="Schools of either arm below which a group is too few to say anything of", json_schema_extra={"unit": "schools"},
    )
    robustness_checks: list[Literal["between_areas_agrees", "same_rule_agrees", "offer_does_not_contradict",
                                     "placebo_start", "placebo_cohort", "placebo_referral", "negative_controls",
                                     "no_single_area_carries_it", "no_single_school_carries_it"]] = Field(
        ..., description="Checks that must pass before an improvement is called secure",
    )
    specification_curve: CurveSection = Field(..., description="Registered choices of the specification curve beside those of the matching")

    @model_validator(mode="after")
    def _coherent(self) -> ImpactSection:
        """Names stand once; bounds are no negative departures."""
        for name in ("secondary_outcomes", "robustness_checks", "subgroups"):
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise ValueError(f"`{name}` names something twice")
        for name in ("honest_relative_magnitudes", "honest_smoothness"):
            if min(getattr(self, name)) < 0:
                raise ValueError(f"`{name}` are zero or more")
        return self


class DeliverySection(Section):
    """Stage `delivery`: who was reached, how soon, and how much support they had."""

    completion_minimum_weeks: int = Field(
        ..., ge=1, le=52, description="Support counts as completed from this length on",
        json_schema_extra={"unit": "weeks from start to end of support"},
    )
    first_meeting_with: list[str] = Field(
        ..., min_length=1, description="Whom a first meeting must be with, values of `with_whom` in the meetings table",
    )
    within_area_minimum_models: int = Field(
        ..., ge=2, le=5, description="Delivery models that one area must run side by side before models can be compared inside it",
        json_schema_extra={"unit": "delivery models"},
    )
    first_meeting_within_days: int = Field(
        ..., ge=0, le=365, description="A first meeting is in time up to this long after the referral", json_schema_extra={"unit": "days"},
    )
    meetings_per_week: float = Field(
        ..., gt=0, le=10, description="Meetings kept for each week of support from which they count as often enough",
        json_schema_extra={"unit": "meetings a week"},
    )
    model_minimum_pupils: int = Field(
        ..., ge=2, le=1000, description="Pupils on either side below which delivery models are not compared", json_schema_extra={"unit": "pupils"},
    )
    model_minimum_schools: int = Field(
        ..., ge=2, le=50, description="Schools on either side below which delivery models are not compared", json_schema_extra={"unit": "schools"},
    )


class ReportSection(Section):
    """Stage `report`: the rules by which results are put into words."""

    disclosure: DisclosureChoice = Field(description="Rules that hold back small numbers before anything is released")
    break_even_scenario: Literal["base case", "earnings, causal share"] = Field(
        ..., description="Value of a day under which the chance of breaking even is stated and the criteria are applied",
    )
    continue_probability: float = Field(
        ..., ge=0, le=1, description="Probability of breaking even from which the case to continue is met",
        json_schema_extra={"unit": "probability"},
    )
    expand_probability: float = Field(
        ..., ge=0, le=1, description="Probability of breaking even from which, with a secure improvement, the case to expand is met",
        json_schema_extra={"unit": "probability"},
    )
    stop_probability: float = Field(
        ..., ge=0, le=1, description="Probability of breaking even below which the case to stop is met",
        json_schema_extra={"unit": "probability"},
    )
    security_design_ceiling: int = Field(
        ..., ge=0, le=5, description="Highest security rating that this kind of design can reach", json_schema_extra={"unit": "of 5"},
    )
    security_attrition_bands: list[float] = Field(
        ..., min_length=5, max_length=5, description="Largest attrition for ratings 5, 4, 3, 2 and 1", json_schema_extra={"unit": "share"},
    )

    @model_validator(mode="after")
    def _ordered(self) -> ReportSection:
        """Criteria that contradict each other cannot be registered."""
        if not self.stop_probability <= self.continue_probability <= self.expand_probability:
            raise ValueError("needs stop_probability <= continue_probability <= expand_probability")
        if self.security_attrition_bands != sorted(self.security_attrition_bands) or not 0 <= self.security_attrition_bands[0] <= 1:
            raise ValueError("`security_attrition_bands` must rise from the strictest to the loosest")
        return self


class TrialProtocol(ProtocolHeader):
    """The whole registered protocol of a trial: a section for each stage, and one for simulated data."""

    kind: Literal["trial"] = Field(..., description="Kind of study")
    simulation: SimulationSection
    registers: RegistersSection
    cohort: CohortSection
    matching: MatchingSection
    impact: ImpactSection
    delivery: DeliverySection
    value_for_money: ValueForMoneySection
    report: ReportSection

    @model_validator(mode="after")
    def _one_follow_up(self) -> TrialProtocol:
        """What value for money takes as measured is what the cohort measures."""
        lasting = self.value_for_money.persistence
        if (lasting.first_measured_half_term, lasting.measured_half_terms) != (self.cohort.gap + 1, self.cohort.measured_length):
            raise ValueError("`value_for_money.persistence`: `first_measured_half_term` is the cohort's `gap` plus 1, `measured_half_terms` its `measured_length`")
        return self
