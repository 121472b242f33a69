"""Times programs as processes of their own, ours and a peer's by turns, with their peak memory.

A program prints one line of JSON last, with ``seconds`` inside the call and whatever it wants compared. Peers are installed
in an environment of their own, whose interpreter ``BENCH_PEER_PYTHON`` names; data lie in the folder ``BENCH_DATA``.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.results_page import write_part

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("RESULTS.md")
ROUNDS = 3


@dataclass(frozen=True)
class Measured:
    """One run of a program: seconds inside the call, peak resident megabytes (10^6 bytes), and what it printed."""

    seconds: float
    megabytes: float
    printed: dict[str, Any]


def part_writer(part: str, text: Callable[[], str]) -> Callable[[], None]:
    """The ``main`` of a module: measures, and writes its part of the page."""

    def main() -> None:
        write_part(RESULTS, part, text())

    return main


def job_or_part(run: Callable[..., None], main: Callable[[], None]) -> None:
    """A module as a program: with arguments one job, timed from outside; without, the whole part."""
    if len(sys.argv) > 1:
        run(*sys.argv[1:])
    else:
        main()


def data_folder() -> Path:
    """The folder of benchmark data; made if it is not there."""
    folder = Path(os.environ.get("BENCH_DATA", ROOT / "bench_data"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def peer_python() -> str | None:
    """The interpreter that has the peers installed, None if none is named."""
    return os.environ.get("BENCH_PEER_PYTHON")


def measure(command: list[str]) -> Measured:
    """Run a program to its end.

    Raises
    ------
    RuntimeError
        It failed; the end of what it printed is quoted.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {err.read()[-2000:]}")
        printed = json.loads(out.read().strip().splitlines()[-1])
    return Measured(float(printed["seconds"]), usage.ru_maxrss * 1024 / 1e6, printed)


def by_turns(commands: dict[str, list[str]], rounds: int = ROUNDS) -> dict[str, list[Measured]]:
    """Run several programs one after another, that many times."""
    results: dict[str, list[Measured]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            results[name].append(measure(command))
    return results


def ratio(results: dict[str, list[Measured]], ours: str, peer: str) -> float:
    """Median over the rounds of ours divided by the peer's seconds."""
    return median(a.seconds / b.seconds for a, b in zip(results[ours], results[peer], strict=True))


def line(job: str, size: str, results: list[Measured], against: str = "") -> str:
    """A row of a table: job, size, median seconds, largest peak memory, comparison."""
    seconds, megabytes = median(m.seconds for m in results), max(m.megabytes for m in results)
    return f"| {job} | {size} | {seconds:.2f} | {megabytes:,.0f} | {against} |"


HEADER = ["| Program | Data | Seconds (median) | Peak MB | Ratio |", "|:---|:---|---:|---:|:---|"]


def machine() -> str:
    """A sentence on where the figures were taken: cores, Python and its main libraries."""
    from importlib.metadata import version

    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pandas", "duckdb", "scipy"))
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {libraries}; {ROUNDS} rounds."


def here(module: str, *arguments: str) -> list[str]:
    """The command that runs one of our own modules with this interpreter."""
    return [sys.executable, "-m", module, *arguments]
