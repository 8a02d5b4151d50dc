"""Stages that train adapters: the frozen base, what is kept, kills, what goes on, releases."""

import shutil
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from flow.tiny import (
    PER_STEP,
    assert_same,
    carry,
    killed_at,
    losses_at,
    release,
    run_of,
    sky,
    tiny,
    trunk,
)
from flow.tiny_pictures import classifier, digits
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from evergrow.errors import InputError
from evergrow.flow.annealing import anneal
from evergrow.flow.dry import draw_plan
from evergrow.flow.first_stage import continue_model
from evergrow.flow.verbs import continue_run, extend
from evergrow.lineage import read_node
from evergrow.listener import Listener
from evergrow.models.find import find_model
from evergrow.models.load import load_model
from evergrow.recipe import Recipe
from evergrow.run import Run, load_checkpoint
from evergrow.stage import checkpoints
from evergrow.stage import legs as stage
from evergrow.stage.work import open_work
from evergrow.train.loop import weights

LORA = {"lora": {"rank": 4, "alpha": 6}}
END = "01-two-trunk-000000024"
SHORT = 6 * PER_STEP
ADAPTED = "_proj.weight"  # how the names of OLMo 2's linear layers in blocks end


def adapting(**changes: Any) -> Recipe:
    """The tiny recipe; its second stage trains adapters."""
    return tiny(**{"stages__1__train": LORA, **changes})


def at(run: Run, checkpoint: str, group: str = "model") -> dict[str, Tensor]:
    return load_file(run.folder / "checkpoints" / checkpoint / f"{group}.safetensors")


def released(run: Run, name: str) -> dict[str, Tensor]:
    return load_file(run.folder / "releases" / name / "model.safetensors")


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def adapted(base: Path, tmp_path_factory: pytest.TempPathFactory, said: list[str]) -> Run:
    listener = Listener(say=said.append)
    return run_of(carry(adapting(), tmp_path_factory.mktemp("adapted"), base, listener))


def test_the_base_stays_bit_for_bit_and_its_layers_get_what_the_adapters_add(adapted: Run) -> None:
    before, after = at(adapted, "00-one-trunk-000000012"), released(adapted, "two")
    assert moved(before, after) == {name for name in before if name.endswith(ADAPTED)}
    assert len(moved(before, after)) == 2 * 7

    trained = at(adapted, END, "adapter")
    work = open_work(adapted.folder, 1, Listener(), fresh=False)
    work.writer.close()
    assert work.adapter is not None
    stage.restore(work, stage.trunk_end(adapted, 1))
    own = weights(work.model)
    frozen = {n.replace(".base_layer", ""): t for n, t in own.items() if ".lora_" not in n}
    assert {n for n in before if not torch.equal(before[n], frozen[n])} == set()
    work.adapter.merge()
    name = "model.layers.1.mlp.down_proj"
    a, b = (trained[f"{name}.lora_{part}.default.weight"] for part in "AB")
    found = work.model.get_parameter(f"{name}.weight") - before[f"{name}.weight"]
    assert torch.allclose(found, 6 / 4 * b @ a, atol=1e-7)
    assert bool(found.any())


def test_the_first_loss_is_that_of_the_base(adapted: Run, whole: Path) -> None:
    """The same stage of the plain recipe reads the same samples."""
    first, plain = (next(m for m in trunk(run) if m["step"] == 13) for run in (adapted, Run(whole)))
    assert first["loss"] == plain["loss"]
    assert first["grad_norm"] != plain["grad_norm"]
    losses = [m["loss"] for m in trunk(adapted)]
    assert losses != [m["loss"] for m in trunk(Run(whole))]


