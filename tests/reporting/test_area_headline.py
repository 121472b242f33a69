"""The area study's sentences: verdict by rule, the fixed words beside every estimate, numbers that stand in a result row."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.impact.area_placebo import estimate_area_impact
from evaluation.impact.area_power import area_detectability
from evaluation.protocol.load import load_protocol
from evaluation.reporting import area_text
from evaluation.reporting.area_headline import area_headline, area_verdict
from evaluation.reporting.figures.area import gap_figure, placebo_figure, trajectory_figure
from evaluation.reporting.headline import ITEM_TITLES

ROOT = Path(__file__).resolve().parents[2]
YEARS = ("2016/17", "2017/18", "2018/19", "2020/21", "2021/22", "2022/23")
MEASURES = ("registered", "other_unclassified", "last_band_low", "last_band_high")


@pytest.fixture(scope="module")
def protocol():
    return load_protocol(ROOT / "params" / "middlesbrough_area_study.yaml").protocol


def make_tables(protocol, effect=0.0, drift=0.0, authorities=45):
    """Result tables of an invented area, without mentors anywhere else, with a known effect and a known drift."""
    rng = np.random.default_rng(7)
    codes = [str(900 - place) for place in range(authorities)]
    rows = []
    for outcome, level in (("persistent_absence", 20.0), ("severe_absence", 4.0), ("mean_absence", 9.0)):
        for code in ("806", *codes):
            series = level + np.cumsum(rng.normal(0, 0.05, len(YEARS)))
            if code == "806":
                series = level + drift * np.arange(len(YEARS)) + np.where(np.array(YEARS) == "2022/23", effect, 0.0)
            rows += [(outcome, measure, code, year, 9000, value) for measure in MEASURES for year, value in zip(YEARS, series, strict=True)]
    outcomes = pd.DataFrame(rows, columns=["outcome", "measure", "authority_code", "academic_year", "enrolments", "value"])
    sets = {code: [other for other in codes if other != code][:20] for code in ("806", *codes)}
    listed = [("all", code) for code in codes] + [("matched", code) for code in sets["806"]]
    pools = pd.DataFrame([(pool, "806", "Middlesbrough", "treated") for pool in ("all", "matched")] + [(pool, code, f"Area {code}", "comparison") for pool, code in listed],
                         columns=["pool", "authority_code", "authority_name", "role"])
    matches = pd.DataFrame([(code, match) for code, chosen in sets.items() for match in chosen], columns=["authority_code", "match_code"])
    impact = estimate_area_impact(outcomes, pools, matches, protocol.area_impact)
    return {"area_pools": pools, "area_estimates": impact.estimates, "area_gaps": impact.gaps, "area_drift": impact.drift, "area_placebos": impact.placebos,
            "area_detectable": area_detectability(impact.placebos, impact.gaps, protocol.area_impact)}


@pytest.mark.parametrize(
    ("effect", "drift", "verdict"),
    [(0.0, 0.0, "No clear evidence either way"), (-2.0, 0.0, "Attendance improved"), (-2.0, 0.6, "Promising, not secure"),
     (2.0, 0.0, "Attendance worsened"), (2.0, 0.6, "No clear evidence either way")],
)
def test_verdict_by_rule(protocol, effect, drift, verdict):
    tables = make_tables(protocol, effect, drift)
    assert area_verdict(tables["area_estimates"], tables["area_drift"], "mean_absence") == verdict
    headline = area_headline(protocol, tables, "published").set_index("key")["text"]
    assert headline["verdict"].startswith(f"{verdict}. This is not evidence of no effect.")


def test_pools_too_small_cannot_give_a_verdict(protocol):
    tables = make_tables(protocol)
    estimates = tables["area_estimates"].assign(conf_low=np.nan, conf_high=np.nan)
    assert area_verdict(estimates, tables["area_drift"], "mean_absence") == "Cannot be estimated"


def test_items_stand_in_the_order_of_every_report(protocol):
    headline = area_headline(protocol, make_tables(protocol), "published")
    assert [key for key in headline["key"] if key in ITEM_TITLES] == list(ITEM_TITLES)
    assert headline.loc[headline["key"] == "money", "text"].item().startswith("Cannot be answered by this study")


def test_every_number_of_the_headline_is_the_number_of_its_row(protocol):
    tables = make_tables(protocol, effect=-0.3)
    headline = area_headline(protocol, tables, "published").set_index("key")
    row = tables["area_estimates"].set_index("estimate_id").loc["mean_absence: all: registered"]
    assert headline.loc["effect", ["value", "conf_low", "conf_high"]].tolist() == row[["estimate", "conf_low", "conf_high"]].tolist()
    assert headline.loc["effect", "source_key"].split("; ")[0] == "mean_absence: all: registered"
    assert f"{abs(row['estimate']):.2f} points lower" in headline.loc["effect", "text"]
    detectable = tables["area_detectable"].set_index(["outcome", "pool"]).loc[("mean_absence", "all")]
    assert headline.loc["how_sure", "value"] == detectable["pupil_detectable"]
    assert headline["value"].notna().eq(headline["source_table"].notna()).all()


def test_fixed_words_stand_beside_every_estimate(protocol):
    for effect in (0.0, -2.0, 2.0):
        tables = make_tables(protocol, effect)
        lines = area_text.effect_list(tables["area_estimates"], "Middlesbrough").splitlines()
        assert len(lines) == 6 and all("This is not evidence of no effect." in line for line in lines)
        assert "This is not evidence of no effect." in area_text.effect_in_both(tables["area_estimates"], "severe_absence", "Middlesbrough")


def test_unsupported_numbers_are_printed_with_their_standing(protocol):
    tables, impact = make_tables(protocol), protocol.area_impact
    detectable = area_text.row_of(tables["area_detectable"], "mean_absence", "matched")
    sentence = area_text.dilution_sentence(detectable, impact.pupils_started, impact.months_of_support, impact.months_in_school_year, impact.plausible_effect,
                                           area_text.registered(tables["area_estimates"], "mean_absence", "matched"))
    assert "223 pupils [S2]" in sentence and "[S2] read only in the press" in sentence
    listed = area_text.statements_list(protocol)
    assert all(f"[{said.standing}]" in listed for said in (*protocol.report.programme_facts, *protocol.report.other_programmes))
    assert "[M] general knowledge, not verified" in listed


def test_an_earlier_movement_is_named_in_words(protocol):
    tables = make_tables(protocol, drift=0.6)
    for say in (area_text.drift_in_both(tables["area_drift"], tables["area_gaps"], "mean_absence"),
                area_text.drift_sentence(area_text.row_of(tables["area_drift"], "mean_absence", "all"), tables["area_gaps"], "Middlesbrough")):
        assert "before the programme" in say and "2016/17" in say
    flat = make_tables(protocol)
    assert "no movement before the programme stands out" in area_text.drift_in_both(flat["area_drift"], flat["area_gaps"], "mean_absence")


def test_what_the_effect_reverses_is_said():
    gaps = pd.DataFrame({"outcome": "mean_absence", "pool": "all", "academic_year": ["2020/21", "2021/22"], "period": ["before", "base"], "gap_from_base": [-1.0, 0.0],
                         "gap_p_two_sided": [0.01, None], "step": [None, 1.0], "step_p_two_sided": [None, 0.01]})
    drift = pd.Series({"outcome": "mean_absence", "pool": "all", "named": True, "farthest_gap_from_base": -1.0, "farthest_year": "2020/21", "farthest_p": 0.01, "drift_level": 0.1,
                       "years_named": "2020/21", "steps_named": "", "earlier_rms": 1.0, "earlier_rms_p": 0.5, "looks": 3, "n_placebos": 99, "effect_reverses": True})
    assert "return to the earlier gap" in area_text.drift_sentence(drift, gaps, "Here")
    assert "1.00 points below its 2021/22 value in 2020/21" in area_text.drift_sentence(drift, gaps, "Here")


def test_figures_show_every_outcome_and_mark_the_missing_year(protocol):
    tables, impact = make_tables(protocol), protocol.area_impact
    levels = trajectory_figure(tables["area_gaps"], "Middlesbrough", impact.follow_up_year, impact.support_began)
    assert len(levels.axes) == 3
    words = {text.get_text() for text in levels.axes[0].texts}
    assert "no figures" in words and any("late January 2023" in word for word in words) and {"Middlesbrough", "All authorities", "Matched authorities"} <= words
    assert [tick.get_text() for tick in levels.axes[0].get_xticklabels()][3] == "2019/20"
    drawn = [line for line in levels.axes[0].lines if len(line.get_xdata()) > 1]
    assert all(not (min(line.get_xdata()) < 2019 < max(line.get_xdata())) for line in drawn)  # no line crosses the missing year
    assert len(gap_figure(tables["area_gaps"], "Middlesbrough", impact.follow_up_year, impact.envelope_level).axes) == 6
    placebos = placebo_figure(tables["area_placebos"], "Middlesbrough")
    dots = [line for line in placebos.axes[0].lines if line.get_marker() == "s"]
    assert sum(len(line.get_xdata()) for line in dots) == 45


def test_alternative_texts_name_the_numbers(protocol):
    tables = make_tables(protocol, effect=1.5)
    alt = area_text.placebo_alt(tables["area_placebos"], "Middlesbrough")
    assert "mean absence against all authorities" in alt and "Middlesbrough" in alt
    assert "in 2022/23" in area_text.gap_alt(tables["area_gaps"], "Middlesbrough")
    assert "Middlesbrough" in area_text.gaps_alt(tables["area_gaps"], "Middlesbrough")
