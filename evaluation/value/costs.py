"""What the programme cost, to whom, and for each pupil offered, referred or started."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from evaluation.errors import ContractError, DataError, UnidentifiedError

if TYPE_CHECKING:
    import pandas as pd

    from .terms import PresentValue

PERSPECTIVES = ("funder", "public_sector", "society")
DENOMINATORS = ("eligible", "referred", "started")
COUNTED = (*DENOMINATORS, "completed")
BREAKDOWNS = ("payer", "kind", "category", "delivery_model")
SHARED = "shared by all"
"""Delivery model of a cost that is recorded for none in particular."""
PREREQUISITE = "prerequisite"
"""Kind of a cost that a school must have borne already: listed apart, part of no total."""
TIME = ("school staff time", "family time")
"""Categories that are time, valued: part of the totals of those who give it, and shown apart as well."""
BASES = ("planned", "outturn")
MIXED = "mixed"
NEEDED = ("item", "category", "kind", "payer", "period", "amount", "price_year", "basis")
CURRENCY = "GBP"


def check_costs(costs: pd.DataFrame, *, study_periods: Sequence[str]) -> pd.DataFrame:
    """Hold a list of costs against the rules that make its rows addable.

    Parameters
    ----------
    costs : DataFrame
        One row a cost, with ``item, category, kind, payer, period, amount, price_year, basis`` ("planned" or
        "outturn") and, where they are recorded, ``currency`` (GBP when absent), ``credit`` (a refund or grant that
        lowers the cost; a negative amount must carry it) and ``vat`` (VAT on top of ``amount``, in the same money).
    study_periods : sequence of str
        Academic years whose costs belong to the study.

    Returns
    -------
    DataFrame
        A copy with ``currency`` and ``credit`` filled in, in the given order; ``vat`` stays missing where none is
        recorded, which is not the same as none paid.

    Raises
    ------
    ContractError
        A column that every cost needs is absent.
    DataError
        Names the first row that has no amount, a negative amount without the credit flag, a currency other than
        GBP, a period outside the study, no price year, or a basis that is neither planned nor outturn.
    """
    absent = [name for name in NEEDED if name not in costs.columns]
    if absent:
        raise ContractError(f"the costs lack {', '.join(f'`{name}`' for name in absent)}", where="costs",
                            mend="supply the column, or name it as the data dictionary does")
    checked = costs.copy()
    if "currency" not in checked:
        checked["currency"] = CURRENCY
    checked["credit"] = checked["credit"].fillna(False).astype(bool) if "credit" in checked else False
    checked["vat"] = checked["vat"].astype(float) if "vat" in checked else float("nan")
    checked["amount"] = checked["amount"].astype(float)
    periods = list(study_periods)
    unsigned = ~checked["credit"] & ((checked["amount"] < 0) | (checked["vat"] < 0))
    rules = (
        ("amount", checked["amount"].isna(), "there is no amount", "give the amount, or leave the row out with a note"),
        ("amount", unsigned, "a cost below zero without the credit flag",
         "set `credit` to true if it is a refund or grant, or correct the sign"),
        ("currency", checked["currency"].ne(CURRENCY), f"costs are added in {CURRENCY} only",
         f"convert the amount to {CURRENCY} and say at which rate"),
        ("period", ~checked["period"].isin(periods), f"the period is not one of the study's: {', '.join(periods)}",
         "correct the period, or add it to `study_periods` in the params file"),
        ("price_year", checked["price_year"].isna(), "there is no price year, so the amount cannot be put beside others",
         "give the price year in which the amount was recorded"),
        ("basis", ~checked["basis"].isin(BASES), f"the basis is not one of {', '.join(BASES)}",
         "say whether the amount was planned or is what was spent in the end (outturn)"),
    )
    for column, broken, said, mend in rules:
        if broken.any():
            _refuse(checked, column, broken, said, mend)
    return checked


def _refuse(costs: pd.DataFrame, column: str, broken: pd.Series, said: str, mend: str) -> None:
    position = int(broken.to_numpy().argmax())
    row = costs.iloc[position]
    name = f"row {position + 1} ({row['cost_id']}, {row['item']})" if "cost_id" in costs else f"row {position + 1} ({row['item']})"
    count = int(broken.sum())
    others = f"; {count} rows break this rule" if count > 1 else ""
    missing = row[column] is None or row[column] != row[column]
    value = "" if column == "price_year" or missing else f" (value {row[column]!r:.40})"
    raise DataError(f"{said}{value}{others}", where=f"costs, {name}, column `{column}`", mend=mend)


def to_price_base(costs: pd.DataFrame, price_base: str, deflators: Mapping[str, float] | None) -> pd.DataFrame:
    """State every amount in the prices of one year: amount x index(price base) / index(price year).

    Parameters
    ----------
    costs : DataFrame
        As :func:`check_costs` returns it.
    price_base : str
        The year whose prices are used.
    deflators : mapping of str to float, or None
        A published price index by year. None when every cost is in the price base already.

    Returns
    -------
    DataFrame
        A copy with ``amount`` and ``vat`` in the price base.

    Raises
    ------
    DataError
        Names the first row whose price year differs from the base and has no index. No index is ever guessed.
    """
    years = costs["price_year"].astype(str)
    other = years.ne(price_base)
    if not other.any():
        return costs.copy()
    index = dict(deflators or {})
    unknown = other & (~years.isin(index) | (price_base not in index))
    if unknown.any():
        _refuse(costs.assign(price_year=years), "price_year", unknown,
                f"its price year is {years[unknown].iloc[0]}, the study's price base is {price_base}, and `deflators` lacks one of them",
                "supply a published price index for both years as `deflators`, or choose another `price_base`")
    factor = years.map(lambda year: 1.0 if year == price_base else index[price_base] / index[year])
    return costs.assign(amount=costs["amount"] * factor, vat=costs["vat"] * factor)


def pupil_counts(cohort: pd.DataFrame, reach: pd.DataFrame) -> dict[str, int]:
    """Count the pupils of each denominator, each pupil once over the whole study.

    Parameters
    ----------
    cohort : DataFrame
        The cohort, one row per stack and pupil, with ``pupil_id, mentor_school, eligible``.
    reach : DataFrame
        Table ``delivery_reach``; its programme row gives pupils referred, started and completed.

    Returns
    -------
    dict
        ``eligible`` (pupils offered: they met the rule in a school with mentors), ``referred``, ``started``, ``completed``.
    """
    offered = cohort.loc[cohort["mentor_school"].astype(bool) & cohort["eligible"].astype(bool), "pupil_id"].nunique()
    programme = reach.loc[reach["level"].eq("programme")]
    if len(programme) != 1:
        raise ContractError(f"{len(programme)} programme rows where one is needed", where="table `delivery_reach`",
                            mend="write one row with `level` = programme")
    return {"eligible": int(offered), **{name: int(programme[name].iloc[0]) for name in ("referred", "started", "completed")}}


def costs_by_perspective(
    costs: pd.DataFrame, pupils: Mapping[str, int], *, payers: Mapping[str, Sequence[str]], vat_counted_in: Sequence[str],
    study_periods: Sequence[str], price_base: str, deflators: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Add up costs for the funder, the public sector and society, in total and by payer, kind, category and delivery model.

    A cost counts in a perspective when its payer does. VAT, where it is recorded, is a cost of the perspectives
    named (the Exchequer's) and never of society, to which it is a transfer. Each pupil is served once, so cost
    per pupil is the whole cost over all pupils, never a share of it per year. These are accounts: the whole cost
    over everyone counted, whether or not they could be analysed. The appraisal states cost over the pupils of its
    effect instead (see :func:`evaluation.value.terms.pupil_cost`). Costs of kind "prerequisite" are in no total: they
    would have been borne anyway, and stand apart with the value of staff and family time (breakdown "apart").

    Parameters
    ----------
    costs : DataFrame
        See :func:`check_costs`.
    pupils : mapping
        ``eligible, referred, started, completed``; see :func:`pupil_counts`.
    payers : mapping
        Payers by perspective.
    vat_counted_in : sequence of str
        Perspectives in which recorded VAT is a cost.
    study_periods, price_base, deflators
        See :func:`check_costs` and :func:`to_price_base`.

    Returns
    -------
    DataFrame
        ``perspective, breakdown, group, amount`` (GBP in the price base, VAT in it where the perspective counts
        VAT), ``of_which_vat`` (missing where no VAT is recorded), ``basis`` ("planned", "outturn" or "mixed"),
        ``share`` of the perspective's total, ``per_pupil_eligible``, ``per_pupil_referred``, ``per_pupil_started``,
        ``per_pupil_completed`` (``amount`` over each count of pupils; the last is missing where nobody completed), those
        counts, and ``price_base``. Costs of a delivery model are those recorded for it; the others are "shared by all".

    Raises
    ------
    DataError
        A cost that breaks a rule (see :func:`check_costs`), or whose payer no perspective counts.
    ContractError
        VAT counted for society, which would count a transfer as a cost.
    UnidentifiedError
        There is no pupil to divide by.
    """
    import pandas as pd

    if "society" in vat_counted_in:
        raise ContractError("VAT is a transfer, not a cost to society", where="value_for_money.vat_counted_in",
                            mend="leave `society` out of `vat_counted_in`")
    rows = comparable_costs(costs, study_periods=study_periods, price_base=price_base, deflators=deflators)
    stranger = ~rows["payer"].isin(list(payers["society"]))
    if stranger.any():
        _refuse(rows, "payer", stranger, "no perspective counts this payer", "add the payer to `payers`, or correct it")
    empty = [name for name in DENOMINATORS if pupils[name] <= 0]
    if empty:
        raise UnidentifiedError(f"no pupils {' or '.join(empty)}, so there is no cost per pupil", where="costs per pupil",
                                mend="check the cohort's eligibility rule and the referrals supplied")
    sums = [_sums(rows, perspective, payers[perspective], perspective in vat_counted_in) for perspective in PERSPECTIVES]
    table = pd.concat(sums, ignore_index=True)
    totals = table.loc[table["breakdown"].eq("total")].set_index("perspective")["amount"]
    total = table["perspective"].map(totals)
    table["share"] = (table["amount"] / total).where(total != 0)
    for name in COUNTED:
        table[f"per_pupil_{name}"] = table["amount"] / (pupils[name] or float("nan"))
        table[f"pupils_{name}"] = int(pupils[name])
    table["price_base"] = price_base
    order = ["perspective", "breakdown", "group", "amount", "of_which_vat", "basis", "share", *(f"per_pupil_{n}" for n in COUNTED),
             *(f"pupils_{n}" for n in COUNTED), "price_base"]
    return table[order].sort_values(["perspective", "breakdown", "group"], ignore_index=True)


