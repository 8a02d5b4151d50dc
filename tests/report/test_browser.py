"""The page in a real browser: every chart drawn, no error, no request, no sideways scrolling."""

import shutil
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from report.make_run import add_score, make_run

from evergrow.objectives.lines import Shown
from evergrow.report import write_report
from evergrow.report.comparison import read_comparison, write_comparison
from evergrow.report.index import write_index

pytestmark = pytest.mark.slow
Make = Callable[..., Path]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
COSINE_RATE = "[data-chart=rate-1] .curves path[style*='stroke-width: 3.2'] >> nth=0"
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
    return page


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("width", [1280, 390])
def test_every_chart_is_drawn_in_peace(made: Make, browser: Browser, case: str, width: int) -> None:
    page = opened(browser, write_report(made(**CASES[case])), width, "light")
    charts = page.locator(".chart")
    assert charts.count() >= 2
    for number in range(charts.count()):
        box = charts.nth(number).locator("svg.plot").bounding_box()
        assert box is not None
        assert 0 < box["width"] <= width
        assert charts.nth(number).locator(".curves path, .mark, .share").count() > 0
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
    drawn = page.locator("[data-chart=loss-0] [data-arm='1']")
    assert drawn.count() == 5  # a line, and the model before and after each stage
    expect(drawn.first).to_be_visible()
    page.get_by_role("button", name="cosine", exact=True).click()
    for number in range(5):
        expect(drawn.nth(number)).to_be_hidden()
    expect(page.locator("[data-chart=loss-0] [data-arm='0']").first).to_be_visible()
    page.close()


def test_the_pointer_reads_every_arm(made: Make, browser: Browser) -> None:
    report = write_report(made(arms=("infinite", "cosine")))
    page = opened(browser, report, 1280, "light")
    chart = page.locator("[data-chart=loss-0]")
    chart.scroll_into_view_if_needed()
    point_at(page, chart, 0.5)
    rows = chart.locator(".tip tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows] == ["infinite", "cosine"]
    assert "268,800 tokens" in chart.locator(".tip").inner_text()
    page.get_by_role("button", name="cosine", exact=True).click()
    point_at(page, chart, 0.4)
    expect(chart.locator(".tip tr")).to_have_count(1)
    page.mouse.move(0, 0)
    expect(chart.locator(".tip")).to_have_count(0)
    page.close()


def point_at(page: Page, chart: Locator, share: float) -> None:
    """Move the mouse to a share of a chart's width."""
    box = chart.locator(".plot").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * share, box["y"] + 50)


def test_the_command_to_copy_is_copied_whole(made: Make, browser: Browser) -> None:
    page = opened(browser, write_report(made(arms=("cosine",))), 390, "light")
    page.get_by_role("button", name="Copy").first.click()
    copied = page.evaluate("getSelection().toString()")
    assert copied.startswith("evergrow continue runs/toy/cosine --data 'FILES' --tokens 179k")
    assert copied.endswith("--replay 0.1")
    expect(page.locator(".copy").first).to_have_text("Copied")
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
    page.wait_for_load_state()
    assert page.evaluate("scrollY") == 1500
    assert page.locator('[aria-pressed="false"]').inner_text() == "cosine"
    page.close()


def test_paper_is_light_and_keeps_its_colours(made: Make, browser: Browser) -> None:
    page = opened(browser, write_report(made()), 1280, "dark")
    line = page.locator(COSINE_RATE)
    expect(line).to_have_css("stroke", CSS["dark"])
    page.emulate_media(media="print")
    expect(line).to_have_css("stroke", CSS["light"])
    expect(page.locator(".map td").first).to_have_css("print-color-adjust", "exact")
    expect(page.locator(".contents")).to_be_hidden()
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("case", ["four arms", "failed", "one stage of an imported model"])
def test_nothing_serious_stands_between_a_page_and_its_reader(
    made: Make, browser: Browser, case: str, width: int, scheme: str
) -> None:
    """axe-core's rules, as it comes with the package axe-playwright-python."""
    path = made(**CASES[case])
    if case == "four arms":  # a text that scrolls
        long = Shown(source="english", prompt="The", text="word " * 900)
        add_score(path, "infinite-0-0.0-0", "english", shown=[long])
    page = opened(browser, write_report(path), width, scheme)
    assert grave(page) == []
    page.close()


@pytest.fixture
def many(made: Make) -> Path:
    """A folder with two runs, of which one forgot more."""
    toy = made(arms=("infinite", "cosine"))
    settings = {"arms": ("cosine",), "streams": ("english",), "only_measured": ("old",)}
    for run in (toy, make_run(toy.parent / "mail", **settings)):
        write_report(run)
    return toy.parent


def test_runs_are_sorted_and_filtered(many: Path, browser: Browser) -> None:
    page = opened(browser, write_index(many), 1280, "light")
    names = page.locator("tbody th")
    page.get_by_role("button", name="forgot").click()
    assert names.all_inner_texts() == ["mail", "toy"]
    page.get_by_role("button", name="forgot").click()
    assert names.all_inner_texts() == ["toy", "mail"]
    page.get_by_role("button", name="run").click()
    assert names.all_inner_texts() == ["mail", "toy"]
    page.get_by_role("searchbox").fill("PYTHON done")
    expect(names.nth(0)).to_be_hidden()
    expect(names.nth(1)).to_be_visible()
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_pages_of_many_runs_have_nothing_serious_either(
    many: Path, browser: Browser, width: int
) -> None:
    compared = write_comparison(
        read_comparison([(many / "toy", None), (many / "mail", None)]), many
    )
    for file in (write_index(many), compared):
        page = opened(browser, file, width, "dark")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert grave(page) == []
        assert page.complaints == []  # pyright: ignore[reportAttributeAccessIssue]
        page.close()


def grave(page: Page) -> list[str]:
    """What axe-core calls moderate, serious or critical, and where."""
    pytest.importorskip("axe_playwright_python", reason="pip install axe-playwright-python")
    page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text())
    found = page.evaluate("axe.run()")
    return [
        f"{rule['id']}: {node['html'][:120]}"
        for rule in found["violations"]
        if rule["impact"] != "minor"
        for node in rule["nodes"]
    ]
