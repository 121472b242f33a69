"""Schools and pupils of a simulated study: who is where and when, with which characteristics and inclinations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.protocol.simulation import SimulationSection
from evaluation.registers.calendar import HALF_TERMS_A_YEAR

from .streams import stream

YEAR_GROUPS = (7, 8, 9, 10, 11)
YEARS = 3
HALF_TERMS = YEARS * HALF_TERMS_A_YEAR
LAST_FOR_YEAR_11 = 5  # Year 11 leaves in the second half of the summer term
FEMALE_SHARE = 0.494  # girls among secondary enrolments in the published absence bands of 2022/23
SEN_MORE_COMMON = (0.9, 1.3)  # relative frequency of special educational needs without and with free school meals
SEN = ("none", "support", "ehcp")


@dataclass(frozen=True)
class Schools:
    """Schools, one element each; ``model`` and ``mentor`` are -1 and ``opens`` 0 where there are no mentors."""

    area: np.ndarray
    mentored: np.ndarray
    opens: np.ndarray
    model: np.ndarray
    mentor: np.ndarray
    size: np.ndarray
    deprivation: np.ndarray
    attendance: np.ndarray

    def __len__(self) -> int:
        return len(self.area)

    def names(self, section: SimulationSection) -> list[str]:
        """Names that nobody can take for real schools."""
        return [f"Simulated school {i + 1:02d} ({section.areas[a].name})" for i, a in enumerate(self.area)]


@dataclass
class Pupils:
    """Pupils, one element each. ``school`` and ``year_group`` have a column for each academic year (0: not in Years 7 to 11).

    ``entry`` and ``exit`` are the first and the last half-term on roll; ``exit`` moves forward when a pupil leaves.
    ``passing`` has a column for each half-term; ``inclination`` is the lasting log odds of attending without school,
    year group and time; ``part_time`` says whose circumstances (code C) are a part-time timetable.
    """

    entry: np.ndarray
    exit: np.ndarray
    school: np.ndarray
    year_group: np.ndarray
    female: np.ndarray
    fsm: np.ndarray
    sen: np.ndarray
    idaci: np.ndarray
    part_time: np.ndarray
    inclination: np.ndarray
    lasting: np.ndarray
    passing: np.ndarray

    def __len__(self) -> int:
        return len(self.entry)

    def identifiers(self) -> np.ndarray:
        """Pseudonyms in sorted order."""
        return np.array([f"P{i + 1:06d}" for i in range(len(self))])


def academic_year_of(half_term: int) -> int:
    """Position of the academic year of a half-term (0 for half-terms 1 to 6)."""
    return (half_term - 1) // HALF_TERMS_A_YEAR


def draw_schools(section: SimulationSection, seed: int) -> Schools:
    """Schools by area, those with mentors first; delivery models are given to them in turn."""
    rng = stream(seed, "schools")
    area, opens, model, mentor = [], [], [], []
    mentors = 0
    for position, place in enumerate(section.areas):
        for number in range(place.mentor_schools + place.comparison_schools):
            has_mentor = number < place.mentor_schools
            area.append(position)
            opens.append(place.first_mentor_half_term if has_mentor else 0)
            model.append(number % len(section.support.delivery_models) if has_mentor else -1)
            mentor.append(-1)
        mentors = _assign_mentors(area, opens, model, mentor, position, section.support.schools_per_mentor, mentors)
    count = len(area)
    spread = section.roll.size_spread
    size = np.rint(section.roll.pupils_per_school * (1 + rng.permutation(np.linspace(-spread, spread, count)))).astype(int)
    return Schools(
        area=np.array(area), mentored=np.array(opens) > 0, opens=np.array(opens), model=np.array(model), mentor=np.array(mentor),
        size=size, deprivation=section.characteristics.fsm_school_spread * _within_areas(rng, np.array(area)),
        attendance=section.attendance.school_spread * _within_areas(rng, np.array(area)),
    )


def _within_areas(rng: np.random.Generator, area: np.ndarray) -> np.ndarray:
    """Standard normal draws that sum to zero in every area, so that areas keep their registered level."""
    draws = rng.standard_normal(len(area))
    for place in np.unique(area):
        mine = area == place
        count = mine.sum()
        draws[mine] = (draws[mine] - draws[mine].mean()) * np.sqrt(count / max(count - 1, 1))
    return draws


def _assign_mentors(area: list, opens: list, model: list, mentor: list, position: int, sharing: int, used: int) -> int:
    """Give the mentor schools of one area their mentors: a mentor works by one delivery model, in up to ``sharing`` schools."""
    mine = [i for i, a in enumerate(area) if a == position and opens[i]]
    for kind in sorted({model[i] for i in mine}):
        schools = [i for i in mine if model[i] == kind]
        for order, school in enumerate(schools):
            mentor[school] = used + order // sharing
        used += -(-len(schools) // sharing)
    return used


def draw_pupils(section: SimulationSection, schools: Schools, seed: int) -> Pupils:
    """Everyone who is ever on roll: the cohorts that pass through, and joiners at the start of a term."""
    school, entry, first_group, first_year = _arrivals(section, schools, stream(seed, "arrivals"))
    count = len(school)
    years = np.arange(YEARS)
    group = first_group[:, None] + years[None, :] - first_year[:, None]
    group = np.where((years[None, :] >= first_year[:, None]) & (group <= YEAR_GROUPS[-1]), group, 0)
    last_year = np.minimum(YEARS - 1, first_year + YEAR_GROUPS[-1] - first_group)
    finishes = first_group + last_year - first_year == YEAR_GROUPS[-1]
    exit = (last_year + 1) * HALF_TERMS_A_YEAR - np.where(finishes, HALF_TERMS_A_YEAR - LAST_FOR_YEAR_11, 0)
    where = _schools_by_year(section, schools, school, group, stream(seed, "movers"))
    traits = _traits(section, schools, school, stream(seed, "characteristics"))
    rng = stream(seed, "inclinations")
    lasting = section.attendance.lasting_spread * rng.standard_normal(count)
    odds = np.where(traits["fsm"], section.attendance.disengaged_fsm_ratio, 1.0)
    lasting += section.attendance.disengaged_shift * (rng.random(count) < section.attendance.disengaged_share * odds / odds.mean())
    rho = section.attendance.passing_correlation
    passing = np.empty((count, HALF_TERMS), dtype=np.float32)
    shocks = rng.standard_normal((HALF_TERMS, count), dtype=np.float32)
    passing[:, 0] = section.attendance.passing_spread * shocks[0]
    for t in range(1, HALF_TERMS):
        passing[:, t] = rho * passing[:, t - 1] + section.attendance.passing_spread * np.sqrt(1 - rho**2) * shocks[t]
    effects = section.characteristics
    observed = effects.fsm * traits["fsm"] + effects.idaci * (traits["idaci"] - effects.idaci_mean)
    observed += np.array([0.0, effects.sen_support, effects.ehcp])[traits["sen"]]
    return Pupils(entry=entry, exit=exit, school=where, year_group=group, inclination=observed + lasting, lasting=lasting,
                  passing=passing, **traits)


def _arrivals(section: SimulationSection, schools: Schools, rng: np.random.Generator):
    """School, first half-term, first year group and first academic year of everyone, in order of arrival."""
    per_group = np.maximum(1, np.rint(schools.size / len(YEAR_GROUPS)).astype(int))
    parts = []
    for year in range(YEARS):
        groups = YEAR_GROUPS if year == 0 else YEAR_GROUPS[:1]
        for group in groups:
            who = np.repeat(np.arange(len(schools)), per_group)
            parts.append((who, year * HALF_TERMS_A_YEAR + 1, group, year))
        for term_start in (1, 3, 5):
            if year == 0 and term_start == 1:
                continue
            half_term = year * HALF_TERMS_A_YEAR + term_start
            for group in YEAR_GROUPS[1:] if term_start == 1 else YEAR_GROUPS:
                joiners = rng.poisson(section.roll.joining * per_group)
                parts.append((np.repeat(np.arange(len(schools)), joiners), half_term, group, year))
    school = np.concatenate([p[0] for p in parts])
    entry, group, year = (np.concatenate([np.full(len(p[0]), p[i]) for p in parts]) for i in (1, 2, 3))
    return school, entry, group, year


def _schools_by_year(section: SimulationSection, schools: Schools, school: np.ndarray, group: np.ndarray,
                     rng: np.random.Generator) -> np.ndarray:
    """School of each pupil in each academic year; a few change to another school of the area in September."""
    where = np.repeat(school[:, None], YEARS, axis=1)
    for year in range(1, YEARS):
        where[:, year] = where[:, year - 1]
        moves = (rng.random(len(school)) < section.roll.moving_in_september) & (group[:, year] > 0) & (group[:, year - 1] > 0)
        pick = rng.random(len(school))
        for area in range(len(section.areas)):
            here = np.flatnonzero(schools.area == area)
            movers = np.flatnonzero(moves & (schools.area[where[:, year]] == area))
            if len(here) < 2 or not len(movers):
                continue
            rank = np.searchsorted(here, where[movers, year])
            step = 1 + (pick[movers] * (len(here) - 1)).astype(int)
            where[movers, year] = here[(rank + step) % len(here)]
    return where


def _traits(section: SimulationSection, schools: Schools, school: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Sex, free school meals, special educational needs and IDACI score, correlated through the school's intake."""
    design, count = section.characteristics, len(school)
    share = np.array([place.fsm_share for place in section.areas])[schools.area]
    odds = np.log(share / (1 - share)) + schools.deprivation
    fsm = rng.random(count) < (1 / (1 + np.exp(-odds)))[school]
    draw = rng.random(count) / np.where(fsm, SEN_MORE_COMMON[1], SEN_MORE_COMMON[0])
    sen = np.where(draw < design.ehcp_share, 2, np.where(draw < design.ehcp_share + design.sen_support_share, 1, 0))
    idaci = design.idaci_mean + design.idaci_fsm_difference * fsm + 0.1 * schools.deprivation[school]
    idaci = np.clip(np.round(idaci + design.idaci_spread * rng.standard_normal(count), 3), 0.01, 0.95)
    return {"female": rng.random(count) < FEMALE_SHARE, "fsm": fsm, "sen": sen, "idaci": idaci,
            "part_time": rng.random(count) < section.reasons.part_time_share}
