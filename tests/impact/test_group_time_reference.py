"""Group-time effects against the R packages did and DRDID, and csdid where DRDID's own errors are inexact."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.impact import GroupTimeEffects, group_time_effects

REFERENCE = Path(__file__).parents[1] / "reference"
ESTIMATE = 1e-8  # absolute, on rates between 0 and 1: R stops its logit early, else 1e-15 is met
STD_ERROR = 1e-6  # relative
P_VALUE = 6e-6  # R rounds its p-value to five decimals
# DRDID 1.2.3's errors of its doubly robust estimator for cross-sections and unbalanced panels are not exact: up to 1% off in a cell (reference folder's
# README); 2% where no better value was made, as that README allows.
INEXACT = 0.02
INEXACT_RUNS = {"u02", "r02", "r05", "w02"}
WEIGHTS_FROM = {"varying": "varying", "base_period": "base", "first_period": "first"}


def _calls() -> dict[str, str]:
    text = (REFERENCE / "calls.md").read_text(encoding="utf-8")
    return dict(re.findall(r"- `([aurw]\d\d)`: `att_gt\((.*)\)`\n", text))


CALLS = _calls()


def _argument(call: str, name: str) -> str | None:
    found = re.search(rf'\b{name}="?([^",]+)"?', call)
    return found.group(1) if found else None


def _covariates(formula: str) -> list[str]:
    return [] if formula == "~1" else [re.sub(r"factor\((.*)\)", r"\1", term) for term in formula[1:].split("+")]


def _table(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "results" / f"{name}.csv")


@pytest.fixture(scope="module")
def data() -> dict[str, pd.DataFrame]:
    frames = {"P": pd.read_csv(REFERENCE / "data" / "panel.csv"), "U": pd.read_csv(REFERENCE / "data" / "unbalanced_panel.csv")}
    return {name: frame.assign(sen=frame["sen"].astype(str)) for name, frame in frames.items()}


@pytest.fixture(scope="module")
def fits(data):
    made: dict[str, GroupTimeEffects] = {}

    def fit(run: str) -> GroupTimeEffects:
        if run not in made:
            call = CALLS[run]
            made[run] = group_time_effects(
                data[_argument(call, "data")], "absence_rate", unit=None if "panel=FALSE" in call else "pupil_id", time="half_term", start="start",
                covariates=_covariates(_argument(call, "xformla")), method=_argument(call, "est_method"),
                comparison="never" if _argument(call, "control_group") == "nevertreated" else "not_yet",
                base_period=_argument(call, "base_period"), anticipation=int(_argument(call, "anticipation")),
                cluster=_argument(call, "clustervars"), weights=_argument(call, "weightsname"),
                weights_from=WEIGHTS_FROM.get(_argument(call, "fix_weights")),
                unbalanced="keep" if "allow_unbalanced_panel=TRUE" in call else "drop",
            )  # fmt: skip
        return made[run]

    return fit


def test_every_run_of_the_reference_is_compared():
    assert set(CALLS) == set(_table("attgt")["run"])
    assert len(CALLS) == 32


@pytest.mark.parametrize("run", CALLS)
def test_effects_by_start_and_period(run, fits):
    want = _table("attgt").query("run == @run").set_index(["group", "t"]).sort_index()
    got = fits(run).frame.set_index(["start", "time"]).sort_index()
    assert list(got.index) == list(want.index)
    np.testing.assert_allclose(got["estimate"], want["att"], rtol=0, atol=ESTIMATE)
    np.testing.assert_allclose(got["std_error"], want["se"], rtol=INEXACT if run in INEXACT_RUNS else STD_ERROR)


@pytest.mark.parametrize("run", ["u01", "u02", "r01", "r02"])
def test_errors_of_cross_sections_are_those_of_csdid(run, fits):
    want = _table("attgt_rc_dr_csdid").query("run == @run").set_index(["group", "t"]).sort_index()
    got = fits(run).frame.set_index(["start", "time"]).sort_index().loc[want.index]
    np.testing.assert_allclose(got["estimate"], want["att_csdid"], rtol=0, atol=ESTIMATE)
    np.testing.assert_allclose(got["std_error"], want["se_csdid"], rtol=STD_ERROR)


@pytest.mark.parametrize("run", CALLS)
def test_averages(run, fits):
    rtol = INEXACT if run in INEXACT_RUNS else STD_ERROR
    for kind, want in _table("attgt_agg").query("run == @run").groupby("type"):
        options = {}
        if "balance" in kind:
            options = {"balance": int(kind[-1])}
        elif "min_e" in kind:
            options = {"min_event": -3, "max_event": 2}
        got = fits(run).aggregate(kind.split("_")[0].replace("dynamic", "event"), **options)
        overall = want[want["egt"] == "overall"].iloc[0]
        assert got.overall.estimate == pytest.approx(overall["att"], abs=ESTIMATE)
        assert got.overall.std_error == pytest.approx(overall["se"], rel=rtol)
        rows = want[want["egt"] != "overall"]
        if kind != "simple":
            assert got.frame.iloc[:, 0].tolist() == rows["egt"].astype(int).tolist()
            np.testing.assert_allclose(got.frame["estimate"], rows["att"], rtol=0, atol=ESTIMATE)
            np.testing.assert_allclose(got.frame["std_error"], rows["se"], rtol=rtol)


@pytest.mark.parametrize("run", [run for run in CALLS if run not in INEXACT_RUNS])
def test_joint_test_before_the_start(run, fits):
    """R tests the periods of anticipation too (runs a10, a11, a18); the project's own test leaves them out."""
    want = _table("attgt_pretest").set_index("run").loc[run]
    got = fits(run).test_before_start(anticipation="include")
    assert got.statistic == pytest.approx(want["W"], rel=STD_ERROR)
    assert got.p_value == pytest.approx(want["p"], abs=P_VALUE)
    if run not in ("a10", "a11", "a18"):
        assert fits(run).pre_test == got
    else:
        assert fits(run).pre_test.df == got.df - 3


