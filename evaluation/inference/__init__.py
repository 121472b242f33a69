"""Numbers from arrays: estimates with their uncertainty, whatever the study behind them."""

from evaluation.inference.ranks import PlaceboRankTest, placebo_rank_test
from evaluation.inference.regression import LinearFit, linear

__all__ = ["LinearFit", "PlaceboRankTest", "linear", "placebo_rank_test"]
