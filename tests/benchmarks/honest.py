"""Times honest bounds beside honestdid: ``BENCH_HONESTDID_PYTHON=... python -m tests.benchmarks.honest``.

honestdid 0.1.1 needs numpy below 2.4, so it has an environment of its own; without it our rows stand alone.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np

from tests.benchmarks.timing import HEADER, ROUNDS, by_turns, data_folder, here, job_or_part, line, machine, measure, part_writer

PART = "honest"
PEER = Path(__file__).with_name("peers") / "honest_honestdid.py"
SEED = 4
RELATIVE, SMOOTH = "relative_magnitude", "smoothness"
RELATIVE_GRID = [round(0.25 * step, 2) for step in range(1, 11)]
# job: (kind, periods before, periods after, values of m); each returns the breakdown value as well
JOBS = {
    "ours: relative magnitudes, 10 values and breakdown": (RELATIVE, 4, 4, RELATIVE_GRID),
    "ours: relative magnitudes, the same, more periods": (RELATIVE, 12, 12, RELATIVE_GRID),
    "ours: smoothness, 10 values and breakdown": (SMOOTH, 4, 4, [0.05 * value for value in RELATIVE_GRID]),
    "ours: smoothness, the same, more periods": (SMOOTH, 12, 12, [0.05 * value for value in RELATIVE_GRID]),
}
# The same for ours and the peer: one value of m, because the peer takes long; with an interval inside the peer's grid, which
# ends at 20 standard errors of the effect.
PAIRS = {"relative magnitudes, one value": (RELATIVE, 4, 4, [0.5]), "smoothness, one value": (SMOOTH, 4, 4, [0.05])}


def study_file(n_pre: int, n_post: int) -> Path:
    """An invented event study with effects of four after the start: estimates and covariance, the same at every call."""
    draws, count = np.random.default_rng(SEED), n_pre + n_post
    spread = draws.normal(size=(count, count + 2)) / np.sqrt(count)
    vcov = spread @ spread.T
    estimates = draws.multivariate_normal(np.repeat([0.0, 4.0], [n_pre, n_post]), vcov)
    path = data_folder() / f"honest_{n_pre}_{n_post}.json"
    path.write_text(json.dumps({"estimates": estimates.tolist(), "vcov": vcov.tolist(), "n_pre": n_pre, "n_post": n_post}), encoding="utf-8")
    return path


def run(path: str, kind: str, values: str) -> None:
    """Our program: reads the study, times the call, prints JSON."""
    from evaluation.impact import honest_bounds

    study = json.loads(Path(path).read_text(encoding="utf-8"))
    target = [1 / study["n_post"]] * study["n_post"]
    begin = time.perf_counter()
    result = honest_bounds(**study, kind=kind, m=json.loads(values), target=target)
    seconds = time.perf_counter() - begin
    last = result.frame.iloc[-1]
    print(json.dumps({"seconds": seconds, "conf_low": last["conf_low"], "conf_high": last["conf_high"]}))


def results_text() -> str:
    """The part of the page: times, memory and agreement."""
    commands = {job: _command(here("tests.benchmarks.honest"), *about) for job, about in JOBS.items()}
    pairs = {f"ours: {job} and breakdown": _command(here("tests.benchmarks.honest"), *about) for job, about in PAIRS.items()}
    found = by_turns(commands | pairs, ROUNDS)
    peer = os.environ.get("BENCH_HONESTDID_PYTHON")
    lines = [line(job, _size(JOBS[job]), found[job]) for job in JOBS]
    for (job, about), ours in zip(PAIRS.items(), pairs, strict=True):
        if peer:
            theirs = measure(_command([peer, str(PEER)], *about))
            lines.append(line(ours, _size(about), found[ours], _against(found[ours][0], theirs)))
            lines.append(line(f"honestdid 0.1.1: {job}", _size(about), [theirs]))
        else:
            lines.append(line(ours, _size(about), found[ours]))
    words = ("Average effect of an invented event study; one thread. The peer runs once, because one value of relative magnitudes takes it long; its "
             "ends are points of a grid of 1,000 with a simulated critical value, and its smoothness interval is the shortest of a grid of 100, so "
             "slightly longer than ours and centred elsewhere; ours are exact. diff-diff has no hybrid test for relative magnitudes.")  # fmt: skip
    return "\n".join(["## Honest bounds", "", words, f"`python -m tests.benchmarks.honest`; {machine()}", "", *HEADER, *lines])


def _command(program: list[str], kind: str, n_pre: int, n_post: int, values: list[float]) -> list[str]:
    return [*program, str(study_file(n_pre, n_post)), kind, json.dumps(values)]


def _size(about: tuple) -> str:
    return f"{about[1]} periods before, {about[2]} after"


def _against(ours: object, theirs: object) -> str:
    apart = [abs(ours.printed[end] - theirs.printed[end]) for end in ("conf_low", "conf_high")]
    step = theirs.printed.get("grid_step")
    unit = f"{max(apart) / step:.1f} steps of the peer's grid" if step else f"{max(apart):.0e}"
    return f"{ours.seconds / theirs.seconds:.1e} of the peer; ends apart by at most {unit}"


main = part_writer(PART, results_text)

if __name__ == "__main__":
    job_or_part(run, main)
