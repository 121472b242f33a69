"""Trials of the registered size: what the page says follows from the runs, and a few trials show what it shows."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.simulation import trial as t

FEW = 5  # trials; the standard deviation of an error is about 0.25 points for A and 0.45 for B


def runs_by_hand() -> pd.DataFrame:
    """Four trials of every scenario: A is off by 0.02 on average, B by 0.1 and under private decline by -2; one interval in four misses."""
    lines = []
    for scenario in (*t.by_rule(), *t.power_curve()):
        for seed in range(4):
            for estimand in ("A", "B"):
                truth = 0.1 * scenario.effect * (1 if estimand == "A" else 5)
                error = {"A": 0.02, "B": -2.0 if scenario.rule == "private_decline" else 0.1}[estimand] + 0.01 * (seed - 1.5)
                half = 0.001 if seed == 0 else 3.0
                lines.append({"size": scenario.size, "rule": scenario.rule, "effect": scenario.effect, "seed": 1001 + seed, "estimand": estimand, "truth": truth,
                              "estimate": truth + error, "conf_low": truth + error - half, "conf_high": truth + error + half, "std_error": 0.3,
                              "p_value": 0.01 if scenario.effect > 2 else 0.5, "pupils": 100, "test": "cr2_satterthwaite"})
    return pd.DataFrame(lines)


def test_scenarios_hold_every_rule_and_every_effect_once():
    listed = (*t.by_rule(), *t.power_curve())
    assert len(set(listed)) == len(listed) == len(t.RULES) + len(t.SIZES) * len(t.EFFECTS) - 1
    assert t._referred(t.section()) == 1665 and t._referred(t.design(t.Scenario("pilot", "window", 3.0))) == 350
    assert t.design(t.Scenario("trial", "level", 1.5)).referral.rule == "level" and t.design(t.Scenario("trial", "level", 1.5)).support.effect == 1.5
    pilot = t.design(t.Scenario("pilot", "window", 0.0))
    assert [area.name for area in pilot.areas] == ["Middlesbrough"] and pilot.support.effect == 0


def test_the_summary_is_about_errors_coverage_and_rejections():
    table = t.summarise(runs_by_hand())
    row = table.loc[("trial", "window", 3.0, "B")]
    assert row["trials"] == 4 and row["truth"] == pytest.approx(1.5) and row["error"] == pytest.approx(0.1) and row["coverage"] == 75 and row["rejected"] == 100
    assert row["error_se"] == pytest.approx(pd.Series([-1.5, -0.5, 0.5, 1.5]).std() * 0.01 / 2) and table.loc[("pilot", "window", 0.0, "A"), "rejected"] == 0


def test_a_refused_trial_finds_nothing_and_enters_no_mean():
    runs = runs_by_hand()
    mine = (runs["size"] == "pilot") & (runs["effect"] == 3.0) & (runs["seed"] == 1001)
    runs = runs.assign(test=runs["test"].where(~mine, t.REFUSED), **{name: runs[name].where(~mine) for name in t.MEASURED})
    row = t.summarise(runs).loc[("pilot", "window", 3.0, "B")]
    assert (row["trials"], row["refused"], row["rejected"], row["coverage"]) == (4, 1, 75, 100) and row["error"] == pytest.approx(0.1 + 0.01 * 0.5)
    assert "Refused trials leave too many referred pupils without a match, and count as not found. Trials" in t.results_text(runs)


def test_a_study_that_refuses_its_estimates_is_a_trial_without_them(monkeypatch):
    def refuse(*given, **more):
        raise t.UnidentifiedError("too few matches")

    monkeypatch.setattr(t, "estimates", refuse)
    monkeypatch.setattr(t, "draw_panel", lambda design, seed: None)
    found = t.run_one((t.Scenario("pilot", "window", 3.0), 5))
    assert found["estimand"].tolist() == ["A", "B"] and (found["test"] == t.REFUSED).all() and found["estimate"].isna().all() and (found["seed"] == 5).all()


def test_what_is_not_met_is_said_and_nothing_else():
    runs = runs_by_hand()
    said = t.unmet(t.summarise(runs))
    assert len(said) == 6 and all("hold the truth in 75.0%" in one for one in said), "four rules of A, two of B; the bias of B by private knowledge is its design's"
    assert t.shown(t.summarise(runs)) == ["A under `" + rule + "` (+0.02 ± 0.01)" for rule in t.RULES] + [
        f"B under `{rule}` ({-2.0 if rule == 'private_decline' else 0.1:+.2f} ± 0.01)" for rule in t.RULES]
    sound = runs.assign(conf_low=runs["truth"] - 1, conf_high=runs["truth"] + 1)
    assert t.unmet(t.summarise(sound)) == [] and "All are kept." in t.results_text(sound)
    off = sound.assign(estimate=sound["estimate"] + 0.1 * ((sound["estimand"] == "B") & (sound["rule"] == "level")))
    (only,) = t.unmet(t.summarise(off))
    assert only.startswith("B under `level` is off by +0.20 points (limit 0.16).") and only in t.results_text(off)


def test_the_page_has_a_line_for_every_rule_and_effect():
    said = t.results_text(runs_by_hand())
    assert said.count("| A | ") == said.count("| B | ") == len(t.RULES) and said.count("| trial | ") == said.count("| pilot | ") == len(t.EFFECTS)
    assert "| B | private knowledge of who will decline | 1.50 | -2.00 ± 0.01 | 0.01 | 0.30 | 75.0% ± 17.1 |" in said
    assert "`python -m tests.simulation.trial 4 4`: 4 trials" in said


def test_a_few_trials_chosen_by_private_knowledge_spare_the_offer_effect_and_not_the_effect_on_the_referred():
    scenario = t.Scenario("trial", "private_decline", 3.0)
    runs = pd.concat([t.run_one((scenario, seed)) for seed in range(1, 1 + FEW)], ignore_index=True)
    table = t.summarise(runs).droplevel(["size", "rule", "effect"])
    assert abs(table.loc["A", "error"]) < t.LIMITS["A"] + 3 * 0.25 / FEW**0.5
    assert table.loc["B", "error"] < -1.0 and table.loc["B", "coverage"] <= 40
    assert 0.2 < table.loc["A", "truth"] < 0.5 and 1.2 < table.loc["B", "truth"] < 1.9 and (runs["test"] == "cr2_satterthwaite").all()
