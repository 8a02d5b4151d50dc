"""The templates of all pages: their filters, palettes, style and script."""

import re
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from evergrow.report import canvas, words
from evergrow.report.drawing import draw, swatch
from evergrow.report.lineage import stripes

HEADING = re.compile(r"<h2>(.*?)</h2>")


def templates() -> Environment:
    """The environment in which every page is rendered."""
    environment = Environment(
        loader=PackageLoader("evergrow.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        bits=words.bits, signed=words.signed, count=words.count, size=words.size,
        plural=words.plural, stripes=stripes, draw=draw, swatch=swatch, anchored=anchored,
        headings=headings,
    )  # fmt: skip
    environment.globals.update(
        palettes={"light": canvas.LIGHT, "dark": canvas.DARK},
        style=Markup(_text("page.css")),
        script=Markup(_text("page.js")),
    )
    return environment


def _text(name: str) -> str:
    return resources.files("evergrow.report").joinpath(name).read_text(encoding="utf-8")


def anchored(page: Markup) -> Markup:
    """Every heading with an anchor made of its words."""
    return Markup(HEADING.sub(lambda found: f'<h2 id="{_anchor(found[1])}">{found[1]}</h2>', page))


def headings(page: Markup) -> list[tuple[str, Markup]]:
    """The anchor and the words of every heading, in order."""
    return [(_anchor(words), Markup(words)) for words in HEADING.findall(page)]


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")
