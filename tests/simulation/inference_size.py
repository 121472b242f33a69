"""How often tests by school reject a true hypothesis, and how often their intervals hold the truth, by number of schools.

From the root of the project, ``python -m tests.simulation.inference_size`` runs every layout and writes its part of
``RESULTS.md`` beside this file. Equal code gives equal numbers.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: the arrays are small

from dataclasses import dataclass, replace  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from scipy.special import stdtr, stdtrit  # noqa: E402

from evaluation.inference.assignments import assignments  # noqa: E402
from evaluation.inference.cluster_robust import cluster_robust  # noqa: E402
from evaluation.inference.columns import Columns, read_columns  # noqa: E402
from evaluation.inference.design_matrix import solve  # noqa: E402
from evaluation.inference.randomisation import randomisation_statistics  # noqa: E402
from evaluation.inference.wild import wild_statistics  # noqa: E402
from tests.results_page import write_part  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("RESULTS.md")
PART = "inference_size"
TERMS = ("treated", "prior_absence")
LEVEL = 0.05

REPLICATIONS, VARYING_REPLICATIONS = 2_000, 1_000
PER_DESIGN = 20  # replications that share sizes, prior absence and weights
SEED = 20_260
DRAWS = 499
# Percentage points of sessions: spread between schools, between pupils, of the effect between schools; mean effect.
SCHOOL_SD, PUPIL_SD, EFFECT_SD, EFFECT = 3.0, 10.0, 2.0, 2.0
SLOPE = 0.5
MATCHED = (4, 30)  # pupils a school, least and most
WEIGHTS = (0.5, 1.0, 1.5)  # of comparison pupils: shares of two matched pupils, and reuse


@dataclass(frozen=True)
class Layout:
    """Schools, those of them with mentors, and the areas they lie in; mentor schools are dealt to areas in turn."""

    schools: int
    treated: int
    areas: int

    @property
    def name(self) -> str:
        """Schools / schools with mentors."""
        return f"{self.schools}/{self.treated}"


LAYOUTS = (Layout(40, 20, 4), Layout(40, 6, 4), Layout(16, 8, 2), Layout(12, 4, 2), Layout(40, 3, 3))
METHODS = {
    "CR2": "CR2, Satterthwaite df",
    "CR1": "CR1, G - 1 df",
    "randomisation": "randomisation by school within area, on t",
    "randomisation_shares": "the same, comparison weights not scaled",
    "wild": "restricted wild bootstrap, p_value (larger draws)",
    "wild_with_ties": "the same, p_value_with_ties",
    "wild_shares": "the same, p_value, comparison weights not scaled",
}
RANDOMISATION = ("randomisation", "randomisation_shares")
# Designs of the layout with fewest treated schools, each kept for all replications.
FIXED_LAYOUT, FIXED_DESIGNS = LAYOUTS[-1], 3
# Coverage below which the page says so, of methods that decide: CR2 with at least so many degrees of freedom, and randomisation.
LEAST_COVERAGE, ENOUGH_DF = 0.93, 5.0


def make_pupils(layout: Layout, seed: int = SEED) -> pd.DataFrame:
    """One layout's pupils without outcomes: school, area, treated, prior_absence, share, weight.

    Mentored pupils weigh 1; comparison pupils have shares as in matching, and weights that are these scaled in each area to the
    number of mentored pupils.
    """
    rng = np.random.default_rng([seed, layout.schools, layout.treated])
    area_of = np.arange(layout.schools) % layout.areas
    school = np.repeat(np.arange(layout.schools), rng.integers(MATCHED[0], MATCHED[1] + 1, layout.schools))
    pupils = pd.DataFrame({"school": school, "area": area_of[school], "treated": (school < layout.treated).astype(float)})
    pupils["prior_absence"] = 15 + rng.normal(0, 2, layout.schools)[school] + rng.normal(0, 8, len(school))
    pupils["share"] = np.where(pupils["treated"] == 1, 1.0, rng.choice(WEIGHTS, len(school)))
    totals = pupils.pivot_table(index="area", columns="treated", values="share", aggfunc="sum")
    scale = (totals[1.0] / totals[0.0])[pupils["area"]].to_numpy()
    pupils["weight"] = pupils["share"] * np.where(pupils["treated"] == 1, 1.0, scale)
    return pupils


def read(pupils: pd.DataFrame, weights: str = "weight") -> Columns:
    """The pupils as the estimators read them, with an outcome of zeros to be replaced."""
    return read_columns(pupils.assign(outcome=0.0), "outcome", TERMS, weights, ("area",), ("school",))


def draw_outcome(columns: Columns, rng: np.random.Generator, effect: float, effect_sd: float) -> np.ndarray:
    """Outcomes with school effects, the mean effect given, and effects that vary between schools."""
    treated, prior = columns.terms.T
    schools = len(columns.cluster_labels)
    school = rng.normal(0, SCHOOL_SD, schools) + rng.normal(0, 1, schools) * effect_sd * treated[np.searchsorted(columns.clusters, np.arange(schools))]
    return school[columns.clusters] + rng.normal(0, PUPIL_SD, len(prior)) + SLOPE * prior + effect * treated


def replicate(columns: Columns, unscaled: Columns, truth: float, seed: int) -> dict[str, dict[str, float]]:
    """Each method's p-value of the truth, whether its 95% interval holds it, and its degrees of freedom where it has any.

    The functions are those behind ``linear``, ``wild_test`` and ``randomisation_test``. The interval by inversion of a
    p-value holds the truth exactly where the truth is not rejected.
    """
    solution = solve(columns, TERMS)
    found = {}
    for kind in ("CR2", "CR1"):
        robust = cluster_robust(solution, kind, TERMS, columns.cluster_labels)
        std_error, df = robust.vcov[0, 0] ** 0.5, robust.df[0]
        distance = abs(solution.estimates[0] - truth)
        held = distance <= stdtrit(df, 1 - LEVEL / 2) * std_error
        found[kind] = {"p": 2 * stdtr(df, -distance / std_error), "held": held, "df": df}
    starts = np.searchsorted(columns.clusters, np.arange(len(columns.cluster_labels)))
    treated, areas = columns.terms[starts, 0] == 1, columns.effects[0][starts]
    dealt = assignments(treated, areas, DRAWS, seed, np.arange(len(starts)))
    by_inversion = {
        "randomisation": randomisation_statistics(columns, TERMS, dealt, "t"),
        "randomisation_shares": randomisation_statistics(unscaled, TERMS, dealt, "t"),
        "wild": wild_statistics(solution, 0, draws=DRAWS, seed=seed)[0],
        "wild_shares": wild_statistics(solve(unscaled, TERMS), 0, draws=DRAWS, seed=seed)[0],
    }
    p_values = {name: statistics.p_value(truth) for name, statistics in by_inversion.items()}
    p_values["wild_with_ties"] = by_inversion["wild"].p_value_with_ties(truth)
    return found | {name: {"p": p, "held": p > LEVEL, "df": np.nan} for name, p in p_values.items()}


def run(
    layout: Layout, replications: int, effect: float = 0.0, effect_sd: float = 0.0, seed: int = SEED, per_design: int = PER_DESIGN
) -> pd.DataFrame:
    """Replicate one layout; `per_design` replications share sizes, prior absence and weights.

    Returns
    -------
    DataFrame
        One row per method: layout, method, replications, rejected, held (shares of the replications), df (mean).
    """
    rng = np.random.default_rng([seed, layout.schools, layout.treated, int(effect_sd > 0)])
    tallies = {name: np.zeros(3) for name in METHODS}
    for number in range(replications):
        if number % per_design == 0:
            pupils = make_pupils(layout, seed + number)
            columns, unscaled = read(pupils), read(pupils, "share")
        outcome = draw_outcome(columns, rng, effect, effect_sd)
        drawn = [replace(read_as, outcome=outcome) for read_as in (columns, unscaled)]
        for name, found in replicate(*drawn, effect, seed + number).items():
            tallies[name] += [found["p"] <= LEVEL, found["held"], found["df"]]
    rows = [(layout.name, name, replications, *(tally / replications)) for name, tally in tallies.items()]
    return pd.DataFrame(rows, columns=["layout", "method", "replications", "rejected", "held", "df"])


def run_all(replications: int = REPLICATIONS, varying: int = VARYING_REPLICATIONS) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Every layout without an effect, and with effects that vary between schools; designs held fixed, without an effect."""
    null = pd.concat([run(layout, replications) for layout in LAYOUTS], ignore_index=True)
    mixed = pd.concat([run(layout, varying, EFFECT, EFFECT_SD) for layout in LAYOUTS], ignore_index=True)
    designs = [run(FIXED_LAYOUT, replications, seed=SEED + 1 + number, per_design=replications).assign(design=number + 1)
               for number in range(FIXED_DESIGNS)]  # fmt: skip
    return null, mixed, pd.concat(designs, ignore_index=True)


