"""How heavy a page is and how soon it shows: python benchmarks/page.py REPORT.html ...

Bytes as written and as gzip; milliseconds to the first text and until every chart is drawn, the
median of nine loads in fresh tabs, pages in turn, in the Chromium of this machine.
"""

import gzip
import shutil
import statistics
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

LOADS = 9
WATCH = """
window.painted = new Promise((done) => {
  const name = "first-contentful-paint";
  const hear = (list) => list.getEntriesByName(name).forEach((e) => done(e.startTime));
  new PerformanceObserver(hear).observe({ type: "paint", buffered: true });
});
window.drawn = new Promise((done) => {
  const look = () => {
    const charts = [...document.querySelectorAll(".chart")];
    const all = document.readyState === "complete" && charts.every((c) => c.querySelector("svg"));
    all ? done(performance.now()) : requestAnimationFrame(look);
  };
  look();
});
"""


def load(browser: Browser, report: Path) -> tuple[float, float]:
    """Milliseconds to the first text, and until every chart is drawn."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.add_init_script(WATCH)
    page.goto(report.resolve().as_uri())
    drawn = page.evaluate("window.drawn")
    paint = page.evaluate("window.painted")
    page.close()
    return paint, drawn


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        reports = [Path(name) for name in sys.argv[1:]]
        rounds = [[load(browser, report) for report in reports] for _ in range(LOADS)]
        for report, loads in zip(reports, zip(*rounds, strict=True), strict=True):
            data = report.read_bytes()
            paint, drawn = (statistics.median(times) for times in zip(*loads, strict=True))
            print(
                f"{report}: {len(data) / 1e3:,.0f} kB, {len(gzip.compress(data)) / 1e3:,.0f} kB "
                f"gzip; first paint {paint:.0f} ms, drawn {drawn:.0f} ms"
            )
        browser.close()


if __name__ == "__main__":
    main()
