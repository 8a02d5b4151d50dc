"""Takes the README's picture of a report: python docs/picture.py runs/quickstart/report.html."""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")


def take(report: Path, picture: Path) -> None:
    """The top of the report, 1100 x 1640 points."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(QUIET)
        )
        page = browser.new_page(viewport={"width": 1100, "height": 1640})
        page.goto(report.resolve().as_uri())
        page.wait_for_timeout(2500)  # charts are drawn after the page has loaded
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(__file__).with_name("report.png"))
