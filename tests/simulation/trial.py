"""Trials of the registered size with a known truth: bias, coverage and power of the registered estimates, under each way of choosing pupils.

From the root of the project, ``python -m tests.simulation.trial [TRIALS [TRIALS_OF_THE_POWER_CURVE]]`` draws trials without marks, carries each
through cohort, matching and estimation, and writes its part of ``RESULTS.md`` beside this file. Without numbers it makes the page as it is
printed; ``1000`` takes about two hours on two cores. Equal code and equal numbers of trials give equal numbers.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: two processes of one thread each

import sys  # noqa: E402
from concurrent.futures import ProcessPoolExecutor  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from functools import lru_cache  # noqa: E402
from multiprocessing import get_context  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from evaluation.design import build_cohort, match_cohort, offer_weights, season_matched_windows  # noqa: E402
from evaluation.errors import UnidentifiedError  # noqa: E402
from evaluation.impact.comparisons import MATCHED, RISK_WEIGHTED, Estimated, estimate, prepared  # noqa: E402
from evaluation.impact.truth import true_effects  # noqa: E402
from evaluation.protocol.load import load_protocol  # noqa: E402
from evaluation.protocol.simulation import SimulationSection  # noqa: E402
from evaluation.protocol.trial import TrialProtocol  # noqa: E402
from evaluation.registers.simulator.draws import PanelDraw, draw_panel  # noqa: E402
from evaluation.registers.simulator.sizes import merged, sized_design  # noqa: E402
from tests.results_page import write_part  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PARAMS = ROOT / "params" / "attendance_mentors_trial.yaml"
RESULTS = Path(__file__).with_name("RESULTS.md")
PART = "trial"
TRIALS, OF_POWER, PROCESSES, FIRST_SEED = 80, 40, 2, 1001

RULES = ("window", "level", "private_decline", "private_engagement")
SAID = {"window": "the absence just seen", "level": "the pupil's lasting inclination", "private_decline": "private knowledge of who will decline",
        "private_engagement": "private knowledge of who will improve"}
ASSUMED = ("window", "level")  # rules under which what follows is unrelated to referral, given what is matched on
EFFECTS = (0.0, 1.5, 3.0, 4.5)  # points of sessions during support, before severity, model and year: of the power curve
SIZES = ("trial", "pilot")
# The pilot's first year: one area, about 339 pupils referred (Middlesbrough, 2022/23). Schools, and windows that the registers can measure: judgement.
PILOT = {"referral": {"windows": [5, 6, 7, 8, 9, 11, 12], "per_school": 10}, "roll": {"pupils_per_school": 600}}
PILOT_SCHOOLS = {"mentor_schools": 5, "comparison_schools": 5}
MEASURED = ("estimate", "conf_low", "conf_high", "std_error", "p_value", "truth", "pupils")
REFUSED = "refused"
LIMITS = {"A": 0.3, "B": 0.15}  # points of bias, plus two Monte Carlo standard errors
LEAST_COVERAGE = 93.0  # %


@dataclass(frozen=True)
class Scenario:
    """What is drawn: a size, a rule of referral, and the effect during support in points."""

    size: str
    rule: str
    effect: float


def by_rule() -> tuple[Scenario, ...]:
    """Every rule at the trial's size with the registered effect."""
    return tuple(Scenario("trial", rule, section().support.effect) for rule in RULES)


def power_curve() -> tuple[Scenario, ...]:
    """Every size and effect with the registered rule, but for the one that :func:`by_rule` has."""
    return tuple(one for one in (Scenario(size, RULES[0], effect) for size in SIZES for effect in EFFECTS) if one not in by_rule())


@lru_cache(maxsize=1)
def protocol() -> TrialProtocol:
    """The default study's protocol, with the leading design alone."""
    found = load_protocol(PARAMS).protocol
    matching = found.matching.model_copy(update={"designs": [found.impact.headline_design], "pre_means_check": False})
    return found.model_copy(update={"matching": matching})


@lru_cache(maxsize=1)
def section() -> SimulationSection:
    """The simulation of the trial's size."""
    return sized_design(ROOT, load_protocol(PARAMS).section("simulation"), "trial")


