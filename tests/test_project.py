"""The project as a whole keeps to its own rules: arrows between rooms, notebooks, params and dictionary."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from evaluation.protocol.load import load_protocol
from evaluation.registers.dictionary import load_table, table_names
from evaluation.runs.notebook import check_notebook, notebook_parameters, read_source, source_of
from evaluation.runs.stages import KINDS

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "protocol": set(), "inference": set(), "registers": {"protocol"}, "design": {"protocol", "inference"},
    "impact": {"protocol", "inference", "design"}, "value": {"protocol", "inference", "impact"},
    "reporting": {"protocol", "inference", "registers", "design", "impact", "value"},
    "runs": {"protocol", "inference", "registers", "design", "impact", "value", "reporting"},
}
STAGES = [(kind, stage) for kind in KINDS.values() for stage in kind.stages]
IDS = [f"{kind.name}-{stage.name}" for kind, stage in STAGES]


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a file imports from, relative imports resolved."""
    package = ("evaluation", *path.relative_to(ROOT / "evaluation").parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            names = [".".join((*base, *([node.module] if node.module else [])))]
            names += [f"{names[0]}.{alias.name}" for alias in node.names] if names[0] == "evaluation" else []
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("evaluation.")}
    return found & set(ROOMS)


def test_no_arrow_between_rooms_runs_upwards():
    wrong = {}
    for path in sorted((ROOT / "evaluation").rglob("*.py")):
        room = path.relative_to(ROOT / "evaluation").parts[0]
        if room in ROOMS and (up := imported_rooms(path) - ROOMS[room] - {room}):
            wrong[str(path.relative_to(ROOT))] = sorted(up)
    assert wrong == {}


def test_only_reporting_knows_matplotlib_and_only_runs_papermill():
    for path in sorted((ROOT / "evaluation").rglob("*.py")):
        room = path.relative_to(ROOT / "evaluation").parts[0]
        text = path.read_text(encoding="utf-8")
        if room != "reporting":
            assert not re.search(r"^\s*(import|from) (matplotlib|seaborn)", text, re.M), path
        if room != "runs":
            assert not re.search(r"^\s*(import|from) papermill", text, re.M), path


@pytest.mark.parametrize("kind, stage", STAGES, ids=IDS)
def test_the_notebook_keeps_the_contract_and_repeats_the_params(kind, stage):
    check_notebook(ROOT, kind, stage)
    values = load_protocol(ROOT / kind.default_params).values
    assert notebook_parameters(read_source(ROOT, stage)) == values[stage.section]


@pytest.mark.parametrize("kind, stage", STAGES, ids=IDS)
def test_the_notebook_is_committed_clean_and_thin(kind, stage):
    for cell in read_source(ROOT, stage).cells:
        if cell["cell_type"] != "code":
            continue
        code = source_of(cell)
        assert not cell.get("outputs") and cell.get("execution_count") is None, cell["id"]
        assert not re.search(r"^\s*(def|class|for|while)\s", code, re.M), f"{cell['id']}: belongs in the package"
        lines = [line for line in code.splitlines() if line.strip()]
        assert len(lines) <= 25 or "parameters" in cell["metadata"].get("tags", []), f"{cell['id']}: {len(lines)} lines"


@pytest.mark.parametrize("kind, stage", STAGES, ids=IDS)
def test_every_table_of_a_stage_is_in_the_dictionary_under_its_stage(kind, stage):
    for name in (*stage.reads, *stage.writes, *stage.raw):
        table = load_table(ROOT, name)
        assert table.description and table.primary_key, name
        assert all(column.description for column in table.columns), name
    written = {name: load_table(ROOT, name).stage for name in stage.writes}
    assert written == {name: stage.name for name in stage.writes}


def test_every_dictionary_entry_is_used():
    used = {name for kind in KINDS.values() for stage in kind.stages for name in (*stage.writes, *stage.raw)}
    assert set(table_names(ROOT)) == used


def test_each_table_is_written_once_before_it_is_read():
    for kind in KINDS.values():
        written: set[str] = set()
        for stage in kind.stages:
            assert set(stage.reads) <= written, f"{stage.name} reads what is not written yet"
            assert not set(stage.writes) & written
            written |= set(stage.writes)


def test_notebooks_name_one_kernel_and_no_machine():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        assert json.loads(text)["metadata"]["kernelspec"]["name"] == "python3"
        assert "/home/" not in text and "/Users/" not in text and "C:\\" not in text


def test_no_two_test_files_share_a_name():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names)), "pytest would collect one of them only"
