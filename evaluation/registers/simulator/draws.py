"""Panels drawn without marks: sessions absent by pupil and half-term, with support and without it, for tests and power."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from evaluation.protocol.simulation import SimulatedPhase, SimulationSection
from evaluation.registers.calendar import HALF_TERMS_A_YEAR, SESSIONS_A_DAY, default_calendar, half_term_of, half_terms, school_days

from .attendance import Days, closures, half_term_days, kept_share, log_odds, lost_registers, mean_absence, pattern, suspended_days
from .binomial import binomials
from .life import Outcomes, live
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

    return PanelDraw(section, schools, pupils, live(section, schools, pupils, days, half_terms_of, draw, seed))


def _count(section: SimulationSection, schools: Schools, pupils: Pupils, phase: int, days: Days, effect: np.ndarray | None,
           supported: np.ndarray, seed: int) -> tuple[np.ndarray, ...]:
    """Rows, possible sessions, sessions absent with support and without it, of one phase and half-term."""
    design = section.phase(PHASES[phase])
    reasons = design.reasons
    rows = pupils.on_roll(days.half_term)
    rows = rows[pupils.phase[rows] == phase]
    school, group = pupils.school[rows, days.half_term - 1], pupils.year_group[rows, days.year]
    absence = mean_absence(log_odds(section, design, schools, pupils, rows, days), pattern(design, days))
    medical = reasons.medical / 100
    attends = np.where(group == LAST_YEAR_GROUP, np.float32(reasons.interview / 100), np.float32(0))
    chance = (absence + (1 - absence) * medical) * (1 - attends)
    away = np.zeros(len(rows), dtype=np.int32)
    who, first, last = suspended_days(design, pupils, rows, absence.astype(float), days, seed)
    away[who] = last - first
    rng = stream(seed, "counts", days.half_term, phase)
    pairs, singles = possible = _days_by_kind(section, design, schools, days, school, group, away, rng, seed)
    in_pairs, alone = binomials(possible, chance, rng)
    suspended = SESSIONS_A_DAY * away
    untreated = SESSIONS_A_DAY * in_pairs + alone + suspended
    treated = untreated.copy()
    if effect is not None and len(supported):
        at = np.searchsorted(rows, supported)
        less = absence[at] * kept_share(effect, absence[at]).mean(axis=1)
        ratio = (less + (1 - less) * medical) * (1 - attends[at]) / chance[at]
        more = np.clip((ratio - 1) * chance[at] / np.maximum(1 - chance[at], 1e-9), 0, 1)
        stay = np.minimum(ratio, 1)
        both = rng.binomial(in_pairs[at], stay) + rng.binomial(pairs[at] - in_pairs[at], more)
        one = rng.binomial(alone[at], stay) + rng.binomial(singles[at] - alone[at], more)
        treated[at] = SESSIONS_A_DAY * both + one + suspended[at]
    return rows, SESSIONS_A_DAY * pairs + singles + suspended, treated, untreated


def _days_by_kind(section: SimulationSection, design: SimulatedPhase, schools: Schools, days: Days, school: np.ndarray, group: np.ndarray,
                  away: np.ndarray, rng: np.random.Generator, seed: int) -> np.ndarray:
    """Days whose two sessions go together, and single sessions, of each pupil (2 x pupils): without closures, lost registers and days suspended."""
    most = int(schools.groups.max())
    cell = school * most + group - schools.first_group[school]
    open_days = (len(days) - closures(section, schools, days, seed).sum(axis=1)).astype(np.int32)
    lost = lost_registers(section, schools, days, seed)[:, :most].sum(axis=(2, 3), dtype=np.int32).ravel()[cell]
    left = np.maximum(open_days[school] - away, 0)
    pairs = (left * np.float32(design.attendance.same_day_share) + rng.random(len(left), dtype=np.float32)).astype(np.int32)
    singles = SESSIONS_A_DAY * (left - pairs) - lost
    short = np.flatnonzero(singles < 0)  # lost registers are taken from single sessions first
    fewer = np.minimum(-(singles[short] // SESSIONS_A_DAY), pairs[short])
    pairs[short] -= fewer
    singles[short] = np.maximum(singles[short] + SESSIONS_A_DAY * fewer, 0)
    return np.stack([pairs, singles])


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