def test_checkpoints_hold_adapters_and_their_moments_alone(adapted: Run) -> None:
    groups = load_checkpoint(adapted.checkpoints / END)
    assert set(groups) == {"adapter", "optimizer", "guard"}
    counts = adapted.manifest.stages[1].model
    assert counts is not None
    # of two blocks: four maps 16 x 16, and three of the gated MLP
    mlp = at(adapted, "00-one-trunk-000000012")["model.layers.0.mlp.up_proj.weight"].shape[0]
    expected = 2 * 4 * (4 * (16 + 16) + 3 * (16 + mlp))
    assert counts.num_trained == sum(t.numel() for t in groups["adapter"].values()) == expected
    assert counts.checkpoint_bytes == 3 * 4 * expected
    assert counts.num_parameters == sum(t.numel() for t in released(adapted, "one").values())
    moments = {n.removeprefix("exp_avg.") for n in groups["optimizer"] if n.startswith("exp_avg.")}
    assert moments == set(groups["adapter"])


def test_it_is_said_and_recorded_what_is_trained(adapted: Run, said: list[str]) -> None:
    (line,) = [line for line in said if line.startswith("main, two:")]
    names = "self_attn.q_proj, self_attn.k_proj, self_attn.v_proj, self_attn.o_proj, "
    names += "mlp.gate_proj, mlp.up_proj, mlp.down_proj"
    record = adapted.manifest.stages[1]
    assert record.adapters is not None and record.model is not None
    assert line.startswith(
        "main, two: restored weights at the end of one; re-initialised adapters, optimiser, spike "
        "window; next rate "
    )
    assert line.endswith(
        f"; trains {record.adapters.num_trained:,} of {record.model.num_parameters:,} parameters: "
        f"adapters of rank 4, alpha 6, on {names}"
    )
    node = read_node(adapted.folder / "releases" / "two")
    details: Any = node.details["lora"]
    assert details["two"]["rank"] == 4 and details["two"]["targets"] == names.split(", ")
    assert details["two"]["base"] == adapted.manifest.stages[0].key
    card = (adapted.folder / "releases" / "two" / "README.md").read_text()
    assert "In stage two only adapters were trained (LoRA)" in card
    assert "lora" not in read_node(adapted.folder / "releases" / "one").details


