"""Regression to the mean: what each design finds where there is no effect at all, whatever decides who is referred.

From the root of the project, ``python -m tests.simulation.regression_to_the_mean`` runs every setting and writes its part of
``RESULTS.md`` and a picture beside this file. Equal code gives equal numbers. Pupils have a lasting part, which referral may follow, and
a passing part, which makes one half-term bad and then goes away [Daw and Hatfield 2018; Chabe-Ferret 2017; Ham and Miratrix 2022].
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: the arrays are small

from itertools import product  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from evaluation.design import match, referral_risk_weights, season_matched_windows  # noqa: E402
from evaluation.impact import estimate_change  # noqa: E402
from tests.results_page import write_part  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("RESULTS.md")
PART = "regression_to_the_mean"
PICTURE = "regression_to_the_mean.png"

PUPILS, MENTOR_SCHOOL_PUPILS, SESSIONS, PUPILS_A_SCHOOL = 12_000, 3_000, 60, 300
LEVEL, LASTING_SD, PASSING_SD = 2.9, 0.9, 0.8  # log odds of attending
FIRST, LAST = -6, 4  # half-terms drawn around the window, which is 0
ELIGIBLE_BELOW = 90.0  # % of sessions attended in the window
CORRELATIONS = (0.2, 0.6, 0.9)  # of the passing part from one half-term to the next
REPLICATIONS = 80
SEED = 20_261_129
PROCESSES = 2

RULES = {"level": "the pupil's lasting level", "window": "absence in the window", "decline": "private knowledge that the pupil will decline",
         "engagement": "private knowledge that the pupil will engage"}  # fmt: skip
NAIVE_RULES = ("level", "window")
PRIVATE_SLOPE = 2.0  # log odds of referral per log odds of attending, of the passing part's change from the window to three half-terms on

# Bias in points that the plan of the methods prints for each design, smallest and largest over the six settings.
PRINTED = {
    "before_after": ("Before and after, from the window", (2.3, 8.6)),
    "any_pupil": ("Any pupil, matched on the mean of six half-terms", (-3.5, -1.8)),
    "window_as_baseline": ("Same rule, the window as baseline", (-0.7, 1.9)),
    "matched_means": ("Same rule, symmetric baseline, matched on the mean of six half-terms", (-0.9, -0.3)),
    "symmetric": ("Same rule, symmetric baseline, window dropped", (-0.08, 0.06)),
}
REGISTERED = {"offer": "A: all eligible, weighted by referral risk", "referred": "B: referred, matched on the window"}
CLAIMED = 0.25  # points within which the default lies of zero in every setting
CLAIMED_A = 0.3  # the same for A under every rule of referral, plus two Monte Carlo standard errors


def draw_pupils(seed: np.random.SeedSequence, correlation: float, rule: str) -> pd.DataFrame:
    """Pupils with absence by half-term in % of sessions (columns -6 to 4), and who is in a mentor school, eligible and referred; nobody is helped."""
    rng = np.random.default_rng(seed)
    times = range(FIRST, LAST + 1)
    lasting, passing = rng.normal(0, LASTING_SD, PUPILS), rng.normal(0, PASSING_SD, (len(times), PUPILS))
    for place in range(1, len(times)):
        passing[place] = correlation * passing[place - 1] + np.sqrt(1 - correlation**2) * passing[place]
    absent = rng.binomial(SESSIONS, 1 / (1 + np.exp(LEVEL + lasting + passing)))
    pupils = pd.DataFrame(dict(zip(times, 100.0 * absent / SESSIONS, strict=True)))
    ahead = passing[3 - FIRST] - passing[-FIRST]
    against = {"level": 0.5 + lasting, "window": -6 * (0.8 - (1 - pupils[0] / 100)), "decline": 0.5 + PRIVATE_SLOPE * ahead,
               "engagement": 0.5 - PRIVATE_SLOPE * ahead}[rule]  # fmt: skip
    row = np.arange(PUPILS)
    mentor = row < MENTOR_SCHOOL_PUPILS
    eligible = 100 - pupils[0] < ELIGIBLE_BELOW
    referred = mentor & eligible & (rng.random(PUPILS) < 1 / (1 + np.exp(against)))
    return pupils.assign(mentor_school=mentor.astype(int), eligible=eligible, referred=referred.astype(int), school_id=row // PUPILS_A_SCHOOL, area_code="X",
                         stack=0, followup_possible=3 * SESSIONS)  # fmt: skip


def mean_absence(pupils: pd.DataFrame, first: int, last: int) -> pd.Series:
    """A pupil's mean over half-terms of equal length."""
    return pupils[list(range(first, last + 1))].mean(axis=1)


