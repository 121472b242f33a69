"""Flow and attrition: every pupil from the roll to the analysis, and why the others are not in it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.design.cohort import (
    FEW_BASELINE, FEW_FOLLOWUP, LEFT, LEFT_EARLY, REFERRED_EARLIER, REFERRED_LATER, STRATA_LEFT_OUT, YEAR_11_OVER, Cohort, school_places, studied,
)
from evaluation.protocol.trial import CohortSection

MENTORED, COMPARISON, REFERRED = "schools with mentors", "comparison schools", "referred pupils"
KEPT, OUT, SHOWN = "kept", "left out", "of these"

EXCLUSIONS = (*STRATA_LEFT_OUT.values(), YEAR_11_OVER, FEW_BASELINE, LEFT_EARLY, REFERRED_EARLIER, REFERRED_LATER, LEFT, FEW_FOLLOWUP)
MOVED = "changed school, kept in the school of entry"


def cohort_flow(cohort: Cohort, schools: pd.DataFrame, referrals: pd.DataFrame, *, rules: CohortSection) -> pd.DataFrame:
    """Count pupils step by step, for both arms and for referred pupils.

    Returns
    -------
    DataFrame
        Table ``cohort_flow``: ``group, position, step, kind`` ("kept" goes on, "left out" leaves here, "of these" is a
        part of the line before), ``pupils, schools``. In each group, kept = next kept + left out between them; every number is
        counted by its own rule, none is what the others leave, so that a lost row shows.
    """
    lines = _arm_lines(cohort, schools, rules, mentored=True) + _arm_lines(cohort, schools, rules, mentored=False)
    lines += _referral_lines(cohort, schools, referrals, rules)
    frame = pd.DataFrame(lines, columns=["group", "step", "kind", "pupils", "schools"])
    frame = frame.loc[(frame["kind"] != OUT) | (frame["pupils"] > 0)].reset_index(drop=True)
    frame.insert(1, "position", frame.groupby("group", sort=False).cumcount() + 1)
    return frame


def _arm_lines(cohort: Cohort, schools: pd.DataFrame, rules: CohortSection, *, mentored: bool) -> list[tuple]:
    """From the roll to the analysed pupils of one arm; a pupil who was in both arms' schools stands in both."""
    grid, group = cohort.grid, MENTORED if mentored else COMPARISON
    inside = np.append(schools["mentor_school"].to_numpy(dtype=bool) == mentored, False)[grid.school]
    met = cohort.qualifies & inside
    ever, of_study = met.any(axis=1), (studied(grid, schools, rules) & inside).any(axis=1)
    everywhere = cohort.qualifies.any(axis=1)
    first_at = np.where(everywhere, cohort.qualifies.argmax(axis=1), 0)
    first_here = ever & met[np.arange(len(grid.pupils)), first_at]
    early = first_here & (first_at < rules.first_window_half_term)
    late = first_here & (first_at > rules.last_window_half_term)
    own_open = np.append(school_places(schools, rules)["own_open"].to_numpy(), np.inf)
    not_open = first_here & ~early & ~late & (first_at + 1 < own_open[grid.school[np.arange(len(grid.pupils)), first_at]])
    frame = cohort.frame.loc[(cohort.frame["entry"] == "first") & (cohort.frame["mentor_school"] == mentored)]
    on_roll = inside.any(axis=1)

    def n_schools(rows: np.ndarray) -> int:
        return len(np.setdiff1d(np.unique(grid.school[rows][inside[rows]]), [-1]))

    lines = [
        (group, "on roll in the study", KEPT, int(on_roll.sum()), n_schools(on_roll)),
        (group, "never in a phase and year group that is studied", OUT, int((on_roll & ~of_study).sum()), None),
        (group, "never met the rule after the area opened", OUT, int((of_study & ~ever).sum()), None),
        (group, "met the rule at least once", KEPT, int(ever.sum()), n_schools(ever)),
        (group, "met it first in a school of the other kind", OUT, int((ever & ~first_here).sum()), None),
        (group, "met it first before a baseline could be measured", OUT, int(early.sum()), None),
        (group, "met it first too late for a full follow-up", OUT, int(late.sum()), None),
        (group, "met it first before the school had mentors", OUT, int(not_open.sum()), None),
        (group, "entered at the first qualifying window", KEPT, len(frame), frame["school_id"].nunique()),
        *_excluded(group, frame),
    ]
    analysed = frame.loc[frame["analysed"]]
    lines.append((group, "analysed: eligible", KEPT, len(analysed), analysed["school_id"].nunique()))
    lines.append((group, MOVED, SHOWN, int(analysed["moved_school"].sum()), None))
    if mentored:
        for column, said in (("referred", "referred in the next half-term"), ("started", "started after that referral")):
            part = analysed.loc[analysed[column]]
            lines.append((group, said, SHOWN, len(part), part["school_id"].nunique()))
    return lines


