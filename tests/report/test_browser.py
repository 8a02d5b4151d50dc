"""The page in a real browser: every chart drawn, no error, no request, no sideways scrolling."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from evergrow.report import write_report

pytestmark = pytest.mark.slow
Make = Callable[..., Path]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
COSINE_RATE = "[data-chart=rate-1] .scatterlayer path.js-line[style*='width: 3.2px'] >> nth=0"
CSS = {"light": "rgb(207, 90, 0)", "dark": "rgb(242, 142, 69)"}  # of the second arm
CASES = {
    "four arms": {},
    "three seeds": {"num_seeds": 3},
    "running": {"progress": 0.5, "status": "running"},
    "just begun": {"progress": 0.0, "status": "running"},
    "failed": {"arms": ("cosine",), "progress": 0.5, "status": "failed", "error": "full disk"},
    "one stage of an imported model": {
        "arms": ("infinite",),
        "streams": ("english",),
        "start": "a/b",
    },
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no chromium on this machine; Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield launched
        launched.close()


def opened(browser: Browser, report: Path, width: int, scheme: str) -> Page:
    """The report in a window; complaints and requests gather in ``page.complaints``."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # pyright: ignore
    page.complaints = []  # pyright: ignore[reportAttributeAccessIssue]
    heard = page.complaints.append  # pyright: ignore[reportAttributeAccessIssue]
    page.on("console", lambda message: heard(message.text))
    page.on("pageerror", lambda error: heard(str(error)))
    page.on(
        "request", lambda request: heard(request.url) if request.url != report.as_uri() else None
    )
    page.goto(report.as_uri())
    page.wait_for_selector("body[data-drawn]")
    return page


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("width", [1280, 390])
def test_every_chart_is_drawn_in_peace(made: Make, browser: Browser, case: str, width: int) -> None:
    page = opened(browser, write_report(made(**CASES[case])), width, "light")
    charts = page.locator(".chart")
    assert charts.count() >= 2
    for number in range(charts.count()):
        drawn = charts.nth(number).locator("svg.main-svg").first
        box = drawn.bounding_box()
        assert box is not None
        assert 0 < box["width"] <= width
        assert charts.nth(number).locator(".trace, .bars path").count() > 0
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.complaints == []  # pyright: ignore[reportAttributeAccessIssue]
    page.close()


def test_dark_and_light_differ_in_page_and_charts(made: Make, browser: Browser) -> None:
    report = write_report(made())
    pages = [opened(browser, report, 1280, scheme) for scheme in ("light", "dark")]
    colors = [
        page.evaluate("getComputedStyle(document.documentElement).background") for page in pages
    ]
    assert "rgb(255, 255, 255)" in colors[0]
    assert "rgb(20, 24, 28)" in colors[1]
    charts = [page.locator("[data-chart=rate-0]").screenshot() for page in pages]
    assert charts[0] != charts[1]
    pages[0].emulate_media(color_scheme="dark")
    expect(pages[0].locator(COSINE_RATE)).to_have_css("stroke", CSS["dark"])
    for page in pages:
        page.close()


def test_an_arm_can_be_hidden_in_all_charts(made: Make, browser: Browser) -> None:
    page = opened(browser, write_report(made()), 1280, "light")
    lines = page.locator("[data-chart=loss-0] .scatterlayer .trace")
    before = lines.count()
    page.get_by_role("button", name="cosine", exact=True).click()
    expect(lines).to_have_count(before - 2)
    page.close()


def test_reloading_keeps_the_place_and_the_hidden_arms(made: Make, browser: Browser) -> None:
    report = write_report(made(progress=0.5, status="running"))
    text = report.read_text(encoding="utf-8").replace('data-reload="10"', 'data-reload="1"')
    report.write_text(text, encoding="utf-8")
    page = opened(browser, report, 390, "light")
    page.get_by_role("button", name="cosine", exact=True).click()
    page.evaluate("scrollTo(0, 1500)")
    with page.expect_navigation():
        pass
    page.wait_for_selector("body[data-drawn]")
    assert page.evaluate("scrollY") == 1500
    assert page.locator('[aria-pressed="false"]').inner_text() == "cosine"
    page.close()


def test_paper_is_light_and_narrow(made: Make, browser: Browser) -> None:
    page = opened(browser, write_report(made()), 1280, "dark")
    line, chart = page.locator(COSINE_RATE), page.locator("[data-chart=rate-1] .main-svg").first
    expect(line).to_have_css("stroke", CSS["dark"])
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(line).to_have_css("stroke", CSS["light"])
    expect(chart).to_have_css("width", "680px")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(line).to_have_css("stroke", CSS["dark"])
    expect(chart).to_have_css("width", "1032px")
    page.close()
