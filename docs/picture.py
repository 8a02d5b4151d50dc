"""Takes the README's pictures of a report: python docs/picture.py runs/quickstart.

`report-light.png` and `report-dark.png`: what the page says first, the life of one stream, and one
callout with the quickstart's own numbers.
"""

import json
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
WITHOUT, WITH = "infinite", "infinite-replay"
# Leaves the tiles and the first curve; draws the callout from one arm's last mark to the other's.
SHOW = """
(words) => {
  const style = document.createElement("style");
  style.textContent = `
    body { padding: 1.6rem 1.5rem 1rem } .contents, .headline, header .note, section .note { display: none }
    .tiles { margin-top: 1.2rem } section { display: none; margin-top: 1.4rem }
    section:has([data-chart="loss-0"]) { display: block } figure ~ figure { display: none }
    .legend { margin-bottom: 0 }
    .callout { position: absolute; color: var(--alert); font: 650 21px system-ui, sans-serif; }
    .callout svg { position: absolute; overflow: visible }`;
  document.head.append(style);
  const box = document.querySelector('[data-chart="loss-0"]'), place = box.getBoundingClientRect();
  const last = (arm) => [...box.querySelectorAll(`.mark[data-arm="${arm}"] path`)].at(-1).getBoundingClientRect();
  const [from, to] = words.arms.map((arm) => last(arm)), x = from.x - place.x - 60;
  const [top, end] = [from, to].map((mark) => mark.y + mark.height / 2 - place.y);
  const callout = document.createElement("div");
  callout.className = "callout";
  callout.innerHTML = `<svg><path d="M${x} ${top + 6}V${end - 10}m-7 -8l7 9l7 -9" fill="none" stroke="currentColor" stroke-width="2.5"/></svg>`;
  const told = document.createElement("span");
  told.textContent = words.told;
  told.style = `position: absolute; right: ${place.width - from.x + place.x}px; top: ${top - 74}px; white-space: nowrap`;
  Object.assign(callout.style, { left: 0, top: 0, width: "100%" });
  callout.append(told);
  box.append(callout);
}
"""  # noqa: E501


def take(browser: Browser, run: Path, scheme: str) -> Path:
    """The picture of a run in a colour scheme; returns its path."""
    arms = json.loads((run / "summary.json").read_text(encoding="utf-8"))["arms"]
    lost, kept = (arms[name]["forgetting"] for name in (WITHOUT, WITH))
    told = f"with a quarter of replay: forgotten {lost:.2f} \u2192 {kept:.2f}"
    page = browser.new_page(
        viewport={"width": 1100, "height": 1000}, color_scheme=scheme, device_scale_factor=1.5
    )  # pyright: ignore
    page.goto((run / "report.html").resolve().as_uri())
    order = page.locator("[data-toggle]").all_inner_texts()
    page.evaluate(SHOW, {"arms": [order.index(WITHOUT), order.index(WITH)], "told": told})
    picture = Path(__file__).with_name(f"report-{scheme}.png")
    height = page.locator("section:visible figure").first.bounding_box()
    assert height is not None
    clip = {"x": 0, "y": 0, "width": 1100, "height": height["y"] + height["height"] + 12}
    page.screenshot(path=picture, clip=clip)  # pyright: ignore
    page.close()
    return picture


def main(run: Path) -> None:
    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        for scheme in ("light", "dark"):
            take(browser, run, scheme)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
