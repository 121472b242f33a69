"""Times acceptability and the value of information beside heormodel: ``BENCH_HEORMODEL_PYTHON=... python -m tests.benchmarks.value``.

heormodel brings scikit-learn, so it has an environment of its own; without it our rows stand alone.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.timing import HEADER, by_turns, data_folder, here, job_or_part, line, machine, part_writer, ratio

PART = "value"
PEER = Path(__file__).with_name("peers") / "value_heormodel.py"
DRAWS, STRATEGIES, PARAMETERS = 10_000, 5, 12
GRID = [float(value) for value in np.linspace(0, 1_000, 200)]
# job: (what, thresholds, words on its size)
JOBS = {
    "curves": (GRID, f"{DRAWS:,} draws, {STRATEGIES} strategies, {len(GRID)} thresholds"),
    "evppi": ([500.0], f"{DRAWS:,} draws, {STRATEGIES} strategies, {PARAMETERS} parameters, 1 threshold"),
    "evppi_grid": (GRID, f"{DRAWS:,} draws, {STRATEGIES} strategies, {PARAMETERS} parameters, {len(GRID)} thresholds"),
}
WORDS = {"curves": "acceptability and EVPI", "evppi": "EVPPI of each parameter", "evppi_grid": "EVPPI of each parameter"}


def draws_file() -> Path:
    """Invented draws: days and cost of five strategies that hang together with twelve parameters, one of them by its square."""
    path = data_folder() / "value_draws.csv"
    if path.is_file():
        return path
    random = np.random.default_rng(11)
    parameters = random.normal(size=(DRAWS, PARAMETERS))
    frame = {f"parameter_{place}": parameters[:, place] for place in range(PARAMETERS)}
    for place in range(STRATEGIES):
        frame[f"effect_{place}"] = place * (0.5 + 0.4 * parameters[:, place] + 0.2 * parameters[:, place + 5] + 0.1 * parameters[:, 10] ** 2)
        frame[f"cost_{place}"] = place * (200 + 20 * parameters[:, 11]) + random.normal(0, 20, DRAWS) * (place > 0)
    pd.DataFrame(frame).to_csv(path, index=False)
    return path


def run(job: str, path: str) -> None:
    """Our program: reads the draws, times the calls, prints JSON."""
    from evaluation.value import acceptability, value_of_information

    draws = pd.read_csv(path)
    cost, effect = (draws.filter(regex=f"^{what}_").rename(columns=lambda name: name.split("_", 1)[1]) for what in ("cost", "effect"))
    parameters, thresholds = draws.filter(regex="^parameter_"), JOBS[job][0]
    begin = time.perf_counter()
    if job == "curves":
        curve, known = acceptability(cost, effect, thresholds).frame["probability"], value_of_information(cost, effect, thresholds).frame["evpi"]
        seconds = time.perf_counter() - begin
        values = [*curve, *known]
    else:
        values = list(value_of_information(cost, effect, thresholds, parameters=parameters).frame["evppi"])
        seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "values": values}))


def results_text() -> str:
    """The part of the page: times, memory and agreement."""
    path = str(draws_file())
    peer = os.environ.get("BENCH_HEORMODEL_PYTHON")
    commands = {job: here("tests.benchmarks.value", job, path) for job in JOBS}
    if peer:
        commands |= {f"peer {job}": [peer, str(PEER), job, path, json.dumps(JOBS[job][0])] for job in ("curves", "evppi")}
    found = by_turns(commands)
    lines = []
    for job, (_, size) in JOBS.items():
        against = f"peer {job}"
        said = ""
        if against in found:
            ours, theirs = (np.array(found[name][0].printed["values"]) for name in (job, against))
            apart = np.abs(ours - theirs)
            said = f"{ratio(found, job, against):.3f} of heormodel; " + (
                f"apart by at most {apart.max():.0e}" if job == "curves" else f"apart by at most {apart.max() / max(theirs.max(), 1e-9):.1%} of the largest")
        lines.append(line(f"ours: {WORDS[job]}", size, found[job], said))
        if against in found:
            lines.append(line(f"heormodel 0.7.4: {WORDS[job]}", size, found[against]))
    words = ("Invented draws. Both regress on each parameter: ours by penalised splines with smoothing by generalised cross-validation, heormodel by splines with "
             "five knots. Ours fits each parameter once for all thresholds.")  # fmt: skip
    return "\n".join(["## Value for money", "", words, f"`python -m tests.benchmarks.value`; {machine()}", "", *HEADER, *lines])


main = part_writer(PART, results_text)

if __name__ == "__main__":
    job_or_part(run, main)
