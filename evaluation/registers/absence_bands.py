"""Published absence bands: reading, checking, and turning them into outcomes by authority and year.

The Department for Education publishes how many enrolments fall into each five-point band of the absence rate, the
last band running from 50 to 100%, by authority, school type, year group and characteristics ("absence band
distributions", published with the absence distributions dashboard). A rate on the edge of two bands belongs to the
upper one, so that bands from 10% upwards are the persistently absent and the last band the severely absent.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import DataError

if TYPE_CHECKING:
    from evaluation.protocol.area import AreaPanelSection, PublishedFigure

TABLE = "absence_bands"
BAND_EDGES = (0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 100)
BANDS = tuple(f"enrolments_absence_{low:02d}_{high:02d}" for low, high in zip(BAND_EDGES, BAND_EDGES[1:], strict=False))
PERSISTENT_FROM = 10
"""Percent of possible sessions missed from which an enrolment counts as persistently absent (from 2015/16)."""
SEVERE_FROM = 50
"""Percent of possible sessions missed from which an enrolment counts as severely absent."""

SCHOOL_TYPES = ("State-funded primary", "State-funded secondary", "Special")
LEVELS = ("National", "Local authority")
UNCLASSIFIED = "Unclassified"
FSM = ("Eligible", "Not Eligible", UNCLASSIFIED)
SEN = ("Any special educational need", "No identified special educational need", UNCLASSIFIED)
SEX = ("Female", "Male", UNCLASSIFIED)
CODED = {"geographic_level": LEVELS, "school_type": SCHOOL_TYPES, "fsm": FSM, "sen": SEN, "sex": SEX}
NAMES = ("region_name", "old_la_code", "new_la_code", "la_name")
CELL = ("time_period", "geographic_level", "old_la_code", "new_la_code", "school_type", "fsm", "sen", "sex", "nc_year")

PERSISTENT_BANDS = tuple(b for b, low in zip(BANDS, BAND_EDGES, strict=False) if low >= PERSISTENT_FROM)
SEVERE_BANDS = tuple(b for b, low in zip(BANDS, BAND_EDGES, strict=False) if low >= SEVERE_FROM)
MIDPOINTS = tuple((low + high) / 2 for low, high in zip(BAND_EDGES, BAND_EDGES[1:], strict=False))[:-1]
"""Percent of sessions; for every band but the last, whose mean absence is a parameter of the study."""


def read_absence_bands(folder: Path) -> pd.DataFrame:
    """Read and check ``absence_bands.parquet`` (or ``.csv``) in a folder.

    Parameters
    ----------
    folder : Path
        Folder that holds the file.

    Returns
    -------
    DataFrame
        One row per year, area, school type, characteristics and year group, as :func:`check_absence_bands` gives it.

    Raises
    ------
    DataError
        There is no folder or file, the file cannot be read, or a rule of the table is broken.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError("there is no such data folder", where=str(folder), mend="give the folder that holds absence_bands.parquet")
    files = [folder / f"{TABLE}{suffix}" for suffix in (".parquet", ".csv")]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        names = sorted(file.name for file in folder.iterdir() if file.is_file())
        near = difflib.get_close_matches(files[0].name, names, n=1, cutoff=0.6)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        raise DataError(f"the folder holds no `{files[0].name}`{hint}", where=folder.name,
                        mend=f"put the published bands there as `{files[0].name}`")
    try:
        text_columns = {name: "str" for name in ("time_period", *NAMES)}
        frame = pd.read_parquet(found) if found.suffix == ".parquet" else pd.read_csv(found, dtype=text_columns)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise DataError(f"the file cannot be read as {found.suffix[1:]}: {str(error).splitlines()[0]}", where=found.name,
                        mend="supply the file again; it may be empty or cut off") from error
    return check_absence_bands(frame, where=found.name)


def check_bands_file(folder: Path, root: Path, tables: Iterable[str]) -> None:
    """Hold the file of bands against its rules; ``root`` and ``tables`` are those of every kind's check of extracts.

    Raises
    ------
    DataError
        As :func:`read_absence_bands`.
    """
    read_absence_bands(folder)


