"""Editions in a real browser: axe-core at WCAG 2.2 AA, reach by keyboard, outside requests, and what runs over the edge.

Needs the extra ``test`` (playwright and a package that carries axe-core) and the system's Chromium. Each finding names the
notebook's cell, as the lint gate's do. Widths are those of a phone (WCAG's reflow, 1.4.10), of a desk, and of a printed page.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import ContractError
from evaluation.reporting.render.assemble import refuse_findings
from evaluation.reporting.render.lint import Finding

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSER_VARIABLE = "EVALUATION_BROWSER"
DEFAULT_BROWSER = "/usr/bin/chromium"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
AXE_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
NARROW, WIDE, PRINTED = 320, 1280, 688
"""CSS pixels: the narrowest width of WCAG's reflow rule, a desk's screen, and A4 between its margins."""
HEIGHT = 900

_AXE = """async ([tags, colours]) => {
    const found = await axe.run(document, {runOnly: {type: 'tag', values: tags}, rules: {'color-contrast': {enabled: colours}}, resultTypes: ['violations'], elementRef: true});
    return found.violations.flatMap(rule => rule.nodes.map(node => ({
        rule: rule.id, help: rule.help, html: node.html.slice(0, 120), cell: ((node.element.closest && node.element.closest('[data-cell]')) || {dataset: {}}).dataset.cell || ''})));
}"""
_OVER_EDGE = """() => {
    const width = document.documentElement.clientWidth, inside = element => {
        for (let up = element.parentElement; up; up = up.parentElement) if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(up).overflowX) && up !== document.body) return true;
        return false;
    };
    const found = [];
    for (const element of document.querySelectorAll('main *, nav *, header *, footer *')) {
        const box = element.getBoundingClientRect(), scrolls = ['auto', 'scroll', 'hidden'].includes(getComputedStyle(element).overflowX);
        const right = scrolls ? box.right : Math.max(box.right, box.left + element.scrollWidth);
        if (box.width && right > width + 1 && !inside(element) && !element.classList.contains('hidden') && !element.closest('.hidden, .skip'))
            found.push({tag: element.tagName.toLowerCase(), by: Math.round(right - width), cell: (element.closest('[data-cell]') || {dataset: {}}).dataset.cell || ''});
    }
    return {page: document.scrollingElement.scrollWidth > width + 1, found: found.slice(0, 5)};
}"""
_MARK_FOCUSABLE = """() => {
    for (const details of document.querySelectorAll('details')) details.open = true;
    window.reached = new Set();
    const all = [...document.querySelectorAll('a[href], summary, [tabindex="0"]')];
    document.addEventListener('focusin', event => window.reached.add(all.indexOf(event.target)));
    window.focusable = all;
    return all.length;
}"""
_NOT_REACHED = """() => window.focusable.map((element, place) => [element, place]).filter(([, place]) => !window.reached.has(place))
    .map(([element]) => ({tag: element.tagName.toLowerCase(), words: element.textContent.trim().slice(0, 60),
                          cell: (element.closest('[data-cell]') || {dataset: {}}).dataset.cell || ''}))"""


def browser_path() -> Path | None:
    """The system's Chromium, or the browser named by EVALUATION_BROWSER; None where there is none."""
    path = Path(os.environ.get(BROWSER_VARIABLE) or DEFAULT_BROWSER)
    return path if path.is_file() else None


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser without a window that asks nothing of the network.

    Raises
    ------
    ContractError
        There is no browser, or the extra ``test`` is not installed.
    """
    path = browser_path()
    mend = f"install the extra `test` and the system's package chromium, or name a Chromium in {BROWSER_VARIABLE}"
    if path is None:
        raise ContractError("there is no Chromium to hold the editions against axe-core", mend=mend)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise ContractError("playwright is not installed", mend=mend) from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(path), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def refuse_violations(pages: Mapping[str, str]) -> None:
    """Hold every edition against the rules that need a browser.

    Parameters
    ----------
    pages : mapping of str to str
        HTML by file name.

    Raises
    ------
    GateError
        An edition breaks a rule; the message names the cell and the mend.
    """
    with open_browser() as browser:
        findings = [finding for name, html in pages.items() for finding in browser_findings(html, name, browser)]
    refuse_findings(findings)


def browser_findings(html: str, name: str, browser: Browser) -> list[Finding]:
    """Return what a browser finds at fault in one edition.

    Parameters
    ----------
    html : str
        The whole edition.
    name : str
        Its file name.
    browser : playwright.sync_api.Browser
        From :func:`open_browser`.

    Returns
    -------
    list of Finding
        Empty when every rule is kept.
    """
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(html, encoding="utf-8")
        context = browser.new_context(viewport={"width": WIDE, "height": HEIGHT}, service_workers="block")
        try:
            page = context.new_page()
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            page.goto(path.as_uri())
            page.evaluate(_axe_script())
            findings += _axe(page, name, "a desk's width")
            findings += _over_edge(page, name, "a desk's width")
            findings += _keyboard(page, name)
            page.set_viewport_size({"width": NARROW, "height": HEIGHT})
            findings += _axe(page, name, f"{NARROW} pixels", colours=False)
            findings += _over_edge(page, name, f"{NARROW} pixels")
            page.emulate_media(media="print")
            page.set_viewport_size({"width": PRINTED, "height": HEIGHT})
            findings += _axe(page, name, "print")
            findings += [Finding("outside request", f"asks for {url[:80]}", name, "keep everything in the report")
                         for url in asked if not url.startswith("data:") and url != path.as_uri()]
        finally:
            context.close()
    return list(dict.fromkeys(findings))


def _axe_script() -> str:
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def _finding(rule: str, message: str, name: str, said: Mapping[str, Any], mend: str) -> Finding:
    return Finding(rule, f"{message} ({name})" if said["cell"] else message, said["cell"] or name, mend)


def _axe(page: Page, name: str, at: str, *, colours: bool = True) -> list[Finding]:
    """Run axe. No rule of the style sets a colour by width, so that contrast is measured at one width on the screen, and in print."""
    return [_finding(f"axe {said['rule']}", f"{said['help']}: {said['html']} at {at}", name, said, "show results with the show functions, or mend the template")
            for said in page.evaluate(_AXE, [list(AXE_TAGS), colours])]


def _over_edge(page: Page, name: str, at: str) -> list[Finding]:
    said = page.evaluate(_OVER_EDGE)
    found = [_finding("reflow", f"<{one['tag']}> runs {one['by']} pixels over the edge at {at}", name, one, "show wide tables with show_table, which scrolls them in a region of their own")
             for one in said["found"]]
    if said["page"] and not found:
        found.append(Finding("reflow", f"the page scrolls sideways at {at}", name, "mend the style of the editions"))
    return found


def _keyboard(page: Page, name: str) -> list[Finding]:
    """Press Tab through the page with every folded part opened, and note what was never reached."""
    count = page.evaluate(_MARK_FOCUSABLE)
    session = page.context.new_cdp_session(page)
    for _ in range(count + 2):
        for kind in ("rawKeyDown", "keyUp"):
            session.send("Input.dispatchKeyEvent", {"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9})
    return [_finding("keyboard", f"<{said['tag']}> {said['words']!r} is not reached with the Tab key", name, said, "leave tabindex and visibility to the template")
            for said in page.evaluate(_NOT_REACHED)]


def printed_pages(html: str, browser: Browser) -> int:
    """Return how many A4 pages an edition prints on."""
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", print_pdf(html, browser)))


def print_pdf(html: str, browser: Browser) -> bytes:
    """Return an edition as a browser prints it."""
    page = browser.new_page()
    try:
        page.set_content(html)
        return page.pdf(prefer_css_page_size=True, print_background=True)
    finally:
        page.close()
