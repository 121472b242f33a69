"""The verdict: fixed wordings by a registered rule, so that nobody chooses words after seeing numbers."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from evaluation.errors import ContractError
from evaluation.impact.estimates import FRAGILE, POINTS, SAME_RULE
from evaluation.impact.judge import IMPRECISE
from evaluation.inference.decision import RANDOMISATION
from evaluation.protocol.trial import ImpactSection

IMPROVED = "Attendance improved"
PROMISING = "Promising, not secure"
UNCLEAR = "No clear evidence either way"
WORSENED = "Attendance worsened"
NOT_ESTIMATED = "Cannot be estimated"

WORDINGS = (IMPROVED, PROMISING, UNCLEAR, WORSENED, NOT_ESTIMATED)

CHECKS = {
    "between_areas_agrees": "the comparison between areas points the same way",
    "same_rule_agrees": "the same rule without matching points the same way",
    "offer_does_not_contradict": "the interval of the offer's effect is not wholly below zero",
}


SOURCE_OF_DERIVED = {"A": "A_eligible", "B": "B_referred"}
"""By estimand: stem of the analysis whose tests stand behind its leading row."""

CHECK_COLUMNS = ["name", "registered", "passed", "value", "unit", "text"]
NOT_MADE = "not made in this run, so that it has not passed"


@dataclass(frozen=True)
class Verdict:
    """A fixed wording, the reason for it, and each registered check (name, passed, what it says)."""

    wording: str
    reason: str
    checks: tuple[tuple[str, bool, str], ...]


def own_checks(estimates: pd.DataFrame, diagnostics: pd.DataFrame) -> pd.DataFrame:
    """The checks that compare registered estimates with one another; a check whose estimate does not exist has not passed.

    Returns
    -------
    DataFrame
        ``name, passed, value`` (the estimate that the check looks at), ``unit, text``.
    """
    lead = _leading(estimates, diagnostics)
    lines = []
    for name, said in CHECKS.items():
        row = _looked_at(name, estimates, lead)
        if row is None:
            lines.append((name, False, None, None, f"{said}: there is no such estimate"))
            continue
        contradicts = name == "offer_does_not_contradict"
        passed = not row["conf_high"] < 0 if contradicts else row["estimate"] * lead["estimate"] > 0
        lines.append((name, bool(passed), float(row["conf_high"] if contradicts else row["estimate"]), POINTS, said))
    return pd.DataFrame(lines, columns=["name", "passed", "value", "unit", "text"])


def checks_table(checks: pd.DataFrame, *, rules: ImpactSection) -> pd.DataFrame:
    """Table ``robustness_checks``: registered checks first, in the order of the protocol; one that was not made has not passed.

    Raises
    ------
    ContractError
        Two rows stand for one check.
    """
    if checks["name"].duplicated().any():
        raise ContractError(f"check `{checks.loc[checks['name'].duplicated(), 'name'].iloc[0]}` has two rows", where="robustness checks",
                            mend="give each check one row: the worst of its parts")
    lacking = [name for name in rules.robustness_checks if name not in set(checks["name"])]
    rows = [*checks.to_dict("records"), *({"name": name, "passed": False, "text": NOT_MADE} for name in lacking)]
    table = pd.DataFrame(rows, columns=["name", "passed", "value", "unit", "text"])
    table["registered"] = table["name"].isin(rules.robustness_checks)
    place = {name: number for number, name in enumerate(rules.robustness_checks)}
    order = table["name"].map(place).fillna(len(place)).sort_values(kind="stable").index
    return table.loc[order, CHECK_COLUMNS].reset_index(drop=True).astype({"passed": bool, "value": float})


def verdict(estimates: pd.DataFrame, diagnostics: pd.DataFrame, *, rules: ImpactSection, checks: pd.DataFrame) -> Verdict:
    """Put the leading estimate into one of five wordings.

    An interval that includes zero is "no clear evidence either way", never "no effect". Where so few assignments are possible that no
    effect could be told from zero, the effect cannot be estimated. Where the design criteria of CR2 fail, randomisation inference has
    decided, and the reason says that inference is fragile. A check that is too imprecise to say has not passed: a placebo that could find
    only a bias as large as the effect secures nothing. The reason tells such checks from those that failed.

    Parameters
    ----------
    estimates, diagnostics : DataFrame
        Tables ``estimates`` and ``impact_diagnostics`` (without its verdict rows).
    rules : ImpactSection
    checks : DataFrame
        Table ``robustness_checks``.

    Raises
    ------
    ContractError
        There is not exactly one leading row, or a registered check has no row.
    """
    row = _leading(estimates, diagnostics)
    own = checks.set_index("name")
    absent = [name for name in rules.robustness_checks if name not in own.index]
    if absent:
        raise ContractError(f"registered check `{absent[0]}` has no row", where="robustness checks", mend="pass the table that checks_table makes")
    stand = tuple((name, bool(own.loc[name, "passed"]), str(own.loc[name, "text"])) for name in rules.robustness_checks)
    beside = _beside(row, diagnostics)
    if pd.notna(row["p_floor"]) and row["p_floor"] > 1.0 - row["conf_level"]:
        return Verdict(NOT_ESTIMATED, f"{FRAGILE}: with so few possible assignments of mentors to schools no effect, however large, could be told from zero",
                       stand)
    if row["conf_low"] > 0:  # a missing end is an interval that does not end there
        failed = [said for _, passed, said in stand if not passed and not said.endswith(IMPRECISE)]
        unsure = [said.removesuffix(f": {IMPRECISE}") for _, passed, said in stand if not passed and said.endswith(IMPRECISE)]
        against = [f"but not: {'; '.join(failed)}"] if failed else []
        against += [f"but these registered checks were {IMPRECISE}: {', '.join(unsure)}"] if unsure else []
        if against:
            return Verdict(PROMISING, f"the interval is above zero, {'; '.join(against)}{beside}", stand)
        return Verdict(IMPROVED, f"the interval is above zero and every registered check passes{beside}", stand)
    if row["conf_high"] < 0:
        return Verdict(WORSENED, f"the interval is below zero{beside}", stand)
    return Verdict(UNCLEAR, f"the interval includes zero{beside}", stand)


def check_lines(found: Verdict) -> str:
    """The registered checks as a list, a line each: passed, not passed, or unable to tell."""
    return "\n".join(f"- {'Passed' if passed else 'Could not tell' if said.endswith(IMPRECISE) else 'Not passed'}: {said}"
                     for _, passed, said in found.checks)


def verdict_rows(found: Verdict) -> pd.DataFrame:
    """The verdict as rows of table ``impact_diagnostics``."""
    lines = [("study", "verdict", float(WORDINGS.index(found.wording) + 1), "wording 1 to 5", found.wording),
             ("study", "verdict_reason", None, None, found.reason)]
    lines += [("study", f"check_{name}", float(passed), "1 passed, 0 failed", said) for name, passed, said in found.checks]
    return pd.DataFrame(lines, columns=["analysis", "item", "value", "unit", "text"])


def _leading(estimates: pd.DataFrame, diagnostics: pd.DataFrame) -> pd.Series:
    """The row that leads by the registered rule, in points, on referred pupils."""
    offer_leads = diagnostics.loc[diagnostics["item"] == "lead_estimand", "value"].iloc[0] == 1.0
    estimand = "A" if offer_leads else "B"
    rows = estimates.loc[estimates["headline"].astype(bool) & (estimates["scale"] == POINTS) & (estimates["estimand"] == estimand)
                         & (estimates["level"] == "referred")]
    if len(rows) != 1:
        raise ContractError(f"{len(rows)} leading estimates of estimand {estimand} where one is needed", where="table `estimates`",
                            mend="mark exactly one comparison as headline")
    return rows.iloc[0]


def _looked_at(name: str, estimates: pd.DataFrame, lead: pd.Series) -> pd.Series | None:
    """The estimate that a check sets beside the leading one."""
    rows = estimates.loc[(estimates["scale"] == POINTS) & (estimates["outcome"] == lead["outcome"]) & (estimates["part"] == lead["part"])
                         & (estimates["weighting"] == lead["weighting"])]
    if name == "between_areas_agrees":
        rows = rows.loc[(rows["design"] != lead["design"]) & (rows["estimand"] == lead["estimand"]) & (rows["level"] == lead["level"])
                        & (rows["method"] == lead["method"])]
    elif name == "same_rule_agrees":
        rows = rows.loc[(rows["design"] == lead["design"]) & (rows["estimand"] == "B") & (rows["method"] == SAME_RULE)]
    else:
        rows = rows.loc[rows["headline"].astype(bool) & (rows["estimand"] == "A") & (rows["level"] == "eligible")]
    return rows.iloc[0] if len(rows) == 1 else None


def _beside(row: pd.Series, diagnostics: pd.DataFrame) -> str:
    """What must be said with the verdict: fragile inference, and tests that disagree."""
    said = f"; {FRAGILE}: {row['test_reason']}" if row["test"] == RANDOMISATION else ""
    analysis = SOURCE_OF_DERIVED.get(row["estimand"])
    own = diagnostics.loc[(diagnostics["item"] == "tests_disagree") & (diagnostics["value"] == 1.0)
                          & diagnostics["analysis"].str.startswith(f"{analysis}_{row['design']}")]
    return f"{said}; {own['text'].iloc[0][:1].lower()}{own['text'].iloc[0][1:]}" if len(own) else said
