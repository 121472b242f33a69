"""The calibration in words and tables, for the page of results."""

from __future__ import annotations

import pandas as pd

from tests.simulation import calibration as c

LINE = "|:---|:---|---:|---:|---:|---:|---:|---:|"


def results_text(found: c.Calibration) -> str:
    """This part of ``RESULTS.md``: what was simulated, and every figure beside the published one."""
    area = c.calibration_design().areas[0]
    reasons = found.reasons.assign(ratio=found.reasons["simulated"] / found.reasons["published"])
    friday = {phase: friday_afternoon(found.week, phase) for phase in c.PHASES}
    return "\n".join([
        "## Simulated registers beside published statistics", "",
        f"One sample of the simulator at the national level without mentors: {area.primary_schools} primary, {area.comparison_schools} secondary and {area.special_schools} special schools, "
        f"{found.marks:,} marks over three years, parameters of `params/{c.PARAMS.name}` (secondary) and `params/simulation_sizes.yaml` (the others). Years 1 to 11 only.",
        "", "Made by `EVALUATION_PUBLISHED_DATA=FOLDER python -m tests.simulation.calibration`; equal code gives equal numbers. Pictures: "
        + ", ".join(f"![{name}]({name})" for name in c.PICTURES), "",
        "### Persistent and severe absence, 2022/23", "",
        "Published: Department for Education, absence bands of England, % of enrolments. Drawn: pupils of "
        f"{len(c.DRAWS)} draws of the same design without marks, with a standard error of at most {noise(found, 'persistent', 'special'):.1f} points of persistent and {noise(found, 'severe', 'special'):.1f} of severe absence in special "
        f"schools and {max(noise(found, 'persistent', p) for p in c.PHASES[:2]):.1f} and {max(noise(found, 'severe', p) for p in c.PHASES[:2]):.1f} in the others, which the tolerances ({c.PERSISTENT_TOLERANCE} and {c.SEVERE_TOLERANCE} points) are held "
        "against. Marked: enrolments of one sample with marks, with the noise of its size. Totals and year groups of the publication include short enrolments "
        "whose free meals and needs are unclassified (about 1%, four in ten of them severely absent), so groups and totals cannot all be met exactly.", "",
        "| Phase | Group | Persistent: published | drawn | marked | Severe: published | drawn | marked |", LINE, *[_rate_line(key, row) for key, row in found.rates.iterrows()], "",
        "### Codes", "",
        f"% of possible sessions: published 2025/26 (8 September 2025 to 10 July 2026), simulated {c.YEAR_OF_REASONS}, the only simulated year with today's codes. Tolerance: a quarter of each rate.", "",
        "| Phase | Code | Published | Simulated | Ratio |", "|:---|:---|---:|---:|---:|",
        *[f"| {phase} | {code} | {row.published:.2f} | {row.simulated:.2f} | {row.ratio:.2f} |" for (phase, code), row in zip(reasons.index, reasons.itertuples(), strict=True)], "",
        "### Patterns", "",
        "| What | Published | Simulated |", "|:---|---:|---:|",
        *[f"| Friday afternoon beside the week's other sessions, {phase}, points | {c.FRIDAY[phase]:+.1f} | {friday[phase]:+.2f} |" for phase in c.FRIDAY],
        *[f"| The same among severely absent pupils, {phase}, points | {c.FRIDAY_SEVERE[0]:+.0f} to {c.FRIDAY_SEVERE[1]:+.0f} | {found.friday_severe[phase]:+.2f} |" for phase in c.FRIDAY],
        *[f"| Lowest day, {phase} | Wednesday | {lowest_day(found.week, phase)} |" for phase in c.FRIDAY],
        *[f"| Absent in the {name}, all schools, % | {c.WITHIN_YEAR[name]:.1f} | {value:.1f} |" for name, value in found.year.items()],
        *[f"| Variance of absence between schools, {phase}, % | 8.4 | {value:.1f} |" for phase, value in found.schools.items()],
        f"| Autumn's persistent absentees off roll in spring, % | {c.GONE:.0f} | {found.gone:.1f} |", "",
        "### Correlation of a pupil's half-term rates", "", "Reported, not calibrated: no publication gives it.", "",
        "| Phase | " + " | ".join(f"{lag} half-term{'s' if lag > 1 else ''} apart" for lag in found.again.columns) + " |", "|:---|" + "---:|" * len(found.again.columns),
        *[f"| {phase} | " + " | ".join(f"{value:.2f}" for value in row) + " |" for phase, row in zip(found.again.index, found.again.to_numpy(), strict=True)], "",
    ])


def noise(found: c.Calibration, kind: str, phase: str) -> float:
    """The largest standard error of a drawn rate among the published groups of a phase, points."""
    mine = found.rates.xs(phase, level=0)
    return float(mine.loc[mine[f"{kind}_published"].notna(), f"{kind}_se"].max())


def _rate_line(key: tuple[str, str], row: pd.Series) -> str:
    cells = [*key, *(f"{row[f'{kind}{source}']:.2f}" for kind in ("persistent", "severe") for source in ("_published", "_drawn", ""))]
    return "| " + " | ".join(cells) + " |"


def friday_afternoon(week: pd.DataFrame, phase: str) -> float:
    """Absence on Friday afternoons less the mean of the week's other sessions, points."""
    mine = week.loc[week["phase"] == phase]
    last = (mine["weekday"] == 5) & (mine["session"] == "PM")
    return float(mine.loc[last, "absence"].iloc[0] - mine.loc[~last, "absence"].mean())


def lowest_day(week: pd.DataFrame, phase: str) -> str:
    """The weekday with the least absence."""
    means = week.loc[week["phase"] == phase].groupby("weekday")["absence"].mean()
    return ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")[int(means.idxmin()) - 1]
