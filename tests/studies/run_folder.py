"""The command, and what every run folder must show whichever study it holds."""

from __future__ import annotations

import base64
import getpass
import hashlib
import html
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pandas as pd
import yaml

from evaluation.registers.dictionary import check_frame, load_table, typed_frame
from evaluation.runs.stages import KINDS, folder_of

ROOT = Path(__file__).resolve().parents[2]
EDITIONS = ("summary.html", "technical.html")
PNG = b"\x89PNG\r\n\x1a\n"
WAIT = 600  # seconds that a test process waits for another's run


def evaluation(*arguments: object, timeout: float = 600) -> subprocess.CompletedProcess:
    """Run the command as a user does, from the root of the project."""
    return subprocess.run([sys.executable, "-m", "evaluation", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def made_once(tmp_path_factory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is filled once, also where several test processes ask for it: one fills it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    done, failed = folder / "done", folder / "failed"
    try:
        folder.mkdir()
    except FileExistsError:
        until = time.monotonic() + WAIT
        while not done.exists():
            assert not failed.exists(), f"another test process could not make `{name}`"
            assert time.monotonic() < until, f"another test process did not finish `{name}`"
            time.sleep(0.2)
        return folder
    try:
        make(folder)
    except BaseException:
        failed.touch()
        raise
    done.touch()
    return folder


def default_run(tmp_path_factory) -> RunFolder:
    """One cold run of the default study, for every test that asks for it; what the command said is kept in ``said.txt``."""

    def make(folder):
        done = evaluation("run", "--out", folder / "out")
        assert done.returncode == 0, done.stderr
        (folder / "said.txt").write_text(done.stdout, encoding="utf-8")

    return RunFolder.only(made_once(tmp_path_factory, "trial", make) / "out")


@dataclass(frozen=True)
class RunFolder:
    """A run folder below ``out``."""

    out: Path
    folder: Path

    @classmethod
    def only(cls, out: Path) -> RunFolder:
        """The first run below ``out``."""
        return cls(out, min(p.parent for p in out.glob("*/events.jsonl")))

    @cached_property
    def manifest(self) -> dict:
        return json.loads((self.folder / "run.json").read_text(encoding="utf-8"))

    @property
    def kind(self):
        return KINDS[self.manifest["study_kind"]]

    def path(self, table: str) -> Path:
        return self.folder / folder_of(self.kind.writer(table).name) / "tables" / f"{table}.parquet"

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.path(name))

    def row(self, table: str, **keys) -> pd.Series:
        """The one row with these values."""
        frame = self.table(table)
        for column, value in keys.items():
            frame = frame.loc[frame[column] == value]
        assert len(frame) == 1, f"{len(frame)} rows of {table} with {keys}"
        return frame.iloc[0]

    def sql(self, query: str) -> tuple:
        """One row of a query in which ``{table}`` stands for a table of the run."""
        with duckdb.connect() as con:
            return con.execute(re.sub(r"\{(\w+)\}", lambda m: f"read_parquet('{self.path(m.group(1)).as_posix()}')", query)).fetchone()

    def page(self, edition: str, folder: str = "report") -> str:
        """An edition: of the cleared report, or of ``working``."""
        return (self.folder / folder / edition).read_text(encoding="utf-8")

    @property
    def whole(self) -> str:
        """Folder of the editions in full: what is published needs no other than the report."""
        return "report" if self.manifest["data_label"] == "published" else "working"

    def words(self, edition: str, folder: str = "report") -> str:
        """What a reader sees, on one line."""
        return words(self.page(edition, folder))


def words(page: str) -> str:
    """The text of a page or of a part of one, without code, styles or tags."""
    body = re.sub(r"(?s)<(style|script|pre)\b.*?</\1>", " ", page[max(page.find("<body"), 0):])
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body))).strip()


def section(page: str, heading: str, last: bool = False) -> str:
    """The part of a page below a heading, up to the next heading; of several with these words the first or last."""
    found = [m for m in re.finditer(r"(?s)<h([2-6])\b[^>]*>(.*?)</h\1>", page) if words(m.group(2)) == heading]
    assert found, f"no heading {heading!r}"
    rest = page[found[-1 if last else 0].end():]
    following = re.search(r"<h[1-6]\b", rest)
    return rest[: following.start()] if following else rest


