"""The page as text: its numbers are those of the files, and nothing in them can break out of it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from report.make_run import add_data, add_score, data_of

from evergrow.lineage import Measured
from evergrow.objectives.lines import Shown
from evergrow.report import page, write_report

Make = Callable[..., Path]


def written(path: Path) -> str:
    """The page's text."""
    return write_report(path).read_text(encoding="utf-8")


def test_numbers_in_the_page_equal_the_files(made: Make) -> None:
    path = made()
    page = written(path)
    shown = re.findall(r'<data value="([^"]+)">([^<]+)</data>', page)
    values = [float(value) for value, _ in shown]
    summary = json.loads((path / "summary.json").read_text())
    for arm in summary["arms"].values():
        for key in ("average", "forgetting", "backward_transfer", "transient_peak", "num_tokens"):
            assert arm[key] in values
        for row in (arm["before"], *arm["loss_matrix"]):
            assert set(row) <= set(values)
    text = {float(value): text for value, text in shown}
    average = summary["arms"]["cosine"]["average"]
    assert text[average] == f"{average:.3f}"
    assert text[537_600] == "538k"


def test_the_data_table_and_the_quarantine(made: Make) -> None:
    page = written(made())
    assert "412,346" in page
    assert "<summary>cpp: 1 unreadable</summary>" in page
    assert "<code>headers/latin1.h</code> at byte 812: byte 0xe9 is not UTF-8" in page


def test_examples_are_counted_as_examples(made: Make) -> None:
    path = made(arms=("cosine",), streams=("english",))
    file = path / "data" / data_of("english") / "manifest.json"
    parts = {
        "train": {"num_examples": 4_321, "num_tokens": 98_765},
        "held_out": {"num_examples": 1_234},
    }
    manifest = {"format": 1, "form": "examples", "quarantine": [], **parts}
    file.write_text(json.dumps(manifest))
    page = written(path)
    said = "english: 4,321 examples to learn from, 98,765 tokens; 1,234 held out."
    assert said in page
    assert "held-out documents" not in page


def test_running_pages_reload_themselves_and_finished_ones_do_not(made: Make) -> None:
    assert 'data-reload="10"' in written(made(progress=0.5, status="running"))
    assert 'data-reload="0"' in written(made())


def test_a_failed_run_says_why_at_the_top(made: Make) -> None:
    error = "step 412: the loss is not a number; last good checkpoint checkpoints/step-400"
    page = written(made(arms=("cosine",), progress=0.5, status="failed", error=error))
    alert = page.index('role="alert"')
    assert alert < page.index(error) < page.index("<main>")
    assert 'data-reload="0"' in page


def test_optional_parts_are_left_out(made: Make) -> None:
    page = written(made(arms=("infinite",), streams=("english",), samples=False))
    assert "Samples by stage" not in page
    assert '<nav class="legend"' not in page
    early = written(made(progress=0.001, status="running"))
    assert "Last release, stream by stream" not in early


def test_tiles_and_contents_stand_before_everything_else(made: Make) -> None:
    page = written(made())
    tiles = re.findall(r'<p class="name">(\w+)</p>', page)
    assert tiles == ["Learnt", "Forgot", "Next"]
    anchors = re.findall(r'<a href="#([^"]+)">', page)
    assert anchors == re.findall(r'<h2 id="([^"]+)">', page)
    assert anchors[:2] == ["arms", "what-each-stage-did-to-each-stream"]
    places = [page.index(text) for text in ('class="tiles"', 'class="contents"', "<main>")]
    assert places == sorted(places)


def test_the_best_arm_is_what_is_loaded_elsewhere_and_it_is_said(made: Make) -> None:
    page = written(made())
    assert "of cosine-replay, which ends lowest on average" in page
    text = re.sub(r"</?span>", "", page)
    assert "from_pretrained(&#34;runs/toy/cosine-replay/releases/cpp&#34;)" in text


def test_forgetting_that_was_measured_is_on_the_whole_page(made: Make) -> None:
    page = written(made(arms=("cosine",), streams=("english",), only_measured=("old",)))
    assert "Forgot old: 2.28 \u2192 2.70 (+0.42)." in page
    assert "old, rise" in page
    assert "<small>+0.42</small>" in page
    assert "old (measured only)" in page


def test_skipped_steps_are_listed(made: Make) -> None:
    assert "step 470 in python (trunk): loss 10.6" in written(made())
    assert "No step was skipped." in written(made(arms=("infinite",)))


def test_a_loss_that_is_no_number_is_told_and_drawn_as_a_gap(made: Make) -> None:
    path = made()
    metrics = path / "cosine/metrics.jsonl"
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    for line in lines:
        line["loss"] = None if line["skipped"] else line["loss"]
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = written(path)
    assert "step 470 in python (trunk): loss no number" in page
    data = page.split('<script type="application/json" id="figures">')
    assert "NaN" not in data[0] + data[1].split("</script>")[0]
    assert "nan" not in "".join(re.findall(r"d=\"[^\"]*\"", data[0]))


@pytest.mark.parametrize(
    "hostile", ["</script><script>boom()</script>", "<img src=x onerror=boom()>"]
)
def test_hostile_text_stays_text(made: Make, hostile: str) -> None:
    path = made(arms=("cosine",), streams=("english",))
    release, text = "cosine-0-0.0-0", Shown(source="english", prompt=hostile, text=hostile)
    add_score(path, release, "english", shown=[text])
    add_data(path, "cosine", "wiki")
    line = Measured(source=hostile, unit="bits per byte", loss=2.0, low=2.0, high=2.0)
    add_score(path, release, "wiki", losses=[line])
    recipe = {"name": "toy", "description": hostile}
    (path / "recipe.yaml").write_text(json.dumps(recipe))
    page = written(path)
    assert hostile not in page
    assert page.count("<script") == 2
    assert (
        page.count(hostile.replace("<", "&lt;").replace(">", "&gt;")) >= 4
    )  # text, source, recipe


def test_the_page_names_no_place_on_this_machine(made: Make) -> None:
    path = made()
    assert str(path) not in written(path)
    assert "runs/toy/cosine-replay/releases/cpp" in written(path)


def test_a_second_report_replaces_the_first_and_leaves_no_draft(made: Make) -> None:
    path = made(arms=("cosine",), streams=("english",))
    assert write_report(path) == write_report(path) == path / "report.html"
    assert [file.name for file in path.glob("*report*")] == ["report.html"]
    assert [file.name for file in path.glob(".report*")] == []


def test_what_scrolls_can_be_reached_by_keyboard() -> None:
    """Wide tables and long texts, in every template; a browser test sees only what it is shown."""
    for file in Path(page.__file__).parent.glob("*.j2"):
        boxes = re.findall(r'<div class="wide"[^>]*>|<pre[^>]*>', file.read_text())
        assert [box for box in boxes if 'tabindex="0"' not in box] == [], file.name