def error(share: float, replications: int) -> float:
    """Monte Carlo standard error of a share."""
    return (share * (1 - share) / replications) ** 0.5


def results_text(null: pd.DataFrame, mixed: pd.DataFrame, fixed: pd.DataFrame) -> str:
    """This part of ``RESULTS.md``."""
    count, few = int(null["replications"].iloc[0]), int(mixed["replications"].iloc[0])
    return "\n".join([
        "## Tests by school: how often they reject a true hypothesis, and how often intervals hold the truth", "",
        f"{count:,} replications of each layout without an effect, {few:,} with effects that vary between schools, seed {SEED}. "
        "Nothing here is a finding about mentoring.", "",
        "Made by `python -m tests.simulation.inference_size`.", "", "### Layout", "",
        f"- Schools in 2 to 4 areas, {MATCHED[0]} to {MATCHED[1]} matched pupils a school; sizes, prior absence and weights are drawn every "
        f"{PER_DESIGN} replications, outcomes each time. Mentored pupils weigh 1; comparison pupils "
        f"{', '.join(map(str, WEIGHTS))}, scaled in each area to the number of mentored pupils.",
        f"- Outcome in percentage points: school effects (SD {SCHOOL_SD:g}), pupils (SD {PUPIL_SD:g}), {SLOPE:g} times prior absence. "
        "Fitted: treatment and prior absence, area effects absorbed, weighted, clustered by school.",
        f"- Randomisation and bootstrap: all assignments or sign vectors where there are at most {DRAWS}, else {DRAWS} drawn. Ties count but in the bootstrap's p_value. With 40/3 "
        "and areas of 13 or 14 schools one school an area has mentors. Scaled weights depend on who was treated and stay with their rows when "
        "treatment is dealt again, so that the first randomisation row is approximate; the second fits with weights as matching shares them out "
        "before scaling.", "",
        "### No effect", "",
        f"Share of replications with p at most {LEVEL:.0%}; the 95% interval holds the truth in the others. Monte Carlo standard error of 5%: "
        f"{error(LEVEL, count):.2%}.", "",
        *_table(null, "rejected"), "",
        "The CR2 test is meant for 5 degrees of freedom and more; below, and with fewer than 5 treated schools, randomisation inference decides. "
        "A test that rejects less often than 5% is cautious, not wrong: it costs power.", "",
        "The bootstrap is reported, not relied on. Its p_value is the one that `wild_test` prints first and its interval inverts; with "
        f"{DRAWS} draws it and p_value_with_ties lie on one side of 5% unless draws tie. What drives it to reject too often with few treated schools is "
        "above all weights scaled to the number treated: they leave each treated pupil far heavier than a comparison pupil. Without that scaling "
        f"(its third row) it is near its level, and at {FIXED_LAYOUT.name} hardly ever rejects, as MacKinnon & Webb (2017) find with few treated.", "",
        *_fixed_text(fixed),
        "### Effects that vary between schools", "",
        f"Mean effect {EFFECT:g} points, SD between schools {EFFECT_SD:g}. Share of 95% intervals that hold the mean effect; Monte Carlo standard error of 95%: "
        f"{error(LEVEL, few):.2%}. Randomisation inference and its interval are exact for an effect that is the same in every school; where it varies they "
        "are approximate.", "",
        *_table(mixed, "held"), "",
        _coverage_text(mixed), "",
    ])