@lru_cache(maxsize=None)
def design(scenario: Scenario) -> SimulationSection:
    """The simulation of a scenario."""
    values = merged(section().model_dump(mode="json"), {"referral": {"rule": scenario.rule}, "support": {"effect": scenario.effect}})
    if scenario.size == "pilot":
        first = values["areas"][0]
        values = merged(values, {**PILOT, "areas": [{**first, **PILOT_SCHOOLS}],
                                 "programmes": [{**p, "areas": [first["code"]]} for p in values["programmes"] if first["code"] in p["areas"]]})
    return SimulationSection.model_validate(values, strict=False)


def estimates(drawn: PanelDraw, seed: int) -> pd.DataFrame:
    """The headline estimates of a draw beside their truth: ``estimand, estimate, conf_low, conf_high, p_value, truth, pupils, test``, points."""
    registered = protocol()
    rules = registered.cohort
    windows = season_matched_windows(window_length=rules.window_length, gap=rules.gap, measured_length=rules.measured_length)
    cohort = build_cohort(drawn.panel(), drawn.enrolments(), drawn.school_list(), drawn.referral_list(), rules=rules, windows=windows)
    matched = match_cohort(cohort.frame, cohort.trajectories, rules=registered.matching, seed=seed)
    offer = offer_weights(cohort.frame, rules=registered.matching).frame
    listed = prepared(cohort.frame, matched.match_weights, matched.unmatched, offer, rules=registered.impact)
    truth = drawn.truth()
    lines = []
    for item in listed:
        if not item.comparison.headline or item.comparison.method not in (MATCHED, RISK_WEIGHTED):
            continue
        found: Estimated = estimate(item, rules=registered.impact, seed=seed)
        effect = true_effects(found.about, truth, trajectories=cohort.trajectories)["points"]
        low, high = found.interval
        lines.append({"estimand": item.comparison.estimand, "estimate": found.estimate, "conf_low": low, "conf_high": high, "std_error": found.std_error,
                      "p_value": found.decision.p_value, "truth": float(np.average(effect, weights=found.about["weight"])), "pupils": len(found.about),
                      "test": found.decision.test})
    return pd.DataFrame(lines)


def run_one(task: tuple[Scenario, int]) -> pd.DataFrame:
    """One draw of a scenario, as :func:`estimates` with ``size, rule, effect, seed``; without estimates where the study refuses them."""
    scenario, seed = task
    try:
        found = estimates(draw_panel(design(scenario), seed), seed)
    except UnidentifiedError:
        found = pd.DataFrame({"estimand": ["A", "B"], **dict.fromkeys(MEASURED, np.nan), "test": REFUSED})
    return found.assign(size=scenario.size, rule=scenario.rule, effect=scenario.effect, seed=seed)


def run_all(trials: int, of_power: int, processes: int = PROCESSES) -> pd.DataFrame:
    """So many trials of every scenario by rule and of the power curve; the result does not depend on how many processes work at once."""
    tasks = [(scenario, FIRST_SEED + number) for chosen, count in ((by_rule(), trials), (power_curve(), of_power)) for number in range(count) for scenario in chosen]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return pd.concat(pool.map(run_one, tasks, chunksize=4), ignore_index=True)


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """By size, rule, effect and estimand: mean ``truth`` and ``error``, its Monte Carlo standard error, ``sd`` of the error, mean printed
    ``std_error``, ``coverage`` (%) of the truth, and ``rejected`` (%): trials that find an effect at the registered level. ``trials`` counts
    all, ``refused`` those without an estimate, which find nothing and enter nothing else."""
    level = 1 - protocol().impact.confidence_level
    runs = runs.assign(error=runs["estimate"] - runs["truth"], held=(100.0 * runs["truth"].between(runs["conf_low"], runs["conf_high"])).where(runs["estimate"].notna()),
                       rejects=100.0 * (runs["p_value"] <= level))
    groups = runs.groupby(["size", "rule", "effect", "estimand"])
    count, drawn = groups["estimate"].count(), groups.size()
    return pd.DataFrame({"trials": drawn, "refused": drawn - count, "pupils": groups["pupils"].mean(), "truth": groups["truth"].mean(), "error": groups["error"].mean(),
                         "error_se": groups["error"].std() / count**0.5, "sd": groups["error"].std(), "std_error": groups["std_error"].mean(),
                         "coverage": groups["held"].mean(), "rejected": groups["rejects"].mean()})