def _gain(rows: pd.DataFrame, change: pd.Series, treated: str = "referred", weight: pd.Series | None = None) -> float:
    """The package's estimate for a change in absence: points of sessions attended."""
    data = rows.assign(change=change[rows.index], treated=rows[treated])
    if weight is None:
        return estimate_change(data, within_area=True).estimate
    return estimate_change(data.assign(weight=weight), within_area=True, weight="weight").estimate


def naive_biases(pupils: pd.DataFrame) -> dict[str, float]:
    """What designs that suggest themselves find, and the symmetric difference by the same rule: points of attendance, where the truth is 0."""
    after, window, before = mean_absence(pupils, 1, 3), pupils[0], mean_absence(pupils, -3, -1)
    pupils = pupils.assign(six=mean_absence(pupils, -6, -1))
    referred, elsewhere = pupils["referred"] == 1, pupils["mentor_school"] == 0
    same_rule, anybody = pupils.loc[referred | (elsewhere & pupils["eligible"])], pupils.loc[referred | elsewhere]
    return {
        "before_after": float((window - after)[referred].mean()),
        "any_pupil": _gain(anybody, after - pupils["six"], weight=match(anybody, "referred", on=["six"]).weights),
        "window_as_baseline": _gain(same_rule, after - window),
        "matched_means": _gain(same_rule, after - before, weight=match(same_rule, "referred", on=["six"]).weights),
        "symmetric": _gain(same_rule, after - before),
    }


def registered_biases(pupils: pd.DataFrame) -> dict[str, float]:
    """What the registered windows find: the offer weighted by referral risk (A), and referred pupils matched on the window (B)."""
    windows = season_matched_windows()
    change = mean_absence(pupils, windows.follow_up[0], windows.follow_up[-1]) - mean_absence(pupils, windows.baseline[0], windows.baseline[-1])
    pupils = pupils.assign(window_absence_rate=pupils[0])
    eligible = pupils.loc[pupils["eligible"]]
    against = eligible.loc[(eligible["referred"] == 1) | (eligible["mentor_school"] == 0)]
    risk = referral_risk_weights(eligible, mentor_school="mentor_school", referred="referred", on=["window_absence_rate"])
    beside = match(against, "referred", on=["window_absence_rate"], caliper=0.2, ratio=2)
    return {"offer": _gain(eligible, change, "mentor_school", risk.weights), "referred": _gain(against, change, weight=beside.weights)}


def run_one(correlation: float, rule: str, replicate: int) -> dict:
    """One replicate of a setting; its random numbers are the same under every rule of referral."""
    child = np.random.SeedSequence(SEED, spawn_key=(CORRELATIONS.index(correlation), replicate))
    pupils = draw_pupils(child, correlation, rule)
    naive = naive_biases(pupils) if rule in NAIVE_RULES else {}
    return {"correlation": correlation, "rule": rule, "replicate": replicate, **naive, **registered_biases(pupils)}


def run_all(settings=None, replications: int = REPLICATIONS, processes: int = PROCESSES) -> pd.DataFrame:
    """Every replicate of every setting, a row each; the result does not depend on how many processes work at once."""
    from joblib import Parallel, delayed

    settings = list(product(CORRELATIONS, RULES)) if settings is None else settings
    return pd.DataFrame(Parallel(processes)(delayed(run_one)(*setting, r) for setting in settings for r in range(replications)))


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """``bias`` and its Monte Carlo standard error ``bias_se`` by correlation, rule and design."""
    long = runs.melt(["correlation", "rule", "replicate"], var_name="design", value_name="estimate").dropna(subset=["estimate"])
    groups = long.groupby(["correlation", "rule", "design"])["estimate"]
    return pd.DataFrame({"bias": groups.mean(), "bias_se": groups.std() / np.sqrt(groups.size())})


def table_line(table: pd.DataFrame, design: str, title: str) -> str:
    """One design's row: bias in every setting in which it was run."""
    cells = [f"{table.at[(c, r, design), 'bias']:+.2f} ± {table.at[(c, r, design), 'bias_se']:.2f}" for c, r in product(CORRELATIONS, NAIVE_RULES)]
    return f"| {title} | {' | '.join(cells)} |"


def selection_line(table: pd.DataFrame, rule: str, design: str) -> str:
    """One rule of referral and estimand: bias by correlation."""
    cells = [f"{table.at[(c, rule, design), 'bias']:+.2f} ± {table.at[(c, rule, design), 'bias_se']:.2f}" for c in CORRELATIONS]
    return f"| {RULES[rule]} | {REGISTERED[design]} | {' | '.join(cells)} |"


