"""Every head is grown and checked, and every output of a model that has several."""

from pathlib import Path
from typing import Any

import pytest
import torch
from grow.folders import load, save_as
from grow.tiny import TINY
from models.test_families import HEADS
from transformers import BertForPreTraining, LlamaForSequenceClassification, PreTrainedModel

from evergrow.errors import EvergrowError
from evergrow.grow import folder
from evergrow.grow.config import GrowConfig
from evergrow.grow.expand import expand
from evergrow.grow.folder import grow_folder
from evergrow.grow.passes import rows_at_once
from evergrow.grow.stored import open_folder

DOUBLE = GrowConfig(to={"hidden": 96})


OTHERS = [head for head in HEADS if head[1] is not TINY[head[0]][0]]  # test_folder has those


@pytest.mark.parametrize(("family", "kind"), OTHERS, ids=lambda x: getattr(x, "__name__", x))
def test_every_head_grows_as_a_folder_and_loads(
    family: str, kind: type[PreTrainedModel], tmp_path: Path
) -> None:
    save_as(tmp_path / "source", family, kind)
    record = grow_folder(tmp_path / "source", DOUBLE, tmp_path / "grown")
    checked = record["verification"]
    assert record["exactness"] == "exact"
    assert checked["difference"]["maximum"] < 1e-4
    assert checked["gradient_norm"]["source"] > 0
    load(tmp_path / "grown", kind)


def test_a_second_output_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_as(tmp_path / "source", "bert", BertForPreTraining)

    def forgetful(plan: Any, name: str, read: Any) -> torch.Tensor:
        made = expand(plan, name, read)
        return made * 2 if name == "cls.seq_relationship.weight" else made

    monkeypatch.setattr(folder, "expand", forgetful)
    with pytest.raises(EvergrowError, match=r"says: output 2 differs by .* and an exact growth by"):
        grow_folder(tmp_path / "source", DOUBLE, tmp_path / "grown")


def test_a_classifier_without_padding_reads_one_text_at_a_time(tmp_path: Path) -> None:
    for name, padding, rows in (("bare", None, 1), ("padded", 0, 2)):
        save_as(
            tmp_path / name, "llama", LlamaForSequenceClassification, pad_token_id=padding,
            num_labels=3,
        )  # fmt: skip
        checked = grow_folder(tmp_path / name, DOUBLE, tmp_path / f"{name}-grown")["verification"]
        assert rows_at_once(open_folder(tmp_path / name).config, 2) == rows
        assert checked["difference"]["top1_agreement"] == 1  # classes are a distribution
