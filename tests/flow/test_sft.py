"""Chats after pre-training, in one life: masks, packing, replay of text, kills, what is refused."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flow.tiny import PER_STEP, assert_same, carry, killed_at, losses_at, run_of, scores_at, tiny

from evergrow.errors import InputError
from evergrow.flow.dry import draw_plan
from evergrow.lineage import read_node
from evergrow.listener import Listener
from evergrow.recipe import Recipe
from evergrow.run import Run
from evergrow.stage import checkpoints
from evergrow.stage.work import open_work

COLOURS = {"tree": "green", "wave": "blue", "cloud": "white", "stone": "grey", "salt": "clear"}


@pytest.fixture(scope="module")
def chats(base: Path) -> Path:
    """Short talks of one or two questions, in the folder of the texts."""
    draw = random.Random(0)
    rows = []
    for i in range(90):
        turns = [{"role": "system", "content": f"Talk {i}."}] if i % 3 == 0 else []
        for thing in draw.sample(sorted(COLOURS), 1 + i % 2):
            turns.append({"role": "user", "content": f"which colour has {thing} {i}"})
            turns.append({"role": "assistant", "content": f"it is {COLOURS[thing]}"})
        rows.append(json.dumps({"messages": turns}))
    path = base / "chats.jsonl"
    path.write_text("\n".join(rows) + "\n")
    return path


TALK: dict[str, Any] = {
    "name": "talk",
    "from": "one.release",
    "data": "chats",
    "examples": 6 * 8,
    "train": {"objective": {"kind": "sft"}, "batch_size": 8, "sequence_length": 128},
    "schedule": {"kind": "linear", "peak_lr": 3e-3},
}


def talking(**changes: Any) -> Recipe:
    stages = [tiny().to_data()["stages"][0], {**TALK, **changes.pop("talk", {})}]
    sources = {"land": {"files": ["land/*.txt"]}, "chats": {"chats": ["chats.jsonl"]}}
    return tiny(stages=stages, sources=sources, **changes)


@pytest.fixture(scope="module")
def talked(base: Path, chats: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of(carry(talking(), tmp_path_factory.mktemp("talked"), base))


def test_chats_follow_text_in_one_life(talked: Run) -> None:
    one, talk = talked.manifest.stages
    assert (talk.objective, talk.unit, talk.counted) == ("sft", "bits per byte", "tokens")
    assert (talk.begin.kind, talk.path, talk.first_step, talk.num_steps) == (
        "release",
        [0, 1],
        12,
        6,
    )
    assert talk.ledger.num_samples == 48
    assert losses_at(talked, "talk")["chats"].loss < losses_at(talked, "one")["chats"].loss - 0.2
    assert losses_at(talked, "talk").keys() == {"land", "chats"}
    lines = [m for m in talked.read("metrics") if m["stage"] == "talk"]
    passed = [m["tokens"] for m in lines]
    assert passed[0] > one.tokens and passed == sorted(passed)
    assert len(set(np.diff(passed))) > 1  # what passed is counted, not multiplied
    node = read_node(talked.folder / str(talk.release))
    assert node is not None and node.parents == [one.key]
    assert node.fed.keys() == {"land", "chats"} and node.details["passed"] == passed[-1]
    (shown,) = (
        line
        for score in scores_at(talked, "talk")
        for line in score.shown
        if "?" not in line.prompt and line.source == "chats"
    )
    assert shown.prompt.endswith("<|assistant|>\n")


def test_chats_are_learnt_by_adapters(base: Path, chats: Path, tmp_path: Path) -> None:
    train = {**TALK["train"], "lora": {"rank": 4}}
    run = run_of(carry(talking(talk={"train": train}), tmp_path, base))
    assert losses_at(run, "talk")["chats"].loss < losses_at(run, "one")["chats"].loss
    told = run.manifest.stages[1].adapters
    assert told is not None and told.num_trained == 2944


def test_a_batch_has_answers_as_targets_and_replays_text(talked: Run) -> None:
    work = open_work(talked.folder, 1, Listener(), fresh=False)
    work.writer.close()
    batch: Any = work.batch_at(14)
    kinds = [
        work.stream.sample(n).source.split("-")[0]
        for n in range(work.first_sample, work.first_sample + 8)
    ]
    assert kinds.count("land") == 2  # a quarter is replayed, in windows of the stage that read it
    tokenizer: Any = work.opened.tokenizer
    told = tokenizer.decode(batch.targets_BT[batch.weights_BT > 0].tolist())
    assert "it is " in told and "<|endoftext|>" in told
    assert "<|user|>" not in told and "which colour" not in told
    assert batch.positions_BT is not None  # packed: positions restart with every document
    assert batch.passed < batch.inputs_BT.size


def test_a_packed_loss_is_the_sum_of_separate_ones(talked: Run) -> None:
    work = open_work(talked.folder, 1, Listener(), fresh=True)
    work.writer.close()
    model = work.model.double()
    samples = [work.stream.sample(n) for n in range(work.first_sample, work.first_sample + 8)]
    together: Any = work.objective.batch(samples, range(8))
    assert len(together.inputs_BT) < 8
    alone: list[Any] = [work.objective.batch([s], range(1)) for s in samples]
    cpu = torch.device("cpu")
    whole = float(work.objective.loss(model, together, cpu).total.detach())
    parts = sum(float(work.objective.loss(model, b, cpu).total.detach()) for b in alone)
    assert whole == pytest.approx(parts, rel=1e-9)
    assert together.weight == sum(batch.weight for batch in alone)


@pytest.mark.parametrize("call", [6, 8])
def test_killed_it_goes_on_to_the_same_bytes(
    call: int, talked: Run, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", call, after=True):
        carry(talking(), tmp_path, base)
    assert_same(run_of(carry(talking(), tmp_path, base)).folder, talked.folder)


def test_text_goes_on_after_chats_and_replays_them(base: Path, chats: Path, tmp_path: Path) -> None:
    recipe = talking()
    back = {"name": "back", "data": "land", "tokens": 4 * PER_STEP}
    recipe = tiny(stages=[*recipe.to_data()["stages"], back], sources=recipe.to_data()["sources"])
    run = run_of(carry(recipe, tmp_path, base))
    seen = run.manifest.stages[2].seen
    assert {name.split("-")[0]: s.replayed > 0 for name, s in seen.items()} == {
        "land": True,
        "chats": True,
    }
    assert run.manifest.stages[2].path == [0, 1, 2]
    talk, back = run.manifest.stages[1:]
    assert talk.replay["fraction"] == back.replay["fraction"] == 0.25
    for stage in (talk, back):  # the clock counts what is replayed as what it was
        held = sum(s.tokens for s in stage.seen.values())
        assert stage.tokens == pytest.approx(held, rel=0.05)


def test_only_the_last_answer_counts_when_asked(base: Path, chats: Path, tmp_path: Path) -> None:
    def weight(loss_on: str) -> float:
        talk = {"train": {**TALK["train"], "objective": {"kind": "sft", "loss_on": loss_on}}}
        run = run_of(carry(talking(talk=talk), tmp_path / loss_on, base))
        work = open_work(run.folder, 1, Listener(), fresh=False)
        work.writer.close()
        return work.batch_at(14).weight

    last, assistant, everything = (weight(kind) for kind in ("last", "assistant", "all"))
    assert last < assistant < everything


def test_a_dry_run_of_chats_takes_real_steps(base: Path, chats: Path) -> None:
    plan = draw_plan(talking(), base, Listener())
    assert plan.arms[0].stages[1].num_steps == 6


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"talk": {"examples": None, "tokens": 800}},
            "reads examples; give its length as examples",
        ),
        ({"talk": {"train": {"objective": {"kind": "causal"}}}}, "causal is not for these sources"),
        ({"talk": {"train": {"objectiv": 1}}}, "objectiv: unknown key; did you mean 'objective'"),
        ({"talk": {"from": "talk"}}, "begins at talk, which comes"),
        (
            {"talk": {"mixture": {"chats": 0.5, "land": 0.5}, "data": None}},
            "mixes examples and tok",
        ),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_read(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        talking(**changes)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"messages": [{"role": "user", "content": "hello"}]}], "no assistant says anything"),
        ([{"text": "no chat"}], "rows without a list in 'messages'"),
        (
            [{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}],
            "no assistant says anything",
        ),
        (
            [{"messages": [{"role": "user", "content": "<|endoftext|>"},
                           {"role": "assistant", "content": "b"}]}],
            r"chats.jsonl#0 says '<\|endoftext\|>', which the tokenizer takes for its own",
        ),
    ],
)  # fmt: skip
def test_rows_that_are_no_chats_are_refused(
    rows: list[Any], sentence: str, base: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "recipe"
    folder.mkdir()
    (folder / "land").symlink_to(base / "land")
    (folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match=sentence):
        carry(talking(), tmp_path / "runs", folder)
