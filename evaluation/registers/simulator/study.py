"""One simulated study from start to end: half-term by half-term, as it would have been recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.protocol.simulation import SimulationSection
from evaluation.registers.calendar import default_calendar, half_terms, school_days

from .files import RECORD, MarksFile, write_record, write_table, write_truth
from .mentoring import Referred, effect_by_day, meeting_table, refer, referral_table
from .people import HALF_TERMS, Pupils, Schools, draw_pupils, draw_schools
from .sessions import HalfTerm, draw_half_term
from .streams import stream
from .tables import cost_table, programme_table, pupil_table, school_identifiers, school_table

HALF_TERMS_A_TERM = 2


def simulate_extracts(section: SimulationSection, root: Path, folder: Path, seed: int) -> None:
    """Write a complete set of extracts with a known truth.

    Parameters
    ----------
    section : SimulationSection
        The design.
    root : Path
        Root of the project, whose data dictionary the extracts keep to.
    folder : Path
        Where the files go: one Parquet file an extract table, ``truth/pupil_effects.parquet`` (sessions absent by
        pupil and half-term on the harmonised definition, with support and without it, from the same random numbers)
        and, written last, ``simulation.json`` with the SHA-256 of every file.
    seed : int
        Names every random draw: the same seed and design give the same bytes.

    Raises
    ------
    DataError
        The folder holds files that this function does not write.
    """
    folder = Path(folder)
    _make_room(folder)
    calendar = default_calendar()
    days, terms = school_days(calendar), half_terms(calendar)
    schools = draw_schools(section, seed)
    pupils = draw_pupils(section, schools, seed)
    names = pupils.identifiers()
    marks = MarksFile(len(pupils), days)
    referred, truth = _live(section, schools, pupils, days, marks, seed)
    referrals = referral_table(section, schools, pupils, referred, days, names, school_identifiers(schools))
    write_table(root, folder, "calendar", calendar)
    write_table(root, folder, "schools", school_table(section, schools, terms))
    write_table(root, folder, "pupils", pupil_table(schools, pupils, terms, names))
    write_table(root, folder, "programmes", programme_table(section))
    write_table(root, folder, "referrals", referrals)
    write_table(root, folder, "meetings", meeting_table(section, referrals, days, seed))
    write_table(root, folder, "costs", cost_table(section, schools, terms))
    marks.write(folder / "marks.parquet", names)
    write_truth(folder, names, *truth)
    write_record(folder, seed)


def _make_room(folder: Path) -> None:
    """Make the folder, or clear out what an earlier simulation left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    strangers = [p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".parquet",) and p.name != RECORD]
    if strangers or (any(folder.iterdir()) and not (folder / RECORD).is_file()):
        raise DataError("the folder holds files that are no simulated extracts", where=str(folder), mend="give a new or empty folder")
    for path in folder.rglob("*.parquet"):
        path.unlink()
    (folder / RECORD).unlink(missing_ok=True)


def _live(section: SimulationSection, schools: Schools, pupils: Pupils, days: pd.DataFrame, marks: MarksFile,
          seed: int) -> tuple[pd.DataFrame, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Go through the half-terms: draw sessions, refer at the end of a window, let pupils leave at the end of a term."""
    shape = (len(pupils), HALF_TERMS)
    possible, absent, untreated = (np.full(shape, -1, dtype=np.int16) for _ in range(3))
    met = np.zeros(len(pupils), dtype=bool)
    done = Referred()
    for half_term in range(1, HALF_TERMS + 1):
        now = days.loc[days["half_term"] == half_term]
        drawn = _draw(section, schools, pupils, half_term, days, now, done, seed)
        marks.add(drawn.rows, now.index.to_numpy(), drawn.codes)
        at = (drawn.rows, half_term - 1)
        possible[at], absent[at], untreated[at] = drawn.possible, drawn.absent, drawn.absent_untreated
        window = np.maximum(possible[:, half_term - 1], 0), np.maximum(untreated[:, half_term - 1], 0)
        if half_term % HALF_TERMS_A_TERM == 0:
            _leave(section, pupils, half_term, possible, untreated, seed)
        if half_term in section.referral.windows and half_term < HALF_TERMS:
            refer(section, schools, pupils, half_term, *window, met, done, days, seed)
        met |= _meets_rule(section, schools, pupils, half_term, *window)
    return done.frame(), (possible, absent, untreated)


def _draw(section: SimulationSection, schools: Schools, pupils: Pupils, half_term: int, days: pd.DataFrame, now: pd.DataFrame,
          done: Referred, seed: int) -> HalfTerm:
    """Sessions of one half-term with the support that those who have started have by then."""
    referred = done.frame()
    effect, who = None, np.array([], dtype=int)
    if len(referred):
        here = referred.loc[referred["started"] & (pupils.exit[referred["pupil"]] >= half_term)].sort_values("pupil")
        who = here["pupil"].to_numpy()
        effect = effect_by_day(section, schools, here, days, half_term)
    return draw_half_term(section, schools, pupils, half_term, now, effect, who, seed)


def _meets_rule(section: SimulationSection, schools: Schools, pupils: Pupils, half_term: int, possible: np.ndarray,
                absent: np.ndarray) -> np.ndarray:
    """Who meets the eligibility rule in a half-term from the window before the school's area opened onwards."""
    school = pupils.school[:, (half_term - 1) // 6]
    since_opening = schools.mentored[school] & (half_term + 1 >= schools.opens[school])
    return since_opening & (possible > 0) & (100 * absent >= section.referral.eligible_absence * possible)


def _leave(section: SimulationSection, pupils: Pupils, half_term: int, possible: np.ndarray, untreated: np.ndarray, seed: int) -> None:
    """Pupils who are off roll from the next term on: more of those persistently absent in the term that ends."""
    term = slice(half_term - HALF_TERMS_A_TERM, half_term)
    sessions = np.maximum(possible[:, term], 0).sum(axis=1)
    missed = np.maximum(untreated[:, term], 0).sum(axis=1)
    persistent = (sessions > 0) & (10 * missed >= sessions)
    chance = np.where(persistent, section.roll.leaving_persistent, section.roll.leaving_other)
    leaves = stream(seed, "leavers", half_term).random(len(pupils)) < chance
    leaves &= (pupils.entry <= half_term) & (pupils.exit > half_term)
    pupils.exit[leaves] = half_term
