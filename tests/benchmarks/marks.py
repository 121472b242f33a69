"""One hundred million marks to the panel beside a plain group-by, their validation, and how time grows to a billion marks."""

from __future__ import annotations

import os
import sys
from math import log
from pathlib import Path
from statistics import median

import numpy as np

from tests.benchmarks import data_marks, timing
from tests.results_page import write_part

PART = "marks"
PEERS = Path(__file__).with_name("peers") / "marks.py"
SIZES = {"10M": 26_316, "100M": data_marks.PUPILS, "1,000M": 10 * data_marks.PUPILS}
MILLIONS = {"10M": 10, "100M": 100, "1,000M": 1000}


def files(parts: int) -> list[str]:
    """The files of one hundred million marks each, made where they are not there."""
    folder = timing.data_folder()
    data_marks.make(folder, data_marks.PUPILS)
    return [str(folder / "marks.parquet"), *(str(data_marks.shifted(folder, part)) for part in range(1, parts))]


def main() -> None:
    """Measure, and write the part of the page."""
    before = os.getloadavg()[1]
    (marks,) = files(1)
    peer = [timing.peer_python() or sys.executable, str(PEERS)]
    calendar = str(timing.data_folder() / "calendar.parquet")
    ours = timing.here("tests.benchmarks.marks_program")
    results = timing.by_turns({
        "panel": [*ours, "panel", calendar, marks], "duckdb": [*peer, "duckdb", marks, calendar], "validation": [*ours, "validation", calendar, marks],
        "sixteen": [*peer, "sixteen", marks, calendar], "polars": [*peer, "polars", marks, calendar],
    })
    small = str(data_marks.make(timing.data_folder(), SIZES["10M"], "marks_10m.parquet"))
    growth = {"10M": [timing.measure([*ours, "panel-file", calendar, small])], "100M": [timing.measure([*ours, "panel-file", calendar, marks])],
              "1,000M": [timing.measure([*ours, "panel-file", calendar, *files(10)])]}
    # Before and after the billion, so that a machine that is slower for a while is so for both.
    growth["100M"] += [timing.measure([*ours, "panel-file", calendar, marks]) for _ in range(timing.ROUNDS - 1)]
    write_part(timing.RESULTS, PART, text(results, growth, (before, os.getloadavg()[1])))


def text(results: dict[str, list[timing.Measured]], growth: dict[str, list[timing.Measured]], load: tuple[float, float]) -> str:
    """The part of the page."""
    names = {"panel": "Panel: 25 columns, every class and count", "duckdb": "duckdb: two filtered counts", "validation": "Panel and every rule of marks",
             "sixteen": "duckdb: sixteen filtered counts", "polars": "polars: two filtered counts"}
    pairs = {"panel": ("duckdb", "duckdb's two counts"), "validation": ("panel", "the panel"), "sixteen": ("duckdb", "duckdb's two counts")}
    against = {ours: f"{timing.ratio(results, ours, peer):.2f} of {said}; {processor_ratio(results, ours, peer):.2f} in seconds of processor" for ours, (peer, said) in pairs.items()}
    lines = ["## Marks to panel", "", f"`python -m tests.benchmarks.marks` ({timing.machine()}) One hundred million marks of 263,158 pupils in one Parquet file, to 1.58 million "
             f"pupils by half-term. Seconds of processor are those of both cores together. The machine's load, five minutes' mean, was {load[0]:.1f} before "
             f"and {load[1]:.1f} after; these programs alone are at most {os.cpu_count()}.", "", *timing.HEADER]
    lines += [timing.line(names[name], "100M marks", results[name], against.get(name, f"{processor(results[name]):.1f} s of processor")) for name in names]
    lines += ["", "The panel written to a Parquet file, by number of marks (the billion in ten files, in ranges of pupils of a hundred million marks at most; memory of DuckDB limited to 2.5 GB):", "", *timing.HEADER]
    lines += [timing.line("Panel to file", f"{size} marks", found, f"{processor(found):.1f} s of processor") for size, found in growth.items()]
    slopes = [log(of(growth["1,000M"]) / of(growth["100M"])) / log(10) for of in (seconds, processor)]
    fitted = np.polyfit([log(MILLIONS[size]) for size in growth], [log(seconds(found)) for found in growth.values()], 1)[0]
    lines += ["", f"Slope of log time on log marks from a hundred million to a billion: {slopes[0]:.2f}, and {slopes[1]:.2f} of seconds of processor; {fitted:.2f} over the three sizes.", "",
              "All programs give the same number of pupils by half-term: " + ("yes." if agree(results) else "NO.")]
    return "\n".join(lines)


def seconds(found: list[timing.Measured]) -> float:
    """Median seconds."""
    return median(m.seconds for m in found)


def processor(found: list[timing.Measured]) -> float:
    """Median seconds of processor inside the call, which other work on the machine moves less."""
    return median(m.printed["processor"] for m in found)


def processor_ratio(results: dict[str, list[timing.Measured]], ours: str, peer: str) -> float:
    """Median over the rounds of ours divided by the peer's seconds of processor."""
    return median(a.printed["processor"] / b.printed["processor"] for a, b in zip(results[ours], results[peer], strict=True))


def agree(results: dict[str, list[timing.Measured]]) -> bool:
    """Whether all programs count the same rows."""
    return len({m.printed["groups"] for found in results.values() for m in found}) == 1


if __name__ == "__main__":
    main()
