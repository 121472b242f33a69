"""Panels drawn without marks: sessions absent by pupil and half-term, with support and without it, for tests and power."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from evaluation.protocol.simulation import SimulatedPhase, SimulationSection
from evaluation.registers.calendar import HALF_TERMS_A_YEAR, SESSIONS_A_DAY, default_calendar, half_term_of, half_terms, school_days

from .attendance import Days, half_term_days, kept_share, log_odds, lost_share, mean_absence, pattern, suspension_chance
from .binomial import binomials
from .life import Outcomes, live
from .mentoring import lots_by_window
from .people import LAST_YEAR_GROUP, PHASES, SEN, YEARS, Pupils, Schools, draw_pupils, draw_schools
from .streams import stream
from .support import referral_table
from .tables import school_identifiers
from .truth import estimand_values


@dataclass(frozen=True)
class PanelDraw:
    """One drawn study without marks.

    ``outcomes`` holds integer arrays pupils x half-terms (column 0 is half-term 1; -1 off roll) of possible sessions and of
    sessions absent with and without support, and the pupils referred. The tables are made when asked for.
    """

    section: SimulationSection
    schools: Schools
    pupils: Pupils
    outcomes: Outcomes

    def panel(self) -> pd.DataFrame:
        """Columns of table ``panel`` that a cohort is built from: one row per pupil and half-term with possible sessions."""
        who, column = np.nonzero(self.outcomes.possible > 0)
        school = self.pupils.school[who, column]
        areas = np.array([area.code for area in self.section.areas])[self.schools.area]
        return pd.DataFrame({
            "pupil_id": _words(who, self.pupils.identifiers()), "half_term": column + 1, "academic_year": _words(column // HALF_TERMS_A_YEAR, _years()),
            "school_id": _words(school, school_identifiers(self.schools)), "area_code": _words(school, areas),
            "year_group": self.pupils.year_group[who, column // HALF_TERMS_A_YEAR].astype(int),
            "harmonised_possible": self.outcomes.possible[who, column].astype(int), "harmonised_absent": self.outcomes.absent[who, column].astype(int),
        })

    def enrolments(self) -> pd.DataFrame:
        """Characteristics by pupil and academic year, of those with possible sessions in it."""
        possible = np.maximum(self.outcomes.possible, 0).reshape(len(self.pupils), YEARS, HALF_TERMS_A_YEAR).sum(axis=2)
        who, year = np.nonzero(possible > 0)
        first = np.maximum(self.pupils.entry[who] - 1, year * HALF_TERMS_A_YEAR)
        return pd.DataFrame({
            "pupil_id": _words(who, self.pupils.identifiers()), "academic_year": _words(year, _years()),
            "school_id": _words(self.pupils.school[who, first], school_identifiers(self.schools)),
            "year_group": self.pupils.year_group[who, year].astype(int), "sex": np.where(self.pupils.female[who], "female", "male"),
            "fsm": self.pupils.fsm[who], "sen": _words(self.pupils.sen[who], list(SEN)), "idaci": self.pupils.idaci[who],
        })

    def school_list(self) -> pd.DataFrame:
        """As table ``school_list``."""
        schools, areas = self.schools, self.section.areas
        return pd.DataFrame({
            "school_id": school_identifiers(schools), "school_name": schools.names(self.section), "area_code": [areas[a].code for a in schools.area],
            "area_name": [areas[a].name for a in schools.area], "phase": [PHASES[p] for p in schools.phase], "mentor_school": schools.mentored,
            "first_mentor_half_term": pd.Series(schools.opens).where(schools.mentored).astype("Int64"),
        })

    def referral_list(self) -> pd.DataFrame:
        """As table ``referral_list``."""
        days, terms, _ = _calendar()
        referred = self.outcomes.referred
        table = referral_table(self.section, self.schools, self.pupils, referred, days, self.pupils.identifiers(), school_identifiers(self.schools))
        known = {day: half_term_of(day, terms) for day in table["referral_date"].unique()}
        return table.rename(columns={"consent": "consented"}).assign(
            referral_half_term=table["referral_date"].map(known).astype("Int64"), started=referred["started"].to_numpy())

    def truth(self) -> pd.DataFrame:
        """As ``truth/pupil_effects``: sessions by pupil and half-term with support and without it."""
        who, column = np.nonzero(self.outcomes.possible >= 0)
        possible = self.outcomes.possible[who, column].astype(int)
        return pd.DataFrame({
            "pupil_id": _words(who, self.pupils.identifiers()), "half_term": column + 1, "possible": possible,
            "absent": self.outcomes.absent[who, column].astype(int), "possible_untreated": possible,
            "absent_untreated": self.outcomes.untreated[who, column].astype(int),
        })

    def estimands(self) -> pd.DataFrame:
        """The true values of the estimands (:func:`~evaluation.registers.simulator.truth.estimand_values`)."""
        return estimand_values(self.section, self.schools, self.pupils, self.outcomes)


def draw_panel(section: SimulationSection, seed: int) -> PanelDraw:
    """Draw one study as :func:`simulate_extracts` does, but count sessions instead of marking them.

    Parameters
    ----------
    section : SimulationSection
        The design.
    seed : int
        The same seed and design give the same draw. Schools, pupils and their characteristics are those of
        :func:`simulate_extracts` with that seed; sessions, and what follows from them, are other draws from the same model.

    Returns
    -------
    PanelDraw

    Notes
    -----
    Sessions of a half-term are binomial at the pupil's mean probability of absence, a day's two sessions together on the
    registered share of days (that share exactly, rounded at random: mean and variance are those of days drawn one by one);
    support thins the absences. The variation of probability between the days of a half-term is in the
    mean alone (three-point quadrature), which changes neither the mean nor, beyond a thousandth, the variance.
    """
    days, _, half_terms_of = _calendar()
    schools = draw_schools(section, seed)
    pupils = draw_pupils(section, schools, seed)

    def draw(phase: int, now: Days, effect: np.ndarray | None, supported: np.ndarray) -> tuple[np.ndarray, ...]:
        return _count(section, schools, pupils, phase, now, effect, supported, seed)

    return PanelDraw(section, schools, pupils, live(section, schools, pupils, days, half_terms_of, draw, lots_by_window(section, seed), seed))


def _count(section: SimulationSection, schools: Schools, pupils: Pupils, phase: int, days: Days, effect: np.ndarray | None,
           supported: np.ndarray, seed: int) -> tuple[np.ndarray, ...]:
    """Rows, possible sessions, sessions absent with support and without it, of one phase and half-term."""
    design, rng = section.phase(PHASES[phase]), stream(seed, "counts", days.half_term, phase)
    rows = pupils.on_roll(days.half_term)
    rows = rows if (schools.phase == phase).all() else rows[pupils.phase[rows] == phase]
    school, group = pupils.school[:, days.half_term - 1].take(rows), pupils.year_group[:, days.year].take(rows)
    absence = mean_absence(log_odds(section, design, schools, pupils, rows, days), pattern(design, days))
    medical = np.float32(design.reasons.medical / 100)
    chance = absence * (1 - medical) + medical
    last = np.flatnonzero(group == LAST_YEAR_GROUP)
    interview = np.float32(design.reasons.interview / 100)
    chance[last] *= 1 - interview
    away = _days_suspended(design, pupils, rows, absence, days, rng)
    possible = _days_by_kind(section, design, schools, days, school, group, away, rng)
    absent = binomials(possible, chance, rng)
    suspended = SESSIONS_A_DAY * away
    untreated = SESSIONS_A_DAY * absent[0] + absent[1] + suspended
    treated = untreated.copy()
    if effect is not None and len(supported):
        at = np.searchsorted(rows, supported)
        less = absence[at] * kept_share(effect, absence[at]).mean(axis=1)
        ratio = (less * (1 - medical) + medical) * np.where(group[at] == LAST_YEAR_GROUP, 1 - interview, 1) / chance[at]
        left = binomials(absent[:, at], np.minimum(ratio, 1), rng)
        more = np.clip((ratio - 1) * chance[at] / np.maximum(1 - chance[at], 1e-9), 0, 1)
        if more.any():  # support that does harm
            left += binomials(possible[:, at] - absent[:, at], more, rng)
        treated[at] = SESSIONS_A_DAY * left[0] + left[1] + suspended[at]
    return rows, SESSIONS_A_DAY * possible[0] + possible[1] + suspended, treated, untreated


def _days_suspended(design: SimulatedPhase, pupils: Pupils, rows: np.ndarray, absence: np.ndarray, days: Days, rng: np.random.Generator) -> np.ndarray:
    """School days of a half-term on which each pupil is suspended, as :func:`~evaluation.registers.simulator.attendance.suspended_days` has them."""
    shortest, longest = design.reasons.suspension_days
    who = np.flatnonzero(rng.random(len(rows), dtype=np.float32) < suspension_chance(design, absence, days))
    length = np.minimum(rng.integers(shortest, longest + 1, len(who)), len(days) - rng.integers(0, len(days), len(who)))
    length[pupils.moves.moving(rows[who], days.half_term)] = 0
    length[pupils.moves.dual(rows[who], days.half_term)] = 0
    away = np.zeros(len(rows), dtype=np.int32)
    away[who] = length
    return away


def _days_by_kind(section: SimulationSection, design: SimulatedPhase, schools: Schools, days: Days, school: np.ndarray, group: np.ndarray,
                  away: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Days whose two sessions go together, and single sessions, of each pupil (2 x pupils): without closures, lost registers and days suspended."""
    most = int(schools.groups.max())
    open_days = len(days) - rng.binomial(len(days), section.schools.closed / 100, len(schools)).astype(np.int32)
    lost = rng.binomial(SESSIONS_A_DAY * len(days), np.broadcast_to(lost_share(section, schools)[:, None], (len(schools), most))).astype(np.int32)
    left = open_days[school] - away
    np.maximum(left, 0, out=left)
    found = np.empty((2, len(left)), dtype=np.int32)
    pairs, singles = found
    pairs[:] = left * np.float32(design.attendance.same_day_share) + rng.random(len(left), dtype=np.float32)
    np.subtract(left, pairs, out=singles)
    singles *= SESSIONS_A_DAY
    singles -= lost.ravel()[(np.arange(len(schools)) * most - schools.first_group).astype(np.int32)[school] + group]
    short = np.flatnonzero(singles < 0)  # lost registers are taken from single sessions first
    fewer = np.minimum(-(singles[short] // SESSIONS_A_DAY), pairs[short])
    pairs[short] -= fewer
    singles[short] = np.maximum(singles[short] + SESSIONS_A_DAY * fewer, 0)
    return found


@lru_cache(maxsize=1)
def _calendar() -> tuple[pd.DataFrame, pd.DataFrame, list[Days]]:
    calendar = default_calendar()
    days = school_days(calendar)
    return days, half_terms(calendar), half_term_days(days)


def _years() -> list[str]:
    return _calendar()[1]["academic_year"].drop_duplicates().tolist()


def _words(positions: np.ndarray, words: list[str] | np.ndarray) -> pd.Series:
    """Text by position, made once a word and not once a row."""
    return pd.Series(pd.array(np.asarray(words, dtype=object), dtype="str").take(np.asarray(positions, dtype=np.intp)))
