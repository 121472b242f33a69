"""Which windows pupils may enter at, and what each choice does to the effect on referred pupils and to that of the offer.

From the root of the project, ``python -m tests.simulation.entries`` draws studies without marks in which mentoring does nothing, refers pupils
by several rules, and writes its part of ``RESULTS.md`` beside this file. Equal code gives equal numbers.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: the arrays are small

from concurrent.futures import ProcessPoolExecutor  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from itertools import product  # noqa: E402
from multiprocessing import get_context  # noqa: E402
from pathlib import Path  # noqa: E402

import pandas as pd  # noqa: E402

from evaluation.design import Cohort, build_cohort, match_cohort, offer_weights, season_matched_windows  # noqa: E402
from evaluation.design.registered import KEY  # noqa: E402
from evaluation.impact import estimate_change  # noqa: E402
from evaluation.protocol.load import load_protocol  # noqa: E402
from evaluation.protocol.simulation import SimulationSection  # noqa: E402
from evaluation.protocol.trial import MatchingSection, TrialProtocol  # noqa: E402
from evaluation.registers.simulator.draws import draw_panel  # noqa: E402
from evaluation.registers.simulator.sizes import merged  # noqa: E402
from tests.results_page import write_part  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PARAMS = ROOT / "params" / "attendance_mentors_trial.yaml"
RESULTS = Path(__file__).with_name("RESULTS.md")
PART = "entries"
SEEDS = tuple(range(301, 311))
PROCESSES = 2
TIMES = 4  # pupils and referrals of a school, beside the default study
CHOICES = {"first": "B, first entries", "opening": "B, first entries of an area's first two stacks", "matched_history": "B, matched history",
           "risk_set": "B, risk set", "offer": "A, all eligible, weighted"}
OFFER_LIMIT, REFERRED_LIMIT = 0.30, 0.15  # points beyond which, and two Monte Carlo standard errors, a bias is called one


@dataclass(frozen=True)
class Scenario:
    """How pupils are referred: the rule and its slope, and the odds of one who met the rule before beside one who had not."""

    rule: str
    slope: float
    again: float

    @property
    def words(self) -> str:
        """The scenario in a row of the table."""
        what = "lasting absence" if self.rule == "level" else "absence in the window"
        return f"{what}, slope {self.slope:g}"


SCENARIOS = tuple(Scenario(*case, again) for case, again in product((("level", 1.0), ("level", 4.0), ("window", 4.0)), (0.05, 1.0)))


def registered() -> TrialProtocol:
    """The default study's protocol."""
    return load_protocol(PARAMS).protocol


def design_of(scenario: Scenario, protocol: TrialProtocol, times: int = TIMES) -> SimulationSection:
    """The default study, ``times`` as large, with schools that are alike, no effect, and pupils referred as the scenario says."""
    values = protocol.simulation.model_dump(mode="json")
    changes = {"roll": {"pupils_per_school": times * values["roll"]["pupils_per_school"]}, "attendance": {"school_spread": 0.0}, "support": {"effect": 0.0},
               "areas": [{**area, "attendance_shift": 0.0} for area in values["areas"]],
               "referral": {"per_school": times * values["referral"]["per_school"], "rule": scenario.rule, "slope": scenario.slope, "again_weight": scenario.again}}
    return SimulationSection.model_validate(merged(values, changes), strict=False)


def estimates(scenario: Scenario, seed: int, times: int = TIMES) -> pd.DataFrame:
    """One draw: ``choice, estimate`` (points of attendance where nothing was done, so an error) and ``referred`` (pupils)."""
    protocol = registered()
    drawn = draw_panel(design_of(scenario, protocol, times), seed)
    rules = protocol.cohort
    windows = season_matched_windows(window_length=rules.window_length, gap=rules.gap, measured_length=rules.measured_length)
    cohort = build_cohort(drawn.panel(), drawn.enrolments(), drawn.school_list(), drawn.referral_list(), rules=rules, windows=windows)
    matched = {entries: _matched(cohort, protocol, entries, seed) for entries in ("first", "matched_history", "risk_set")}
    matched["opening"] = matched["first"].loc[matched["first"]["windows_before"] <= rules.gap]
    only_within = _rules(protocol, "first")
    offer = offer_weights(cohort.frame, rules=only_within).frame.merge(cohort.frame, on=KEY, validate="one_to_one")
    matched["offer"] = offer.assign(treated=offer["treated"].astype("int64"))
    return pd.DataFrame([{"choice": choice, "estimate": estimate_change(rows, within_area=True, weight="weight").estimate,
                          "referred": int((rows["referred"] & (rows["treated"] == 1)).sum())} for choice, rows in matched.items()])


def _rules(protocol: TrialProtocol, entries: str) -> MatchingSection:
    changes = {"designs": ["within_area"], "entries": entries, "pre_means_check": False, "unmatched_tolerance": 1.0}
    return MatchingSection.model_validate({**protocol.matching.model_dump(mode="json"), **changes}, strict=False)


