"""How long the simulator takes: all tables with twenty million marks, the default study, and panels drawn without marks."""

from __future__ import annotations

from tests.benchmarks import timing
from tests.results_page import write_part

PART = "simulator"
DEFAULT_STUDY, TWENTY_MILLION = 310, 470  # pupils a school in the default study's forty schools


def main() -> None:
    """Measure, and write the part of the page."""
    program = timing.here("tests.benchmarks.simulator_program")
    results = timing.by_turns({"default": [*program, "marks", str(DEFAULT_STUDY)], "twenty": [*program, "marks", str(TWENTY_MILLION)],
                               "demo": [*program, "panel", "demo"], "trial": [*program, "panel", "trial"]})
    write_part(timing.RESULTS, PART, text(results))


def text(results: dict[str, list[timing.Measured]]) -> str:
    """The part of the page."""
    said = {name: found[0].printed for name, found in results.items()}
    return "\n".join([
        "## Simulator", "", f"`python -m tests.benchmarks.simulator` ({timing.machine()}) Every extract table and the truth, written to disk; and one draw of a study without marks.", "", *timing.HEADER,
        timing.line("All tables, default study", f"{said['default']['marks']:,} marks", results["default"]),
        timing.line("All tables", f"{said['twenty']['marks']:,} marks", results["twenty"]),
        timing.line("One draw without marks, default study", f"{said['demo']['referred']:,} referred", results["demo"]),
        timing.line("One draw without marks, size trial", f"{said['trial']['referred']:,} referred", results["trial"]), "",
    ])


if __name__ == "__main__":
    main()
