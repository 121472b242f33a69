"""What a simulated trial registers: who there is, how they attend, who is referred, and what support truly does."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .base import Quantity, Section


PHASE_YEAR_GROUPS = {"primary": range(1, 7), "secondary": range(7, 12), "special": range(1, 12)}  # compulsory years, without reception


def _log_odds(text: str, **limits):
    return Field(..., description=text, json_schema_extra={"unit": "log odds of attending a session"}, **limits)


def _share(text: str, unit: str = "share"):
    return Field(..., ge=0, le=1, description=text, json_schema_extra={"unit": unit})


class SimulatedArea(Section):
    """One local authority of the simulated trial."""

    code: str = Field(..., min_length=3, description="Code of the local authority")
    name: str = Field(..., min_length=3, description="Name of the local authority")
    mentor_schools: int = Field(..., ge=0, le=400, description="Schools with mentors", json_schema_extra={"unit": "schools"})
    comparison_schools: int = Field(..., ge=0, le=400, description="Schools without mentors", json_schema_extra={"unit": "schools"})
    primary_schools: int = Field(..., ge=0, le=2000, description="Primary schools, none with mentors", json_schema_extra={"unit": "schools"})
    special_schools: int = Field(..., ge=0, le=400, description="Special schools, none with mentors", json_schema_extra={"unit": "schools"})
    first_mentor_half_term: int | None = Field(..., ge=2, le=18, description="Half-term in which mentoring began; null without mentor schools")
    attendance_shift: float = _log_odds("How far pupils of the area attend more (or less) than the national level", ge=-3, le=3)
    fsm_share: float = _share("Pupils of secondary schools eligible for free school meals")

    @model_validator(mode="after")
    def _opens_if_it_has_mentors(self) -> SimulatedArea:
        if (self.mentor_schools > 0) != (self.first_mentor_half_term is not None):
            raise ValueError("an area has `first_mentor_half_term` if and only if it has mentor schools")
        return self


class SimulatedRoll(Section):
    """How many pupils there are, and how they come and go."""

    pupils_per_school: int = Field(..., ge=10, le=5000, description="Mean number on roll", json_schema_extra={"unit": "pupils"})
    size_spread: float = Field(..., ge=0, le=0.8, description="School sizes lie evenly within this share of the mean", json_schema_extra={"unit": "share"})
    leaving_persistent: float = _share("Pupils persistently absent in a term who are off roll in the next", "share a term")
    leaving_other: float = _share("Other pupils who are off roll in the next term", "share a term")
    joining: float = _share("New pupils in a term, of the number on roll", "share a term")
    moving_in_september: float = _share("Pupils who change to another school of the area at the start of a year", "share a year")
    moving_within_year: float = _share("Pupils who change to another school of the area within a year, once at most", "share of pupils over the study")
    excluded_share: float = _share("Persistently absent leavers who leave because they are permanently excluded")
    dual_share: float = _share("Pupils who are registered at a second school of the area for part of a year", "share of pupils over the study")
    dual_half_terms: int = Field(..., ge=1, le=6, description="Longest time at two schools, within one year", json_schema_extra={"unit": "half-terms"})
    dual_days: int = Field(..., ge=1, le=4, description="Days of the week spent at the second school", json_schema_extra={"unit": "days a week"})


class SimulatedSchools(Section):
    """What is on record about schools besides their pupils."""

    inspection: dict[Literal["outstanding", "good", "requires improvement", "inadequate", "not inspected"], float] = Field(
        ..., min_length=1, description="Judgements of the last inspection", json_schema_extra={"unit": "share of schools"})
    trust_share: float = _share("Schools that belong to an academy trust")
    schools_per_trust: int = Field(..., ge=1, le=50, description="Schools of an area that share a trust", json_schema_extra={"unit": "schools"})
    closed: float = Field(..., ge=0, le=20, description="Days on which a whole school is shut without warning (Y, from 19 August 2024 Y4)",
                          json_schema_extra={"unit": "% of school days"})


class SimulatedCharacteristics(Section):
    """Pupils' characteristics and their part in attendance."""

    female_share: float = _share("Girls")
    fsm_shift: float = Field(..., ge=-3, le=3, description="Free school meals beside the area's secondary schools", json_schema_extra={"unit": "log odds of eligibility"})
    fsm_school_spread: float = Field(..., ge=0, le=3, description="Spread of schools' deprivation", json_schema_extra={"unit": "log odds of eligibility"})
    sen_support_share: float = _share("Pupils with SEN support")
    ehcp_share: float = _share("Pupils with an education, health and care plan")
    sen_fsm_ratio: float = Field(..., ge=0.1, le=10, description="How much more common both are with free school meals", json_schema_extra={"unit": "ratio"})
    idaci_mean: float = _share("Mean IDACI score of pupils not eligible for free school meals")
    idaci_fsm_difference: float = _share("By how much eligible pupils' mean IDACI score is higher")
    idaci_spread: float = _share("Standard deviation of IDACI scores given eligibility")
    fsm: float = _log_odds("Eligible for free school meals")
    sen_support: float = _log_odds("SEN support")
    ehcp: float = _log_odds("Education, health and care plan")
    idaci: float = _log_odds("An IDACI score higher by 1")
    year_group: tuple[float, ...] = _log_odds("Year groups of the phase, in order")