def _sums(rows: pd.DataFrame, perspective: str, payers: Sequence[str], with_vat: bool) -> pd.DataFrame:
    """One perspective's costs in total and by each breakdown."""
    import pandas as pd

    own = with_perspective_vat(rows.loc[rows["payer"].isin(list(payers))], with_vat).assign(total="all")
    prerequisite = own["kind"].eq(PREREQUISITE)
    apart = own.assign(apart=own["category"].where(~prerequisite, PREREQUISITE)).loc[prerequisite | own["category"].isin(TIME)]
    within = own.loc[~prerequisite]
    lines = []
    for breakdown in ("total", *BREAKDOWNS, "apart"):
        for group, part in (apart if breakdown == "apart" else within).groupby(breakdown):
            lines.append((breakdown, group, part["amount"].sum(), part["of_which_vat"].sum(min_count=1), common_basis(part["basis"])))
    if within.empty:
        lines.append(("total", "all", 0.0, float("nan"), None))
    return pd.DataFrame(lines, columns=["breakdown", "group", "amount", "of_which_vat", "basis"]).assign(perspective=perspective)


def comparable_costs(costs: pd.DataFrame, *, study_periods: Sequence[str], price_base: str, deflators: Mapping[str, float] | None) -> pd.DataFrame:
    """The costs, checked and in one price base; a cost recorded for no delivery model is "shared by all"."""
    rows = to_price_base(check_costs(costs, study_periods=study_periods), price_base, deflators)
    model = rows["delivery_model"].astype(object) if "delivery_model" in rows else None
    return rows.assign(delivery_model=SHARED if model is None else model.where(model.notna(), SHARED))


