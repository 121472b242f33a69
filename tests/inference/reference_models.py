"""The six models of `tests/reference/calls.md`, part 5, as fits of our own."""

from pathlib import Path

import pandas as pd

from evaluation.inference import linear

REFERENCE = Path(__file__).parents[1] / "reference"
# Both sides solve one small, well-conditioned problem exactly; R prints 16 digits.
ESTIMATE_TOLERANCE = 1e-9
# Eigenvalues and square roots lose a few digits on both sides, more where an adjustment matrix is nearly singular.
UNCERTAINTY_TOLERANCE = 1e-6
# Two routes of our own through one problem differ by rounding only.
ROUNDING = 1e-8

KINDS = ["CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"]
# model: (term of interest, weights, absorbed)
MODELS = {
    "m1": ("treated_school", None, ()),
    "m2": ("treated_school", "weight", ()),
    "m3": ("treated_school", None, ("area_id",)),
    "m4": ("treated_school", "weight", ("area_id",)),
    "m5": ("mentored", None, ("school_id",)),
    "m6": ("mentored", "weight", ("school_id",)),
}
# School effects with school clusters: I - H is singular within a school, and parameters outnumber clusters.
EXISTING = [(model, kind) for model in MODELS for kind in KINDS if not (kind in ("CR1p", "CR3") and model in ("m5", "m6"))]


def read_pupils():
    return pd.read_csv(REFERENCE / "data" / "clusters.csv")


def read_results(name):
    return pd.read_csv(REFERENCE / "results" / name).replace({"(Intercept)": "intercept"})


def fit_model(pupils, model, kind, cluster="school_id"):
    term, weights, absorb = MODELS[model]
    return linear(pupils, "change", [term, "prior_absence", "fsm"], weights=weights, absorb=absorb, cluster=cluster, kind=kind)
