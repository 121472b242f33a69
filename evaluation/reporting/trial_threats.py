"""What could make the trial's answer wrong, by rule: the largest threats, and the choice of pupils that would explain the effect away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evaluation.impact.selection import INCLUDES_ZERO, ZERO
from evaluation.reporting.text import is_missing, number_text
from evaluation.reporting.trial_headline import REFERRAL, lead_estimand
from evaluation.reporting.trial_sentences import lower_first
from evaluation.reporting.trial_tables import FAILS, UNCLEAR, registered_checks
from evaluation.reporting.words import true_minus, unit_words

if TYPE_CHECKING:
    import pandas as pd

CHOICE = "choice_of_pupils"
"""Rule of the limitation that referral may follow what the registers do not hold."""


def threats(checks: pd.DataFrame, limitations: pd.DataFrame, most: int = 3) -> str:
    """Return the largest threats with what their test found, as a list: failed checks, how pupils were chosen, checks too imprecise to
    say, then the other limitations that hold by rule.

    Parameters
    ----------
    checks, limitations : pandas.DataFrame
        Tables ``robustness_checks`` and ``limitations``.
    most : int
        Threats listed at most.
    """
    if len(checks) == 0:
        return "No effect was estimated in this run, so that no check of one was made."
    own = registered_checks(checks)
    said = [f"{row['words']}: this does not hold{_found(row)}." for row in own.loc[own["outcome"].eq(FAILS)].to_dict("records")]
    holding = limitations.loc[limitations["triggered"].astype(bool)].sort_values("position")
    said += [_first_sentence(text) for text in holding.loc[holding["rule"].eq(CHOICE), "text"]]
    vague = [f"{lower_first(row['words'])}{_found(row)}" for row in own.loc[own["outcome"].eq(UNCLEAR)].to_dict("records")]
    said += [f"Too imprecise to say whether: {'; '.join(vague)}."] if vague else []
    said += [_first_sentence(text) for text in holding.loc[holding["rule"].ne(CHOICE), "text"]]
    if not said:
        return "No registered check failed and no limitation holds by rule. That is not proof that there is none."
    return "\n".join(f"- {true_minus(text)}" for text in said[:most])


def explained_away(selection: pd.DataFrame, diagnostics: pd.DataFrame) -> str:
    """Say which choice of pupils would explain the effect on pupils referred away, where that effect leads; empty where it does not.

    Parameters
    ----------
    selection, diagnostics : pandas.DataFrame
        Tables ``referral_selection`` and ``impact_diagnostics``.
    """
    if len(selection) == 0 or lead_estimand(diagnostics) != REFERRAL:
        return ""
    rows = selection.loc[selection["analysis"].eq(selection["analysis"].iloc[0])].set_index("reaches")
    points, first, bias = rows.at[ZERO, "points"], rows.at[INCLUDES_ZERO, "points"], rows.at[ZERO, "placebo_bias"]
    spread = rows.at[ZERO, "share_of_sd"]
    scale = "" if is_missing(spread) else f" ({number_text(spread, 2)} of a standard deviation of such changes)"
    doubt = "the interval includes zero as it is" if first == 0 else f"{number_text(abs(first), 1)} points would let the interval include zero"
    if is_missing(bias):
        placebo = "no placebo gave a number to set beside it"
    else:
        other = "" if bias * points > 0 else ", the other way"
        placebo = f"the largest bias found where there is no effect to find was {number_text(abs(bias), 1)} points ({rows.at[ZERO, 'placebo']}{other})"
    return (f"If attendance of the pupils referred had, even without a mentor, come out {number_text(abs(points), 1)} points {'better' if points >= 0 else 'worse'} than that "
            f"of similar pupils{scale}, the estimate would be zero; {doubt}; {placebo}.")  # fmt: skip


def _first_sentence(text: object) -> str:
    """Return the first sentence of a limitation; the whole is one click away and in the technical edition."""
    first, stop, _ = str(text).partition(". ")
    return first + stop.strip()


def _found(row: Mapping[str, Any]) -> str:
    """Return what a check found, where its text says more than its name."""
    if is_missing(row["value"]):
        return ""
    return f" (found {number_text(row['value'], 2)}{'' if is_missing(row['unit']) else ' ' + unit_words(str(row['unit']))})"
