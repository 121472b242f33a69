"""The job training data of LaLonde, Dehejia and Wahba: the printed balance table of 1:1 matching on the logit score."""

import pandas as pd
import pytest

from evaluation.design import balance, match

ON = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
AFTER = {"distance": 0.9739, "age": 0.0718, "educ": -0.1290, "black": 1.0259, "hispan": -0.6629, "white": -0.7296, "married": -0.0552, "nodegree": 0.1546,
         "re74": -0.0505, "re75": -0.0257}  # fmt: skip
BEFORE = {"distance": 1.7941, "age": -0.3094, "educ": 0.0550, "black": 1.7615, "hispan": -0.3498, "white": -1.8819, "married": -0.8263, "nodegree": 0.2450,
          "re74": -0.7211, "re75": -0.2903}  # fmt: skip
MEANS = {"age": 25.3027, "educ": 10.6054, "black": 0.4703, "re74": 2342.1076, "re75": 1614.7451, "distance": 0.3629}
RATIOS = {"age": 0.4400, "re74": 0.5181}
PRINTED = 0.5e-4 + 1e-9  # four decimals are printed


@pytest.fixture(scope="module")
def trainees(published) -> pd.DataFrame:
    return pd.read_csv(published / "published" / "lalonde.csv")


def test_the_printed_table_of_matching_on_the_logit_score(trainees):
    result = match(trainees, "treat", on=ON, ties="order")
    levels = pd.get_dummies(trainees["race"], dtype=float)
    data = pd.concat([trainees, levels], axis=1).assign(distance=result.model.probability)
    table = balance(data, "treat", list(AFTER), result.weights).frame.set_index("covariate")
    assert table["smd_after"].to_dict() == pytest.approx(AFTER, abs=PRINTED)
    assert table["smd_before"].to_dict() == pytest.approx(BEFORE, abs=PRINTED)
    assert table.loc[list(MEANS), "mean_comparison"].to_dict() == pytest.approx(MEANS, abs=PRINTED)
    assert table.loc[list(RATIOS), "variance_ratio_before"].to_dict() == pytest.approx(RATIOS, abs=PRINTED)
    treated = trainees["treat"] == 1
    comparison = (trainees["re78"] * result.weights)[~treated].sum() / treated.sum()
    assert trainees.loc[treated, "re78"].mean() - comparison == pytest.approx(894.37, abs=0.005)


def test_the_experimental_difference(published):
    rows = pd.read_csv(published / "published" / "nsw_experimental.csv")
    means = rows.groupby("treat")["re78"].mean()
    assert means[1] - means[0] == pytest.approx(1794.34, abs=0.005)
