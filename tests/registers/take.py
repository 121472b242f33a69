"""Taking single tables in, as intake does, without all that follows from them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
from small_study import ROOT
from tiny import ORDER, entry

from evaluation.registers.accept import Accepted, accept, accept_marks
from evaluation.registers.extracts import open_source, workspace
from evaluation.registers.grid import SchoolGrid, load_grid, school_grid
from evaluation.registers.intake import calendars_of_schools
from evaluation.registers.panel import load_codes, load_places
from evaluation.registers.register_counts import count_marks

NEEDED = {"marks": ("calendar", "schools", "pupils"), "survey_items": ("calendar", "schools", "pupils", "survey_scales")}
ALL_ROWS = 100.0  # tolerated rejects, %


def take_tables(folder: Path, wanted: tuple[str, ...] | None = None, tolerance: float = ALL_ROWS) -> dict[str, Accepted]:
    """What becomes of the rows of the wanted tables (all when not given) and of those that they refer to."""
    with workspace(ROOT) as con:
        return _take(con, folder, wanted, tolerance)[0]


def take_marks(folder: Path, tolerance: float = ALL_ROWS) -> dict[str, pd.DataFrame]:
    """Tables ``panel``, ``mark_counts``, ``intake_counts`` and ``intake_rejects`` of marks and what they refer to."""
    with workspace(ROOT) as con:
        found, grid = _take(con, folder, ("marks",), tolerance)
        counted = count_marks(con, grid)
    counts = [{"table": t.name, "rows_read": t.read, "rows_accepted": t.accepted, "rows_rejected": t.rejected, "rows_collapsed": t.collapsed} for t in found.values()]
    rejects = pd.concat([t.rejects for t in found.values()], ignore_index=True)
    return {"panel": counted.panel, "mark_counts": counted.codes, "intake_counts": pd.DataFrame(counts), "intake_rejects": rejects}


def _take(con: duckdb.DuckDBPyConnection, folder: Path, wanted: tuple[str, ...] | None, tolerance: float = ALL_ROWS) -> tuple[dict[str, Accepted], SchoolGrid]:
    names = ORDER if wanted is None else tuple(n for n in ORDER if n in {"calendar", "schools", "pupils", *wanted, *(x for w in wanted for x in NEEDED.get(w, ()))})
    load_codes(con)
    found = {}
    for name in names:
        source = open_source(con, folder, entry(name))
        found[name] = (accept_marks if name == "marks" else accept)(con, source, tolerance)
        if name == "calendar":
            grid = school_grid(con.execute("SELECT * FROM accepted_calendar").df())
            load_grid(con, grid)
        if name == "pupils":
            load_places(con, calendars_of_schools(con.execute("SELECT * FROM accepted_schools").df(), grid))
    return found, grid


@dataclass(frozen=True)
class Taker:
    """Takes one file after another in, each beside the same clean tables."""

    con: duckdb.DuckDBPyConnection

    def take(self, folder: Path, name: str) -> Accepted:
        """What becomes of the rows of the file of one table; those accepted are left in ``taken_<table>``, marks in ``accepted_marks``."""
        source = open_source(self.con, folder, entry(name))
        if name == "marks":
            return accept_marks(self.con, source, ALL_ROWS)
        self.con.execute(f"ALTER TABLE accepted_{name} RENAME TO clean_{name}")
        try:
            return accept(self.con, source, ALL_ROWS)
        finally:
            self.con.execute(f"DROP TABLE IF EXISTS taken_{name}")
            if self.con.execute(f"SELECT count(*) FROM duckdb_tables() WHERE table_name = 'accepted_{name}'").fetchone()[0]:
                self.con.execute(f"ALTER TABLE accepted_{name} RENAME TO taken_{name}")
            self.con.execute(f"ALTER TABLE clean_{name} RENAME TO accepted_{name}")


@contextmanager
def taker(clean: Path) -> Iterator[Taker]:
    """A taker whose clean tables come from a folder."""
    with workspace(ROOT) as con:
        _take(con, clean, tuple(name for name in ORDER if name != "marks"))
        yield Taker(con)
