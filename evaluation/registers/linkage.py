"""How well registers, census and delivery logs link on the pupil's pseudonym, by arm, school and characteristic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .panel import percentage

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CHARACTERISTICS = ("sex", "fsm", "sen_provision", "year_group")
LINKAGE_COLUMNS = ("link", "by", "value", "rows", "linked", "unlinked", "match_rate")
# Logs of the delivery partner and how their rows are called.
LOGS = {"referrals": "referrals", "meetings": "meetings", "barriers": "barriers", "survey_items": "survey answers"}
UNKNOWN_SCHOOL = "not known"


def linkage_table(accepted: Mapping[str, pd.DataFrame], panel: pd.DataFrame) -> pd.DataFrame:
    """Match rates between the sources of an extract.

    Parameters
    ----------
    accepted : mapping of DataFrame
        Accepted rows of the extract tables ``schools``, ``pupils``, ``referrals``, ``meetings``, and where they are
        there ``barriers`` and ``survey_items``.
    panel : DataFrame
        Table ``panel``: pupils with a mark in a half-term.

    Returns
    -------
    DataFrame
        Table ``linkage``: ``link, by, value, rows, linked, unlinked, match_rate`` (%). Census to registers: enrolments
        (pupil and year) with a mark in that year, by arm, school, sex, free school meals, special educational needs and
        year group. Delivery logs to census: rows whose pupil is on some roll; by arm and school of the referral (of the
        pupil's first referral for the other logs), referrals also by delivery model. Delivery logs to referrals: rows
        whose pupil was referred. An unlinked row is counted here and stays in its table.

    Notes
    -----
    Unlinked people differ from linked ones, so a rate that differs between arms or groups is a warning of bias (GUILD,
    Gilbert et al. 2018, Journal of Public Health 40(1)).
    """
    import pandas as pd

    arms = accepted["schools"].set_index("school_id")["mentor_school"].map({True: "with mentors", False: "without mentors"})
    parts = [_census_to_registers(accepted["pupils"], panel, arms)]
    enrolled, referrals = accepted["pupils"]["pupil_id"], accepted["referrals"]
    school_of = referrals.sort_values(["referral_date", "referral_id"]).drop_duplicates("pupil_id").set_index("pupil_id")["school_id"]
    for name, said in LOGS.items():
        log = accepted.get(name)
        if log is None or log.empty:
            continue
        rows = log.copy() if name == "referrals" else log.assign(school_id=log["pupil_id"].map(school_of))
        rows["school"] = rows["school_id"].astype(object).fillna(UNKNOWN_SCHOOL)
        rows["arm"] = rows["school_id"].map(arms).astype(object).fillna(UNKNOWN_SCHOOL)
        by = ("arm", "school", "delivery_model") if name == "referrals" else ("arm", "school")
        parts.append(_rates(rows.assign(linked=_among(rows["pupil_id"], enrolled)), f"{said} to census", by))
        if name != "referrals":
            parts.append(_rates(rows.assign(linked=_among(rows["pupil_id"], referrals["pupil_id"])), f"{said} to referrals", by))
    return pd.concat(parts, ignore_index=True)[list(LINKAGE_COLUMNS)]


def _census_to_registers(pupils: pd.DataFrame, panel: pd.DataFrame, arms: pd.Series) -> pd.DataFrame:
    import numpy as np

    rows = pupils.drop_duplicates(["pupil_id", "academic_year", "school_id"])
    years = rows["academic_year"].unique()
    linked = np.zeros(len(rows), dtype=bool)
    for year in years:
        here = (rows["academic_year"] == year).to_numpy()
        linked[here] = _among(rows.loc[here, "pupil_id"], panel.loc[panel["academic_year"] == year, "pupil_id"])
    rows = rows.assign(linked=linked, school=rows["school_id"], arm=rows["school_id"].map(arms))
    return _rates(rows, "census to registers", ("arm", "school", *CHARACTERISTICS))


def _among(values: pd.Series, known: pd.Series) -> np.ndarray:
    """Whether each value is among the known ones; many times faster than `isin` on text."""
    import pandas as pd

    return pd.Index(known.astype(object).unique()).get_indexer(values.astype(object)) >= 0


def _rates(rows: pd.DataFrame, link: str, by: tuple[str, ...]) -> pd.DataFrame:
    """Rates of one link, for all rows and by each column; missing values form no group."""
    import pandas as pd

    parts = []
    for name in by:
        table = rows["linked"].groupby(rows[name], sort=True).agg(["size", "sum"])
        parts.append(pd.DataFrame({"by": name, "value": [_said(value) for value in table.index], "rows": table["size"].to_numpy(), "linked": table["sum"].to_numpy()}))
    parts.insert(0, pd.DataFrame({"by": ["all"], "value": ["all"], "rows": [len(rows)], "linked": [int(rows["linked"].sum())]}))
    frame = pd.concat(parts, ignore_index=True).astype({"rows": "int64", "linked": "int64"}).assign(link=link)
    return frame.assign(unlinked=frame["rows"] - frame["linked"], match_rate=percentage(frame["linked"], frame["rows"]))


def _said(value: object) -> str:
    return {"True": "yes", "False": "no"}.get(str(value), str(value))
