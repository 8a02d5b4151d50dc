"""The shift of new text and the rate to go on at, from Python."""

from pathlib import Path

import pytest

import evergrow
from evergrow.errors import InputError

SMALL = {"held_out.tokens": 500, "train.threads": 1, "train.batch_size": 2}


def test_a_shift_shows_itself_and_trains_nothing(base: Path, lived: Path) -> None:
    found = evergrow.shift(lived, base / "sky/*.txt")
    assert found["ratio"] > 1
    assert [one["name"] for one in found["old"]] == ["land", "sea"]
    assert "recorded, all that is held out" in repr(found)
    assert f"--replay {found['share']:g}" in repr(found)


def test_probes_show_themselves_and_their_page(base: Path, lived: Path, tmp_path: Path) -> None:
    found = evergrow.rewarm(
        lived,
        base / "sky/*.txt",
        evaluate={"land": base / "land/*.txt"},
        tokens="512",
        name="rates",
        settings=SMALL,
        runs=tmp_path,
        listener=evergrow.Listener(),
    )
    assert found["peak"] in [probe["peak"] for probe in found["probes"]]
    assert "no training" in repr(found)
    assert found["command"] in repr(found).replace("\n", " ")
    assert (tmp_path / "rates/rewarm.html").as_uri() in found._repr_html_()
    with pytest.raises(InputError, match="tokens: expected a count"):
        evergrow.rewarm(lived, "a", evaluate={"b": "c"}, tokens="2 bn")
