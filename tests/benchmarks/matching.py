"""Times matching and balance beside pymatchit-causal: ``BENCH_PEER_PYTHON=... python -m tests.benchmarks.matching``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median

from tests.benchmarks.data_matching import BALANCE_ROWS, COVARIATES, SIZES, balance_file, pupils_file
from tests.benchmarks.timing import HEADER, ROUNDS, by_turns, here, job_or_part, line, machine, part_writer, peer_python, ratio

PART = "matching"
PEER = Path(__file__).with_name("peers") / "matching_pymatchit.py"
ON = ["fsm", "sen", "idaci", "prior_abs", "sex", "year_group"]
STRATA = ["sex", "year_group"]
# job: (size, options of match), or for balance the column of weights
JOBS = {
    "ours: caliper 0.2, exact on two": ("M", {"exact": STRATA, "caliper": 0.2, "ties": "order"}),
    "ours: caliper 0.2, exact on two, ties drawn": ("L", {"exact": STRATA, "caliper": 0.2}),
    "ours: no caliper, no strata": ("L", {}),
    "ours: Mahalanobis within caliper 0.2, exact on two": ("M", {"exact": STRATA, "distance": "mahalanobis", "caliper": {"logit": 0.2}}),
}
BALANCE = {"ours: balance, weights of 1:1 matching": "weight", "ours: balance, every weight positive": "overlap_weight"}
PEER_JOB = "pymatchit-causal: caliper 0.2, exact on two"


def run(job: str) -> None:
    """Our program: reads the rows, times the call, prints JSON."""
    import pandas as pd

    from evaluation.design import balance, match

    if job in BALANCE:
        rows = pd.read_parquet(balance_file())
        begin, worked = time.perf_counter(), time.process_time()
        table = balance(rows, "treated", [f"x{number}" for number in range(COVARIATES)], rows[BALANCE[job]]).frame
        print(json.dumps({"seconds": time.perf_counter() - begin, "processor": time.process_time() - worked, "largest": float(table["smd_after"].abs().max())}))
        return
    size, options = JOBS[job]
    pupils = pd.read_parquet(pupils_file(size))
    pupils.index = pupils["pupil_id"].to_numpy()
    begin, worked = time.perf_counter(), time.process_time()
    result = match(pupils, "treat", on=ON, **options)
    seconds, processor = time.perf_counter() - begin, time.process_time() - worked
    units = result.pairs["unit"].to_numpy()
    pairs = pd.DataFrame({"t": units[0::2], "c": units[1::2]})
    print(json.dumps({"seconds": seconds, "processor": processor, "pairs": len(pairs), "checksum": int((pairs["t"] * 31 + pairs["c"] * 17).sum() % 1_000_003)}))


def results_text() -> str:
    """The part of the page: times, memory and agreement."""
    peer = peer_python()
    files = {size: str(pupils_file(size)) for size in ("M", "L")}
    balance_file()
    commands = {job: here("tests.benchmarks.matching", job) for job in [*JOBS, *BALANCE]}
    if peer:
        commands[PEER_JOB] = [peer, str(PEER), files["M"]]
    found = by_turns(commands, ROUNDS)
    first = next(iter(JOBS))
    lines = [line(job, _size(JOBS[job][0]), found[job], _worked(found[job]) + (f"; {_against(found, first)}" if job == first and peer else "")) for job in JOBS]
    lines += [line(job, f"{BALANCE_ROWS:,} rows, {COVARIATES} covariates, half of them 0/1", found[job], _worked(found[job])) for job in BALANCE]
    lines += [line(PEER_JOB, _size("M"), found[PEER_JOB])] if peer else []
    words = ("Nearest neighbour on the linear predictor of a logistic propensity score of six covariates, 1:1 without replacement; "
             "the fit of the score is part of the time, reading the file is not. Where the machine was shared, seconds on the clock exceed seconds of processor.")  # fmt: skip
    return "\n".join(["## Matching and balance", "", words, "", f"`python -m tests.benchmarks.matching`; {machine()}", "", *HEADER, *lines])


def _size(size: str) -> str:
    treated, comparison = SIZES[size]
    return f"{treated:,} among {comparison:,}"


def _worked(results: list) -> str:
    return f"{median(m.printed['processor'] for m in results):.2f} s of processor"


def _against(found: dict, ours: str) -> str:
    mine, theirs = found[ours][0].printed, found[PEER_JOB][0].printed
    same = "the same pairs" if mine["checksum"] == theirs["checksum"] else f"{mine['pairs']:,} pairs, its {theirs['pairs']:,}"
    return f"{1 / ratio(found, ours, PEER_JOB):.0f} times as fast as pymatchit-causal; {same}"


main = part_writer(PART, results_text)

if __name__ == "__main__":
    job_or_part(run, main)
