"""Cost per pupil per year as the Education Endowment Foundation averages it, and its band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from evaluation.errors import ContractError, DataError, UnidentifiedError

from .costs import PREREQUISITE, TIME

if TYPE_CHECKING:
    import pandas as pd

YEARS = 3
BANDS = ("very low", "low", "moderate", "high", "very high")


def cost_band(amount: float, limits: Sequence[float]) -> str:
    """The band of a cost per pupil per year: "very low" *below* the first limit, then up to and at each further one.

    Parameters
    ----------
    amount : float
        GBP per pupil per year.
    limits : sequence of 4 floats
        Of the edition used, rising.
    """
    if len(limits) != len(BANDS) - 1 or list(limits) != sorted(set(limits)) or amount != amount:
        raise ContractError(f"limits {list(limits)}, amount {amount}", where="cost band", mend="give four rising limits and an amount")
    if amount < limits[0]:
        return BANDS[0]
    return next((name for name, limit in zip(BANDS[1:], limits[1:], strict=False) if amount <= limit), BANDS[-1])


def eef_cost(costs: pd.DataFrame, pupils_served: Mapping[str, int], *, limits: Sequence[float], edition: str) -> pd.DataFrame:
    """Average cost per pupil per year over three years: all money of the three over the sum of pupils served in each.

    Set-up and running costs are kept apart, and so are prerequisites and the time of schools and families, which count
    in no year's cost per pupil. A pupil is served in the year in which support starts and in no other, so the average of
    a single dose is its whole cost per pupil: it is never divided by three.

    Parameters
    ----------
    costs : DataFrame
        ``period, kind, category, amount`` in one price base, as :func:`evaluation.value.to_price_base` returns it.
    pupils_served : mapping of str to int
        Pupils who started, by academic year.
    limits, edition
        See :func:`cost_band`; the edition of the bands, as it is printed.

    Returns
    -------
    DataFrame
        A row per year and one for all (``period`` "all"): ``period, set_up, running, prerequisite, time_valued, pupils,
        per_pupil, band, edition``. Money in GBP; ``time_valued`` is the registered value of the time listed apart. A year has no
        band: only the average over the three does.

    Raises
    ------
    UnidentifiedError
        No pupil was served.
    DataError
        Costs in more than three years, or pupils served in a year that has no cost.
    """
    import pandas as pd

    periods = sorted(set(costs["period"]))
    if len(periods) > YEARS:
        raise DataError(f"costs fall in {len(periods)} years: {', '.join(periods)}", where="cost per pupil per year",
                        mend=f"average over {YEARS} years, as the Foundation does, by choosing `study_periods`")
    beyond = sorted(year for year, pupils in pupils_served.items() if pupils and year not in periods)
    if beyond:
        raise DataError(f"pupils started in {', '.join(beyond)}, for which there is no cost", where="cost per pupil per year",
                        mend="supply that year's costs, or the cost per pupil would be too low")
    time = costs["category"].isin(TIME)
    parts = {
        "set_up": costs["kind"].eq("set-up") & ~time, "running": costs["kind"].eq("running") & ~time,
        PREREQUISITE: costs["kind"].eq(PREREQUISITE), "time_valued": time & costs["kind"].ne(PREREQUISITE),
    }
    table = pd.DataFrame({name: costs["amount"].where(part, 0.0).groupby(costs["period"]).sum() for name, part in parts.items()})
    table["pupils"] = [int(pupils_served.get(period, 0)) for period in table.index]
    if not table["pupils"].sum() > 0:
        raise UnidentifiedError("no pupil was served, so there is no cost per pupil", where="cost per pupil per year", mend="check the referrals supplied")
    table.loc["all"] = table.sum()
    money = table["set_up"] + table["running"]
    table["per_pupil"] = (money / table["pupils"]).where(table["pupils"] > 0)
    table["band"] = None
    table.loc["all", "band"] = cost_band(table.loc["all", "per_pupil"], limits)
    table["edition"] = edition
    return table.rename_axis("period").reset_index().astype({"pupils": "int64"})


def pupils_served(referrals: pd.DataFrame) -> dict[str, int]:
    """Pupils by the academic year in which their support first started; a year begins on 1 September.

    Parameters
    ----------
    referrals : DataFrame
        Table ``referral_list``: ``pupil_id, started, start_date``.

    Raises
    ------
    DataError
        A pupil who started has no date.
    """
    import pandas as pd

    started = referrals.loc[referrals["started"].fillna(False).astype(bool)]
    if started["start_date"].isna().any():
        raise DataError(f"{int(started['start_date'].isna().sum())} referrals started without a date", where="table `referral_list`, column `start_date`",
                        mend="supply the date on which support started")
    first = pd.to_datetime(started["start_date"]).groupby(started["pupil_id"]).min()
    year = first.dt.year - (first.dt.month < 9).astype(int)
    return {f"{y}/{(y + 1) % 100:02d}": int(n) for y, n in year.value_counts().sort_index().items()}
