"""What mentoring truly did: by pupil and half-term, and the values of the estimands that this implies.

The truth stands apart from the extracts, in the folder ``truth``. Every number compares what happened with what would have
happened to the same pupil without mentoring, from the same random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.protocol.simulation import SimulationSection
from evaluation.registers.calendar import HALF_TERMS_A_YEAR, SESSIONS_A_DAY

from .life import Outcomes
from .people import HALF_TERMS, LAST_FOR_YEAR_11, LAST_YEAR_GROUP, Pupils, Schools

FOLDER = "truth"
EFFECTS, ESTIMANDS = "pupil_effects.parquet", "estimands.parquet"


@dataclass(frozen=True)
class Entered:
    """Retained pupils who met the rule in one window at a school with mentors (arrays of one length; ``pupil`` are positions).

    ``points`` and ``days`` are each pupil's true effect on attendance over the follow-up.
    """

    pupil: np.ndarray
    area: np.ndarray
    first: np.ndarray
    referred: np.ndarray
    referred_by_followup: np.ndarray
    started: np.ndarray
    points: np.ndarray
    days: np.ndarray


def estimand_values(section: SimulationSection, schools: Schools, pupils: Pupils, outcomes: Outcomes) -> pd.DataFrame:
    """The true values of the estimands, by area and stack and over all of them.

    Parameters
    ----------
    section : SimulationSection
        ``truth`` says which half-terms are measured, ``referral.eligible_absence`` what makes a pupil eligible.
    outcomes : Outcomes
        What happened, and what would have happened without support.

    Returns
    -------
    DataFrame
        One row per estimand, level, entries, area and stack with any pupil:

        - ``estimand, level``: "A" is the effect of the offer, a mean over all pupils of schools with mentors who met the rule in
          the stack's window (``eligible``), or over those of them referred by the end of the follow-up (``referred``). "B" is the
          effect on pupils referred in the half-term after the window (``referred``), or on those of them who started (``started``).
        - ``entries``: "first" counts a pupil in the first window in which the rule was met since the area opened, "every" in each.
        - ``area_code``: missing for all areas; ``stack``: half-term of the window, missing for all stacks together.
        - ``pupils``: pupils and stacks that the mean is over; ``points``: percentage points of possible sessions;
          ``days``: half the sessions that mentoring saved a pupil.

    Notes
    -----
    Baseline and follow-up lie ``truth.gap`` half-terms from the window and are ``truth.measured_length`` long; Year 11's last
    half-term, and the half-term of the baseline that it is paired with, are measured for nobody. Retained are pupils with ``truth.minimum_sessions`` possible sessions in the baseline
    and in the follow-up, whose baseline does not reach back before the phase's first year group, who were on roll when support
    could start, and who were not referred before. Effects are pupil-weighted: each is the pupil's rate of absence over the
    follow-up without mentoring less the rate with it.
    """
    measured = section.truth.gap + section.truth.measured_length
    qualifies = _qualifies(section, schools, pupils, outcomes)
    parts = []
    for window in range(1 + measured, HALF_TERMS - measured + 1):
        entered = _entered(section, schools, pupils, outcomes, qualifies, window)
        parts.append(pd.DataFrame({"stack": window, **entered.__dict__}))
    rows = pd.concat(parts, ignore_index=True)
    codes = np.array([area.code for area in section.areas], dtype=object)
    lines = []
    for entries, some in (("first", rows.loc[rows["first"]]), ("every", rows)):
        for estimand, level, who in (("A", "eligible", None), ("A", "referred", "referred_by_followup"), ("B", "referred", "referred"), ("B", "started", "started")):
            means = _means(some if who is None else some.loc[some[who]], codes)
            lines.append(means.assign(estimand=estimand, level=level, entries=entries))
    return pd.concat(lines, ignore_index=True)[["estimand", "level", "entries", "area_code", "stack", "pupils", "points", "days"]]


def _means(rows: pd.DataFrame, areas: np.ndarray) -> pd.DataFrame:
    """Number of pupils and mean effects over all, by stack, by area, and by both; a key that is not used is missing."""
    shape = (len(areas) + 1, HALF_TERMS + 1)  # the last area and stack 0 stand for all
    area, stack = rows["area"].to_numpy(), rows["stack"].to_numpy()
    sums = []
    for values in (np.ones(len(rows)), rows["points"].to_numpy(), rows["days"].to_numpy()):
        cells = np.bincount(area * shape[1] + stack, weights=values, minlength=shape[0] * shape[1]).reshape(shape)
        cells[:, 0] = cells.sum(axis=1)
        cells[-1] = cells.sum(axis=0)
        sums.append(cells)
    at, when = np.nonzero(sums[0])
    order = np.lexsort((when, np.where(at < len(areas), at, -1)))
    at, when = at[order], when[order]
    number = sums[0][at, when]
    return pd.DataFrame({"area_code": np.append(areas, None)[at], "stack": pd.array(when, dtype="Int64"), "pupils": number.astype(int),
                         "points": sums[1][at, when] / number, "days": sums[2][at, when] / number}).assign(
        stack=lambda table: table["stack"].where(table["stack"] > 0))


def _qualifies(section: SimulationSection, schools: Schools, pupils: Pupils, outcomes: Outcomes) -> np.ndarray:
    """Who meets the rule in each half-term at a school with mentors, from the window before its area opened on."""
    opening = np.full(len(schools), HALF_TERMS + 2)
    for area in np.unique(schools.area[schools.mentored]):
        opening[schools.area == area] = schools.opens[schools.mentored & (schools.area == area)].min()
    met = (outcomes.possible > 0) & (100 * outcomes.absent.astype(int) >= section.referral.eligible_absence * outcomes.possible)
    return met & (np.arange(2, HALF_TERMS + 2)[None, :] >= opening[pupils.school])


def _entered(section: SimulationSection, schools: Schools, pupils: Pupils, outcomes: Outcomes, qualifies: np.ndarray, window: int) -> Entered:
    """The retained pupils of one stack and their effects."""
    measure, at = section.truth, window - 1
    school = pupils.school[:, at]
    rows = np.flatnonzero(qualifies[:, at] & schools.mentored[school] & (window + 1 >= schools.opens[school]))
    year = at // HALF_TERMS_A_YEAR
    group, school = pupils.year_group[rows, year].astype(int), school[rows]
    ends = HALF_TERMS_A_YEAR * (year + 1 + LAST_YEAR_GROUP - group) - (HALF_TERMS_A_YEAR - LAST_FOR_YEAR_11)  # Year 11's last half-term on roll
    offsets = np.arange(measure.gap + 1, measure.gap + measure.measured_length + 1)
    baseline, follow_up = at - offsets[::-1], at + offsets  # in order of time, half-term by half-term in pairs
    counted = np.maximum(outcomes.possible[rows], 0)
    measured = follow_up[None, :] + 1 <= ends[:, None]
    before, after = (np.where(measured, counted[:, half_terms], 0) for half_terms in (baseline, follow_up))
    before_phase = group - (year - (baseline.min() // HALF_TERMS_A_YEAR)) < schools.first_group[school]
    referred_at = np.zeros(len(pupils), dtype=int)
    referred_at[outcomes.referred["pupil"]] = outcomes.referred["half_term"]
    begun = np.zeros(len(pupils), dtype=bool)
    begun[outcomes.referred.loc[outcomes.referred["started"], "pupil"]] = True
    when = referred_at[rows]
    keep = (before.sum(axis=1) >= measure.minimum_sessions) & (after.sum(axis=1) >= measure.minimum_sessions) & ~before_phase
    keep &= (pupils.exit[rows] > window) & ((when == 0) | (when > window))
    rows, when, after = rows[keep], when[keep], after[keep]
    used = after > 0
    saved = np.where(used, (outcomes.untreated[rows][:, follow_up] - outcomes.absent[rows][:, follow_up]).astype(int), 0).sum(axis=1)
    return Entered(
        pupil=rows, area=schools.area[school[keep]], first=qualifies[rows, : window].sum(axis=1) == 1, referred=when == window + 1,
        referred_by_followup=(when > window) & (when <= window + offsets[-1]), started=(when == window + 1) & begun[rows],
        points=100.0 * saved / after.sum(axis=1), days=saved / SESSIONS_A_DAY)


def write_truth(folder: Path, names: np.ndarray, outcomes: Outcomes, values: pd.DataFrame) -> None:
    """Write what happened to every pupil and half-term with and without support, and the values of the estimands."""
    (folder / FOLDER).mkdir(exist_ok=True)
    who, half_term = np.nonzero(outcomes.possible >= 0)
    possible = pa.array(outcomes.possible[who, half_term].astype(np.int64))
    table = pa.table({
        "pupil_id": pa.DictionaryArray.from_arrays(pa.array(who.astype(np.int32)), pa.array(names.astype(object), pa.string())),
        "half_term": pa.array(half_term + 1, pa.int64()), "possible": possible,
        "absent": pa.array(outcomes.absent[who, half_term].astype(np.int64)), "possible_untreated": possible,
        "absent_untreated": pa.array(outcomes.untreated[who, half_term].astype(np.int64)),
    })
    pq.write_table(table, folder / FOLDER / EFFECTS, compression="zstd", store_schema=False)
    schema = pa.schema([("estimand", pa.string()), ("level", pa.string()), ("entries", pa.string()), ("area_code", pa.string()), ("stack", pa.int64()),
                        ("pupils", pa.int64()), ("points", pa.float64()), ("days", pa.float64())])
    pq.write_table(pa.Table.from_pandas(values, schema=schema, preserve_index=False).replace_schema_metadata(None), folder / FOLDER / ESTIMANDS, compression="zstd")
