"""Times the wild cluster bootstrap beside wildboottest: ``BENCH_PEER_PYTHON=... python -m tests.benchmarks.inference_wild``."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.benchmarks.data_inference_wild import COVARIATES, few_schools_file
from tests.benchmarks.timing import HEADER, ROUNDS, by_turns, here, job_or_part, line, machine, part_writer, peer_python, ratio

PART = "inference_wild"
PEER = Path(__file__).with_name("peers") / "wild_bootstrap.py"
ROWS = 200_000
TERMS = ["treated", *(f"x{number}" for number in range(COVARIATES))]
DRAWS, EVERY = 9999, 2**16
# job: (schools, draws, weights, absorbed)
JOBS = {
    "ours: 9,999 draws, unweighted": (60, DRAWS, None, ()),
    "ours: 9,999 draws, weighted": (60, DRAWS, "weight", ()),
    "ours: 9,999 draws, weighted, area effects absorbed": (60, DRAWS, "weight", ("area",)),
    "ours: all 65,536 sign vectors, unweighted": (16, EVERY, None, ()),
}
# peer's job: (schools, draws, ours that does the same)
PEER_JOBS = {
    "wildboottest: 9,999 draws": (60, DRAWS, "ours: 9,999 draws, unweighted"),
    "wildboottest: all 65,536 sign vectors": (16, EVERY + 1, "ours: all 65,536 sign vectors, unweighted"),
}


def run(job: str) -> None:
    """Our program: reads the rows, fits, times the test, prints JSON."""
    import pandas as pd

    from evaluation.inference import linear

    schools, draws, weights, absorb = JOBS[job]
    rows = pd.read_parquet(few_schools_file(ROWS, schools))
    fit = linear(rows, "y", TERMS, weights=weights, absorb=absorb, cluster="school", kind="CR1")
    begin = time.perf_counter()
    test = fit.wild_test("treated", draws=draws)
    seconds = time.perf_counter() - begin
    assert test.enumerated == (draws == EVERY)
    print(json.dumps({"seconds": seconds, "p_value": test.p_value,
                      "conf_low": test.conf_low, "conf_high": test.conf_high}))  # fmt: skip


def results_text() -> str:
    """The part of the page: times, memory and agreement."""
    peer = peer_python()
    files = {schools: str(few_schools_file(ROWS, schools)) for schools, *_ in JOBS.values()}
    commands = {job: here("tests.benchmarks.inference_wild", job) for job in JOBS}
    if peer:
        commands |= {job: [peer, str(PEER), files[schools], str(draws), *TERMS] for job, (schools, draws, _) in PEER_JOBS.items()}
    found = by_turns(commands, ROUNDS)
    peer_of = {ours: job for job, (_, _, ours) in PEER_JOBS.items()} if peer else {}
    lines = [line(job, _size(JOBS[job][0]), found[job], _against(found, job, peer_of[job]) if job in peer_of else "") for job in JOBS]
    lines += [line(job, _size(PEER_JOBS[job][0]), found[job]) for job in PEER_JOBS if job in found]
    words = ("Restricted wild cluster bootstrap of one coefficient by school, after the fit; one thread. Ours includes the 95% interval by inversion; "
             "wildboottest gives the p-value only and takes neither weights nor absorbed effects, so the weighted rows stand alone.")  # fmt: skip
    return "\n".join(["## Wild cluster bootstrap", "", words, "", f"`python -m tests.benchmarks.inference_wild`; {machine()}", "", *HEADER, *lines])


def _size(schools: int) -> str:
    return f"{ROWS:,} rows, {len(TERMS) + 1} columns, {schools} schools"


def _against(found: dict, ours: str, peer: str) -> str:
    mine, theirs = found[ours][0].printed, found[peer][0].printed
    return f"{ratio(found, ours, peer):.3f} of wildboottest; p {mine['p_value']:.5f}, its {theirs['p_value']:.5f}"


main = part_writer(PART, results_text)

if __name__ == "__main__":
    job_or_part(run, main)
