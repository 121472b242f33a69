"""How often intervals of the default study hold the truth: the study as registered, on seeds other than its own.

From the root of the project, ``python -m tests.simulation.coverage`` runs every seed and writes its part of
``RESULTS.md`` beside this file. Equal code gives equal bytes.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: two processes of one thread each

import tempfile  # noqa: E402
from concurrent.futures import ProcessPoolExecutor  # noqa: E402
from multiprocessing import get_context  # noqa: E402
from pathlib import Path  # noqa: E402

import pandas as pd  # noqa: E402

from evaluation.design import build_cohort, match_cohort, offer_weights, season_matched_windows  # noqa: E402
from evaluation.impact import estimates_table, trial_estimates, truth_comparison  # noqa: E402
from evaluation.impact.estimates import POINTS  # noqa: E402
from evaluation.protocol.load import load_protocol  # noqa: E402
from evaluation.protocol.trial import TrialProtocol  # noqa: E402
from evaluation.registers import take_in  # noqa: E402
from evaluation.registers.simulator import simulate_extracts  # noqa: E402
from evaluation.registers.simulator.people import HALF_TERMS  # noqa: E402
from tests.results_page import write_part  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PARAMS = ROOT / "params" / "attendance_mentors_trial.yaml"
RESULTS = Path(__file__).with_name("RESULTS.md")
PART = "coverage"
TRUTH = Path("truth") / "pupil_effects.parquet"  # where the simulator leaves it

SEEDS = tuple(range(1, 21))
PROCESSES = 2
DECIMALS = 2


def registered() -> TrialProtocol:
    """The default study's protocol."""
    return load_protocol(PARAMS).protocol


def compare_with_truth(extracts: Path, seed: int) -> pd.DataFrame:
    """Go through the study's stages as its notebooks do, from extracts to estimates beside the truth.

    Parameters
    ----------
    extracts : Path
        Simulated extracts with their truth.
    seed : int
        The run's seed, which breaks ties in matching.

    Returns
    -------
    DataFrame
        Table ``truth_comparison`` with ``std_error`` and ``headline`` from table ``estimates``.
    """
    protocol = registered()
    taken = take_in(extracts, ROOT, protocol.registers)
    rules = protocol.cohort
    windows = season_matched_windows(window_length=rules.window_length, gap=rules.gap, measured_length=rules.measured_length)
    cohort = build_cohort(taken["panel"], taken["enrolments"], taken["school_list"], taken["referral_list"], rules=rules, windows=windows)
    matched = match_cohort(cohort.frame, cohort.trajectories, rules=protocol.matching, seed=seed)
    found = trial_estimates(cohort.frame, matched.match_weights, matched.unmatched, rules=protocol.impact,
                            offer_weights=offer_weights(cohort.frame, rules=protocol.matching).frame, seed=seed)
    estimates = estimates_table(found, rules=protocol.impact)
    compared = truth_comparison(found, estimates, pd.read_parquet(extracts / TRUTH), trajectories=cohort.trajectories)
    return compared.merge(estimates[["estimate_id", "std_error", "headline"]], on="estimate_id", how="left", validate="one_to_one")


def run_seed(seed: int) -> pd.DataFrame:
    """Simulate the default study with another seed and compare its estimates, in points, with the truth.

    Returns
    -------
    DataFrame
        As :func:`compare_with_truth`, rows in points only, with the column ``seed``.
    """
    with tempfile.TemporaryDirectory() as folder:
        extracts = Path(folder) / "extracts"
        simulate_extracts(registered().simulation, ROOT, extracts, seed)
        compared = compare_with_truth(extracts, seed)
    return compared.loc[compared["scale"] == POINTS].assign(seed=seed)


def run_seeds(seeds: tuple[int, ...] = SEEDS, processes: int = PROCESSES) -> pd.DataFrame:
    """Run several seeds, each in a process of its own kind; the result does not depend on how many work at once."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return pd.concat(pool.map(run_seed, seeds), ignore_index=True)


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Over seeds and for each estimate: how many intervals hold the truth, and how far off the estimates are.

    Parameters
    ----------
    runs : DataFrame
        From :func:`run_seeds`.

    Returns
    -------
    DataFrame
        Indexed by ``estimate_id``, headline estimates first: ``estimand, level, design, method, headline, seeds, held,
        truth`` (mean), ``error`` (mean of estimate less truth), ``error_se`` (its Monte Carlo standard error), ``error_sd``
        and ``std_error`` (mean of the printed ones); the last five in percentage points of sessions.
    """
    runs = runs.assign(error=runs["estimate"] - runs["truth"])
    groups = runs.groupby("estimate_id", sort=False)
    table = groups[["estimand", "level", "design", "method", "headline"]].first().assign(
        seeds=groups.size(), held=groups["covered"].sum().astype(int), truth=groups["truth"].mean(), error=groups["error"].mean(),
        error_sd=groups["error"].std(ddof=1), std_error=groups["std_error"].mean())
    table["error_se"] = table["error_sd"] / table["seeds"] ** 0.5
    return table.sort_values("headline", ascending=False, kind="stable")