def _excluded(group: str, frame: pd.DataFrame) -> list[tuple]:
    counts = frame["exclusion"].value_counts()
    return [(group, reason, OUT, int(counts.get(reason, 0)), None) for reason in EXCLUSIONS]


def _referral_lines(cohort: Cohort, schools: pd.DataFrame, referrals: pd.DataFrame, rules: CohortSection) -> list[tuple]:
    """From every referral to the referred pupils who are analysed; those who fail the rule are counted, never analysed."""
    ordered = referrals.sort_values(["referral_date", "referral_id"], kind="stable")
    first = ordered.drop_duplicates("pupil_id").reset_index(drop=True)
    grid = cohort.grid
    row = grid.pupils.get_indexer(first["pupil_id"])
    window = (first["referral_half_term"].to_numpy(dtype=int) - 1).clip(0, grid.last_half_term)
    known = (row >= 0) & (grid.school[row, window] >= 0)
    met = known & cohort.qualifies[row, window]
    places, at = school_places(schools, rules), grid.school[row, window]
    worked = known & places["mentor_school"].to_numpy(dtype=bool)[at] & (window + 1 >= places["own_open"].to_numpy()[at])
    earlier = np.array([cohort.qualifies[r, :w].any() for r, w in zip(row, window, strict=True)], dtype=bool)
    own = cohort.frame.loc[cohort.frame["referred"]].set_index("pupil_id")
    reasons = [
        ("not linked to any enrolment", row < 0),
        ("window before a baseline could be measured", window < rules.first_window_half_term),
        ("window too late for a full follow-up", window > rules.last_window_half_term),
        ("not on roll at a school of the study in the window", ~known),
        ("did not meet the rule in the window", ~met),
        ("referred where or when no mentor worked", ~worked),
        ("had met the rule in an earlier window", earlier),
    ]
    lines = [(REFERRED, "referrals", KEPT, len(referrals), referrals["school_id"].nunique()),
             (REFERRED, "later referrals of the same pupil", OUT, len(referrals) - len(first), None),
             (REFERRED, "referred", KEPT, len(first), first["school_id"].nunique())]
    left = np.ones(len(first), dtype=bool)
    for reason, holds in reasons:
        lines.append((REFERRED, reason, OUT, int((left & holds).sum()), None))
        left &= ~holds
    frame = own.loc[own["entry"] == "first"].reset_index()
    lines.append((REFERRED, "referred after the first qualifying window", KEPT, len(frame), frame["school_id"].nunique()))
    lines += _excluded(REFERRED, frame)
    analysed = frame.loc[frame["analysed"]]
    lines.append((REFERRED, "analysed: referred", KEPT, len(analysed), analysed["school_id"].nunique()))
    started = analysed.loc[analysed["started"]]
    lines.append((REFERRED, "started", SHOWN, len(started), started["school_id"].nunique()))
    return lines


def attrition(cohort: Cohort) -> pd.DataFrame:
    """Pupils lost between entry and follow-up, by group and reason.

    Returns
    -------
    DataFrame
        Table ``attrition``: ``group, reason, lost, pupils, of_pupils, share`` (% of the pupils who could have been
        analysed). Pupils who changed school are counted, but stay in the school of entry.
    """
    first = cohort.frame.loc[(cohort.frame["entry"] == "first") & (cohort.frame["analysed"] | cohort.frame["attrition"])]
    groups = {REFERRED: first["referred"], MENTORED: first["mentor_school"], COMPARISON: ~first["mentor_school"]}
    rows = []
    for group, inside in groups.items():
        part = first.loc[inside]
        counts = part["exclusion"].value_counts()
        tally = [(reason, True, int(counts.get(reason, 0))) for reason in (LEFT, FEW_FOLLOWUP)]
        tally.append((MOVED, False, int((part["moved_school"] & part["analysed"]).sum())))
        rows += [(group, reason, lost, n, len(part), 100.0 * n / len(part) if len(part) else None) for reason, lost, n in tally]
    return pd.DataFrame(rows, columns=["group", "reason", "lost", "pupils", "of_pupils", "share"])


def stack_counts(cohort: Cohort) -> pd.DataFrame:
    """Analysed pupils at their first qualifying window, by stack.

    Returns
    -------
    DataFrame
        Table ``stack_pupils``: ``stack, mentored`` and ``comparison`` (eligible pupils of either arm), ``referred, started``.
    """
    first = cohort.frame.loc[(cohort.frame["entry"] == "first") & cohort.frame["analysed"]]
    counts = first.assign(mentored=first["mentor_school"], comparison=~first["mentor_school"])
    return counts.groupby("stack", as_index=False)[["mentored", "comparison", "referred", "started"]].sum()
