from pathlib import Path

from evergrow.report.rewarm import Probe, Rewarmed, trade, write_rewarm

FLOOR = Probe(name="floor", peak=1e-5, new=2.9, old={"a": 2.0}, gained=0.1, lost=0.0)
PROBES = [
    Probe(name=f"peak-{n}", peak=n * 1e-4, new=2.8, old={"a": 2.1}, gained=n / 10, lost=n / 20)
    for n in (1, 2, 4)
]
FOUND = Rewarmed(
    model="<model>",
    tokens=100_000,
    grid="1 to 4 of the peak 0.0001 (as given)",
    rule="a rule",
    before={"new": 3.0, "a": 2.0},
    probes=PROBES,
    floor=FLOOR,
    peak=2e-4,
    why="because",
    command="evergrow continue '<model>'",
)


def test_the_proposed_rate_is_the_one_full_mark_and_the_line_goes_by_rate() -> None:
    chart = trade(FOUND)
    assert [mark.is_hollow for mark in chart.marks] == [True, False, True, True]
    assert chart.marks[-1].symbol == "square"  # the floor
    (line,) = chart.lines
    assert (line.x, line.y) == ((0.05, 0.1, 0.2), (0.1, 0.2, 0.4))
    x0, y0, x1, y1 = chart.baselines[0].box
    assert (x0, x1) == (y0, y1)  # as much lost as gained


def test_the_page_and_the_record_hold_all_probes(tmp_path: Path) -> None:
    page = write_rewarm(tmp_path, FOUND)
    text = page.read_text()
    assert "<script" not in text.split("<style>")[0]
    assert "&lt;model&gt;" in text
    assert all(probe.name in text for probe in (*PROBES, FLOOR))
    assert Rewarmed.model_validate_json((tmp_path / "rewarm.json").read_text()) == FOUND
