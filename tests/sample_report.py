"""Writes the sample report: ``python -m tests.sample_report [RUN]`` puts both editions of a finished run below ``reports/sample/``.

RUN is a run's folder; the newest run of the default study when not given. The project keeps the sample, so each edition is made
smaller than ``MOST_BYTES``: pictures are drawn smaller, and, until it fits, parts are left out, which the sample's README
says. ``summary.png`` is the top of the summary edition, for the project's README; it needs Chromium.
"""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path

from PIL import Image

from evaluation.reporting.render.browser import open_browser
from evaluation.reporting.render.lint import lint
from evaluation.runs.files import read_json, write_atomically
from evaluation.runs.run import find_run

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "reports" / "sample"
MOST_BYTES = 490_000
PICTURE_WIDTHS, PICTURE_COLOURS = (640, 560, 480, 400, 320), 16
MOST_ROWS = 8
PAGE_WIDTH, PAGE_HEIGHT = 1000, 1240
PICTURE = re.compile(r"(src=\"data:image/png;base64,)([^\"]+)\"")
CODE = re.compile(r'(?s)<details class="code">.*?</details>')
NUMBERS = re.compile(r"(?s)<details><summary>Numbers in this figure.*?</details>")
BEHIND = re.compile(r'(?s)<details id="[^"]*"><summary>Numbers behind this text.*?</details>')
BEHIND_LINK = re.compile(r'(?s) <a class="row-link" href="#[^"]*-behind-1">.*?</a>')
BODY = re.compile(r"(?s)(<tbody>)(.*?)(</tbody>)")
ROW = re.compile(r"(?s)<tr(?: id=\"[^\"]*\")?>.*?</tr>")


def smaller_pictures(page: str, width: int) -> str:
    """A page with its pictures drawn smaller, in few colours."""

    def smaller_picture(match: re.Match[str]) -> str:
        picture = Image.open(io.BytesIO(base64.b64decode(match[2]))).convert("RGB")
        wide = min(width, picture.width)
        picture = picture.resize((wide, round(picture.height * wide / picture.width)), Image.Resampling.BOX)
        buffer = io.BytesIO()
        picture.quantize(PICTURE_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        return f'{match[1]}{base64.b64encode(buffer.getvalue()).decode("ascii")}"'

    return PICTURE.sub(smaller_picture, page)


def shorter_tables(page: str) -> str:
    """A page with the first rows of each table, and those that something links to."""

    def shorter(match: re.Match[str]) -> str:
        rows = ROW.findall(match[2])
        return match[1] + "".join(row for place, row in enumerate(rows) if place < MOST_ROWS or row.startswith("<tr id=")) + match[3]

    return BODY.sub(shorter, page)


LEFT_OUT = (
    ("the notebooks' code", lambda page: CODE.sub("", page)),
    ("the folded numbers of figures", lambda page: NUMBERS.sub("", page)),
    ("the folded rows behind texts", lambda page: BEHIND.sub("", BEHIND_LINK.sub("", page))),
    (f"rows of tables beyond the first {MOST_ROWS}", shorter_tables),
)


def smaller(page: str) -> tuple[str, list[str]]:
    """An edition that fits, and what was left out of it.

    Raises
    ------
    ValueError
        It does not fit with everything left out that may be.
    """
    gone: list[str] = []
    drawn = smaller_pictures(page, PICTURE_WIDTHS[0])
    for words, leave_out in LEFT_OUT:
        if len(drawn.encode()) <= MOST_BYTES:
            return drawn, gone
        page, drawn = leave_out(page), leave_out(drawn)
        gone.append(words)
    for width in PICTURE_WIDTHS:
        drawn = smaller_pictures(page, width)
        if len(drawn.encode()) <= MOST_BYTES:
            return drawn, gone
    raise ValueError(f"an edition of {len(drawn.encode()):,} bytes is no sample (limit {MOST_BYTES:,})")


def main(arguments: list[str]) -> None:
    """Write the sample from a run."""
    run = find_run(ROOT / "reports", arguments[0] if arguments else None)
    manifest = read_json(run / "run.json")
    if manifest["data_label"] != "simulated" or manifest["kind"] != "full":
        raise SystemExit("a sample is made of a full run on simulated data")
    pages, lines = {}, []
    for name in ("summary.html", "technical.html"):
        pages[name], gone = smaller((run / "report" / name).read_text(encoding="utf-8"))
        found = lint(pages[name], name)
        if found:
            raise SystemExit(f"{name}: {found[0].where}: {found[0].message}")
        lines.append(f"- `{name}`" + (f", without {', '.join(gone)}" if gone else ""))
    for name, page in pages.items():
        write_atomically(SAMPLE / name, page)
    with open_browser() as browser:
        view = browser.new_page(viewport={"width": PAGE_WIDTH, "height": PAGE_HEIGHT})
        view.set_content((SAMPLE / "summary.html").read_text(encoding="utf-8"))
        shot = Image.open(io.BytesIO(view.screenshot())).convert("RGB")
    buffer = io.BytesIO()
    shot.quantize(64, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    write_atomically(SAMPLE / "summary.png", buffer.getvalue())
    write_atomically(SAMPLE / "README.md", (
        "# Sample\n\nBoth editions of a run of the default study, made from simulated pupils: not a finding. Pictures are smaller than in a run's own report.\n\n"
        + "\n".join(lines) + "\n- `summary.png`, the top of the summary edition, for the project's README\n\nMade by `python -m tests.sample_report`.\n"))
    print(f"wrote {SAMPLE.relative_to(ROOT).as_posix()}/ from {run.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
