"""From session marks to the pupil by half-term panel: whole-number counts, and the rates that follow from them."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from .codes import CODE_CHANGE, attendance_codes

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

# Department for Education: absent for 10% or more (50% or more) of the pupil's own possible sessions.
PERSISTENT_TIMES, SEVERE_TIMES = 10, 2
TICK_BITS = 127  # sessions of a half-term that fit into one signed integer of 128 bits

PANEL_COLUMNS = (
    "pupil_id", "half_term", "academic_year", "school_id", "area_code", "year_group", "sessions_possible", "sessions_attended",
    "sessions_authorised", "sessions_unauthorised", "sessions_not_possible", "sessions_no_mark", "sessions_approved_activity",
    "sessions_c2", "sessions_late", "sessions_suspended", "sessions_late_after_close", "sessions_open", "absence_rate",
    "persistent_absence", "severe_absence", "harmonised_possible", "harmonised_absent", "harmonised_absence_rate",
)


def load_codes(con: duckdb.DuckDBPyConnection) -> None:
    """Make table ``mark_classes`` (code, class_before, class_from, harmonised_class) in the connection."""
    con.execute("CREATE OR REPLACE TEMP TABLE mark_classes (code VARCHAR, class_before VARCHAR, class_from VARCHAR, harmonised_class VARCHAR)")
    con.executemany("INSERT INTO mark_classes VALUES (?, ?, ?, ?)",
                    [(c.code, c.class_before, c.class_from, c.harmonised_class) for c in attendance_codes().values()])


def tally_marks(con: duckdb.DuckDBPyConnection, relation: str) -> None:
    """Make table ``tallies``: one scan of a relation of marks, counted per pupil, half-term and code.

    The relation holds ``pupil_id, date, session, code``; the connection also holds ``days`` (date, half_term,
    academic_year, slot), the slot being the number of sessions of the half-term before the day.
    """
    query = resources.files(__package__).joinpath("tallies.sql").read_text(encoding="utf-8")
    query = query.replace("{marks}", relation).replace("{code_change}", f"{CODE_CHANGE:%Y-%m-%d}").replace("{slots}", str(TICK_BITS - 1))
    con.execute(f"CREATE OR REPLACE TEMP TABLE tallies AS {query}")


def count_sessions(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Sessions of each pupil and half-term by class of mark, from tables ``tallies`` and ``mark_classes``."""
    return con.execute(resources.files(__package__).joinpath("panel.sql").read_text(encoding="utf-8")).df()


def build_panel(counts: pd.DataFrame, enrolments: pd.DataFrame, schools: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """The pupil by half-term panel.

    Parameters
    ----------
    counts : DataFrame
        As :func:`count_sessions` returns it.
    enrolments, schools, terms : DataFrame
        Tables ``enrolments``, ``school_list`` and ``calendar_used``.

    Returns
    -------
    DataFrame
        Table ``panel``. Possible sessions are sessions attended (approved educational activities among them) plus
        sessions absent; gaps in the register and sessions that were not possible are neither. Rates are
        percentages of possible sessions, missing where there is none. Persistent and severe absence use whole
        numbers: 10 (2) times the sessions absent reach the sessions possible.

    Notes
    -----
    Department for Education, "Pupil absence in schools in England: methodology". The rates are of one half-term: a
    window rate is not the annual measure.
    """
    panel = counts.merge(terms[["half_term", "academic_year", "sessions_open"]], on="half_term", how="left", validate="many_to_one")
    places = enrolments[["pupil_id", "academic_year", "school_id", "year_group"]]
    panel = panel.merge(places, on=["pupil_id", "academic_year"], how="left", validate="many_to_one")
    panel = panel.merge(schools[["school_id", "area_code"]], on="school_id", how="left", validate="many_to_one")
    panel["sessions_attended"] = panel["sessions_attending"] + panel["sessions_approved_activity"]
    absent = panel["sessions_authorised"] + panel["sessions_unauthorised"]
    possible = panel["sessions_attended"] + absent
    panel["sessions_possible"] = possible
    panel["absence_rate"] = percentage(absent, possible)
    panel["persistent_absence"] = (PERSISTENT_TIMES * absent >= possible).astype("boolean").where(possible > 0)
    panel["severe_absence"] = (SEVERE_TIMES * absent >= possible).astype("boolean").where(possible > 0)
    panel["harmonised_possible"] = panel["harmonised_attended"] + panel["harmonised_absent"]
    panel["harmonised_absence_rate"] = percentage(panel["harmonised_absent"], panel["harmonised_possible"])
    return panel[list(PANEL_COLUMNS)]


def percentage(part: pd.Series, whole: pd.Series) -> pd.Series:
    """Part of a whole in per cent, missing where the whole is 0 (both whole numbers)."""
    return (100.0 * part / whole.where(whole > 0)).astype("float64")