def test_influence_functions(fits):
    want = _table("attgt_inffunc_a04").set_index("pupil_id")
    got = fits("a04").influence_functions().loc[want.index]
    for column in want.columns:
        start, time = map(int, re.fullmatch(r"g(\d+)_t(\d+)", column).groups())
        np.testing.assert_allclose(600 * got[start, time], want[column], rtol=0, atol=ESTIMATE)


def test_covariance_of_the_event_study(fits):
    want = _table("attgt_a04_dynamic_vcov").set_index("e")
    got = fits("a04").aggregate("event").vcov
    assert list(got.index) == list(want.index)
    np.testing.assert_allclose(got, want, rtol=STD_ERROR, atol=1e-12)


COVARIATES = {"x0": [], "x1": ["fsm", "prior_absence"], "x2": ["fsm", "prior_absence", "sen", "sex"]}
METHODS = {"dr_trad": "dr", "ipw_norm": "ipw", "or": "reg"}


def _two_period_runs() -> list[tuple]:
    runs = []
    for run in _table("drdid")["run"]:
        found = re.fullmatch(r"(dr_trad|ipw_norm|or)_(panel|rc|rcU)_(x\d)(_w)?", run)
        if found:
            runs.append((run, *found.groups()))
    return runs


def test_the_two_period_estimators_offered_are_all_compared():
    assert len(_two_period_runs()) == 3 * (6 + 6 + 2)


@pytest.mark.parametrize(("run", "method", "kind", "covariates", "weighted"), _two_period_runs())
def test_two_periods(run, method, kind, covariates, weighted, data):
    """drdid.csv: `se_numeric`, the numerical derivative, where DRDID's own error is inexact."""
    want = _table("drdid").set_index("run").loc[run]
    rows = data["U" if kind == "rcU" else "P"].query("half_term in (3, 6)")
    rows = rows.assign(start=np.where(rows["start"] > 0, 6, 0))
    got = group_time_effects(rows, "absence_rate", unit="pupil_id" if kind == "panel" else None, time="half_term", start="start",
                             covariates=COVARIATES[covariates], method=METHODS[method], weights="weight" if weighted else None).frame  # fmt: skip
    assert len(got) == 1
    assert got["estimate"][0] == pytest.approx(want["att"], abs=ESTIMATE)
    assert got["std_error"][0] == pytest.approx(want["se"] if np.isnan(want["se_numeric"]) else want["se_numeric"], rel=STD_ERROR)
