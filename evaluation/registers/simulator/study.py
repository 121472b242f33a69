"""One simulated study from start to end: half-term by half-term, as it would have been recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from evaluation.errors import DataError
from evaluation.protocol.simulation import SimulationSection
from evaluation.registers.calendar import default_calendar, half_terms, school_days

from .attendance import Days, half_term_days
from .costs import cost_table
from .files import RECORD, delivery_table, recorded_files, write_absence, write_record, write_table
from .life import live
from .marks import MarksFile
from .mentoring import lots_by_school
from .people import draw_pupils, draw_schools
from .sessions import draw_half_term
from .support import barrier_table, meeting_table, referral_table, scale_table, survey_table
from .tables import programme_table, pupil_table, school_identifiers, school_table, suspension_table
from .truth import estimand_values, write_truth


def simulate_extracts(section: SimulationSection, root: Path, folder: Path, seed: int, progress: Callable[[str], None] | None = None) -> None:
    """Write a complete set of extracts with a known truth.

    Parameters
    ----------
    section : SimulationSection
        The design.
    root : Path
        Root of the project, whose data dictionary the extracts keep to.
    folder : Path
        Where the files go: one Parquet file an extract table, ``truth/pupil_effects.parquet`` (sessions absent by
        pupil and half-term on the harmonised definition, with support and without it, from the same random numbers),
        ``truth/estimands.parquet`` (:func:`~evaluation.registers.simulator.truth.estimand_values`)
        and, written last, ``simulation.json`` with the SHA-256 of every file.
    seed : int
        Names every random draw: the same seed and design give the same bytes.
    progress : callable, optional
        Called with a sentence before each step.

    Raises
    ------
    DataError
        The folder holds files that this function does not write.
    """
    say = progress or (lambda sentence: None)
    folder = Path(folder)
    _make_room(folder)
    calendar = default_calendar()
    days, terms = school_days(calendar), half_terms(calendar)
    schools = draw_schools(section, seed)
    pupils = draw_pupils(section, schools, seed)
    names, school_ids = pupils.identifiers(), school_identifiers(schools)
    marks = MarksFile(pupils, days, section.roll)

    def draw(phase: int, now: Days, effect: np.ndarray | None, supported: np.ndarray) -> tuple[np.ndarray, ...]:
        if phase == schools.phase.min():
            say(f"drawing sessions of half-term {now.half_term} of {len(terms)}")
        drawn = draw_half_term(section, schools, pupils, phase, now, effect, supported, seed)
        marks.add(drawn, now)
        return drawn.rows, drawn.possible, drawn.absent, drawn.absent_untreated

    outcomes = live(section, schools, pupils, days, half_term_days(days), draw, lots_by_school(section, seed), seed)
    say("writing tables")
    referrals = referral_table(section, schools, pupils, outcomes.referred, days, names, school_ids)
    tables = {
        "calendar": calendar.assign(area_code="all"), "schools": school_table(section, schools, terms, seed),
        "pupils": pupil_table(schools, pupils, days, terms, names), "programmes": programme_table(section), "referrals": referrals,
        "meetings": meeting_table(section, referrals, days, seed), "barriers": barrier_table(section, referrals, seed),
        "survey_items": survey_table(section, referrals, seed), "survey_scales": scale_table(section),
        "suspensions": suspension_table(section, pupils, marks.suspended, days, names, school_ids, seed), "costs": cost_table(section, schools, terms),
    }
    for name, frame in tables.items():
        write_table(root, folder, name, frame)
    write_absence(folder, marks.by_period(), names, school_ids, terms["academic_year"].drop_duplicates().tolist())
    say("writing marks")
    marks.write(folder / "marks.parquet", names, school_ids)
    write_table(root, folder, "deliveries", delivery_table(section.deliveries, folder))
    write_truth(folder, names, outcomes, estimand_values(section, schools, pupils, outcomes))
    write_record(folder, seed)


def _make_room(folder: Path) -> None:
    """Make the folder, or clear out what an earlier simulation recorded that it wrote, the record first."""
    if folder.exists() and not folder.is_dir():
        raise DataError("there is a file of that name", where=str(folder), mend="give a new or empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    strangers = sorted(found - recorded_files(folder))
    if strangers:
        raise DataError(f"the folder holds files that are no simulated extracts, such as `{strangers[0]}`", where=str(folder), mend="give a new or empty folder")
    for name in sorted(found, key=lambda name: name != RECORD):
        (folder / name).unlink()