def tables(page: str) -> list[pd.DataFrame]:
    """Every table of a page or of a part of one, as the words of its cells; its caption stands in ``attrs``."""
    found = []
    for table in re.findall(r"(?s)<table\b[^>]*>(.*?)</table>", page):
        rows = [[words(cell) for cell in re.findall(r"(?s)<t[hd]\b[^>]*>(.*?)</t[hd]>", row)] for row in re.findall(r"(?s)<tr\b[^>]*>(.*?)</tr>", table)]
        frame = pd.DataFrame(rows[1:], columns=rows[0])
        caption = re.search(r"(?s)<caption>(.*?)</caption>", table)
        frame.attrs["caption"] = words(caption.group(1)) if caption else ""
        found.append(frame)
    return found


def number(value: float, decimals: int) -> str:
    """A number as a page prints it, with a true minus sign."""
    return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


class _Figures(HTMLParser):
    """Every figure of a page: its caption, and the bytes and alternative text of its image."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict] = []
        self._caption = False

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "figure":
            self.found.append({"caption": "", "alt": None, "png": b""})
        elif tag == "img":
            scheme, _, data = given["src"].partition("base64,")
            assert scheme == "data:image/png;", "an image that is not inside the page"
            self.found[-1] |= {"alt": given.get("alt"), "png": base64.b64decode(data)}
        self._caption = tag == "figcaption" or (self._caption and tag != "img")

    def handle_endtag(self, tag):
        self._caption = self._caption and tag != "figcaption"

    def handle_data(self, data):
        if self._caption:
            self.found[-1]["caption"] += data


def figures(page: str) -> list[dict]:
    """Every figure of a page."""
    parser = _Figures()
    parser.feed(page)
    return parser.found


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_manifest(run: RunFolder, label: str) -> None:
    """``run.json`` says what the folder holds, and nothing else."""
    said = run.manifest
    assert said["run_id"] == run.folder.name and said["kind"] == "full" and said["data_label"] == label
    assert said["protocol"] == yaml.safe_load((run.folder / "protocol.yaml").read_text(encoding="utf-8"))
    assert said["seed"] == said["protocol"]["execution"]["seed"]
    assert [s["name"] for s in said["stages"]] == [s.name for s in run.kind.stages]
    assert {e["table"] for e in said["inputs"]} == {t for s in run.kind.stages for t in s.raw}
    assert {e["label"] for e in said["inputs"]} == {label} and all(e["rows"] > 0 for e in said["inputs"])
    for stage in said["stages"]:
        folder = run.folder / folder_of(stage["name"])
        on_disk = {p.relative_to(folder).as_posix(): sha256(p) for p in folder.rglob("*") if p.is_file()}
        own = {n: d for n, d in on_disk.items() if n != "step.json" and not (stage["name"] == "report" and n in EDITIONS)}
        assert own == {n: o["sha256"] for n, o in stage["outputs"].items()}, stage["name"]
        for name, output in stage["outputs"].items():
            if name.startswith("tables/"):
                frame = pd.read_parquet(folder / name)
                assert (output["rows"], output["columns"]) == (len(frame), len(frame.columns)), name
    assert {n: sha256(run.folder / n) for n in said["report"]["files"]} == said["report"]["files"]
    assert {n for n in said["report"]["files"] if n.startswith("report/")} == {f"report/{edition.removesuffix('.html')}.{kind}" for edition in EDITIONS for kind in ("html", "pdf", "docx")}
    assert {p.name for p in (run.folder / "report").iterdir()} == {"checks.json", *(Path(n).name for n in said["report"]["files"] if n.startswith("report/"))}, "the report's folder holds cleared files alone"
    headline = run.table("headline").astype(object)
    assert said["headline"] == headline.where(headline.notna(), None).to_dict("records")


def check_tables(run: RunFolder) -> None:
    """Every table on disk is a declared one, matches the dictionary, is in order of its key, and has no NaN."""
    for stage in run.kind.stages:
        paths = {p.stem: p for p in (run.folder / folder_of(stage.name) / "tables").iterdir()}
        assert set(paths) == set(stage.writes), stage.name
        for name, path in paths.items():
            frame = pd.read_parquet(path)
            checked = check_frame(load_table(ROOT, name), frame)
            keys = list(load_table(ROOT, name).primary_key)
            pd.testing.assert_frame_equal(checked[keys], typed_frame(load_table(ROOT, name), frame)[keys])
            with duckdb.connect() as con:
                relation = f"read_parquet('{path.as_posix()}')"
                real = [c[0] for c in con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall() if c[1] in ("DOUBLE", "FLOAT")]
                if real:
                    counts = con.execute("SELECT " + ", ".join(f"count(*) FILTER (WHERE isnan(\"{c}\"))" for c in real) + f" FROM {relation}").fetchone()
                    assert sum(counts) == 0, f"NaN in {name}: {dict(zip(real, counts, strict=True))}"


def check_figures(run: RunFolder) -> None:
    """Each figure has its drawing and its numbers beside it; the technical edition in full shows those very drawings, the cleared one some of them."""
    folders = [run.folder / folder_of(s.name) / "figures" for s in run.kind.stages if (run.folder / folder_of(s.name) / "figures").is_dir()]
    drawings = {p for folder in folders for p in folder.glob("*.png")}
    assert drawings and {p.with_suffix(".csv") for p in drawings} == {p for folder in folders for p in folder.glob("*.csv")}
    assert {p.suffix for folder in folders for p in folder.iterdir()} == {".png", ".csv"}
    for path in drawings:
        assert path.read_bytes().startswith(PNG) and len(pd.read_csv(path.with_suffix(".csv"))) > 0, path.name
    shown = figures(run.page("technical.html", run.whole))
    assert sorted(hashlib.sha256(f["png"]).hexdigest() for f in shown) == sorted(sha256(p) for p in drawings)
    own = {sha256(p) for p in drawings if p.parent.parent.name == "working"}
    assert {hashlib.sha256(f["png"]).hexdigest() for f in figures(run.page("summary.html", run.whole))} == own
    cleared = figures(run.page("technical.html"))
    held = re.findall(r"Figure held back: ", run.words("technical.html"))
    assert len(cleared) + len(held) == len(shown) and {f["png"] for f in cleared} <= {f["png"] for f in shown}
    assert all(f["alt"] and len(f["alt"]) > 40 and f["caption"] for f in shown)


def check_no_machine(run: RunFolder) -> None:
    """No page, drawing's numbers, manifest or executed notebook names a path or user of the machine it ran on."""
    named = {str(ROOT), str(run.out), str(run.folder), sys.prefix, str(Path.home())} - {"/"}
    whole = "|".join(re.escape(text) for text in sorted(named))
    pattern = re.compile(rf"(?<![\w.])(?:(?:{whole})(?![\w.])|/(?:home|Users|tmp|var|opt)/)|\b[A-Z]:\\\\|\b{re.escape(getpass.getuser())}@")
    paths = [p for p in run.folder.rglob("*") if p.suffix in (".html", ".csv", ".json", ".jsonl", ".ipynb", ".yaml")]
    assert len(paths) > 10
    for path in paths:
        text = re.sub(r"base64,[A-Za-z0-9+/=]+|\"image/png\": \"[^\"]+\"", "", path.read_text(encoding="utf-8"))
        found = pattern.search(text)
        assert found is None, f"{path.relative_to(run.folder)}: {text[max(found.start() - 60, 0):found.end() + 40]!r}"


