"""A stress scenario: pupils who stop attending during the study, and what that does to differences by the same rule.

From the root of the project, ``python -m tests.simulation.onset`` draws the default study without marks, lasting and with onset,
and writes its part of ``RESULTS.md`` beside this file. Equal code gives equal numbers.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: the arrays are small

from concurrent.futures import ProcessPoolExecutor  # noqa: E402
from itertools import product  # noqa: E402
from multiprocessing import get_context  # noqa: E402
from pathlib import Path  # noqa: E402

import pandas as pd  # noqa: E402

from evaluation.design import build_cohort, season_matched_windows  # noqa: E402
from evaluation.design.registered import design_rows  # noqa: E402
from evaluation.impact import estimate_change  # noqa: E402
from evaluation.impact.truth import true_effects  # noqa: E402
from evaluation.protocol.load import load_protocol  # noqa: E402
from evaluation.protocol.simulation import SimulationSection  # noqa: E402
from evaluation.protocol.trial import TrialProtocol  # noqa: E402
from evaluation.registers.simulator.draws import PanelDraw, draw_panel  # noqa: E402
from evaluation.registers.simulator.sizes import merged  # noqa: E402
from tests.results_page import write_part  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PARAMS = ROOT / "params" / "attendance_mentors_trial.yaml"
RESULTS = Path(__file__).with_name("RESULTS.md")
PART = "onset"
SHARES = (0.0, 0.5, 1.0)  # of the pupils who hardly attend: those who begin to within the study
SEEDS = tuple(range(201, 241))
PROCESSES = 2
ABOUT = {"B": "referred pupils (B)", "A": "all eligible pupils of schools with mentors (A)"}


def registered() -> TrialProtocol:
    """The default study's protocol."""
    return load_protocol(PARAMS).protocol


def scenario(design: SimulationSection, share: float) -> SimulationSection:
    """The design with a share of the pupils who hardly attend beginning to within the study."""
    values = merged(design.model_dump(mode="json"), {"attendance": {"disengaging_share": share}})
    return SimulationSection.model_validate(values, strict=False)


def errors(drawn: PanelDraw, protocol: TrialProtocol) -> pd.DataFrame:
    """Differences by the same rule within areas beside the truth on the same pupils: ``estimand, estimate, truth``, in points."""
    rules = protocol.cohort
    windows = season_matched_windows(window_length=rules.window_length, gap=rules.gap, measured_length=rules.measured_length)
    cohort = build_cohort(drawn.panel(), drawn.enrolments(), drawn.school_list(), drawn.referral_list(), rules=rules, windows=windows)
    lines = []
    for estimand in ABOUT:
        rows = design_rows(cohort.frame, "within_area", entries=protocol.matching.entries, referred_only=estimand == "B")
        change = estimate_change(rows, within_area=True)
        treated = change.rows.loc[change.rows["treated"] == 1]
        truth = true_effects(treated, drawn.truth(), trajectories=cohort.trajectories)["points"].mean()
        lines.append({"estimand": estimand, "estimate": change.estimate, "truth": float(truth)})
    return pd.DataFrame(lines)


def run_one(task: tuple[float, int]) -> pd.DataFrame:
    """One share and seed, as :func:`errors` with ``share`` and ``seed``."""
    share, seed = task
    protocol = registered()
    return errors(draw_panel(scenario(protocol.simulation, share), seed), protocol).assign(share=share, seed=seed)


def run_all(shares: tuple[float, ...] = SHARES, seeds: tuple[int, ...] = SEEDS, processes: int = PROCESSES) -> pd.DataFrame:
    """Every share and seed; the result does not depend on how many processes work at once."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return pd.concat(pool.map(run_one, product(shares, seeds)), ignore_index=True)


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """By estimand and share: ``draws, truth, error`` (mean of estimate less truth), ``error_se`` (its Monte Carlo standard error), and the
    mean shift against share 0 on the same seeds with its standard error (``shift, shift_se``); points of sessions."""
    runs = runs.assign(error=runs["estimate"] - runs["truth"])
    base = runs.loc[runs["share"] == 0].set_index(["estimand", "seed"])["error"]
    runs["shift"] = runs["error"] - base.loc[list(zip(runs["estimand"], runs["seed"], strict=True))].to_numpy()
    groups = runs.groupby(["estimand", "share"])
    count = groups.size()
    return pd.DataFrame({"draws": count, "truth": groups["truth"].mean(), "error": groups["error"].mean(), "error_se": groups["error"].std() / count**0.5,
                         "shift": groups["shift"].mean(), "shift_se": groups["shift"].std() / count**0.5})


def results_text(runs: pd.DataFrame) -> str:
    """This part of ``RESULTS.md``."""
    table, seeds = summarise(runs), sorted(runs["seed"].unique())
    attends = registered().simulation.attendance
    lines = [_line(estimand, share, table.loc[(estimand, share)]) for estimand in ABOUT for share in sorted(runs["share"].unique())]
    return "\n".join([
        "## When pupils stop attending during the study", "",
        f"In the default study {attends.disengaged_share:.1%} of pupils hardly attend, and do so throughout. Here a share of them begins to within the study, each "
        "half-term from the second on equally likely, and attends as others do until then (`attendance.disengaging_share`). Referral follows the window, so it "
        "finds such pupils as they disengage: their bad window is not a passing one, and they do not regress as the symmetric windows assume. "
        "Nothing here is a finding about mentoring.", "",
        f"Made by `python -m tests.simulation.onset`: {len(seeds)} draws without marks of the default study for each share, seeds {seeds[0]} to {seeds[-1]}; differences "
        "in change between pupils who met the same rule, within areas and stacks, without matching.", "",
        "| Effect on | Share who begin within the study | Draws | Mean truth | Mean error | Shift against a share of 0, same seeds |", "|:---|---:|---:|---:|---:|---:|", *lines, "",
        "Percentage points of sessions attended; error is estimate less truth, ± its Monte Carlo standard error. " + _verdict(table), "",
    ])


def _line(estimand: str, share: float, row: pd.Series) -> str:
    shift = "" if share == 0 else f"{row['shift']:+.2f} ± {row['shift_se']:.2f}"
    return f"| {ABOUT[estimand]} | {share:.0%} | {row['draws']:.0f} | {row['truth']:.2f} | {row['error']:+.2f} ± {row['error_se']:.2f} | {shift} |"


def _verdict(table: pd.DataFrame) -> str:
    """What the table says about each estimand at the largest share."""
    said = []
    for estimand, who in ABOUT.items():
        row = table.loc[estimand].iloc[-1]
        shown = abs(row["shift"]) > 2 * row["shift_se"]
        kind = "lower" if row["shift"] < 0 else "higher"
        said.append(f"estimates for {who} are {abs(row['shift']):.2f} points {kind} than without onset" if shown else
                    f"for {who} these draws cannot tell the shift from none")
    return f"Where all begin within the study, {'; '.join(said)}. The designs do not protect against it."


def main() -> None:
    """Run every share and seed, and write this part of the page."""
    write_part(RESULTS, PART, results_text(run_all()))


if __name__ == "__main__":
    main()
    print(f"wrote {RESULTS.relative_to(ROOT).as_posix()}")
