"""The headline block of an area study, in the order of every report; what such a study cannot answer says so, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.protocol.load import digest_of, resolved
from evaluation.reporting.area_text import (
    NO_CLEAR_EVIDENCE,
    NOT_EVIDENCE_OF_NONE,
    OUTCOME_NAMES,
    POOL_NAMES,
    detectable_in_both,
    drift_in_both,
    effect_in_both,
    excludes_zero,
    p_text,
    quantity_text,
    registered,
    row_of,
    signed,
    standings_text,
    treated_name,
)
from evaluation.reporting.headline import NOT_ESTIMATED, HeadlineRow, headline_frame
from evaluation.reporting.text import date_text, is_missing, number_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from evaluation.protocol.area import AreaProtocol

POOLS = ("all", "matched")


def area_verdict(estimates: pd.DataFrame, drift: pd.DataFrame, outcome: str) -> str:
    """The verdict in its fixed wording.

    The rule: an improvement or a worsening needs an interval on one side of zero against both pools. It is secure only if,
    besides, no earlier movement is named against either pool. A worsening that is not secure is no clear evidence, since
    there is no fixed wording for it; the sentences below the verdict say what rose.
    """
    rows = [registered(estimates, outcome, pool) for pool in POOLS]
    if any(is_missing(row["conf_low"]) for row in rows):
        return NOT_ESTIMATED
    secure = not any(bool(row_of(drift, outcome, pool)["named"]) for pool in POOLS)
    if all(row["conf_high"] < 0 for row in rows):
        return "Attendance improved" if secure else "Promising, not secure"
    if all(row["conf_low"] > 0 for row in rows) and secure:
        return "Attendance worsened"
    return NO_CLEAR_EVIDENCE


def area_headline(protocol: AreaProtocol, tables: Mapping[str, pd.DataFrame], label: str) -> pd.DataFrame:
    """Build the table ``headline`` of an area study.

    Parameters
    ----------
    protocol : AreaProtocol
        The whole protocol.
    tables : mapping
        ``area_pools, area_estimates, area_gaps, area_drift, area_detectable``.
    label : str
        "published", "restricted" or "simulated".

    Returns
    -------
    DataFrame
        Table ``headline``.
    """
    name = treated_name(tables["area_pools"])
    outcome = protocol.report.headline_outcome
    rows = [
        HeadlineRow("label", f"{label.capitalize()} statistics; {protocol.report_kind} report."),
        *_verdict_rows(protocol, tables, name, outcome),
        *_effect_rows(protocol, tables, name, outcome),
        *_counterfactual_rows(protocol, tables, name, outcome),
        *_who_rows(protocol, tables, name, outcome),
        *_need_rows(protocol, tables, name),
        HeadlineRow("money", "Cannot be answered by this study: published statistics hold no costs and no effect on pupils to set them against."),
        *_sure_rows(protocol, tables, name, outcome),
        _so_what_row(),
        _provenance_row(protocol),
    ]
    return headline_frame(rows)


def _key(row: pd.Series) -> str:
    return str(row["estimate_id"])


def _pair(row: pd.Series) -> str:
    return f"{row['outcome']}, {row['pool']}"


def _verdict_rows(protocol: AreaProtocol, tables: Mapping[str, pd.DataFrame], name: str, outcome: str) -> list[HeadlineRow]:
    estimates = tables["area_estimates"]
    verdict = area_verdict(estimates, tables["area_drift"], outcome)
    reason = ": the pools are too small for any effect to be found" if verdict == NOT_ESTIMATED else ""
    reached = row_of(tables["area_detectable"], outcome, POOLS[0])
    small = "" if reached["attainable"] else (f" Support reached the equivalent of {number_text(100 * reached['dilution'], 1)}% of {name}'s enrolments for the whole year, too few for any likely effect on them to "
                                              f"show in the area's average.")
    first = HeadlineRow("verdict", f"{verdict}{reason}. {NOT_EVIDENCE_OF_NONE}{small}", float(reached["dilution"]), unit="share of enrolments supported",
                        source_table="area_detectable", source_key=_pair(reached))
    notable = [row for o in protocol.area_impact.outcomes for row in (registered(estimates, o, pool) for pool in POOLS) if excludes_zero(row)]
    more = []
    for row in notable:
        way = "rose" if row["estimate"] > 0 else "fell"
        started_before = bool(row_of(tables["area_drift"], row["outcome"], row["pool"])["named"])
        before = "A movement before the programme also stands out, so that the figures cannot say what caused it." if started_before else \
            "The figures cannot say what caused it."
        rows = estimates[(estimates["outcome"] == row["outcome"]) & (estimates["pool"] == row["pool"]) & (estimates["parallel"] == "proportion")]
        scaled = "" if rows.empty or excludes_zero(rows.iloc[0]) else (f" Measured in proportion to its level, the change is {signed(rows.iloc[0]['estimate'])} points and not "
                                                                       f"beyond what chance does ({p_text(rows.iloc[0]['p_two_sided'])}).")
        more.append(HeadlineRow(
            f"verdict_{row['outcome']}_{row['pool']}",
            f"{OUTCOME_NAMES[row['outcome']].capitalize()} {way} in {name} by {number_text(abs(row['estimate']), 2)} points relative to {POOL_NAMES[row['pool']]}, "
            f"more than is usual among authorities without mentors.{scaled} {before}",
            row["estimate"], row["conf_low"], row["conf_high"], row["scale"], "area_estimates", _key(row)))
    return [first, *more]


def _effect_rows(protocol: AreaProtocol, tables: Mapping[str, pd.DataFrame], name: str, outcome: str) -> list[HeadlineRow]:
    estimates, days = tables["area_estimates"], protocol.report.days_in_school_year
    wide, near = (registered(estimates, outcome, pool) for pool in POOLS)
    text = effect_in_both(estimates, outcome, name)
    if outcome == "mean_absence":
        text += f" Over a whole school year, {signed(wide['estimate'])} points are {signed(wide['estimate'] * days.value / 100, 1)} days of absence per enrolment. A point is a percentage point of sessions."
    rows = [HeadlineRow("effect", text, wide["estimate"], wide["conf_low"], wide["conf_high"], wide["scale"], "area_estimates", f"{_key(wide)}; {_key(near)}")]
    rows.append(HeadlineRow("effect_pupils", "The effect on pupils referred, eligible or started cannot be answered by this study: published statistics do not say who they were."))
    return rows


def _counterfactual_rows(protocol: AreaProtocol, tables: Mapping[str, pd.DataFrame], name: str, outcome: str) -> list[HeadlineRow]:
    gaps, impact = tables["area_gaps"], protocol.area_impact
    parts, others = [], {}
    for pool in POOLS:
        years = gaps[(gaps["outcome"] == outcome) & (gaps["pool"] == pool)].set_index("academic_year")
        after, base = years.loc[impact.follow_up_year], years.loc[list(impact.base_years)]
        own = after["treated_value"] - base["treated_value"].mean()
        others[pool] = float(after["comparison_value"] - base["comparison_value"].mean())
        parts.append(f"in {POOL_NAMES[pool]} by {signed(others[pool])} points")
    return [HeadlineRow(
        "counterfactual", f"{OUTCOME_NAMES[outcome].capitalize()} in {name} changed by {signed(own)} points from {', '.join(impact.base_years)} to {impact.follow_up_year}; "
                          f"{' and '.join(parts)}. The enrolments of one year are not those of the next.",
        others["all"], unit="percentage points", source_table="area_gaps", source_key="; ".join(f"{outcome}, {pool}, {impact.follow_up_year}" for pool in POOLS))]


def _who_rows(protocol: AreaProtocol, tables: Mapping[str, pd.DataFrame], name: str, outcome: str) -> list[HeadlineRow]:
    row, started = row_of(tables["area_detectable"], outcome, "all"), protocol.area_impact.pupils_started
    sizes = tables["area_pools"].query("role == 'comparison'").groupby("pool").size()
    return [HeadlineRow(
        "who", f"One authority with mentors ({name}, {number_text(row['enrolments'], 0)} {protocol.area_panel.school_type.lower()} enrolments), against "
               f"{sizes['all']} authorities, and against {sizes['matched']} matched ones. {quantity_text(started)} started support "
               f"({standings_text(started.standing)}); that is {number_text(100 * started.value / row['enrolments'], 1)}% of enrolments. Pupils eligible, "
               f"referred and analysed: not known here.",
        float(row["enrolments"]), unit="enrolments", source_table="area_detectable", source_key=_pair(row))]


def _need_rows(protocol: AreaProtocol, tables: Mapping[str, pd.DataFrame], name: str) -> list[HeadlineRow]:
    if "severe_absence" not in protocol.area_impact.outcomes:
        return [HeadlineRow("greatest_need", "Severe absence is not an outcome of this protocol.")]
    gap = tables["area_gaps"].query("outcome == 'severe_absence' and pool == 'all'").set_index("academic_year").loc[protocol.area_impact.follow_up_year]
    return [HeadlineRow(
        "greatest_need", f"The effect on severely absent pupils cannot be answered by this study: it follows none of them. They are "
                         f"{number_text(gap['treated_value'], 1)}% of enrolments in {name} in {protocol.area_impact.follow_up_year}, {number_text(gap['comparison_value'], 1)}% "
                         f"in all authorities of the comparison.",
        float(gap["treated_value"]), unit="% of enrolments", source_table="area_gaps", source_key=f"severe_absence, all, {protocol.area_impact.follow_up_year}")]


def _sure_rows(protocol: AreaProtocol, tables: Mapping[str, pd.DataFrame], name: str, outcome: str) -> list[HeadlineRow]:
    row = row_of(tables["area_detectable"], outcome, "all")
    rows = [HeadlineRow("how_sure", detectable_in_both(tables["area_detectable"], outcome), None if is_missing(row["pupil_detectable"]) else float(row["pupil_detectable"]),
                        unit="percentage points, per supported pupil", source_table="area_detectable", source_key="; ".join(f"{outcome}, {pool}" for pool in POOLS))]
    drifts = [row_of(tables["area_drift"], outcome, pool) for pool in POOLS]
    rows.append(HeadlineRow(
        "how_sure_threat", f"The largest threat: {name} was not drawn by lot, and may have been moving apart from other authorities already. "
                           f"{drift_in_both(tables['area_drift'], tables['area_gaps'], outcome)}",
        -float(drifts[0]["farthest_gap_from_base"]), unit="percentage points", source_table="area_drift", source_key="; ".join(_pair(row) for row in drifts)))
    rows.append(HeadlineRow("how_sure_rating", "No security rating: none applies to one authority without pupils followed."))
    return rows


def _so_what_row() -> HeadlineRow:
    return HeadlineRow("so_what", "Continue: no ground here for or against. Change: nothing here on how mentoring was done. Expand: no ground here. Stop: no ground here, since an "
                                  "effect on the pupils supported could be large and stay unseen. The Department decides, on the pupil-level evaluation.")


def _provenance_row(protocol: AreaProtocol) -> HeadlineRow:
    seen = sum(amendment.outcomes_seen for amendment in protocol.amendments)
    amended = f"{len(protocol.amendments)} changes since registration, {seen} of them after outcomes were seen" if protocol.amendments else "No changes since registration"
    years = protocol.area_panel.academic_years
    return HeadlineRow(
        "provenance", f"Study {protocol.study}, protocol version {protocol.protocol_version}, registered {date_text(protocol.registered_on)}, after these statistics had "
                      f"been published; digest {digest_of(resolved(protocol))[:12]}. Data: absence band distributions, Department for Education, {years[0]} to {years[-1]}. "
                      f"{amended}.")