def check_headline_is_printed(run: RunFolder) -> None:
    """Both editions print every sentence of the headline table, in its order; cleared ones say where one is left out."""
    published = run.whole == "report"
    released = set(run.table("headline")["key"] if published else pd.read_csv(run.folder / "release" / "tables" / "headline.csv")["key"])
    for edition, folder in ((e, f) for e in EDITIONS for f in {"report", run.whole}):
        text, place = run.words(edition, folder), 0
        headline = run.table("headline")
        head = text[text.index("Numbers behind the headline"):]
        for row in headline.itertuples():
            sentence = re.sub(r"\s+", " ", row.text)
            shown = folder == "working" or row.key in released
            assert (sentence in text) == shown, f"{folder}/{edition} {'lacks' if shown else 'shows'} {row.key}: {sentence}"
            place = head.index(f" {row.position} {row.key} ", place)
        if folder == "report":
            assert text.count("A sentence is left out here because") >= len(set(headline["key"]) - released)


def check_reuse(run: RunFolder, done: subprocess.CompletedProcess) -> None:
    """A second run with nothing changed reuses every stage and both editions, and says the same."""
    stages = len(run.kind.stages)
    assert done.returncode == 0, done.stderr
    assert f"{stages} stages, {stages} reused" in done.stdout
    (folder,) = {p.parent for p in run.out.glob("*/run.json")} - {run.folder}
    again = RunFolder(run.out, folder)
    assert all(s["reused"] and s["why"] == "nothing it depends on changed" for s in again.manifest["stages"])
    assert again.manifest["report"]["reused"] and again.manifest["headline"] == run.manifest["headline"]
    assert [s["outputs"] for s in again.manifest["stages"]] == [s["outputs"] for s in run.manifest["stages"]]
    for edition in EDITIONS:
        assert again.page(edition).replace(again.folder.name, "") == run.page(edition).replace(run.folder.name, "")
