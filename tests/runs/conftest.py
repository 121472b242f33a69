"""A project of the tests' own, and ways to run it in this process and as a command."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import tiny_study  # noqa: E402

from evaluation.runs.progress import Reporter  # noqa: E402
from evaluation.runs.run import run_study  # noqa: E402
from evaluation.runs.study import open_study  # noqa: E402


class Project:
    """A copy of the tiny study that a test may change."""

    def __init__(self, root: Path):
        self.root = root
        self.params = root / "params" / "tiny.yaml"
        self.said = io.StringIO()

    def study(self, **options):
        return open_study(self.params, kinds=tiny_study.KINDS, **options)

    def run(self, **options):
        data = {name: options.pop(name) for name in ("data", "out") if name in options}
        return run_study(self.study(**data), reporter=Reporter(self.said, terminal=False), **options)

    def command(self, *arguments: str, **more) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-m", "tiny_study", *arguments], cwd=self.root, capture_output=True, text=True,
                              timeout=120, **more)

    def replace(self, old: str, new: str) -> None:
        text = self.params.read_text(encoding="utf-8")
        assert old in text
        self.params.write_text(text.replace(old, new), encoding="utf-8")

    def cells(self, stage: str, **changes: str) -> None:
        """Write a stage's notebook again with some cells changed or added (``_`` for ``-`` in their names)."""
        cells = dict(tiny_study.CELLS[stage]) | {name.replace("_", "-"): code for name, code in changes.items()}
        tiny_study.write_notebook(self.root / "notebooks" / f"{stage}.ipynb", cells, stage.capitalize())

    def runs(self) -> list[Path]:
        return sorted(p.parent for p in (self.root / "reports").glob("*/events.jsonl"))


@pytest.fixture(scope="session")
def _path():
    """Kernels and commands find the tiny study."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{HERE}{os.pathsep}{before}" if before else str(HERE)
    yield
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@pytest.fixture
def project(tmp_path, _path) -> Project:
    """A project in which nothing has run."""
    return Project(tiny_study.make_project(tmp_path / "project"))


@pytest.fixture(scope="session")
def _begun(tmp_path_factory, _path) -> Path:
    begun = Project(tiny_study.make_project(tmp_path_factory.mktemp("begun") / "project"))
    begun.run(until="second")
    return begun.root


@pytest.fixture(scope="session")
def _finished(tmp_path_factory, _path) -> Path:
    finished = Project(tiny_study.make_project(tmp_path_factory.mktemp("finished") / "project"))
    finished.run()
    return finished.root


@pytest.fixture(scope="session")
def _ruled(tmp_path_factory, _finished) -> Path:
    ruled = _copy(_finished, tmp_path_factory.mktemp("ruled") / "project", keep_runs=False)
    ruled.replace("disclosure: null", "disclosure: {profile: srs, changes: null}")
    ruled.run()
    return ruled.root


def _copy(source: Path, target: Path, keep_runs: bool) -> Project:
    shutil.copytree(source, target)
    copied = Project(target)
    for run in [] if keep_runs else copied.runs():
        shutil.rmtree(run)
    return copied


@pytest.fixture
def begun(tmp_path, _begun) -> Project:
    """A project whose first stage is stored and which holds no run."""
    return _copy(_begun, tmp_path / "project", keep_runs=False)


@pytest.fixture
def finished(tmp_path, _finished) -> Project:
    """A project that was run once."""
    return _copy(_finished, tmp_path / "project", keep_runs=True)


@pytest.fixture
def ruled(tmp_path, _ruled) -> Project:
    """A project whose protocol registers disclosure rules, run once: it has a report and a release."""
    return _copy(_ruled, tmp_path / "project", keep_runs=True)
