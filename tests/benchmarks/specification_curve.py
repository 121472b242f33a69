"""Times a specification curve of over 100 branches, each matched anew: ``python -m tests.benchmarks.specification_curve``."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.benchmarks.timing import HEADER, by_turns, data_folder, here, job_or_part, line, machine, part_writer

PART = "specification_curve"
SEED = 5
PARAMS = Path(__file__).resolve().parents[2] / "params" / "attendance_mentors_trial.yaml"
ALTERNATIVES = {"design": [], "entries": [], "method": [], "distance": ["propensity", "mahalanobis"], "caliper": [0.1, 0.3, None], "ratio": [1, 3],
                "covariates": {"without area deprivation": ["window_absence_rate", "year_group", "sex", "fsm", "sen"], "window": ["window_absence_rate"]},
                "crossed": ["distance", "caliper", "ratio", "covariates"]}  # fmt: skip
CURVE = {"outcome": [], "windows": [], "weighting": [], "interval": [], "crossed": []}
JOBS = {"ours: match and estimate, one process": 1, "ours: match and estimate, two processes": 2}


def cohort_files() -> tuple[Path, Path]:
    """Cohort and trajectories of a draw of the default study without marks."""
    from evaluation.design import build_cohort, season_matched_windows
    from evaluation.protocol.load import load_protocol
    from evaluation.registers.simulator.draws import draw_panel

    paths = tuple(data_folder() / f"curve_{name}.parquet" for name in ("cohort", "trajectories"))
    if not all(path.exists() for path in paths):
        protocol = load_protocol(PARAMS).protocol
        drawn, rules = draw_panel(protocol.simulation, SEED), protocol.cohort
        windows = season_matched_windows(window_length=rules.window_length, gap=rules.gap, measured_length=rules.measured_length)
        cohort = build_cohort(drawn.panel(), drawn.enrolments(), drawn.school_list(), drawn.referral_list(), rules=rules, windows=windows)
        for path, frame in zip(paths, (cohort.frame, cohort.trajectories), strict=True):
            frame.to_parquet(path)
    return paths


def run(job: str) -> None:
    """Reads the cohort, times matching and estimation of every branch, and the joint test apart; prints JSON."""
    import pandas as pd

    from evaluation.design import match_alternatives
    from evaluation.impact.specification_curve import specification_curve
    from evaluation.impact.specification_test import joint_test_of
    from evaluation.protocol.load import load_protocol
    from evaluation.protocol.trial import CurveSection, MatchingAlternatives

    protocol = load_protocol(PARAMS).protocol
    matching = protocol.matching.model_copy(update={"alternatives": MatchingAlternatives.model_validate(ALTERNATIVES)})
    impact = protocol.impact.model_copy(update={"specification_curve": CurveSection.model_validate(CURVE)})
    cohort, trajectories = (pd.read_parquet(path) for path in cohort_files())
    none = pd.DataFrame({"outcome": pd.Series(dtype="str")})
    begin = time.perf_counter()
    matches = match_alternatives(cohort, rules=matching, seed=SEED, processes=JOBS[job])
    curve = specification_curve(cohort, trajectories, none, matches.alternatives, matches.weights, rules=impact)
    seconds = time.perf_counter() - begin
    begin = time.perf_counter()
    joint_test_of(curve, draws=impact.draws, seed=SEED)
    print(json.dumps({"seconds": seconds, "joint": time.perf_counter() - begin, "branches": len(curve.frame), "estimated": int(curve.frame["estimate"].notna().sum()),
                      "pupils": len(cohort), "draws": impact.draws}))


def results_text() -> str:
    """The part of the page."""
    cohort_files()
    found = by_turns({job: here("tests.benchmarks.specification_curve", job) for job in JOBS})
    printed = next(iter(found.values()))[0].printed
    size = f"{printed['branches']} branches, each matched anew; cohort of {printed['pupils']:,} rows"
    joint = sorted(measured.printed["joint"] for runs in found.values() for measured in runs)
    words = (f"The default study without marks: {printed['estimated']} of {printed['branches']} branches could be estimated. The joint test over them with {printed['draws']:,} "
             f"assignments took {joint[len(joint) // 2]:.1f} s more (not in the table). No other package was at hand that matches anew in each branch.")  # fmt: skip
    return "\n".join(["## Specification curve", "", words, "", f"`python -m tests.benchmarks.specification_curve`; {machine()}", "", *HEADER,
                      *(line(job, size, found[job]) for job in JOBS)])  # fmt: skip


main = part_writer(PART, results_text)

if __name__ == "__main__":
    job_or_part(run, main)
