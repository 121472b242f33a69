"""The sentences say what the rows say: a ratio with its set, or no ratio with its reason."""

from __future__ import annotations

import pandas as pd
import pytest
from scipy.stats import t as student

from evaluation.errors import ContractError
from evaluation.protocol.value import BenefitStream, Quantity
from evaluation.value import DaysEffect, PupilCost, appraise, cost_per_day_sentence, cost_words, share_sentence, valuations, vat_note, worth_sentence
from evaluation.value.wording import chance_in_words, pounds


def quantity(value: float, standing: str, low: float | None = None, high: float | None = None) -> Quantity:
    return Quantity(value=value, unit="GBP per day", source="this test", standing=standing, low=low, high=high, dated="today")


def appraised(days: float, error: float = 0.5, *, earnings: bool = True, ends=(0.0, 1.0), basis="planned") -> pd.DataFrame:
    reach = float(student.ppf(0.975, 12)) * error
    effect = DaysEffect("referred", "B", days, error, 12.0, days - reach, days + reach, 0.95, "B_referred_days")
    stream = {"stream": "lifetime earnings", "nature": "association", "per_day": quantity(750, "S2"), "causal_share": quantity(0.5, "judgement", *ends),
              "counted_in": ["public_sector"]}
    values = valuations(quantity(100, "judgement"), [BenefitStream(**stream)] if earnings else [])
    table = appraise(effect, PupilCost("referred", "public_sector", 900.0, 0.0, "2022/23", basis, 1.0), values, draws=5_000, seed=1)
    return table.assign(headline=True)


def test_a_ratio_comes_with_its_set():
    said = cost_per_day_sentence(appraised(2.0))
    assert said == ("Each pupil referred attended 2.00 more days over the measured window (95% interval of extra days 0.91 to 3.09). To the public "
                    "sector one extra day cost £450 (planned cost, prices of 2022/23); the 95% confidence set is from £291 to £988.")


def test_a_withheld_ratio_is_replaced_by_its_reason_and_its_set():
    said = cost_per_day_sentence(appraised(0.5))
    assert "No cost per extra day is given. The 95% interval of the effect (\u22120.59 to 1.59 days) includes zero" in said
    assert "£566 or above" in said
    assert "£1,800" not in said   # 900 over 0.5, the number that must not appear


def test_fewer_days_are_called_fewer():
    said = cost_per_day_sentence(appraised(-2.0))
    assert "attended 2.00 fewer days" in said
    assert "no extra day to divide the cost by" in said


def test_each_value_of_a_day_is_said_with_what_it_rests_on():
    said = worth_sentence(appraised(2.0))
    assert said.startswith("The planned cost to the public sector is £900 per pupil referred")
    assert worth_sentence(appraised(2.0, basis="outturn")).startswith("The outturn cost to")
    assert "worth £100 (base case; a planning choice), the net benefit per pupil is \u2212£700" in said
    assert "worth £375 (earnings, causal share; from a secondary source, not verified, association times a causal share (a planning choice))" in said
    assert "2.4 extra days per pupil would repay the cost" in said
    assert "earnings" not in worth_sentence(appraised(2.0, earnings=False))


def test_the_probability_is_said_with_the_share_held_fixed_and_with_the_share_uncertain():
    table = appraised(2.0)
    held, drawn = (
        table.loc[table["measure"].eq("probability_breaking_even") & table["scenario"].eq(name), "value"].item()
        for name in ("earnings, causal share", "earnings, causal share uncertain")
    )
    said = worth_sentence(table)
    assert held != drawn
    assert f"the share held fixed, is {chance_in_words(held)}." in said
    assert f"anywhere from 0 to 1, each as likely (a planning choice)), the probability of breaking even is {chance_in_words(drawn)}." in said
    assert "uncertain" not in worth_sentence(appraised(2.0, ends=(None, None)))


def test_the_share_that_breaks_even_comes_with_its_set():
    # 900 / 750 over the limits of the effect, 2 give or take 2.179 times its standard error
    assert "(95% set 39% to 132%; above 100% not even the whole association would repay the cost)" in share_sentence(appraised(2.0))
    assert "(95% set 50% to 75%)" in share_sentence(appraised(2.0, error=0.18))
    assert "1.09 times the association (95% set 0.78 to 1.81 times)" in share_sentence(appraised(1.1, error=0.2))
    withheld = share_sentence(appraised(0.5))
    assert "The 95% confidence set of that share is \u2212204% or below, or 75% or above" in withheld


def test_costs_are_called_what_they_are():
    assert [cost_words(bases) for bases in (["planned"] * 2, ["outturn"], ["planned", "outturn"], ["mixed"], [None])] == [
        "planned cost", "outturn cost", "partly planned cost", "partly planned cost", "cost"]
    assert vat_note(pd.DataFrame({"of_which_vat": [None, None]}, dtype="float64")).startswith("VAT not recorded")
    assert "not recorded" not in vat_note(pd.DataFrame({"of_which_vat": [0.0, None]}))


@pytest.mark.parametrize(
    ("days", "words"),
    [(2.0, "breaks even if 60% of the association"), (1.1, "it would take 1.09 times the association"), (0.2, "No break-even causal share is given")],
)
def test_the_causal_share_that_breaks_even(days, words):
    assert words in share_sentence(appraised(days, error=0.2))


def test_money_and_chances_are_never_more_certain_than_they_are():
    assert [pounds(v) for v in (1234.4, -1234.6, -0.2)] == ["£1,234", "\u2212£1,235", "£0"]
    assert [chance_in_words(v) for v in (0.0, 0.004, 0.25, 0.996, 1.0)] == ["below 1%", "below 1%", "25%", "above 99%", "above 99%"]


def test_a_table_without_headline_rows_is_refused():
    with pytest.raises(ContractError, match="0 headline rows"):
        worth_sentence(appraised(2.0).assign(headline=False))
