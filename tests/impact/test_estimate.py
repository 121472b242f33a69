"""An estimate with its context: the figures from a standard error, what is shown, and what cannot be changed."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from scipy.stats import norm, t

from evaluation.errors import DataError
from evaluation.impact import Estimate
from evaluation.impact.estimate import figures, tidy


def test_figures_are_those_of_t_and_of_the_normal():
    small = figures(2.0, 0.8, 7.5, conf_level=0.9)
    assert small["statistic"] == 2.5 and small["p_value"] == pytest.approx(2 * t.sf(2.5, 7.5))
    assert (small["conf_low"], small["conf_high"]) == pytest.approx((2 - 0.8 * t.ppf(0.95, 7.5), 2 + 0.8 * t.ppf(0.95, 7.5)))
    large = figures(2.0, 0.8)
    assert large["df"] == np.inf and large["p_value"] == pytest.approx(2 * norm.sf(2.5)) and large["conf_high"] == pytest.approx(2 + 0.8 * norm.ppf(0.975))


def test_a_missing_standard_error_leaves_no_interval_and_no_p_value():
    table = tidy(["a", "b"], [1.0, 2.0], [0.5, np.nan], 10.0)
    assert np.isfinite(table.iloc[0, 1:].to_numpy(float)).all()
    assert table.loc[1, ["statistic", "p_value", "conf_low", "conf_high"]].isna().all() and table.loc[1, "estimate"] == 2.0
    assert np.isnan(figures(1.0, np.nan)["p_value"])
    with pytest.raises(DataError, match="not between 0 and 1"):
        figures(1.0, 1.0, conf_level=95)


def test_context_is_shown_and_the_estimate_is_frozen():
    found = Estimate(**figures(-1.2, 0.4, 9.0), term="mentored <b>", level="referred", n=120, warnings=("Few & far.",))
    assert found.context == {"conf_level": 0.95, "level": "referred", "n": 120} and list(found.frame["term"]) == ["mentored <b>"]
    assert "level: referred, n: 120" in repr(found) and "Few &amp; far." in found._repr_html_() and "<b>" not in found._repr_html_()
    with pytest.raises(FrozenInstanceError):
        found.estimate = 0.0