def _matched(cohort: Cohort, protocol: TrialProtocol, entries: str, seed: int) -> pd.DataFrame:
    weights = match_cohort(cohort.frame, cohort.trajectories, rules=_rules(protocol, entries), seed=seed).match_weights
    return weights.merge(cohort.frame, on=KEY, validate="one_to_one").assign(treated=lambda rows: rows["treated"].astype("int64"))


def run_one(task: tuple[Scenario, int]) -> pd.DataFrame:
    """One scenario and seed, as :func:`estimates` with ``scenario`` (its number) and ``seed``."""
    scenario, seed = task
    return estimates(scenario, seed).assign(scenario=SCENARIOS.index(scenario), seed=seed)


def run_all(seeds: tuple[int, ...] = SEEDS, processes: int = PROCESSES) -> pd.DataFrame:
    """Every scenario and seed; the result does not depend on how many processes work at once."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return pd.concat(pool.map(run_one, product(SCENARIOS, seeds)), ignore_index=True)


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """By scenario and choice: ``bias`` (mean estimate, nothing having been done), ``error`` (its Monte Carlo standard error), ``spread`` (SD over
    draws) and ``referred`` (mean number of pupils behind one estimate)."""
    groups = runs.groupby(["scenario", "choice"])
    spread = groups["estimate"].std()
    return pd.DataFrame({"bias": groups["estimate"].mean(), "error": spread / groups.size() ** 0.5, "spread": spread, "referred": groups["referred"].mean()})


def beyond(row: pd.Series, choice: str) -> bool:
    """Whether a bias is larger than the limit by more than two Monte Carlo standard errors."""
    return bool(abs(row["bias"]) > (OFFER_LIMIT if choice == "offer" else REFERRED_LIMIT) + 2 * row["error"])


def results_text(runs: pd.DataFrame) -> str:
    """This part of ``RESULTS.md``."""
    table, seeds = summarise(runs), sorted(runs["seed"].unique())
    lines = []
    for number, scenario in enumerate(SCENARIOS):
        cells = []
        for choice in CHOICES:
            row = table.loc[(number, choice)]
            cells.append(f"{row['bias']:+.2f} ± {row['error']:.2f}{' !' if beyond(row, choice) else ''}")
        lines.append(f"| {scenario.words} | {scenario.again:g} | {' | '.join(cells)} |")
    counts = [f"| {s.words} | {s.again:g} | " + " | ".join(f"{table.loc[(n, c), 'referred']:.0f}" for c in CHOICES) + " |" for n, s in enumerate(SCENARIOS)]
    head = "| Referral follows | Odds of one who met the rule before | " + " | ".join(CHOICES.values()) + " |"
    rule = "|:---|---:|" + "---:|" * len(CHOICES)
    return "\n".join([
        "## Which windows pupils enter at", "",
        "Every number is an apparent effect where mentoring does nothing, so a bias, in percentage points of attendance. A first entrant of a later stack was below "
        "the threshold in every window since its area opened, and those half-terms are part of the baseline. Referred pupils whose absence is lasting then look "
        "better before than they usually are, more so than the pupils beside them, and mentoring looks worse than it is. Pupils equal on how often they "
        "had met the rule (matched history) share that bias; a risk set adds another, because pupils referred before are missing from one arm. The first "
        "two stacks of an area, whose baselines nobody was chosen on, are nearly free of it and hold few pupils; the offer (all eligible pupils) is free of it.", "",
        f"Made by `python -m tests.simulation.entries`: {len(seeds)} draws without marks for each row, seeds {seeds[0]} to {seeds[-1]}, of the default study with "
        f"{TIMES} times its pupils and referrals and schools that are alike, so that the bias stands out from chance; within areas, matched or weighted as registered. "
        f"± one Monte Carlo standard error; ! beyond {REFERRED_LIMIT} points (A: {OFFER_LIMIT}) and two of them.", "",
        head, rule, *lines, "", "Referred pupils behind one estimate, mean:", "", head, rule, *counts, "", _verdict(table), "",
    ])


def _verdict(table: pd.DataFrame) -> str:
    """What the table says about each choice."""
    said = []
    for choice, words in CHOICES.items():
        own = table.xs(choice, level="choice")
        worst = own.loc[own["bias"].abs().idxmax()]
        held = not any(beyond(row, choice) for _, row in own.iterrows())
        said.append(f"{words}: {'within its limit in every row' if held else 'beyond its limit in at least one row'}, largest bias {worst['bias']:+.2f}")
    return "; ".join(said) + "."


def main() -> None:
    """Run every scenario and seed, and write this part of the page."""
    write_part(RESULTS, PART, results_text(run_all()))


if __name__ == "__main__":
    main()
    print(f"wrote {RESULTS.relative_to(ROOT).as_posix()}")
