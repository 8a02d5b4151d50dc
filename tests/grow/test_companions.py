"""What comes along beside the weights, what stays behind and why, and what the card claims."""

import json
from pathlib import Path
from typing import Any

import pytest
from grow.folders import save, save_base

from evergrow.grow.card import demoted
from evergrow.grow.companions import NEVER_FETCHED, stays_behind
from evergrow.grow.config import GrowConfig
from evergrow.grow.folder import grow_folder
from evergrow.lineage import Measured, Node, read_node

DEEPER = GrowConfig(to={"layers": 4})
COME = (
    "LICENSE.txt", "NOTICE", "USE_POLICY.md", "tokenizer.json", "tokenizer.model", "merges.txt",
    "generation_config.json", "chat_template.jinja", "templates/tool.jinja", "figures/loss.png",
    "processor_config.json",
)  # fmt: skip
STAY = {
    "pytorch_model.bin": "weights of the old size",
    "tf_model.h5": "weights of the old size",
    "pytorch_model.bin.index.json": "weights of the old size",
    "adapter_config.json": "weights of the old size",
    "adapter_model.safetensors": "weights of the old size",
    "modeling_mine.py": "code, which is never run",
    "x.pkl": "code, which is never run",
    "trainer_state.json": "of the source's training",
    "eval_results.json": "of the source's training",
    ".gitattributes": "hidden",
    ".cache/huggingface/x.lock": "hidden",
    "onnx/config.json": "the model once more, or its training",
    "original/params.json": "the model once more, or its training",
    "checkpoint-500/config.json": "the model once more, or its training",
}


def fill(folder: Path, names: tuple[str, ...] | dict[str, str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{{}} of {name}")


def files(folder: Path) -> set[str]:
    return {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}


def test_all_comes_along_but_what_no_longer_fits(tmp_path: Path) -> None:
    source, grown = tmp_path / "source", tmp_path / "grown"
    save(source, "gpt2", shard="40KB")
    fill(source, COME), fill(source, STAY)
    record = grow_folder(source, DEEPER, grown)
    written = {"README.md", "config.json", "evergrow.json", "growth.json", "model.safetensors"}
    assert files(grown) == written | set(COME)
    for name in COME:
        assert (grown / name).read_bytes() == (source / name).read_bytes()
    assert record["left_behind"] == STAY
    sentences = stays_behind(record["left_behind"])
    assert len(sentences) == len(set(STAY.values()))
    assert "stays behind (hidden): .gitattributes, .cache/huggingface/x.lock" in sentences


def test_five_names_are_enough() -> None:
    left = {f"{i}.bin": "weights of the old size" for i in range(7)}
    assert stays_behind(left) == [
        "stays behind (weights of the old size): 0.bin, 1.bin, 2.bin, 3.bin, 4.bin and 2 more"
    ]


def test_of_the_hub_weights_in_safetensors_are_fetched() -> None:
    assert "*.safetensors" not in NEVER_FETCHED
    assert "*.index.json" not in NEVER_FETCHED
    assert {"*.bin", "*.py", "onnx/*"} <= set(NEVER_FETCHED)


def test_scores_and_sizes_of_the_source_are_not_claimed(tmp_path: Path) -> None:
    source, grown = tmp_path / "source", tmp_path / "grown"
    save(source, "gpt2")
    front = (
        "---\nlicense: mit\nmodel-index:\n- name: x\n  results:\n  - metrics: 3\ntags:\n- a\n---\n"
    )
    (source / "README.md").write_text(front + "# My model\n\n```sh\n# no heading\n```\n## Scores\n")
    schedule = [{"shape": "constant", "from_lr": 1e-3}, {"shape": "cosine", "to_lr": 1e-4}]
    score = Measured(source="sea", unit="bits per byte", loss=1.0, low=0.9, high=1.1)
    details: dict[str, Any] = {"schedule": schedule, "step": 3}
    node = Node(
        key="abc", kind="anneal", name="s1", parents=["start"], fed={"sea": 7}, scores=[score],
        details=details,
    )  # fmt: skip
    (source / "evergrow.json").write_text(json.dumps(node.to_data()))
    record = grow_folder(source, DEEPER, grown)
    card = (grown / "README.md").read_text()
    assert card.startswith(
        "---\nlicense: mit\ntags:\n- a\n---\n\n# Grown model\n\nGrown by evergrow"
    )
    assert "| layers | 3 | 4 | identity blocks | exact |" in card
    own, _, below = card.partition("## The model it was grown from")
    assert "not measured" in below
    assert "My model" not in own
    assert "\n### My model\n\n```sh\n# no heading\n```\n#### Scores\n" in below
    found = read_node(grown)
    assert found is not None
    assert (found.kind, found.parents, found.fed, found.scores) == (
        "growth",
        ["abc"],
        {"sea": 7},
        [],
    )
    assert found.details == {
        "grown": {"layers": [3, 4]},
        "source": "../source",
        "schedule": schedule,
    }
    assert record["learning_rate"]["next"] == 1e-4
    assert record["learning_rate"]["new_parameters"] == pytest.approx(1.3e-4)


def test_headings_go_down_and_deep_ones_stay() -> None:
    assert demoted("# a\n#b\n##### c\n~~~\n## d\n~~~") == "### a\n#b\n##### c\n~~~\n## d\n~~~"


def test_a_pooling_is_told_the_new_width(tmp_path: Path) -> None:
    source, grown = tmp_path / "source", tmp_path / "grown"
    save_base(source, "bert")
    modules = [{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    (source / "modules.json").write_text(json.dumps(modules))
    fill(source, ("2_Dense/model.safetensors",))
    (source / "1_Pooling").mkdir()
    pooling: Any = {"word_embedding_dimension": 48, "pooling_mode_mean_tokens": True}
    (source / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    to: Any = {"hidden": 96}
    record = grow_folder(source, GrowConfig(to=to), grown)
    told = json.loads((grown / "1_Pooling" / "config.json").read_text())
    assert told == pooling | {"word_embedding_dimension": 96}
    assert (grown / "modules.json").read_bytes() == (source / "modules.json").read_bytes()
    assert record["left_behind"] == {"2_Dense/model.safetensors": "weights of the old size"}
