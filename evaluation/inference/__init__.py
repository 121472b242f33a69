"""Numbers from arrays: estimates with their uncertainty, whatever the study behind them."""

from evaluation.inference.bands import SimultaneousBand, simultaneous_band
from evaluation.inference.decision import DecisionTest, count_clusters, decision_test, design_df
from evaluation.inference.leverage import Leverage
from evaluation.inference.multiplicity import AdjustedPValues, adjust_p_values
from evaluation.inference.randomisation import RandomisationTest, randomisation_test
from evaluation.inference.ranks import PlaceboRankTest, placebo_rank_test
from evaluation.inference.regression import LinearFit, linear
from evaluation.inference.wald import WaldTest
from evaluation.inference.wild import WildTest

__all__ = [
    "AdjustedPValues", "DecisionTest", "Leverage", "LinearFit", "PlaceboRankTest", "RandomisationTest", "SimultaneousBand", "WaldTest", "WildTest",
    "adjust_p_values", "count_clusters", "decision_test", "design_df", "linear", "placebo_rank_test", "randomisation_test", "simultaneous_band",
]
