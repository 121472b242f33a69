"""Sentences on reach and security for the trial's headline, each built from the result rows it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evaluation.errors import ContractError
from evaluation.reporting.disclosure.profiles import find_profile
from evaluation.reporting.headline import NOT_ESTIMATED, HeadlineRow
from evaluation.reporting.text import is_missing, number_text
from evaluation.reporting.words import true_minus

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.protocol.trial import ReportSection, TrialProtocol

MENTORED, COMPARISON, REFERRED = "schools with mentors", "comparison schools", "referred pupils"
LEVEL_WORDS = {"eligible": "eligible pupils", "referred": "pupils referred", "started": "pupils who started"}


def smallest_count(protocol: TrialProtocol) -> int:
    """Return the fewest pupils that a sentence may count, by the registered disclosure profile: reports are passed on, whatever the data."""
    chosen = protocol.report.disclosure
    return find_profile(chosen.profile, chosen.changes).threshold


def count_words(value: Any, threshold: int) -> str:
    """Return a count of pupils as it may stand in prose: "fewer than 10" in place of one from 1 to 9 where the threshold is 10."""
    return f"fewer than {_count(threshold)}" if is_small(value, threshold) else _count(value)


def is_small(value: Any, threshold: int) -> bool:
    """Whether a count of pupils is above 0 and below the threshold."""
    return not is_missing(value) and 0 < float(value) < threshold


def one_row(frame: pd.DataFrame, table: str, **where: Any) -> Mapping[str, Any] | None:
    """Return the one row that matches, or None when there is none.

    Raises
    ------
    ContractError
        When several match: a sentence must not choose between rows.
    """
    found = frame
    for column, value in where.items():
        found = found.loc[found[column].eq(value).fillna(False).astype(bool)]
    if len(found) > 1:
        wanted = ", ".join(f"{column} = {value}" for column, value in where.items())
        raise ContractError(f"{len(found)} rows where a sentence needs one ({wanted})", where=f"table `{table}`",
                            mend="mark which row leads in the stage that writes the table")  # fmt: skip
    return found.iloc[0].to_dict() if len(found) else None


def who(flow: pd.DataFrame, reach: pd.DataFrame, threshold: int, lead: Mapping[str, Any] | None = None) -> list[HeadlineRow]:
    """Return who was offered, reached and analysed, and whom the leading effect rests on.

    Parameters
    ----------
    flow, reach : pandas.DataFrame
        Tables ``cohort_flow`` and ``delivery_reach``.
    threshold : int
        Fewest pupils that may be counted.
    lead : mapping, optional
        The leading row of table ``estimates``.
    """
    rows = []
    programme = one_row(reach, "delivery_reach", level="programme")
    if programme is not None:
        offered = "" if is_missing(programme["eligible"]) else (
            f"{count_words(programme['eligible'], threshold)} pupils met the absence rule in schools with mentors in the half-terms studied. In all, "
        )
        areas = int(reach["level"].eq("area").sum())
        places = f" and {areas} areas" if areas else ""
        few = any(is_small(programme[column], threshold) for column in ("referred", "started"))
        share = "" if few or is_missing(programme["share_started"]) else f" ({number_text(100 * programme['share_started'], 0)}%)"
        rows.append(HeadlineRow(
            "who",
            f"{offered}{count_words(programme['referred'], threshold)} were referred, of whom {count_words(programme['started'], threshold)} started{share} and "
            f"{count_words(programme['completed'], threshold)} completed, in {_count(programme['schools'])} schools that referred{places}.",
            _unless_small(programme["referred"], threshold), unit="pupils", source_table="delivery_reach", source_key="programme",
        ))  # fmt: skip
    counts = {group: _analysed(flow, group) for group in (REFERRED, COMPARISON)}
    if all(count is not None for count in counts.values()):
        treated, comparison = counts[REFERRED], counts[COMPARISON]
        rows.append(HeadlineRow(
            "who_analysed" if rows else "who",
            f"Analysed: {count_words(treated['pupils'], threshold)} of the pupils referred, in {_count(treated['schools'])} schools, who met the absence rule and "
            f"could be followed. {_rests_on(lead, comparison, threshold)}",
            _unless_small(treated["pupils"], threshold), unit="pupils", source_table="cohort_flow", source_key=f"{REFERRED}: {treated['step']}",
        ))  # fmt: skip
    return rows or [HeadlineRow("who", "No pupils were counted in this run.")]


def _unless_small(value: Any, threshold: int) -> Any:
    return None if is_small(value, threshold) else value


def _rests_on(lead: Mapping[str, Any] | None, comparison: Mapping[str, Any], threshold: int) -> str:
    """Say how many pupils stand behind the leading effect, or among whom similar pupils were sought."""
    if lead is None or is_missing(lead.get("n_treated")):
        return (
            f"Similar pupils were sought among {count_words(comparison['pupils'], threshold)} who met the same rule in {_count(comparison['schools'])} "
            "comparison schools."
        )
    alone = "" if is_missing(lead["unmatched"]) or lead["unmatched"] == 0 else f" ({count_words(lead['unmatched'], threshold)} had no similar pupil)"
    return (
        f"The leading effect rests on {count_words(lead['n_treated'], threshold)} of them{alone} and on {count_words(lead['n_comparison'], threshold)} similar pupils in "
        f"{_count(lead['schools_comparison'])} comparison schools."
        if lead["estimand"] == "B" else
        f"The leading effect rests on all {count_words(lead['n_treated'], threshold)} eligible pupils analysed in {_count(lead['schools_treated'])} schools with "
        f"mentors and on {count_words(lead['n_comparison'], threshold)} pupils in {_count(lead['schools_comparison'])} comparison schools."
    )


def _analysed(flow: pd.DataFrame, group: str) -> Mapping[str, Any] | None:
    """Return the last step of a group at which pupils go on."""
    rows = flow.loc[flow["group"].eq(group) & flow["kind"].eq("kept")]
    return rows.sort_values("position").iloc[-1].to_dict() if len(rows) else None


def intake(counts: pd.DataFrame) -> str:
    """Say whether rows were refused, and of which table most. Rows in all would tell those of the tables that may not leave.

    Parameters
    ----------
    counts : pandas.DataFrame
        Table ``intake_counts``.
    """
    if counts["rows_read"].sum() == 0:
        return "No rows were read."
    if counts["rows_rejected"].sum() == 0:
        return "No row of any table broke a rule."
    worst = counts.sort_values(["rejected_share", "table"], ascending=[False, True]).iloc[0]
    return (
        f"Rows that broke a rule were refused: {number_text(worst['rejected_share'], 2)}% of the rows of {worst['table']}, and no larger share of any other "
        "table. The technical edition lists the tolerance of each table."
    )


def choices_in_all(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the row behind the sentence on other choices: how many were estimated and how many not, smallest, middle and largest effect.

    Parameters
    ----------
    curve : pandas.DataFrame
        Table ``specification_curve``.
    """
    import pandas as pd

    known = curve["estimate"].dropna()
    return pd.DataFrame({"estimated": [len(known)], "not_estimated": [len(curve) - len(known)], "smallest": [known.min()], "median": [known.median()], "largest": [known.max()]})