class SimulatedAttendance(Section):
    """Who attends when: level, lasting and passing differences, and patterns in time."""

    level: float = _log_odds("Attendance of a Year 7 pupil without disadvantage in the first year")
    school_spread: float = _log_odds("Standard deviation between schools of an area", ge=0, le=3)
    lasting_spread: float = _log_odds("Standard deviation between pupils that lasts", ge=0, le=4)
    disengaged_share: float = _share("Pupils who hardly attend, the long tail of absence")
    disengaged_fsm_ratio: float = Field(..., ge=0.1, le=10, description="How much more often they are eligible for free school meals", json_schema_extra={"unit": "ratio"})
    disengaged_sen_ratio: float = Field(..., ge=0.1, le=20, description="How much more often they have special educational needs", json_schema_extra={"unit": "ratio"})
    disengaged_year_group: tuple[float, ...] = Field(..., description="How common they are in each year group of the first year, in order; later arrivals have factor 1", json_schema_extra={"unit": "factor"})
    disengaged_shift: float = _log_odds("How far these pupils attend less than others", ge=-8, le=0)
    disengaging_share: float = Field(0.0, ge=0, le=1, description="Of these pupils, those who begin to attend so little within the study, each half-term from the second on equally likely; a stress scenario", json_schema_extra={"unit": "share of pupils who hardly attend"})
    passing_spread: float = _log_odds("Standard deviation of a pupil's passing ups and downs by half-term", ge=0, le=4)
    passing_correlation: float = Field(..., ge=0, lt=1, description="Correlation of the passing part from one half-term to the next", json_schema_extra={"unit": "correlation"})
    academic_year: tuple[float, float, float] = _log_odds("Academic years 2022/23 to 2024/25")
    half_term_of_year: tuple[float, float, float, float, float, float] = _log_odds("The six half-terms of a year")
    through_half_term: float = _log_odds("From the first to the last school day of a half-term, evenly")
    last_week_of_term: float = _log_odds("The last five school days of a term, on top")
    weekday: tuple[float, float, float, float, float] = _log_odds("Monday to Friday")
    afternoon: float = _log_odds("Afternoon sessions")
    friday_afternoon: float = _log_odds("Friday afternoons, on top")
    same_day_share: float = _share("How often the afternoon follows the morning")


class SimulatedReasons(Section):
    """Codes given to sessions."""

    absence: dict[str, float] = Field(..., min_length=1, description="Rates of the absence codes that mentoring can change", json_schema_extra={"unit": "% of possible sessions"})
    part_time_share: float = _share("Part of code C that is recorded as C2 from 19 August 2024")
    unauthorised_tilt: float = Field(..., ge=0, le=3, description="How fast the share without leave grows as attendance falls", json_schema_extra={"unit": "log odds per log odds of attending"})
    unauthorised_reference: float = _log_odds("Attendance at which absence has the registered mix of reasons", ge=-5, le=10)
    medical: float = Field(..., ge=0, le=20, description="Medical appointments (M), which mentoring does not change", json_schema_extra={"unit": "% of sessions"})
    interview: float = Field(..., ge=0, le=20, description="Interviews of Year 11 (J, from 19 August 2024 J1)", json_schema_extra={"unit": "% of sessions"})
    suspended: float = Field(..., ge=0, le=20, description="Sessions suspended (E), which mentoring does not change", json_schema_extra={"unit": "% of sessions"})
    suspension_reasons: dict[str, float] = Field(..., min_length=1, description="Reasons that schools give for suspensions", json_schema_extra={"unit": "share"})
    suspension_days: tuple[int, int] = Field(..., description="Shortest and longest suspension", json_schema_extra={"unit": "school days"})
    approved: dict[str, float] = Field(..., description="Approved educational activities by code; K from 19 August 2024 only", json_schema_extra={"unit": "% of sessions"})
    late: float = Field(..., ge=0, le=50, description="Late before the register closed (L)", json_schema_extra={"unit": "% of sessions"})
    late_morning_share: float = _share("Part of lateness that falls in the morning")
    missing_register: float = Field(..., ge=0, le=50, description="Sessions for which a year group's register was not taken", json_schema_extra={"unit": "% of registers"})