def unmet(table: pd.DataFrame) -> list[str]:
    """What the trial's size with the registered effect does not keep to, a sentence each."""
    found = []
    for (size, rule, effect, estimand), row in table.iterrows():
        if size != "trial" or effect != section().support.effect or (estimand == "B" and rule not in ASSUMED):
            continue
        limit = LIMITS[estimand] + 2 * row["error_se"]
        if abs(row["error"]) > limit:
            found.append(f"{estimand} under `{rule}` is off by {row['error']:+.2f} points (limit {limit:.2f}).")
        if row["coverage"] < LEAST_COVERAGE:
            found.append(f"Intervals of {estimand} under `{rule}` hold the truth in {row['coverage']:.1f}% (at least {LEAST_COVERAGE:.0f}% wanted; Monte Carlo standard "
                         f"error {_share_se(row['coverage'], row['trials']):.1f}).")
    return found


def shown(table: pd.DataFrame) -> list[str]:
    """Biases at the trial's size with the registered effect that these trials tell from none (two Monte Carlo standard errors), a phrase each."""
    lead = section().support.effect
    rows = [(estimand, rule, table.loc[("trial", rule, lead, estimand)]) for estimand in ("A", "B") for rule in RULES]
    return [f"{estimand} under `{rule}` ({row['error']:+.2f} ± {row['error_se']:.2f})" for estimand, rule, row in rows if abs(row["error"]) > 2 * row["error_se"]]


def results_text(runs: pd.DataFrame) -> str:
    """This part of ``RESULTS.md``."""
    table, lead, registered = summarise(runs), section().support.effect, protocol()
    trials, of_power = (int(table.loc[key, "trials"]) for key in (("trial", RULES[0], lead, "A"), ("pilot", RULES[0], lead, "A")))
    rows = [_line(rule, estimand, table.loc[("trial", rule, lead, estimand)]) for estimand in ("A", "B") for rule in RULES]
    curve = [_power(size, effect, table) for size in SIZES for effect in EFFECTS]
    missed = unmet(table)
    return "\n".join([
        "## Trials of the registered size", "",
        f"Drawn without marks at the trial's size ({_schools(section())}; {_referred(section()):,} places for referral) and carried through cohort, matching, "
        "referral-risk weights and the decision test as the notebooks do. A is the offer effect on all eligible pupils of schools with mentors, weighted by "
        "referral risk; B is the effect on referred pupils, matched; both within areas. The truth is each estimand's own value for the retained pupils of that "
        "trial. Nothing here is a finding about mentoring.", "",
        f"Made by `python -m tests.simulation.trial {trials} {of_power}`: {trials} trials by each rule and {of_power} for each other point of the power curve, seeds from "
        f"{int(runs['seed'].min())}. With more trials the Monte Carlo standard errors, which stand after ±, fall with their square root.", "",
        "### Bias and coverage, by how pupils are chosen", "",
        f"Effect during support {lead:g} points before severity, delivery model and year; referral with slope {section().referral.slope:g} on what the rule names. "
        f"{registered.matching.entries.replace('_', ' ').capitalize()} entries. Error is estimate less truth ± its Monte Carlo standard error; points of sessions.", "",
        "| Estimand | Referral follows | Mean truth | Mean error | SD of error | Mean standard error | Intervals that hold the truth |",
        "|:---|:---|---:|---:|---:|---:|---:|", *rows, "",
        "B assumes that referral, given what is matched on, is unrelated to what follows; where mentors know more than the register it is biased by design.", "",
        "Limits: A within 0.30 of its truth under every rule, B within 0.15 under the first two, each plus two Monte Carlo standard errors; coverage at least "
        f"{LEAST_COVERAGE:.0f}%. " + (" ".join(["Not met:", *missed]) if missed else "All are kept.")
        + (f" Keeping to a limit is not to be free of bias: these trials show one of {'; '.join(shown(table))}." if shown(table) else ""), "",
        "### Power", "",
        f"Share of trials in which the decision test finds an effect at {100 - 100 * registered.impact.confidence_level:.0f}%, referral on the absence just seen. At an effect "
        f"of 0 it is the size of the test. The pilot's size is one area with {PILOT_SCHOOLS['mentor_schools']} schools with mentors and "
        f"{PILOT_SCHOOLS['comparison_schools']} without, {_referred(design(Scenario('pilot', RULES[0], lead)))} places for referral.", "",
        "| Size | Effect during support | Truth of B | B found | Truth of A | A found | Test of B |", "|:---|---:|---:|---:|---:|---:|:---|", *[line + _tests(runs, size, effect)
        for line, (size, effect) in zip(curve, [(s, e) for s in SIZES for e in EFFECTS], strict=True)], "",
        "Percentages of trials ± Monte Carlo standard error. "
        + ("Refused trials leave too many referred pupils without a match, and count as not found. " if table["refused"].any() else "")
        + "Trials of one seed share their random numbers, so the error of an estimate is the same at every effect, and "
        "that of A nearly the same under every rule: the lines are no independent evidence of one another.", "",
    ])


