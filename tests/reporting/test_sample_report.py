"""The sample report: small enough to be kept, and still a report that passes lint."""

from __future__ import annotations

import base64
import re

import pytest
import sample_report
from PIL import Image

from evaluation.reporting.palette import new_figure, png_bytes


def page(rows: int = 100, code: int = 10, numbers: int = 10) -> str:
    figure = new_figure(7, 4)
    figure.subplots().plot(range(50), [i % 7 for i in range(50)])
    picture = base64.b64encode(png_bytes(figure)).decode()
    body = "".join(f'<tr><th scope="row">{i}</th></tr>' for i in range(rows)) + '<tr id="kept"><th scope="row">linked</th></tr>'
    return (f'<p>Text. <a class="row-link" href="#kept">row</a></p><img src="data:image/png;base64,{picture}"><details class="code"><pre>{"x" * code}</pre></details>'
            f'<details><summary>Numbers in this figure</summary>{"y" * numbers}</details><table><tbody>{body}</tbody></table>')  # fmt: skip


def test_a_page_that_fits_loses_nothing_but_the_size_of_its_pictures():
    whole = page()
    small, gone = sample_report.smaller(whole)
    assert not gone and sample_report.PICTURE.sub("", small) == sample_report.PICTURE.sub("", whole) and len(small) < len(whole)


def test_parts_are_left_out_in_their_order_until_it_fits(monkeypatch):
    whole = page(rows=3_000, code=20_000, numbers=20_000)
    picture = len(sample_report.PICTURE.search(sample_report.smaller(page())[0])[0])
    monkeypatch.setattr(sample_report, "MOST_BYTES", picture + 140_000)
    small, gone = sample_report.smaller(whole)
    assert gone == ["the notebooks' code"] and "xxx" not in small and "yyy" in small
    monkeypatch.setattr(sample_report, "MOST_BYTES", picture + 5_000)
    small, gone = sample_report.smaller(whole)
    assert len(gone) == 4 and len(re.findall("<tr", small)) == sample_report.MOST_ROWS + 1 and 'id="kept"' in small
    monkeypatch.setattr(sample_report, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="is no sample"):
        sample_report.smaller(whole)


def test_pictures_stay_pictures():
    small = sample_report.smaller_pictures(page(), 400)
    import io

    image = Image.open(io.BytesIO(base64.b64decode(sample_report.PICTURE.search(small)[2])))
    assert image.width == 400 and image.format == "PNG"
