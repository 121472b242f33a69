"""The project's program of the simulator benchmark: python -m tests.benchmarks.simulator_program marks|panel PUPILS_PER_SCHOOL|SIZE."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from evaluation.protocol.load import load_protocol
from evaluation.registers.simulator import simulate_extracts
from evaluation.registers.simulator.draws import draw_panel
from evaluation.registers.simulator.sizes import merged, sized_design

ROOT = Path(__file__).resolve().parents[2]
REPLICATIONS = 10


def main(job: str, argument: str) -> None:
    """Run one job and print its seconds."""
    values = load_protocol(ROOT / "params" / "attendance_mentors_trial.yaml").section("simulation")
    if job == "marks":
        section = sized_design(ROOT, merged(values, {"roll": {"pupils_per_school": int(argument)}}), "demo")
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            simulate_extracts(section, ROOT, Path(folder), 1)
            seconds = time.perf_counter() - begin
            print(json.dumps({"marks": pq.read_metadata(Path(folder) / "marks.parquet").num_rows, "seconds": seconds}))
        return
    section = sized_design(ROOT, values, argument)
    referred = len(draw_panel(section, 0).outcomes.referred)  # the first draw also reads the calendar
    begin = time.perf_counter()
    for seed in range(REPLICATIONS):
        draw_panel(section, seed)
    print(json.dumps({"referred": referred, "replications": REPLICATIONS, "seconds": (time.perf_counter() - begin) / REPLICATIONS}))


if __name__ == "__main__":
    main(*sys.argv[1:])