def _fixed_text(fixed: pd.DataFrame) -> list[str]:
    """Size of the randomisation tests where sizes, prior absence and weights never change."""
    shares = fixed.pivot(index="method", columns="design", values="rejected")
    mean = shares.mean(axis=1)
    return [
        "### No effect, sizes and weights held fixed over all replications", "",
        f"{FIXED_LAYOUT.name}, {int(fixed['replications'].iloc[0]):,} replications of each of {shares.shape[1]} designs drawn at random and then kept, with the "
        f"same {FIXED_LAYOUT.treated} treated schools throughout. Share of replications with p at most {LEVEL:.0%}.", "",
        "| Method | " + " | ".join(f"design {number}" for number in shares) + " | mean |", "|:---|" + "---:|" * (shares.shape[1] + 1),
        *(f"| {METHODS[name]} | " + " | ".join(f"{share:.1%}" for share in shares.loc[name]) + f" | {mean[name]:.1%} |" for name in RANDOMISATION), "",
        "Randomisation inference promises 5% over the ways in which treatment could have been dealt, not for one of them: schools of unequal size and "
        "weight are not exchangeable once the treated ones are fixed, for the mean of a small school varies more than that of a large one. A single "
        "design can therefore lie above or below 5%; the promise is kept over designs, as in the table before, by weights that do not depend on who "
        "was treated.", "",
    ]


