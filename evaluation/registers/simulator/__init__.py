"""Extracts with a known truth: schools, pupils, marks, referrals, support and costs, drawn from a registered design."""

from .study import simulate_extracts

__all__ = ["simulate_extracts"]