class SimulatedPhase(Section):
    """A phase of education other than secondary: its schools have no mentors."""

    pupils_per_school: int = Field(..., ge=10, le=5000, description="Mean number on roll", json_schema_extra={"unit": "pupils"})
    characteristics: SimulatedCharacteristics = Field(..., description="Pupils' characteristics")
    attendance: SimulatedAttendance = Field(..., description="Who attends when")
    reasons: SimulatedReasons = Field(..., description="Codes of sessions")


class SimulatedReferral(Section):
    """Who is referred."""

    rule: Literal["level", "window", "private_decline", "private_engagement"] = Field(..., description="What referral follows: lasting level, the window's absence, or private knowledge of where the pupil is heading")
    windows: tuple[int, ...] = Field(..., min_length=1, description="Half-terms whose absence makes a pupil eligible; referral follows in the next")
    per_school: int = Field(..., ge=0, le=200, description="Referrals a school makes after each window", json_schema_extra={"unit": "pupils"})
    eligible_absence: float = Field(..., gt=0, lt=100, description="Least absence in the window", json_schema_extra={"unit": "% of possible sessions"})
    slope: float = Field(..., ge=0, le=20, description="How strongly referral follows its rule; 0 is a lottery", json_schema_extra={"unit": "log odds of referral per log odds of attending, or per share of sessions absent"})
    again_weight: float = _share("Weight of a pupil who had met the rule before, beside one who meets it for the first time", "relative odds")
    consent_share: float = _share("Referred pupils whose parents agree")
    start_share: float = _share("Pupils with consent who start")


class SimulatedModel(Section):
    """A way of delivering support."""

    name: str = Field(..., min_length=3, description="Name of the delivery model")
    effect_factor: float = Field(..., ge=0, le=5, description="Its effect relative to the base effect", json_schema_extra={"unit": "factor"})
    in_person_share: float = _share("Meetings held in person")


class SimulatedSupport(Section):
    """What support is given, and what it truly does."""

    effect: float = Field(..., ge=-20, le=20, description="More sessions attended by a pupil in support; 0 is a programme that does nothing", json_schema_extra={"unit": "percentage points of sessions"})
    half_life: float = Field(..., gt=0, le=100, description="After support the effect halves in this time", json_schema_extra={"unit": "half-terms of six weeks"})
    first_year_factor: float = Field(..., ge=0, le=5, description="Effect in 2022/23 relative to later years", json_schema_extra={"unit": "factor"})
    severity_factors: tuple[float, float, float] = Field(..., description="Effect by absence in the window: below 20%, 20 to 50%, 50% or more", json_schema_extra={"unit": "factor"})
    delivery_models: tuple[SimulatedModel, ...] = Field(..., min_length=1, description="Delivery models, given to an area's mentor schools in turn")
    weeks: tuple[int, int] = Field(..., description="Shortest and longest support", json_schema_extra={"unit": "weeks"})
    schools_per_mentor: int = Field(..., ge=1, le=20, description="Schools that share a mentor", json_schema_extra={"unit": "schools"})
    caseload: int = Field(..., ge=1, le=200, description="Pupils that a mentor supports at once", json_schema_extra={"unit": "pupils"})
    longest_wait: int = Field(..., ge=0, le=30, description="Wait for a place after which support does not start", json_schema_extra={"unit": "weeks"})
    telephone_share: float = _share("By telephone, of the meetings not in person; the others are by video")
    settling_days: int = Field(..., ge=1, le=60, description="Barriers are assessed and surveys answered within this time of start or end", json_schema_extra={"unit": "days"})
    kept_share: float = _share("Planned meetings that take place")
    meeting_minutes: tuple[int, int] = Field(..., description="Shortest and longest meeting", json_schema_extra={"unit": "minutes"})
    with_whom: dict[Literal["pupil", "parent", "school", "agency"], float] = Field(..., description="Whom meetings are with", json_schema_extra={"unit": "share"})


