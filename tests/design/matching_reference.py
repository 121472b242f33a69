"""The reference cohort and the options of every MatchIt run in ``tests/reference``, shared by the matching tests."""

from pathlib import Path

import pandas as pd

REFERENCE = Path(__file__).parents[1] / "reference"
ON = ["prior_absence", "idaci", "year_group", "sex", "fsm", "sen"]

PAIRED = {
    "nn_largest": {}, "nn_data": {"order": "data"}, "nn_smallest": {"order": "smallest"}, "nn_closest": {"order": "closest"}, "nn_caliper": {"caliper": 0.2},
    "nn_caliper_logit": {"caliper": 0.2, "distance": "logit"}, "nn_logit": {"distance": "logit"},
    "nn_caliper_abs": {"caliper": {"propensity": 0.03, "prior_absence": 0.05}, "caliper_unit": "absolute"}, "nn_exact": {"exact": ["fsm", "sex"]},
    "nn_exact_school": {"exact": ["school_id"]}, "nn_exact_caliper": {"exact": ["fsm", "sex"], "caliper": 0.1}, "nn_ratio2": {"ratio": 2},
    "nn_ratio2_caliper": {"ratio": 2, "caliper": 0.1}, "nn_replace": {"replace": True},
    "nn_replace_ratio3": {"replace": True, "ratio": 3, "caliper": 0.2}, "nn_mahal": {"distance": "mahalanobis"},
    "nn_robust": {"distance": "robust_mahalanobis"}, "nn_sceuc": {"distance": "scaled_euclidean"},
    "nn_mahvars": {"distance": "mahalanobis", "distance_on": ["prior_absence", "idaci"], "caliper": {"propensity": 0.25}},
    "nn_discard": {"common_support": "both"}, "nn_atc": {"estimand": "ATC", "replace": True},
}
OPTIMAL = {"optimal": {}, "optimal_mahal": {"distance": "mahalanobis"}, "optimal_ratio2": {"ratio": 2}}
FULL = {"full": {}, "full_caliper": {"caliper": 0.2}}
SETS = {
    "subclass6": {"method": "subclass", "subclasses": 6, "distance": "propensity"},
    "subclass5_ate": {"method": "subclass", "subclasses": 5, "estimand": "ATE", "distance": "propensity"},
    "cem_cut": {"method": "cem", "coarsen": {"prior_absence": [0.05, 0.1, 0.15, 0.2], "idaci": [0.15, 0.3, 0.45], "sen": [[0], [1, 2]],
                                             "year_group": [[7, 8], [9, 10, 11]]}},
    "cem_q4": {"method": "cem", "coarsen": {"prior_absence": "q4", "idaci": "q4"}}, "cem_sturges": {"method": "cem"},
    "exact": {"method": "exact", "on": ["year_group", "sex", "fsm", "sen"]},
}  # fmt: skip


def reference_pupils() -> pd.DataFrame:
    """The cohort of ``cohort.csv`` by pupil_id, with year group and SEN as categories."""
    data = pd.read_csv(REFERENCE / "data" / "cohort.csv", index_col="pupil_id")
    return data.assign(year_group=data["year_group"].astype("category"), sen=data["sen"].astype("category"))


def reference(name: str) -> pd.DataFrame:
    """A file of reference results."""
    return pd.read_csv(REFERENCE / "results" / f"{name}.csv")


def options_of(run: str) -> dict:
    """The arguments of ``match`` that ask for what a run of MatchIt asked for."""
    if run in PAIRED:
        return {"on": ON, "ties": "order", "distance": "propensity", **PAIRED[run]}
    if run in OPTIMAL:
        return {"on": ON, "ties": "order", "distance": "propensity", "method": "optimal", **OPTIMAL[run]}
    if run in FULL:
        return {"on": ON, "ties": "order", "distance": "propensity", "method": "full", **FULL[run]}
    return {"on": ON, **SETS[run]}


def rescaled(weights: pd.Series, expected: pd.Series, treated: pd.Series) -> pd.Series:
    """Our weights with each arm's total as in the reference, which scales them otherwise."""
    return weights * expected.groupby(treated).transform("sum") / weights.groupby(treated).transform("sum")