def _line(rule: str, estimand: str, row: pd.Series) -> str:
    return (f"| {estimand} | {SAID[rule]} | {row['truth']:.2f} | {row['error']:+.2f} ± {row['error_se']:.2f} | {row['sd']:.2f} | {row['std_error']:.2f} | "
            f"{row['coverage']:.1f}% ± {_share_se(row['coverage'], row['trials']):.1f} |")


def _power(size: str, effect: float, table: pd.DataFrame) -> str:
    cells = []
    for estimand in ("B", "A"):
        row = table.loc[(size, RULES[0], effect, estimand)]
        cells.append(f"{row['truth']:.2f} | {row['rejected']:.1f}% ± {_share_se(row['rejected'], row['trials']):.1f}")
    return f"| {size} | {effect:g} | {' | '.join(cells)} | "


def _tests(runs: pd.DataFrame, size: str, effect: float) -> str:
    mine = runs.loc[(runs["size"] == size) & (runs["rule"] == RULES[0]) & (runs["effect"] == effect) & (runs["estimand"] == "B"), "test"]
    counts = mine.value_counts(normalize=True)
    return ", ".join(f"{name.replace('_', ' ')} {share:.0%}" for name, share in counts.items()) + " |"


def _share_se(share: float, trials: float) -> float:
    """Monte Carlo standard error of a percentage, by the adjusted share of Agresti and Coull (1998), so that it is not 0 at none and at all."""
    adjusted = (share / 100 * trials + 2) / (trials + 4)
    return float(100 * (adjusted * (1 - adjusted) / (trials + 4)) ** 0.5)


def _schools(values: SimulationSection) -> str:
    mentored, others = (sum(getattr(area, name) for area in values.areas) for name in ("mentor_schools", "comparison_schools"))
    return f"{mentored} schools with mentors and {others} without in {len(values.areas)} areas"


def _referred(values: SimulationSection) -> int:
    """Places for referral: pupils a school and window, in the windows after a school's area has opened."""
    places: Any = 0
    for area in values.areas:
        open_windows = [w for w in values.referral.windows if area.first_mentor_half_term is not None and w + 1 >= area.first_mentor_half_term]
        places += area.mentor_schools * values.referral.per_school * len(open_windows)
    return int(places)


def main(trials: int = TRIALS, of_power: int = OF_POWER) -> None:
    """Run every scenario, and write this part of the page."""
    write_part(RESULTS, PART, results_text(run_all(trials, of_power)))


if __name__ == "__main__":
    main(*(int(given) for given in sys.argv[1:3]))
    print(f"wrote {RESULTS.relative_to(ROOT).as_posix()}")