class SimulatedCost(Section):
    """One kind of cost."""

    item: str = Field(..., min_length=3, description="What it is")
    category: str = Field(..., min_length=3, description="Kind of resource")
    kind: Literal["set-up", "running"] = Field(..., description="Borne once, or going on")
    payer: Literal["Department", "delivery partner", "school", "family"] = Field(..., description="Who bears it")
    share: float | None = Field(..., ge=0, le=1, description="Share of the planned unit cost", json_schema_extra={"unit": "share"})
    hours: float | None = Field(..., ge=0, description="Time for each pupil who starts", json_schema_extra={"unit": "hours"})
    hourly: float | None = Field(..., ge=0, description="Value of an hour", json_schema_extra={"unit": "£ an hour"})

    @model_validator(mode="after")
    def _one_way_of_costing(self) -> SimulatedCost:
        timed = self.hours is not None and self.hourly is not None
        if (self.share is not None) == timed or (self.hours is None) != (self.hourly is None):
            raise ValueError("give either `share`, or `hours` with `hourly`; the others are null")
        return self


class SimulatedCosts(Section):
    """What the programme costs."""

    unit_cost: Quantity = Field(..., description="Planned cost of a pupil who starts")
    planned_starts: int = Field(..., ge=1, description="Pupils planned to start", json_schema_extra={"unit": "pupils"})
    price_year: str = Field(..., pattern=r"^\d{4}/\d{2}$", description="Year whose prices are used")
    items: tuple[SimulatedCost, ...] = Field(..., min_length=1, description="Kinds of cost")


class SimulatedProgramme(Section):
    """What else runs in some areas."""

    programme: str = Field(..., min_length=3, description="Name of the programme")
    areas: tuple[str, ...] = Field(..., min_length=1, description="Codes of the areas where it ran")
    start: str = Field(..., pattern=r"^\d{4}-\d{2}-\d{2}$", description="First day")
    end: str | None = Field(..., pattern=r"^\d{4}-\d{2}-\d{2}$", description="Last day, null if it goes on")


class SimulatedBarriers(Section):
    """What mentors find that keeps pupils from school."""

    share: dict[Literal["anxiety", "family circumstances", "health", "bullying", "transport", "learning need", "caring responsibilities",
                        "engagement with school", "other"], float] = Field(..., min_length=1, description="How common each kind is among all barriers found", json_schema_extra={"unit": "share"})
    most: int = Field(..., ge=1, le=9, description="Most barriers found for a pupil; each number from 1 is equally likely", json_schema_extra={"unit": "barriers"})
    resolved_share: float = _share("Barriers that are resolved by the end of support")


class SimulatedItem(Section):
    """One item of a scale."""

    item: str = Field(..., min_length=1, description="Name within the scale")
    wording: str = Field(..., min_length=3, description="As it is put to the pupil; invented")
    reverse: bool = Field(..., description="Whether a high answer means little of what the scale measures")


class SimulatedScale(Section):
    """One scale of the survey of supported pupils."""

    scale: str = Field(..., min_length=3, description="What it measures")
    items: tuple[SimulatedItem, ...] = Field(..., min_length=1, description="Its items")
    lowest: int = Field(..., description="Lowest answer", json_schema_extra={"unit": "points"})
    highest: int = Field(..., description="Highest answer", json_schema_extra={"unit": "points"})
    minimum_items: int = Field(..., ge=1, description="Items that must be answered for a score", json_schema_extra={"unit": "items"})
    mean: float = Field(..., description="Mean answer before support, scored so that more is better", json_schema_extra={"unit": "points"})
    pupil_spread: float = Field(..., ge=0, description="Standard deviation between pupils", json_schema_extra={"unit": "points"})
    item_spread: float = Field(..., ge=0, description="Standard deviation of single answers of one pupil", json_schema_extra={"unit": "points"})
    change: float = Field(..., description="Mean change from before support to after", json_schema_extra={"unit": "points"})

    @model_validator(mode="after")
    def _can_be_answered(self) -> SimulatedScale:
        if not self.lowest < self.highest or self.minimum_items > len(self.items):
            raise ValueError("`lowest` is below `highest`, and `minimum_items` at most the number of items")
        return self


