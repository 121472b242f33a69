"""Times clustered regression beside pyfixest and statsmodels: ``BENCH_PEER_PYTHON=... python -m tests.benchmarks.inference_linear``."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.benchmarks.data_inference_linear import COVARIATES, HALF_TERMS, SCHOOLS, clustered_file
from tests.benchmarks.timing import HEADER, ROUNDS, by_turns, here, job_or_part, line, machine, part_writer, peer_python, ratio

PART = "inference_linear"
PEER = Path(__file__).with_name("peers") / "clustered_regression.py"
PEERS = ("pyfixest", "statsmodels")
PUPILS = 125_000
TERMS = ["treated", *(f"x{number}" for number in range(COVARIATES))]
# job: (kind, weights, absorbed)
JOBS = {
    "ours: CR1S": ("CR1S", "weight", ()),
    "ours: CR2, Satterthwaite": ("CR2", "weight", ()),
    "ours: CR2, pupils and half-terms absorbed, weights by pupil": ("CR2", "weight", ("pupil_id", "half_term")),
    "ours: CR2, pupils and half-terms absorbed, weights by row": ("CR2", "row_weight", ("pupil_id", "half_term")),
}


def run(path: str, job: str) -> None:
    """Our program: reads the rows, times the call, prints JSON."""
    import pandas as pd

    from evaluation.inference import linear

    rows = pd.read_parquet(path)
    kind, weights, absorb = JOBS[job]
    begin = time.perf_counter()
    fit = linear(rows, "y", TERMS, weights=weights, absorb=absorb, cluster="school", kind=kind)
    seconds = time.perf_counter() - begin
    row = fit.frame.iloc[0]
    print(json.dumps({"seconds": seconds, "estimate": row["estimate"], "std_error": row["std_error"], "df": row["df"]}))


def results_text() -> str:
    """The part of the page: times, memory and agreement."""
    peer, path, first = peer_python(), str(clustered_file(PUPILS)), next(iter(JOBS))
    commands = {job: here("tests.benchmarks.inference_linear", path, job) for job in JOBS}
    if peer:
        commands |= {name: [peer, str(PEER), name, path, *TERMS] for name in PEERS}
    found = by_turns(commands, ROUNDS)
    size = f"{PUPILS * HALF_TERMS:,} rows, {len(TERMS)} columns, {SCHOOLS:,} schools"
    lines = []
    for job in JOBS:
        against = "; ".join(_against(found, job, name) for name in PEERS) if peer and job == first else ""
        lines.append(line(job, size, found[job], against))
    lines += [line(f"{name}: weighted, clustered by school", size, found[name]) for name in PEERS if name in found]
    words = ("Weighted regression clustered by school; one thread. CR1S is what both peers compute (differences are relative); neither has CR2 with "
             "weights or Satterthwaite degrees of freedom, nor does another Python package, so the other rows stand alone.")  # fmt: skip
    return "\n".join(["## Clustered regression", "", words, f"`python -m tests.benchmarks.inference_linear`; {machine()}", "", *HEADER, *lines])


def _against(found: dict, ours: str, peer: str) -> str:
    mine, theirs = found[ours][0].printed, found[peer][0].printed
    apart = [abs(mine[name] / theirs[name] - 1) for name in ("estimate", "std_error")]
    return f"{ratio(found, ours, peer):.2f} of {peer}; effect apart by {apart[0]:.0e}, its standard error by {apart[1]:.0e}"


main = part_writer(PART, results_text)

if __name__ == "__main__":
    job_or_part(run, main)