def results_text(runs: pd.DataFrame) -> str:
    """``RESULTS.md``: what was run, what came out, and how exact that is."""
    protocol = registered()
    summary, level = summarise(runs), protocol.impact.confidence_level
    seeds = sorted(runs["seed"].unique())
    count, spread = len(seeds), (len(seeds) * level * (1.0 - level)) ** 0.5
    headline = [_summary_line(row) for row in summary.loc[summary["headline"]].itertuples()]
    beside = [_summary_line(row) for row in summary.loc[~summary["headline"]].itertuples()]
    leading = runs.loc[runs["headline"] & runs["estimate_id"].isin(_by_seed(summary))]
    return "\n".join([
        "## How often the intervals hold the truth", "",
        f"The default study (`params/{PARAMS.name}`, protocol version {protocol.protocol_version}) on {count} seeds other than its own: "
        f"{seeds[0]} to {seeds[-1]}. For each seed the extracts are simulated, taken in, and carried through cohort, matching and estimation as the "
        "notebooks do, and each estimate is set beside the true effect on the same pupils over the same follow-up. Nothing here is a finding about mentoring.",
        "", "Made by `python -m tests.simulation.coverage`; equal code gives equal bytes, and a test compares.", "", "### Layout", "", *_layout(protocol), "",
        "### Headline estimates", "",
        "Percentage points of sessions attended. Error is estimate less truth. Held: intervals that hold the truth.", "",
        *_HEADER, *headline, "", "### Shown beside them", "",
        "No claim rests on these alone. Intervals between areas leave area shocks out, and matching on the baseline mean brings regression to the mean back "
        "in. A design that leaves too many pupils without a match is refused on that seed, so that a row may count fewer seeds.", "",
        *_HEADER, *beside, "", "### How exact this is", "",
        f"A sound {level:.0%} interval holds the truth in {level * count:.0f} of {count} on average, with a standard deviation of {spread:.2f}: "
        f"{count} seeds can show that a method fails badly, and cannot tell {level:.0%} from, say, 90%. The standard error of a mean error is its SD "
        f"divided by the square root of {count}; it stands after ±. Rows of one seed share pupils, so their counts are not independent; "
        "an effect on pupils who started, or an offer effect per pupil referred, is another row divided by a share. Where the mean standard error is above the "
        f"SD of the error, intervals look wider than they need be; that SD is itself known to about {(2 * count - 2) ** -0.5:.0%} only.", "",
        "### By seed", "", "Effect on referred pupils (B) and of the offer on all eligible pupils (A), headline design, points.", "",
        "| Seed | B estimate | interval | truth | held | A estimate | interval | truth | held |",
        "|---:|---:|:---|---:|:---|---:|:---|---:|:---|",
        *[_seed_line(seed, leading.loc[leading["seed"] == seed]) for seed in seeds], "",
    ])


_HEADER = ["| Estimand | Pupils | Design | Method | Held | Mean truth | Mean error | SD of error | Mean standard error |",
           "|:---|:---|:---|:---|---:|---:|---:|---:|---:|"]


def _by_seed(summary: pd.DataFrame) -> list[str]:
    """The headline estimates that are no other estimate divided by a share: B referred and A eligible."""
    own = summary["headline"] & ((summary["estimand"].eq("B") & summary["level"].eq("referred")) | summary["level"].eq("eligible"))
    return list(summary.index[own])


def _layout(protocol: TrialProtocol) -> list[str]:
    simulation = protocol.simulation
    mentored, without = (sum(getattr(area, name) for area in simulation.areas) for name in ("mentor_schools", "comparison_schools"))
    openings = "; ".join(f"{area.name} {area.first_mentor_half_term}" for area in simulation.areas if area.first_mentor_half_term is not None)
    rule, support, matching = simulation.referral, simulation.support, protocol.matching
    return [
        f"- {mentored} schools with mentors and {without} without, in {len(simulation.areas)} areas, {simulation.roll.pupils_per_school} pupils a school on "
        f"average, {HALF_TERMS} half-terms. First half-term with mentors: {openings}.",
        f"- Referral by rule `{rule.rule}`, {rule.per_school} pupils a school and window; {rule.consent_share * rule.start_share:.0%} start.",
        f"- Effect on attendance during support: {support.effect:g} percentage points before it varies by year, severity and delivery model; "
        f"afterwards half of it is left after {support.half_life:g} half-terms.",
        f"- Registered: windows {protocol.cohort.first_window_half_term} to {protocol.cohort.last_window_half_term}, {matching.ratio} comparison pupils sought "
        f"for each referred pupil, {protocol.impact.decision_test} by school, {protocol.impact.confidence_level:.0%} intervals.",
    ]


def _summary_line(row: tuple) -> str:
    cells = [row.estimand, row.level, row.design.replace("_", " "), row.method, f"{row.held} of {row.seeds}", _number(row.truth),
             f"{_number(row.error)} ± {_number(row.error_se)}", _number(row.error_sd), _number(row.std_error)]
    return "| " + " | ".join(cells) + " |"


def _seed_line(seed: int, rows: pd.DataFrame) -> str:
    cells = [str(seed)]
    for estimand in ("B", "A"):
        row = rows.loc[rows["estimand"] == estimand].iloc[0]
        interval = f"{_number(row['conf_low'])} to {_number(row['conf_high'])}"
        cells += [_number(row["estimate"]), interval, _number(row["truth"]), "yes" if row["covered"] else "no"]
    return "| " + " | ".join(cells) + " |"


def _number(value: float) -> str:
    """Two decimals; never a zero with a sign."""
    return f"{round(value, DECIMALS) + 0.0:.{DECIMALS}f}"


def main() -> None:
    """Run every seed and write this part of the page."""
    write_part(RESULTS, PART, results_text(run_seeds()))


if __name__ == "__main__":
    main()
    print(f"wrote {RESULTS.relative_to(ROOT).as_posix()}")