class SimulatedSurvey(Section):
    """The survey of pupils in support, before and after."""

    scales: tuple[SimulatedScale, ...] = Field(..., min_length=1, description="Its scales")
    answers_before: float = _share("Pupils in support who answer before it")
    answers_after: float = _share("Of these, pupils who answer after it")
    item_left_out: float = _share("Items left out by those who answer")


class SimulatedDeliveries(Section):
    """Under what the extracts are said to have come."""

    registers_supplier: str = Field(..., min_length=3, description="Who supplies the registers' tables")
    programme_supplier: str = Field(..., min_length=3, description="Who supplies the programme's tables")
    agreement: str = Field(..., min_length=3, description="Data sharing agreement")
    received_on: str = Field(..., pattern=r"^\d{4}-\d{2}-\d{2}$", description="Day on which the files came")
    retention_until: str = Field(..., pattern=r"^\d{4}-\d{2}-\d{2}$", description="Last day on which they may be used")


class SimulatedTruth(Section):
    """Over which half-terms the true values of the estimands are taken: as the study's cohort does."""

    gap: int = Field(..., ge=0, le=5, description="Half-terms left out on either side of the window", json_schema_extra={"unit": "half-terms"})
    measured_length: int = Field(..., ge=1, le=6, description="Half-terms of baseline and of follow-up", json_schema_extra={"unit": "half-terms"})
    minimum_sessions: int = Field(..., ge=1, le=400, description="Possible sessions needed in the baseline and in the follow-up", json_schema_extra={"unit": "sessions"})


class SimulationSection(Section):
    """The design of simulated extracts with a known truth. ``characteristics``, ``attendance`` and ``reasons`` are those of
    secondary schools."""

    areas: tuple[SimulatedArea, ...] = Field(..., min_length=1, description="Local authorities and their schools")
    roll: SimulatedRoll = Field(..., description="Pupils on roll")
    schools: SimulatedSchools = Field(..., description="What else is on record about schools")
    characteristics: SimulatedCharacteristics = Field(..., description="Pupils' characteristics")
    attendance: SimulatedAttendance = Field(..., description="Who attends when")
    reasons: SimulatedReasons = Field(..., description="Codes of sessions")
    other_phases: dict[Literal["primary", "special"], SimulatedPhase] = Field(..., description="Phases beside secondary; empty where no area has such schools")
    referral: SimulatedReferral = Field(..., description="Who is referred")
    support: SimulatedSupport = Field(..., description="Support and its true effect")
    barriers: SimulatedBarriers = Field(..., description="What keeps supported pupils from school")
    survey: SimulatedSurvey = Field(..., description="The survey of supported pupils")
    costs: SimulatedCosts = Field(..., description="What the programme costs")
    programmes: tuple[SimulatedProgramme, ...] = Field(..., description="What else runs")
    deliveries: SimulatedDeliveries = Field(..., description="Under what the extracts came")
    truth: SimulatedTruth = Field(..., description="What the true values are taken over")

    def phase(self, name: str) -> SimulatedPhase:
        """The parameters of a phase of education."""
        if name != "secondary":
            return self.other_phases[name]
        return SimulatedPhase.model_construct(pupils_per_school=self.roll.pupils_per_school, characteristics=self.characteristics,
                                              attendance=self.attendance, reasons=self.reasons)

    @model_validator(mode="after")
    def _every_phase_is_described(self) -> SimulationSection:
        for name in PHASE_YEAR_GROUPS:
            if name != "secondary" and any(getattr(area, f"{name}_schools") for area in self.areas) and name not in self.other_phases:
                raise ValueError(f"an area has {name} schools, so `other_phases` needs `{name}`")
        for name in ("secondary", *self.other_phases):
            groups, phase = len(PHASE_YEAR_GROUPS[name]), self.phase(name)
            if len(phase.characteristics.year_group) != groups or len(phase.attendance.disengaged_year_group) != groups:
                raise ValueError(f"{name}: `year_group` and `disengaged_year_group` have one value for each of its {groups} year groups")
        return self