def results_text(runs: pd.DataFrame) -> str:
    """This part of ``RESULTS.md``."""
    table = summarise(runs)
    heads = [f"correlation {c}, by {r}" for c, r in product(CORRELATIONS, NAIVE_RULES)]
    lines = [table_line(table, design, f"{title} ({low:+g} to {high:+g})") for design, (title, (low, high)) in PRINTED.items()]
    lines += [table_line(table, design, title) for design, title in REGISTERED.items()]
    selection = [selection_line(table, rule, design) for rule in RULES for design in REGISTERED]
    return "\n".join([
        "## Regression to the mean: what designs find where there is no effect", "",
        f"{PUPILS:,} pupils, {MENTOR_SCHOOL_PUPILS:,} of them in mentor schools; half-terms of {SESSIONS} sessions. Log odds of attending: {LEVEL} plus a lasting part "
        f"(spread {LASTING_SD}) and a passing part (spread {PASSING_SD}, correlated from one half-term to the next). Eligible: below {ELIGIBLE_BELOW:.0f}% in half-term 0. Referral of "
        "eligible pupils in mentor schools follows their lasting level or the window. Nobody is helped, so every number below is bias, in percentage "
        "points of sessions attended, ± its Monte Carlo standard error.", "",
        f"Made by `python -m tests.simulation.regression_to_the_mean`; {runs['replicate'].nunique()} replications of each setting; the same pupils under every rule.", "",
        "### By design", "",
        "In brackets the range over the six settings that the plan of the methods prints. Baseline half-terms -3 to -1 and follow-up 1 to 3; the six half-terms are -6 to -1. "
        "The last two rows are the registered estimators, with half-terms -4 to -2 and 2 to 4.", "",
        f"| Design | {' | '.join(heads)} |", f"|:---|{'---:|' * len(heads)}", *lines, "",
        _verdict(table), "",
        f"![Bias of each design in every setting]({PICTURE})", "",
        "### By what decides who is referred", "",
        f"Private knowledge is of the passing part three half-terms on, less that of the window; {PRIVATE_SLOPE:g} log odds of referral for each. A asks about the offer, so "
        "who is chosen cannot bias it; B compares those who were chosen, and no data on attendance can show what the choosers knew.", "",
        f"| Referral follows | Estimand | {' | '.join(f'correlation {c}' for c in CORRELATIONS)} |", "|:---|:---|---:|---:|---:|", *selection, "",
        _selection_verdict(table), "",
    ])


def _verdict(table: pd.DataFrame) -> str:
    six = {design: table.loc[[(c, r, design) for c, r in product(CORRELATIONS, NAIVE_RULES)], "bias"] for design in (*PRINTED, *REGISTERED)}
    default = max(six[design].abs().max() for design in ("symmetric", *REGISTERED))
    outside = [title for design, (title, printed) in PRINTED.items() if not inside_printed(table, design, printed)]
    return (f"The symmetric difference by the same rule and both registered estimators lie within {default:.2f} points of zero in all six settings (claimed: {CLAIMED}). "
            + ("Every design lies within its printed range, give or take two Monte Carlo standard errors." if not outside else
               f"Outside the printed range by more than two Monte Carlo standard errors: {'; '.join(outside)}."))  # fmt: skip


def inside_printed(table: pd.DataFrame, design: str, printed: tuple[float, float]) -> bool:
    """Whether a design's bias lies in the printed range in every setting, give or take two Monte Carlo standard errors."""
    mine = table.loc[[(c, r, design) for c, r in product(CORRELATIONS, NAIVE_RULES)]]
    slack = 2 * mine["bias_se"]
    return bool((mine["bias"] >= printed[0] - slack).all() and (mine["bias"] <= printed[1] + slack).all())


def _selection_verdict(table: pd.DataFrame) -> str:
    a, b = (table.xs(design, level="design") for design in REGISTERED)
    within = bool((a["bias"].abs() <= CLAIMED_A + 2 * a["bias_se"]).all())
    return (f"A is {'within' if within else 'not within'} {CLAIMED_A} points plus two Monte Carlo standard errors under every rule (largest {a['bias'].abs().max():.2f}). "
            f"B runs from {b['bias'].min():+.1f} to {b['bias'].max():+.1f} with private knowledge.")


def draw_picture(runs: pd.DataFrame) -> None:
    """Write the picture beside the page."""
    from evaluation.reporting.figures.regression_to_the_mean import bias_figure
    from evaluation.reporting.palette import png_bytes

    table = summarise(runs).reset_index()
    titles = {**{design: title for design, (title, _) in PRINTED.items()}, **REGISTERED}
    shown = table.loc[table["rule"].isin(NAIVE_RULES)].assign(rule=lambda f: f["rule"].map(RULES))
    RESULTS.with_name(PICTURE).write_bytes(png_bytes(bias_figure(shown, titles), "Simulated pupils, true effect 0"))


def main() -> None:
    """Run every setting, and write this part of the page and its picture."""
    runs = run_all()
    write_part(RESULTS, PART, results_text(runs))
    draw_picture(runs)


if __name__ == "__main__":
    main()
    print(f"wrote {RESULTS.relative_to(ROOT).as_posix()}")