def other_choices(curve: pd.DataFrame, tests: pd.DataFrame) -> str:
    """Say how far the effect moves over all registered choices of analysis, and whether all of them together could be chance.

    Parameters
    ----------
    curve, tests : pandas.DataFrame
        Tables ``specification_curve`` and ``specification_tests``.
    """
    known = curve["estimate"].dropna()
    if known.empty:
        return "No other choices of analysis were tried in this run."
    joint = one_row(tests, "specification_tests", statistic="median effect")
    tested = len(known) if joint is None or is_missing(joint.get("branches")) else int(joint["branches"])
    which = "" if tested == len(known) else f" over the {_count(tested)} that compare schools within areas"
    chance = "" if joint is None or is_missing(joint["p_value"]) else (
        f" Dealt out anew by chance, mentors would give so large a median{which} in {number_text(100 * joint['p_value'], 1)}% of cases.")
    left = len(curve) - len(known)
    return (
        f"Over {_count(len(known))} registered choices of analysis the effect lies between {number_text(known.min(), 1)} and {number_text(known.max(), 1)} points, half of them "
        f"at {number_text(known.median(), 1)} or more{f'; {_count(left)} more could not be estimated' if left else ''}.{chance}"
    )


RESPONDENTS = "pupils who started with a mentor"


def engagement(changes: pd.DataFrame, response: pd.DataFrame, threshold: int) -> str:
    """Say how answers to the survey changed among those who answered twice, which is no effect, and how many they are.

    Parameters
    ----------
    changes, response : pandas.DataFrame
        Tables ``survey_changes`` and ``survey_response``.
    threshold : int
        Fewest pupils that may be counted; fewer are too few to speak of.
    """
    own = changes.loc[changes["what"].eq(RESPONDENTS) & changes["estimate"].notna() & changes["pupils"].ge(threshold)]
    if own.empty:
        return "Engagement was not measured by a survey in this run, or too few answered to say how it changed."
    asked = response.loc[response["arm"].eq(RESPONDENTS)].groupby("scale")["pupils"].max()
    said = [
        f"{row['scale'].capitalize()} went from {number_text(row['mean_before'], 1)} to {number_text(row['mean_after'], 1)} among the {_count(row['pupils'])} of "
        f"{_count(asked[row['scale']])} pupils who started and answered both times"
        for row in own.to_dict("records")
    ]
    effect = changes["is_effect"].astype(bool).any()
    after = "" if effect else "\n\nNo effect on engagement can be told, because comparison pupils were not asked or too few answered: a change among those who answered is not an effect."
    return f"{'. '.join(said)}.{after}"