def check_absence_bands(frame: pd.DataFrame, *, where: str = TABLE) -> pd.DataFrame:
    """Hold published bands against the rules of the table.

    Parameters
    ----------
    frame : DataFrame
        Any row order. Columns beyond those used here are left out.
    where : str
        Name of the file, for messages.

    Returns
    -------
    DataFrame
        Text columns as text, counts as ``int64``, sorted by cell.

    Raises
    ------
    DataError
        A column is missing (with the nearest name), of the wrong type, or holds a value that the rules exclude:
        negative or missing counts, an unknown school type, level or characteristic, an authority without code,
        a cell given twice, no row at all.
    """
    columns = [*CELL, "region_name", "la_name", *BANDS]
    for name in columns:
        if name not in frame.columns:
            near = difflib.get_close_matches(name, [str(c) for c in frame.columns if c not in columns], n=1, cutoff=0.6)
            hint = f"; the file has `{near[0]}`" if near else ""
            raise DataError(f"column `{name}` is missing{hint}", where=where,
                            mend=f"rename the column to `{name}`" if near else f"supply `{name}`")
    if frame.empty:
        raise DataError("the table has no rows", where=where, mend="supply the published bands")
    bands = frame[columns].reset_index(drop=True)
    for name in (*BANDS, "nc_year"):
        bands[name] = _whole_numbers(bands[name], name, where)
    for name in ("time_period", *CODED, *NAMES):
        bands[name] = _text(bands[name], name, where)
    _check_values(bands, where)
    return bands.sort_values(list(CELL), kind="stable", ignore_index=True)


def _whole_numbers(values: pd.Series, name: str, where: str) -> pd.Series:
    rule, mend = "a whole number that is not negative is required", "correct the value, or supply the file as published"
    if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        raise DataError(f"{rule}; the column holds {values.dtype}", where=f"{where}, column `{name}`", mend=mend)
    wrong = values.isna() | (values < 0) | (values % 1 != 0)
    if wrong.any():
        raise DataError(f"{rule}; found {values[wrong].iloc[0]}", where=f"{where}, column `{name}`, row {wrong.idxmax() + 1}", mend=mend)
    return values.astype("int64")


def _text(values: pd.Series, name: str, where: str) -> pd.Series:
    if not (pd.api.types.is_string_dtype(values.dtype) or isinstance(values.dtype, pd.CategoricalDtype) or values.isna().all()):
        raise DataError(f"text is required; the column holds {values.dtype}", where=f"{where}, column `{name}`",
                        mend="store codes as text, so that leading zeros stay")
    return values.astype("str").where(values.notna(), None).astype("str")


