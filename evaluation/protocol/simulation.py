"""What a simulated trial registers: who there is, how they attend, who is referred, and what support truly does."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .base import Quantity, Section


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
    first_mentor_half_term: int | None = Field(..., ge=2, le=18, description="Half-term in which mentoring began; null without mentor schools")
    attendance_shift: float = _log_odds("How far pupils of the area attend more (or less) than the national level", ge=-3, le=3)
    fsm_share: float = _share("Pupils eligible for free school meals")

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


class SimulatedCharacteristics(Section):
    """Pupils' characteristics and their part in attendance."""

    fsm_school_spread: float = Field(..., ge=0, le=3, description="Spread of schools' deprivation", json_schema_extra={"unit": "log odds of eligibility"})
    sen_support_share: float = _share("Pupils with SEN support")
    ehcp_share: float = _share("Pupils with an education, health and care plan")
    idaci_mean: float = _share("Mean IDACI score of pupils not eligible for free school meals")
    idaci_fsm_difference: float = _share("By how much eligible pupils' mean IDACI score is higher")
    idaci_spread: float = _share("Standard deviation of IDACI scores given eligibility")
    fsm: float = _log_odds("Eligible for free school meals")
    sen_support: float = _log_odds("SEN support")
    ehcp: float = _log_odds("Education, health and care plan")
    idaci: float = _log_odds("An IDACI score higher by 1")
    year_group: tuple[float, float, float, float, float] = _log_odds("Year groups 7 to 11")


class SimulatedAttendance(Section):
    """Who attends when: level, lasting and passing differences, and patterns in time."""

    level: float = _log_odds("Attendance of a Year 7 pupil without disadvantage in the first year")
    school_spread: float = _log_odds("Standard deviation between schools of an area", ge=0, le=3)
    lasting_spread: float = _log_odds("Standard deviation between pupils that lasts", ge=0, le=4)
    disengaged_share: float = _share("Pupils who hardly attend, the long tail of absence")
    disengaged_fsm_ratio: float = Field(..., ge=0.1, le=10, description="How much more often they are eligible for free school meals", json_schema_extra={"unit": "ratio"})
    disengaged_shift: float = _log_odds("How far these pupils attend less than others", ge=-8, le=0)
    passing_spread: float = _log_odds("Standard deviation of a pupil's passing ups and downs by half-term", ge=0, le=4)
    passing_correlation: float = Field(..., ge=0, lt=1, description="Correlation of the passing part from one half-term to the next", json_schema_extra={"unit": "correlation"})
    academic_year: tuple[float, float, float] = _log_odds("Academic years 2022/23 to 2024/25")
    half_term_of_year: tuple[float, float, float, float, float, float] = _log_odds("The six half-terms of a year")
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
    approved: dict[str, float] = Field(..., description="Approved educational activities by code; K from 19 August 2024 only", json_schema_extra={"unit": "% of sessions"})
    late: float = Field(..., ge=0, le=50, description="Late before the register closed (L)", json_schema_extra={"unit": "% of sessions"})
    late_morning_share: float = _share("Part of lateness that falls in the morning")
    missing_register: float = Field(..., ge=0, le=50, description="Sessions for which a year group's register was not taken", json_schema_extra={"unit": "% of registers"})


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


class SimulationSection(Section):
    """The design of simulated extracts with a known truth."""

    areas: tuple[SimulatedArea, ...] = Field(..., min_length=1, description="Local authorities and their schools")
    roll: SimulatedRoll = Field(..., description="Pupils on roll")
    characteristics: SimulatedCharacteristics = Field(..., description="Pupils' characteristics")
    attendance: SimulatedAttendance = Field(..., description="Who attends when")
    reasons: SimulatedReasons = Field(..., description="Codes of sessions")
    referral: SimulatedReferral = Field(..., description="Who is referred")
    support: SimulatedSupport = Field(..., description="Support and its true effect")
    costs: SimulatedCosts = Field(..., description="What the programme costs")
    programmes: tuple[SimulatedProgramme, ...] = Field(..., description="What else runs")