def models(effects: pd.DataFrame, threshold: int) -> str:
    """Say how each delivery model compares with the others in the same areas, or why it is not compared.

    Parameters
    ----------
    effects : pandas.DataFrame
        Table ``delivery_model_effects``.
    threshold : int
        Fewest pupils that may be counted; a model with fewer is not compared in words.
    """
    if effects.empty:
        return "No effect was estimated in this run, so delivery models are not compared."
    known = effects.loc[effects["estimate"].notna() & effects["conf_low"].notna()]
    if len(known) and known[["pupils", "pupils_beside"]].lt(threshold).any(axis=None):
        return f"Delivery models are not compared in words: one of them has fewer than {_count(threshold)} pupils."
    if known.empty:
        return f"Delivery models cannot be compared: {lower_first(str(effects['text'].iloc[0]))}."
    ahead = known.loc[known["estimate"] > 0] if len(known) == 2 else known
    said = [
        f"Pupils with the model {row['delivery_model']} did {number_text(abs(row['estimate']), 1)} points {'better' if row['estimate'] > 0 else 'worse'} than those with other models "
        f"({number_text(row['conf_low'], 1)} to {number_text(row['conf_high'], 1)}; set beside {_count(row['pupils_beside'])} pupils with other models in {_count(row['schools_beside'])} schools)"
        for row in ahead.to_dict("records")
    ]
    return f"{'. '.join(said)}. Models were not given to pupils by lot, so this may be a difference between pupils or schools."


def attrition_rating(attrition: pd.DataFrame, rules: ReportSection, unmatched: float | None = None) -> list[HeadlineRow]:
    """Return the security rating as far as design and attrition decide it, provisional and indicative, and the attrition that it rests on.

    They are two sentences, because the share lost may tell how few were lost, and then it stays behind where the rating need not.

    Lost are the pupils who could not be followed, in the arm that lost more, and among referred pupils also those without
    a similar pupil. The bands are those generally known of the Education Endowment Foundation's scale; they have not been
    checked against its current edition, which the sentence says.

    Parameters
    ----------
    attrition : pandas.DataFrame
        Table ``attrition``.
    rules : ReportSection
    unmatched : float, optional
        Referred pupils without a similar pupil, of the leading estimate.
    """
    lost = attrition.loc[attrition["lost"].astype(bool)]
    alone = 0.0 if is_missing(unmatched) else float(unmatched)
    shares = {}
    for group, extra in ((REFERRED, alone), (COMPARISON, 0.0)):
        rows = lost.loc[lost["group"].eq(group)]
        if len(rows) and rows["of_pupils"].max() > 0:
            shares[group] = (float(rows["pupils"].sum()) + extra) / float(rows["of_pupils"].max())
    if REFERRED not in shares:
        return [HeadlineRow("how_sure", "No security rating can be given: attrition could not be measured.")]
    share = max(shares.values())
    bands = [rating for rating, limit in zip((5, 4, 3, 2, 1), rules.security_attrition_bands, strict=True) if share <= limit]
    rating = min(rules.security_design_ceiling, bands[0] if bands else 0)
    other = f"; {number_text(100 * shares[COMPARISON], 1)}% in comparison schools" if COMPARISON in shares else ""
    return [
        HeadlineRow(
            "how_sure",
            f"Security rating: at most {rating} of 5, from the design and from attrition. Provisional, by rule, to be confirmed by peer reviewers. "
            "Self-assessed and indicative: the scale's bands were not checked against its current edition.",
            rating, unit="of 5", source_table="attrition", source_key=REFERRED,
        ),
        HeadlineRow(
            "how_sure_lost", f"Attrition: {number_text(100 * shares[REFERRED], 1)}% of referred pupils who entered were lost or had no similar pupil{other}.",
            100 * shares[REFERRED], unit="%", source_table="attrition", source_key=REFERRED,
        ),
    ]  # fmt: skip


def _count(value: Any) -> str:
    return number_text(value, 0)


def lower_first(text: str) -> str:
    """A sentence's words as they stand inside another sentence."""
    return true_minus(text[:1].lower() + text[1:])


def usable(table: pd.DataFrame, verdict: str) -> pd.DataFrame:
    """Return a table of effects, or none of its rows where the verdict is that they cannot be estimated."""
    return table.iloc[:0] if verdict.startswith(NOT_ESTIMATED) else table
