from pathlib import Path

import pytest

from evergrow.lineage import Node
from evergrow.models.rates import recorded_rates, usual_peak


def test_a_release_says_its_peak_and_its_last_rate(tmp_path: Path) -> None:
    def segment(start: int, end: int, from_lr: float, to_lr: float) -> dict[str, object]:
        shape = "linear"
        return {"start": start, "end": end, "from_lr": from_lr, "to_lr": to_lr, "shape": shape}

    way = [segment(0, 10, 0.0, 3e-3), segment(10, 20, 3e-3, 2e-3), segment(15, 20, 2.5e-3, 1e-4)]
    node = Node(key="k", kind="anneal", name="a", parents=[], details={"schedule": way})
    (tmp_path / "evergrow.json").write_text(node.model_dump_json())
    found = recorded_rates(tmp_path)
    assert found is not None
    assert found[:2] == (3e-3, 1e-4)


def test_a_folder_from_elsewhere_says_nothing(tmp_path: Path) -> None:
    assert recorded_rates(tmp_path) is None


def test_the_usual_peak_goes_through_the_ends_of_the_table_of_gpt_3() -> None:
    assert usual_peak(125_000_000) == pytest.approx(6e-4)
    assert usual_peak(175_000_000_000) == pytest.approx(0.6e-4, rel=0.02)
    assert usual_peak(1_300_000_000) == pytest.approx(2.8e-4, rel=0.02)  # 2.0e-4 there