def _check_values(bands: pd.DataFrame, where: str) -> None:
    for name, known in CODED.items():
        wrong = ~bands[name].isin(known)
        if wrong.any():
            value = str(bands.loc[wrong.idxmax(), name])
            near = difflib.get_close_matches(value, known, n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            raise DataError(f"unknown value {value!r}{hint}", where=f"{where}, column `{name}`, row {wrong.idxmax() + 1}",
                            mend="use the published categories")
    malformed = ~bands["time_period"].str.fullmatch(r"20\d{4}")
    if malformed.any():
        raise DataError(f"{bands.loc[malformed.idxmax(), 'time_period']!r} is no academic year such as 202223",
                        where=f"{where}, column `time_period`, row {malformed.idxmax() + 1}", mend="write both years as six digits")
    local = bands["geographic_level"] == "Local authority"
    for name in NAMES:
        missing = local & bands[name].isna()
        if missing.any():
            raise DataError("an authority's row needs codes, name and region", where=f"{where}, column `{name}`, row {missing.idxmax() + 1}",
                            mend="supply the value")
    doubled = bands.duplicated(list(CELL), keep=False)
    if doubled.any():
        row = bands.loc[doubled.idxmax(), list(CELL)]
        said = ", ".join(f"{name} {value}" for name, value in row.items() if pd.notna(value))
        raise DataError(f"the same cell is given {int((bands[list(CELL)].fillna('') == row.fillna('')).all(axis=1).sum())} times: {said}",
                        where=f"{where}, row {doubled.idxmax() + 1}", mend="keep one row for each cell")


def academic_year(time_period: str) -> str:
    """``"202223"`` as ``"2022/23"``."""
    return f"{time_period[:4]}/{time_period[4:]}"


def authority_panel(bands: pd.DataFrame, spec: AreaPanelSection) -> pd.DataFrame:
    """Count enrolments by authority, year and whether their characteristics are classified.

    An enrolment is unclassified when its free school meal eligibility, special educational need or sex is: nearly all
    are short enrolments with very high absence, absent from the census that records characteristics. They stay in rows
    of their own, so that every later step says whether it counts them.

    Authorities are followed by their three-digit number; the name, region and nine-character code are those of the
    latest year.

    Parameters
    ----------
    bands : DataFrame
        As :func:`check_absence_bands` gives it.
    spec : AreaPanelSection
        School type, years and year groups counted.

    Returns
    -------
    DataFrame
        ``authority_code, academic_year, record`` ("classified" or "unclassified"), ``enrolments``, one column for each
        band, and ``fsm_eligible, fsm_known, sen_any, sen_known``: enrolments, whole numbers.

    Raises
    ------
    DataError
        A year of the study has no row for this school type.
    """
    local = bands[bands["geographic_level"] == "Local authority"]
    kept = local[_in_study(local, spec)].copy()
    kept["academic_year"] = kept["time_period"].map(academic_year)
    absent = sorted(set(spec.academic_years) - set(kept["academic_year"]))
    if absent:
        raise DataError(f"no rows for {spec.school_type} in {', '.join(absent)}", where=f"{TABLE}, column `time_period`",
                        mend="supply these years, or leave them out of area_panel.academic_years")
    kept["authority_code"] = kept["old_la_code"]
    unclassified = (kept[["fsm", "sen", "sex"]] == UNCLASSIFIED).any(axis=1)
    kept["record"] = np.where(unclassified, "unclassified", "classified")
    kept["enrolments"] = kept[list(BANDS)].sum(axis=1)
    for name, column, yes in (("fsm_eligible", "fsm", FSM[0]), ("sen_any", "sen", SEN[0])):
        kept[name] = kept["enrolments"].where(kept[column] == yes, 0)
        kept[name.split("_")[0] + "_known"] = kept["enrolments"].where(kept[column] != UNCLASSIFIED, 0)
    counts = ["enrolments", *BANDS, "fsm_eligible", "fsm_known", "sen_any", "sen_known"]
    return kept.groupby(["authority_code", "academic_year", "record"], as_index=False)[counts].sum()


def _in_study(bands: pd.DataFrame, spec: AreaPanelSection) -> pd.Series:
    return (
        (bands["school_type"] == spec.school_type)
        & bands["nc_year"].isin(spec.year_groups)
        & bands["time_period"].map(academic_year).isin(spec.academic_years)
    )


def authority_list(bands: pd.DataFrame, panel: pd.DataFrame, academic_years: Sequence[str]) -> pd.DataFrame:
    """List every authority in the bands with the years it has and how a changed one is handled.

    An authority that kept its three-digit number while its nine-character code changed is one authority (a county that
    became a unitary authority within its old boundary). One that was created, abolished or merged has another number:
    it is not joined to its predecessor, because no single body ran the joined area, and it is in no pool.

    Parameters
    ----------
    bands : DataFrame
        As :func:`check_absence_bands` gives it.
    panel : DataFrame
        As :func:`authority_panel` gives it.
    academic_years : sequence of str
        Years of the study.

    Returns
    -------
    DataFrame
        ``authority_code, authority_name, region_name, new_codes, years_present, first_year, last_year, in_every_year,
        handling``; codes without any enrolment of this school type have ``years_present`` 0.
    """
    local = bands[bands["geographic_level"] == "Local authority"].sort_values("time_period", kind="stable")
    names = local.groupby("old_la_code").agg(authority_name=("la_name", "last"), region_name=("region_name", "last"),
                                             new_codes=("new_la_code", lambda codes: ", ".join(dict.fromkeys(codes))))
    present = panel[panel["enrolments"] > 0].groupby("authority_code")["academic_year"].agg(["nunique", "min", "max"])
    listed = names.join(present).rename_axis("authority_code").reset_index()
    listed = listed.rename(columns={"min": "first_year", "max": "last_year"})
    listed["years_present"] = listed.pop("nunique").fillna(0).astype("int64")
    listed["in_every_year"] = listed["years_present"] == len(academic_years)
    recoded = listed["new_codes"].str.contains(", ", regex=False)
    listed["handling"] = np.select(
        [listed["years_present"] == 0, ~listed["in_every_year"], recoded],
        ["no enrolments of this school type", "left out: not in every year", "kept: new code, same number"],
        default="kept: unchanged",
    )
    return listed


def authority_outcomes(panel: pd.DataFrame, spec: AreaPanelSection) -> pd.DataFrame:
    """Turn counts by band into outcomes by authority and year.

    The shares are exact. The mean absence rate takes every enrolment at the mid-point of its band, and the last band at
    ``spec.last_band_midpoint``; it weights enrolments alike, whereas the official rate pools sessions.

    Returns
    -------
    DataFrame
        ``outcome`` ("persistent_absence", "severe_absence", "mean_absence"), ``measure``, ``authority_code,
        academic_year, enrolments`` (whole number) and ``value`` (percent of enrolments, or for the mean percent of
        sessions). Measures: "registered"; "other_unclassified" (unclassified enrolments left out where the protocol keeps
        them, or kept where it leaves them out); "last_band_low" and "last_band_high" (mean absence only). An authority
        and year without any enrolment that the measure counts has no row.
    """
    keys = ["authority_code", "academic_year"]
    everyone = panel.groupby(keys)[["enrolments", *BANDS]].sum()
    classified = panel[panel["record"] == "classified"].groupby(keys)[["enrolments", *BANDS]].sum()
    classified = classified.reindex(everyone.index, fill_value=0)
    registered, other = (everyone, classified) if spec.unclassified == "keep" else (classified, everyone)
    last = spec.last_band_midpoint
    parts = []
    for measure, counts in (("registered", registered), ("other_unclassified", other)):
        parts += [_share(counts, PERSISTENT_BANDS, "persistent_absence", measure), _share(counts, SEVERE_BANDS, "severe_absence", measure),
                  _mean_rate(counts, last.value, measure)]
    parts += [_mean_rate(registered, last.low, "last_band_low"), _mean_rate(registered, last.high, "last_band_high")]
    outcomes = pd.concat(parts, ignore_index=True)
    return outcomes[outcomes["enrolments"] > 0].reset_index(drop=True)


def _share(counts: pd.DataFrame, bands: Sequence[str], outcome: str, measure: str) -> pd.DataFrame:
    value = 100 * counts[list(bands)].sum(axis=1) / counts["enrolments"].where(counts["enrolments"] > 0)
    return _outcome_rows(counts, value, outcome, measure)


def _mean_rate(counts: pd.DataFrame, last_band: float, measure: str) -> pd.DataFrame:
    total = sum(counts[band] * point for band, point in zip(BANDS, (*MIDPOINTS, last_band), strict=True))
    return _outcome_rows(counts, total / counts["enrolments"].where(counts["enrolments"] > 0), "mean_absence", measure)


def _outcome_rows(counts: pd.DataFrame, value: pd.Series, outcome: str, measure: str) -> pd.DataFrame:
    rows = pd.DataFrame({"enrolments": counts["enrolments"], "value": value}).reset_index()
    return rows.assign(outcome=outcome, measure=measure)


def intake_counts(bands: pd.DataFrame, spec: AreaPanelSection) -> pd.DataFrame:
    """Say what became of every row of the table and of the unclassified enrolments: ``step, rows, enrolments, note``."""
    total = bands[list(BANDS)].sum(axis=1)
    local = bands["geographic_level"] == "Local authority"
    year = bands["time_period"].map(academic_year).isin(spec.academic_years)
    school = bands["school_type"] == spec.school_type
    group = bands["nc_year"].isin(spec.year_groups)
    used = local & year & school & group
    unclassified = used & (bands[["fsm", "sen", "sex"]] == UNCLASSIFIED).any(axis=1)
    steps = [
        ("read", pd.Series(True, index=bands.index), "all rows of the file"),
        ("national", ~local, "used for the check against published figures only"),
        ("other_year", local & ~year, "authority rows of years outside the study"),
        ("other_school_type", local & year & ~school, "authority rows of other school types"),
        ("other_year_group", local & year & school & ~group, "authority rows of year groups outside the study"),
        ("used", used, "rows of the study"),
        ("used_unclassified", unclassified,
         "among the rows used: unclassified characteristics, " + {"keep": "kept in the outcomes", "leave_out": "left out of the outcomes"}[spec.unclassified]
         + "; never counted in characteristics"),
    ]
    rows = [(position, step, int(mask.sum()), int(total[mask].sum()), note) for position, (step, mask, note) in enumerate(steps, 1)]
    return pd.DataFrame(rows, columns=["position", "step", "rows", "enrolments", "note"])


def check_published(bands: pd.DataFrame, figures: Iterable[PublishedFigure]) -> pd.DataFrame:
    """Recompute published figures from the bands, and hold the authorities' sum against the national rows.

    Returns
    -------
    DataFrame
        ``check_id, academic_year, authority, school_type, outcome, published, computed, agrees, source``. For "enrolments"
        rows the published value is the national count and the computed one the sum over authorities.

    Raises
    ------
    DataError
        A figure is not reproduced to the decimals given, or cannot be computed.
    """
    rows = []
    for figure in figures:
        chosen = bands[bands["time_period"].map(academic_year) == figure.academic_year]
        chosen = chosen[chosen["geographic_level"] == "National"] if figure.authority == "England" else chosen[chosen["old_la_code"] == figure.authority]
        if figure.school_type != "all":
            chosen = chosen[chosen["school_type"] == figure.school_type]
        enrolments = int(chosen[list(BANDS)].sum(axis=1).sum())
        counted = PERSISTENT_BANDS if figure.outcome == "persistent_absence" else SEVERE_BANDS
        computed = 100 * int(chosen[list(counted)].sum(axis=1).sum()) / enrolments if enrolments else None
        agrees = computed is not None and abs(computed - figure.value) <= 0.5 * 10**-figure.decimals + 1e-9
        rows.append((figure.academic_year, figure.authority, figure.school_type, figure.outcome, figure.value, computed, agrees, figure.source))
    sums = bands.assign(n=bands[list(BANDS)].sum(axis=1)).pivot_table(index="time_period", columns="geographic_level", values="n", aggfunc="sum")
    if set(LEVELS) <= set(sums.columns):
        for period, row in sums.dropna().iterrows():
            rows.append((academic_year(str(period)), "all authorities", "all", "enrolments", float(row["National"]), float(row["Local authority"]),
                         bool(row["National"] == row["Local authority"]), "national rows of the same file"))
    names = ["academic_year", "authority", "school_type", "outcome", "published", "computed", "agrees", "source"]
    checks = pd.DataFrame(rows, columns=names)
    checks.insert(0, "check_id", range(1, len(checks) + 1))
    failed = checks[~checks["agrees"].astype(bool)]
    if len(failed):
        row = failed.iloc[0]
        computed = "there is no row to compute it from" if pd.isna(row["computed"]) else f"{row['computed']:.6g} from the bands"
        raise DataError(f"{row['outcome']} of {row['authority']} ({row['school_type']}) in {row['academic_year']} is {row['published']} "
                        f"as published; {computed}; {len(failed)} check(s) fail", where=TABLE,
                        mend="supply the bands as published, or correct area_panel.published_figures with its source")
    return checks