def _coverage_text(mixed: pd.DataFrame) -> str:
    """Which intervals of the methods that decide fall short, in words."""
    decides = mixed["method"].isin(RANDOMISATION) | ((mixed["method"] == "CR2") & (mixed["df"] >= ENOUGH_DF))
    short = mixed[decides & (mixed["held"] < LEAST_COVERAGE)]
    names = {"randomisation": "randomisation with scaled weights", "randomisation_shares": "randomisation with weights before scaling", "CR2": "CR2"}
    listed = "; ".join(f"{names[row.method]} at {row.layout} ({row.held:.1%})" for row in short.itertuples())
    said = f"Below {LEAST_COVERAGE:.0%}, of the methods that decide: {listed}." if listed else f"None of the methods that decide is below {LEAST_COVERAGE:.0%}."
    return f"{said} Recommended for randomisation inference: weights as matching shares them out, before scaling to the number treated."


def _table(runs: pd.DataFrame, measure: str) -> list[str]:
    lines = ["| Method | " + " | ".join(layout.name for layout in LAYOUTS) + " |", "|:---|" + "---:|" * len(LAYOUTS)]
    shares = runs.pivot(index="method", columns="layout", values=measure)
    df = runs[runs["method"] == "CR2"].set_index("layout")["df"]
    for name, text in METHODS.items():
        lines.append(f"| {text} | " + " | ".join(f"{shares.loc[name, layout.name]:.1%}" for layout in LAYOUTS) + " |")
    return [*lines, "| *degrees of freedom of CR2* | " + " | ".join(f"*{df[layout.name]:.1f}*" for layout in LAYOUTS) + " |"]


def main() -> None:
    """Run every layout and write this part of the page."""
    write_part(RESULTS, PART, results_text(*run_all()))


if __name__ == "__main__":
    main()
    print(f"wrote {RESULTS.relative_to(ROOT).as_posix()}")
