"""The engine that runs the SQL of marks and panel: two methods, so that another engine can take DuckDB's place."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


class Engine(Protocol):
    """What the SQL of this room needs. Every query keeps to what DuckDB and Spark share."""

    def define(self, name: str, *queries: str) -> None:
        """Hold the rows of some queries, run one after another, under a name that later queries can read."""

    def collect(self, query: str) -> pd.DataFrame:
        """The rows of a query as a frame: aggregates only, never marks."""


class DuckDB:
    """The embedded engine, on a connection that the caller owns.

    Rows need not keep the order of their file: every table is put in order of its key before it is written.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection):
        self.con = con
        con.execute("SET preserve_insertion_order = false")

    def define(self, name: str, *queries: str) -> None:
        for i, query in enumerate(queries):
            self.con.execute(f"INSERT INTO {name} {query}" if i else f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")

    def collect(self, query: str) -> pd.DataFrame:
        return self.con.execute(query).df()


def read_query(name: str, **values: object) -> str:
    """The SQL of ``<name>.sql``, with its ``{placeholders}`` filled in.

    Raises
    ------
    KeyError
        A placeholder has no value.
    """
    text = resources.files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return "\n".join(lines).format(**values)