def with_perspective_vat(rows: pd.DataFrame, counted: bool) -> pd.DataFrame:
    """The rows with ``amount`` as a perspective sees it: with recorded VAT where it counts VAT; and ``of_which_vat``."""
    vat = rows["vat"] if counted else rows["vat"] * 0.0
    return rows.assign(of_which_vat=vat, amount=rows["amount"] + vat.fillna(0.0))


def present_values(
    costs: pd.DataFrame, served: Mapping[str, int], pupils: Mapping[str, int], *, payers: Mapping[str, Sequence[str]], vat_counted_in: Sequence[str],
    base_year: str, schedule: Sequence[tuple[int, float]],
) -> dict[str, PresentValue]:
    """How much of each perspective's costs, and of a benefit to each pupil served, is left after discounting.

    Parameters
    ----------
    costs : DataFrame
        As :func:`comparable_costs` returns it.
    served : mapping of str to int
        Pupils who started by academic year: a benefit falls in the year in which a pupil is served.
    pupils : mapping of str to int
        See :func:`pupil_counts`; what a total covers.
    payers, vat_counted_in
        See :func:`costs_by_perspective`.
    base_year, schedule
        See :func:`evaluation.value.discounting.discount_factor`.

    Raises
    ------
    UnidentifiedError
        Nobody was served.
    """
    from .discounting import discount_factor, years_after
    from .terms import PresentValue

    factor = {period: discount_factor(years_after(period, base_year), schedule) for period in {*costs["period"], *served}}
    if not sum(served.values()) > 0:
        raise UnidentifiedError("no pupil was served", where="present values", mend="check the referrals supplied")
    benefit = sum(count * factor[period] for period, count in served.items()) / sum(served.values())
    found = {}
    for perspective in PERSPECTIVES:
        own = with_perspective_vat(costs.loc[costs["payer"].isin(list(payers[perspective])) & costs["kind"].ne(PREREQUISITE)], perspective in vat_counted_in)
        total = own["amount"].sum()
        spent = float((own["amount"] * own["period"].map(factor)).sum() / total) if total else 1.0
        found[perspective] = PresentValue(spent, benefit, base_year, {name: int(pupils[name]) for name in DENOMINATORS})
    return found


def common_basis(bases: Iterable[str | None]) -> str | None:
    """What several amounts rest on together: their one basis, "mixed" when they differ, None when there is none."""
    found = {basis for basis in bases if isinstance(basis, str)}
    return MIXED if len(found) > 1 else next(iter(found), None)