@pytest.mark.parametrize(
    ("where", "name", "call", "after"),
    [
        (stage, "_enter", 2, False),
        (stage, "_enter", 2, True),
        *((checkpoints, "save_checkpoint", call, True) for call in (6, 7, 8)),
        (checkpoints, "save_checkpoint", 7, False),
        (stage, "train_release", 2, True),
        (stage, "write_release", 2, False),
        (stage, "write_release", 2, True),
    ],
)
def test_killed_anywhere_it_goes_on_to_the_same_bytes(
    where: Any,
    name: str,
    call: int,
    after: bool,
    adapted: Run,
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with killed_at(monkeypatch, where, name, call, after):
        carry(adapting(), tmp_path, base)
    assert_same(run_of(carry(adapting(), tmp_path, base)).folder, adapted.folder)


def test_more_of_it_is_as_if_it_had_been_asked_for(base: Path, tmp_path: Path) -> None:
    longer = adapting(stages__1__tokens=18 * PER_STEP)
    planned = run_of(carry(longer, tmp_path / "planned", base))
    run = run_of(carry(adapting(), tmp_path, base))
    extended = run_of(extend(run.folder, 6 * PER_STEP, Listener()))
    assert release(extended, "two") == release(planned, "two")


def test_a_branch_on_request_is_merged_too(adapted: Run, tmp_path: Path) -> None:
    root = Path(shutil.copytree(adapted.folder.parent, tmp_path / "tiny"))
    folder = anneal(root / "main", 3 * PER_STEP, "linear", 0.1, Listener())
    start = at(adapted, "00-one-trunk-000000012")
    assert all(n.endswith(ADAPTED) for n in moved(start, load_file(folder / "model.safetensors")))


def test_what_goes_on_from_its_trunk_has_it_merged(base: Path, tmp_path: Path) -> None:
    """New adapters on merged ones, then the whole model; each begins where the one before ended."""
    stages = [
        {"name": "one", "data": "land", "tokens": SHORT},
        {"name": "low", "data": "sea", "tokens": SHORT, "train": LORA},
        {"name": "lower", "data": "land", "tokens": SHORT, "train": {"lora": {"rank": 2}}},
        {"name": "all", "data": "sea", "tokens": SHORT},
    ]
    recipe = tiny(stages=stages, schedule={"kind": "constant", "peak_lr": 1e-2})
    said: list[str] = []
    run = run_of(carry(recipe, tmp_path, base, Listener(say=said.append)))
    for place, before in ((2, "low"), (3, "lower")):
        copied = shutil.copytree(run.folder.parent, tmp_path / f"copied-{place}")
        work = open_work(copied / "main", place, Listener(), fresh=False)
        work.writer.close()
        stage._enter(work)
        if work.adapter is not None:
            work.adapter.merge()
        ended, found = released(run, before), weights(work.model)  # a constant trunk is released
        assert {n for n in found if not torch.equal(found[n], ended[n])} == set()
        assert work.state.step == 6 * place and work.state.passed == 6 * place * PER_STEP
        assert not work.state.optimizer.state
    told = [line for line in said if line.startswith("main, all:")]
    assert "restored weights at the end of lower; re-initialised optimiser, spike" in told[0]
    assert moved(released(run, "lower"), released(run, "all")) == set(released(run, "all"))
    again = run_of(carry(recipe, tmp_path / "again", base))
    assert_same(again.folder, run.folder)


def test_arms_share_a_stage_of_adapters(base: Path, tmp_path: Path) -> None:
    carried = carry(adapting(arms={"a": {}, "b": {"evaluate.sample_tokens": 4}}), tmp_path, base)
    a, b = run_of(carried, "a"), run_of(carried, "b")
    assert b.manifest.stages[1].shared_with == "../a"
    assert b.manifest.stages[1].adapters == a.manifest.stages[1].adapters


def test_a_stage_without_adapters_keeps_its_key(adapted: Run, whole: Path) -> None:
    plain = Run(whole).manifest
    assert adapted.manifest.stages[0].key == plain.stages[0].key
    assert adapted.manifest.stages[1].key != plain.stages[1].key


def test_micro_batches_and_checkpointed_activations_train_the_same(
    adapted: Run, base: Path, tmp_path: Path
) -> None:
    for name, value in (("micro_batch_size", 2), ("activation_checkpointing", True)):
        train = {"lora": {"rank": 4, "alpha": 6}, name: value}
        run = run_of(carry(adapting(stages__1__train=train), tmp_path / name, base))
        found, expected = ([m["loss"] for m in trunk(r)] for r in (run, adapted))
        assert found == pytest.approx(expected, rel=1e-5)
        norms = [[m["grad_norm"] for m in trunk(r)] for r in (run, adapted)]
        assert norms[0] == pytest.approx(norms[1], rel=1e-3)


def test_moments_are_filled_at_rate_0_first(base: Path, tmp_path: Path) -> None:
    refill = adapting(stages__1__optimizer_state={"refill": 3}, evaluate__every=0)
    run = run_of(carry(refill, tmp_path, base))
    rates = [m["lr"] for m in trunk(run) if m["stage"] == "two"]
    assert rates[:3] == [0, 0, 0] and rates[3] > 0


def test_adapters_go_on_a_model_that_grew(base: Path, tmp_path: Path) -> None:
    """While the clock of its new weights still runs: none of them moves."""
    stages = [
        {"name": "one", "data": "land", "tokens": SHORT},
        {"name": "wide", "data": "sea", "tokens": SHORT,
         "grow": {"to": {"hidden": 32, "heads": 4}, "warm_steps": 50}},
        {"name": "low", "data": "land", "tokens": SHORT, "train": LORA},
        {"name": "all", "data": "sea", "tokens": SHORT},
    ]  # fmt: skip
    recipe = tiny(stages=stages, model__preset="llama", evaluate__every=0)
    run = run_of(carry(recipe, tmp_path, base))
    before = at(run, "01-wide-trunk-000000012")
    assert all(n.endswith(ADAPTED) for n in moved(before, released(run, "low")))
    work = open_work(run.folder, 3, Listener(), fresh=False)
    work.writer.close()
    assert work.clock is not None


def test_masked_tokens_are_learnt_by_adapters_too(base: Path, tmp_path: Path) -> None:
    bert = {"preset": "bert", "hidden": 16, "layers": 2, "heads": 2}
    run = run_of(carry(adapting(model=bert, evaluate__every=0), tmp_path, base))
    before, after = at(run, "00-one-trunk-000000012"), released(run, "two")
    assert all(".layer." in name for name in moved(before, after))
    assert len(moved(before, after)) == 2 * 6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train__lora": {"rank": 0}}, r"lora\.rank: expected a value greater than 0, got 0"),
        ({"train__lora": {"rank": 2, "targets": []}}, r"train\.lora\.targets"),
        ({"stages__1__train": LORA, "stages__1__grow": {"to": {"hidden": 32}}},
         "stage 'two': grow makes new weights .* set train: {lora: null} in this stage"),
        ({"stages__1__train": LORA, "stages__1__depth": {"decay": 0.5}}, "stage 'two': depth says"),
        ({"stages__1__train": LORA, "stages__1__two_stage": {"layers": 1}},
         "stage 'two': two_stage trains the weights"),
        ({"stages__0__train": LORA, "stages__1__grow": {"to": {"hidden": 32}}},
         "stage 'two' grows after 'one', whose optimiser knows adapters only"),
        ({"stages__1__train": {"lora": {"rank": 2, "release": "adapter"}}},
         "stage 'two': train.lora.release is adapter, which needs a base that others can load"),
        ({"stages__0__train": LORA, "model": {"from": "x", "optimizer": "trainer"}},
         "model.optimizer: trainer brings moments"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_the_recipe(changes: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiny(**changes)


@pytest.mark.parametrize(
    ("lora", "said"),
    [
        ({"rank": 2, "targets": ["query"]}, "'query' is no layer of this Olmo2ForCausalLM"),
        ({"rank": 2, "targets": ["embed_tokens"]}, "'embed_tokens' is a Embedding and no linear"),
    ],
)
def test_what_fits_no_layer_is_refused_before_anything_is_written(
    lora: Any, said: str, base: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        carry(adapting(stages__1__train={"lora": lora}), tmp_path, base)
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == [".lock"]


def test_without_peft_it_is_refused_before_anything_is_written(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evergrow.models.lora.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"install evergrow\[peft\]"):
        carry(adapting(), tmp_path, base)
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == [".lock"]


def test_the_plan_counts_what_is_trained(base: Path) -> None:
    plan = draw_plan(adapting(), base, Listener())
    whole = draw_plan(tiny(), base, Listener())
    one, two = plan.arms[0].stages
    assert one.num_trained is None and two.num_trained == 2944
    assert plan.memory_bytes == whole.memory_bytes  # of the stage that trains all
    every = draw_plan(tiny(train__lora={"rank": 4}), base, Listener())
    assert every.memory_bytes < whole.memory_bytes and every.disk_bytes < plan.disk_bytes


SMALL = {"held_out.tokens": 500, "schedule.peak_lr": 1e-2, "train.threads": 1}


def test_a_model_from_elsewhere_is_continued_and_its_adapter_released_for_peft(
    base: Path, model: Path, tmp_path: Path
) -> None:
    asked = {**SMALL, "train.lora.rank": 4, "train.lora.release": "adapter"}
    runs, tokens = tmp_path / "runs", 6 * 8 * 32
    carried = continue_model(str(model), sky(base), tokens, "mine", runs, Listener(), asked)
    run = run_of(carried)
    folder = run.folder / "releases" / "mine"
    assert run.manifest.stages[0].adapters is not None
    theirs: Any = AutoModelForCausalLM.from_pretrained(model)
    with pytest.warns(FutureWarning, match="is_gradient_checkpointing"):
        theirs = peft.PeftModel.from_pretrained(theirs, folder / "adapter").eval()
    ids = torch.arange(40).view(2, 20)
    with torch.no_grad():
        expected = load_model(folder)(input_ids=ids).logits
        assert torch.allclose(theirs(input_ids=ids).logits, expected, atol=1e-5)
        apart = load_model(find_model(folder / "adapter"))
        assert torch.allclose(apart(input_ids=ids).logits, expected, atol=1e-5)
        assert not torch.allclose(load_model(model)(input_ids=ids).logits, expected, atol=1e-3)
    # a stage more goes on from the merged trunk; without the base it cannot
    land, again = [str(base / "land" / "*.txt")], {"train.lora": {"rank": 2, "release": "merged"}}
    more = run_of(continue_run(run.folder, land, tokens, "more", Listener(), again))
    told = more.manifest.stages[1].adapters
    assert told is not None and told.rank == 2 and told.base == more.manifest.stages[0].key
    shutil.rmtree(model)
    with pytest.raises(InputError, match="'mine' has adapters on the weights of"):
        open_work(run.folder, 0, Listener(), fresh=False)


def test_an_adapter_begins_a_run(
    base: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERGROW_CACHE", str(tmp_path / "cache"))
    asked = {**SMALL, "train.lora.rank": 4, "train.lora.release": "adapter"}
    runs, tokens = tmp_path / "runs", 6 * 8 * 32
    first = continue_model(str(model), sky(base), tokens, "mine", runs, Listener(), asked)
    adapter = run_of(first).folder / "releases" / "mine" / "adapter"
    second = continue_model(str(adapter), sky(base), tokens, "next", runs, Listener(), SMALL)
    run = run_of(second)
    before = losses_at(run, None)["next"].loss
    assert before == pytest.approx(losses_at(run_of(first), "mine")["mine"].loss, rel=1e-5)
    again = continue_model(str(adapter), sky(base), tokens, "next", runs, Listener(), SMALL)
    assert again.folder == second.folder


def test_a_stage_begins_at_a_release_and_releases_its_adapter(base: Path, tmp_path: Path) -> None:
    lora = {"lora": {"rank": 4, "release": "adapter"}}
    recipe = adapting(stages__1__train=lora, stages__1__from="one.release", evaluate__every=0)
    run = run_of(carry(recipe, tmp_path, base))
    moved_to = Path(shutil.move(tmp_path / "tiny", tmp_path / "elsewhere"))
    folder = moved_to / "main" / "releases" / "two"
    merged, apart = load_model(folder), load_model(find_model(folder / "adapter"))
    ids = torch.arange(40).view(2, 20)
    with torch.no_grad():
        logits = merged(input_ids=ids).logits
        assert torch.allclose(apart(input_ids=ids).logits, logits, atol=1e-5)
    assert run.manifest.stages[1].adapters is not None


@pytest.mark.parametrize("of", ["classes", "patches"])
def test_pictures_are_learnt_by_adapters(of: str, tmp_path: Path) -> None:
    vit = {"preset": "vit", "hidden": 16, "layers": 2, "heads": 2, "patch": 4}
    lora = {"train__lora": {"rank": 4}, "schedule": {"kind": "constant", "peak_lr": 3e-2}}
    recipe = classifier(model=vit, **lora) if of == "classes" else digits(**lora)
    run = run_of(carry(recipe, tmp_path, tmp_path))
    name = recipe.stages[0].name
    start = open_work(run.folder, 0, Listener(), fresh=True)
    start.writer.close()
    assert start.adapter is not None
    start.adapter.merge()
    before = weights(start.model)
    after = weights(load_model(run.folder / "releases" / name))
    changed = moved(before, after)
    blocks = {n for n in before if ".layers." in n and n.endswith("proj.weight")}
    assert changed >= {n for n in blocks if "decoder" not in n}
    assert all(n.endswith("weight") and "norm" not in n and "embed" not in n for n in changed)
    assert ("classifier.weight" in changed) == (of == "classes")
    losses = [m["loss"] for m in trunk(run) if m["stage"] == name]
    assert losses[-1] < losses[0]


def test_a_residual_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has batch norms, whose statistics move"):
        carry(classifier(train__lora={"rank": 4}), tmp_path, tmp_path)
