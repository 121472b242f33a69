"""The figures of the specification curve and of the bias of designs: what they draw is what the tables say."""

import numpy as np
import pandas as pd

from evaluation.reporting.figures.regression_to_the_mean import bias_figure
from evaluation.reporting.figures.specification_curve import curve_rows, specification_alt, specification_figure
from evaluation.reporting.palette import png_bytes


def curve() -> pd.DataFrame:
    lines = [("within_area", "nearest", "logit", 0.1, 1, 0.4, False), ("within_area", "nearest", "logit", 0.2, 2, 1.0, True), ("within_area", "nearest", "logit", None, 2, 1.2, False),
             ("within_area", "entropy", None, None, None, 1.5, False), ("between_areas", "nearest", "logit", 0.2, 2, np.nan, False)]
    frame = pd.DataFrame(lines, columns=["design", "method", "distance", "caliper", "ratio", "estimate", "registered"]).astype({"ratio": "Int64"})
    frame = frame.assign(entries="first", covariates="registered", outcome="absence_rate", windows="-4 to -2, 2 to 4", weighting="pupils", interval="CR2")
    return frame.assign(conf_low=frame["estimate"] - 1, conf_high=frame["estimate"] + 1)


def test_only_choices_on_which_estimated_branches_differ_are_shown():
    rows = {(title, option): taken.tolist() for title, option, taken in curve_rows(curve())}
    assert {title for title, _ in rows} == {"Method", "Caliper", "Ratio"}  # the branch between areas has no estimate
    assert rows["Caliper", "0.1 SD"] == [True, False, False, False] and rows["Caliper", "none"] == [False, False, True, False]  # entropy balancing has no caliper to leave out
    assert rows["Ratio", "2 for each"] == [False, True, True, False] and rows["Method", "entropy balancing"] == [False, False, False, True]


def test_the_curve_draws_every_estimate_and_marks_the_registered_one():
    figure = specification_figure(curve())
    upper, lower = figure.axes
    drawn = {line.get_label(): line for line in upper.get_lines()}
    assert drawn["Registered headline"].get_ydata().tolist() == [1.0] and drawn["Registered headline"].get_xdata().tolist() == [1]
    assert drawn["Other registered choices"].get_ydata().tolist() == [0.4, 1.2, 1.5]
    marks = sum(len(line.get_xdata()) for line in lower.get_lines() if line.get_marker() == "|")
    assert marks == sum(int(taken.sum()) for _, _, taken in curve_rows(curve()))
    assert png_bytes(figure) == png_bytes(specification_figure(curve()))
    assert specification_alt(curve()).startswith("Specification curve of 4 branches, from 0.4 to 1.5 points") and "The registered estimate is 1.0" in specification_alt(curve())


def test_the_bias_of_a_design_stands_on_its_row():
    biases = pd.DataFrame([("naive", rule, c, b) for rule, b in (("level", 2.0), ("window", 3.0)) for c in (0.2, 0.9)] + [("ours", "level", 0.2, 0.0), ("ours", "window", 0.2, 0.1)],
                          columns=["design", "rule", "correlation", "bias"])  # fmt: skip
    ax = bias_figure(biases, {"naive": "Before and after", "ours": "Same rule"}).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Before and after", "Same rule"]
    level = next(line for line in ax.get_lines() if "level" in line.get_label())
    assert level.get_xdata().tolist() == [2.0, 2.0, 0.0] and level.get_ydata()[0] > level.get_ydata()[-1]
