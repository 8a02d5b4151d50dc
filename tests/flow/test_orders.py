"""A stage in several data orders: what is trained, averaged, chosen and shared, and kills."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
    tiny,
)
from safetensors.torch import load_file
from stage_records import stage_record
from transformers import AutoModelForCausalLM

from evergrow.cli.look import show_lineage
from evergrow.errors import InputError
from evergrow.flow import dispatch
from evergrow.flow.annealing import anneal
from evergrow.flow.verbs import extend
from evergrow.lineage import Measured, Node, Soup, read_node
from evergrow.listener import Listener
from evergrow.recipe import Recipe
from evergrow.report.figures_life import source_loss
from evergrow.report.folder import read_run_folder
from evergrow.report.lineage import FAN, TOP, lineage
from evergrow.report.orders import orders_tables
from evergrow.report.page import render
from evergrow.run import Run
from evergrow.stage import checkpoints, orders
from evergrow.stage.orders import choose
from evergrow.stream.plan import SampleStream

MIX = {"land": 0.5, "sea": 0.5}
SHORT = 6 * PER_STEP
MID = {"name": "mid", "mixture": MIX, "tokens": SHORT, "schedule": {"kind": "linear"}}
NEXT = {"name": "next", "data": "sea", "tokens": 4 * PER_STEP}
PLAIN = [{"name": "one", "data": "land", "tokens": SHORT}, MID]


def ordered(*more: dict[str, Any], **changes: Any) -> Recipe:
    return tiny(stages=[PLAIN[0], {**MID, "orders": 3}, *more], **changes)


@pytest.fixture(scope="module")
def made(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One stage, then another in three orders, then one that goes on from what they made."""
    return run_of(carry(ordered(NEXT), tmp_path_factory.mktemp("orders"), base))


def node(run: Run, name: str) -> Node:
    found = read_node(run.folder / "releases" / name)
    assert found is not None
    return found


def weights(run: Run, name: str) -> dict[str, torch.Tensor]:
    return load_file(run.folder / "releases" / name / "model.safetensors")


def chosen(made: Run) -> Soup:
    soup = made.manifest.stages[4].soup
    assert soup is not None
    return soup


def judged(monkeypatch: pytest.MonkeyPatch, *losses: float) -> None:
    """The orders and then their average are held to have these losses."""
    given = iter(losses)
    monkeypatch.setattr(orders, "on_average", lambda *told: next(given))


def test_the_average_of_three_orders_is_the_release_when_it_is_best(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(monkeypatch, 3.0, 2.0, 2.0, 1.0)
    said: list[str] = []
    run = run_of(carry(ordered(), tmp_path, base, Listener(say=said.append)))
    assert (chosen(run).chosen, set(chosen(run).shares.values())) == ("average", {1 / 3})
    parts = [weights(run, f"mid-order-{order}") for order in (1, 2, 3)]
    for name, tensor in weights(run, "mid").items():
        mean = sum(part[name].double() for part in parts) / 3
        assert torch.equal(tensor, mean.float())
    assert not torch.equal(*(part["lm_head.weight"] for part in parts[:2]))
    AutoModelForCausalLM.from_pretrained(run.folder / "releases" / "mid")
    assert (
        "main, mid: the release is the average of all: 1.0000 bits per byte against "
        "mid-order-2 2.0000, mid-order-3 2.0000, mid-order-1 3.0000 (mean over the held-out parts "
        "of land, sea; the best of 4 on the text it is chosen on flatters it a little)"
    ) in said


def test_a_better_order_is_the_release_and_it_is_said(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(monkeypatch, 3.0, 1.0, 2.0, 1.5)
    said: list[str] = []
    run = run_of(carry(ordered(), tmp_path, base, Listener(say=said.append)))
    assert chosen(run).chosen == "mid-order-2"
    assert [*chosen(run).shares.values()] == [0, 1, 0]
    assert release(run, "mid") == release(run, "mid-order-2")
    assert losses_at(run, "mid") == losses_at(run, "mid-order-2")
    assert any("the release is mid-order-2, which is better than the average" in s for s in said)


def test_every_order_reads_the_same_samples_in_another_sequence(made: Run) -> None:
    stages = made.manifest.stages
    read = []
    for place in (1, 2, 3):
        stream = SampleStream([stages[0].ledger, stages[place].ledger], 0)
        read.append([stream.sample(n) for n in range(24, 48)])
    assert sorted(read[0]) == sorted(read[1]) == sorted(read[2])
    assert read[0] != read[1] != read[2] != read[0]
    assert [s.origin for s in read[0]] == [s.origin for s in read[1]]  # replay where it was
    assert stages[1].seen == stages[2].seen == stages[4].seen


def test_the_choice_is_written_down(made: Run) -> None:
    """By the mean over stages of what they learn, a mixture by its weights."""
    told = node(made, "mid")
    assert (told.kind, told.parents) == ("soup", [s.key for s in made.manifest.stages[1:4]])
    soup = Soup.model_validate(told.details["soup"])
    assert soup == made.manifest.stages[4].soup
    assert [*soup.shares] == told.parents and sum(soup.shares.values()) == pytest.approx(1)
    assert soup.measured_on == ["land", "sea"]
    for one in soup.candidates[:3]:
        found = {name: line.loss for name, line in losses_at(made, one.name).items()}
        mixed = (found["land"] + found["sea"]) / 2
        assert one.loss == pytest.approx((found["land"] + mixed) / 2, rel=1e-12)
    summary = json.loads((made.folder.parent / "summary.json").read_text())["arms"]["main"]
    assert summary["soups"]["mid"] == soup.model_dump(mode="json")
    best = min(soup.candidates, key=lambda one: one.loss)
    assert soup.chosen == best.name
    assert "share of the weights" in (made.folder / "releases/mid/README.md").read_text()


def test_tokens_of_one_order_lead_to_the_release_and_all_are_computed(made: Run) -> None:
    summary = json.loads((made.folder.parent / "summary.json").read_text())["arms"]["main"]
    assert summary["num_tokens"] == (6 + 6 + 4) * PER_STEP
    forks = 2 + 1  # of ``one`` and ``next``, a quarter each
    assert summary["num_tokens_total"] == (6 + 3 * 6 + 4 + forks) * PER_STEP
    assert summary["streams"] == ["one", "mid", "next"] and summary["others"] == {}
    assert sum(node(made, "mid").fed.values()) == 12 * PER_STEP


def test_what_follows_begins_at_the_release(made: Run) -> None:
    after = made.manifest.stages[5]
    assert (after.begin.kind, after.begin.stage, after.path) == ("release", 4, [0, 4, 5])
    steps = [m for m in made.read("metrics") if m["stage"] == "next" and m["leg"] == "trunk"]
    assert [m["step"] for m in steps] == [13, 14, 15, 16]
    assert steps[0]["tokens"] == 13 * PER_STEP
    assert node(made, "next").parents == [made.manifest.stages[4].key]


@pytest.mark.parametrize("call", [3, 6, 9])
def test_killed_while_an_order_trains_it_goes_on_to_the_same_bytes(
    call: int, made: Run, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", call, after=True):
        carry(ordered(NEXT), tmp_path, base)
    assert_same(run_of(carry(ordered(NEXT), tmp_path, base)).folder, made.folder)


@pytest.mark.parametrize("name", ["write_average", "copy_scores", "write_release"])
def test_killed_while_they_are_averaged_no_order_is_trained_again(
    name: str, made: Run, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, orders, name, after=True):
        carry(ordered(NEXT), tmp_path, base)
    done: list[int] = []
    work = dispatch.carry_out_stage

    def count(folder: Path, index: int, listener: Listener) -> None:
        done.append(index)
        work(folder, index, listener)

    monkeypatch.setattr(dispatch, "carry_out_stage", count)
    assert_same(run_of(carry(ordered(NEXT), tmp_path, base)).folder, made.folder)
    assert done == [4, 5]
    assert not (tmp_path / "tiny" / "main" / ".average").exists()


def test_the_first_order_is_shared_with_an_arm_without_orders(
    made: Run, base: Path, tmp_path: Path
) -> None:
    recipe = tiny(stages=[*PLAIN, NEXT], arms={"soup": {"stages.1.orders": 3}, "plain": {}})
    carried = carry(recipe, tmp_path, base)
    soup, plain = run_of(carried, "soup"), run_of(carried, "plain")
    assert plain.manifest.stages[1].shared_with == "../soup"
    assert plain.manifest.stages[1].key == soup.manifest.stages[1].key
    assert release(plain, "mid") == release(soup, "mid-order-1") == release(made, "mid-order-1")
    alone = run_of(carry(tiny(stages=[*PLAIN, NEXT]), tmp_path / "alone", base))
    assert release(plain, "next") == release(alone, "next")
    for record in ("metrics", "evals"):
        assert plain.read(record) == alone.read(record)
    mark = "01-mid-trunk-000000012/state.json"
    states = [json.loads((r.checkpoints / mark).read_text()) for r in (plain, alone)]
    assert states[0] == states[1]


def line(source: str, loss: float) -> Measured:
    return Measured(source=source, unit="bits per byte", loss=loss, low=loss, high=loss)


def test_of_equals_the_average_is_taken_and_a_better_order_wins() -> None:
    way = [stage_record("land"), stage_record("sea")]
    keys = {"a": "1", "b": "2", "average": "3"}
    equal = {name: [line("land", 2.0), line("sea", 1.0), line("sky", 9.0)] for name in keys}
    assert choose(keys, equal, way).chosen == "average"
    better = {**equal, "b": [line("land", 1.9), line("sea", 1.0), line("sky", 99.0)]}
    soup = choose(keys, better, way)
    assert (soup.chosen, soup.shares) == ("b", {"1": 0.0, "2": 1.0})
    assert [one.loss for one in soup.candidates] == [1.5, 1.45, 1.5]


def test_an_anneal_to_zero_forks_every_order(base: Path, tmp_path: Path) -> None:
    """Of the first order the trunk is whole, so that it may be shared; of others up to the fork."""
    schedule = {
        "kind": "wsd", "peak_lr": 3e-3, "floor": 0, "anneal": {"fraction": 0.5, "shape": "linear"}
    }  # fmt: skip
    stages = [{**MID, "schedule": schedule, "orders": 2}]
    run = run_of(carry(tiny(stages=stages), tmp_path, base))
    steps = [(m["stage"], m["leg"]) for m in run.read("metrics")]
    assert {place: steps.count(place) for place in steps} == {
        ("mid-order-1", "trunk"): 6, ("mid-order-1", "anneal"): 3,
        ("mid-order-2", "trunk"): 3, ("mid-order-2", "anneal"): 3,
    }  # fmt: skip
    assert run.read("metrics")[-1]["lr"] == 0
    summary = json.loads((run.folder.parent / "summary.json").read_text())["arms"]["main"]
    assert summary["num_tokens_total"] == 15 * PER_STEP


def test_what_came_to_rest_is_neither_extended_nor_annealed(base: Path, tmp_path: Path) -> None:
    carry(ordered(), tmp_path, base)
    folder = tmp_path / "tiny"
    with pytest.raises(
        InputError, match="trained in 3 orders, each down to rate zero, so it cannot"
    ):
        extend(folder, SHORT, Listener())
    with pytest.raises(InputError, match="in 3 orders down to rate zero"):
        anneal(folder, SHORT, "linear", 0.0, Listener())
    with pytest.raises(InputError, match="stage 'mid' is trained in 3 orders, each down to rate"):
        carry(ordered(stages__1__tokens=2 * SHORT), tmp_path, base)


def test_a_resnet_is_not_averaged(base: Path, tmp_path: Path) -> None:
    recipe = tiny(
        sources={"land": {"images": ["none/*.png"], "size": 8, "label_from": "folder"}},
        tokenizer=None,
        model={"preset": "resnet", "hidden": 16, "layers": 1},
        train={"batch_size": 2},
        stages=[{"name": "mid", "data": "land", "images": 8, "orders": 2,
                 "schedule": {"kind": "linear", "peak_lr": 1e-3}}],
        held_out={}, evaluate={}, replay={},
    )  # fmt: skip
    with pytest.raises(InputError, match="preset resnet: has batch norms"):
        carry(recipe, tmp_path, base)


def test_the_page_draws_a_fan_and_shows_every_candidate(made: Run) -> None:
    folder = read_run_folder(made.folder.parent)
    table = orders_tables(folder)[0]
    assert (table.stage, table.seeds, table.chosen) == ("mid", [0], [chosen(made).chosen])
    assert table.rows == [(one.name, [one.loss]) for one in chosen(made).candidates]
    assert folder.streams == ["one", "mid", "next"]
    drawn = lineage(folder)
    assert [name for _, name, _ in drawn.lanes] == ["main"]
    rings = [node for node in drawn.nodes if "mid-order-" in node.title]
    assert [node.y - TOP for node in rings[:3]] == [-FAN, 0, FAN]
    assert rings[1].title.endswith(f"{chosen(made).candidates[1].loss:.4f} bits per byte")
    last = next(node for node in drawn.nodes if node.title.startswith("main/releases/mid, "))
    assert (last.y, last.kind) == (TOP, "release")
    page = render(folder, datetime(2026, 1, 2, tzinfo=UTC))
    assert "Orders of the data, and their average" in page
    assert re.search(r'<td class="best"><data value="\d\.\d+">\d\.\d{4}<', page)
    assert len(source_loss(folder, 0).lines[0].x) > 4  # looks inside the first order are drawn


def test_the_log_lists_the_orders_below_their_stage(
    made: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    show_lineage(made)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    losses = {one.name: one.loss for one in chosen(made).candidates}
    assert lines[3:10] == [
        "└── mid (causal, done): 3 orders to 1,536 tokens",
        *(
            f"    ├── mid-order-{n} (done): releases/mid-order-{n}, "
            f"{losses[f'mid-order-{n}']:.4f} bits per byte"
            for n in (1, 2, 3)
        ),
        f"    ├── average of the 3 orders, {losses['average']:.4f} bits per byte",
        f"    ├── release releases/mid, the best: {chosen(made).chosen}",
        "    └── next (causal, done, from the release): trunk to 2,048 tokens",
    ]


def test_the_first_order_draws_the_adapters_of_the_stage_without_orders(
    base: Path, tmp_path: Path
) -> None:
    mid = {**MID, "train": {"lora": {"rank": 2}}, "schedule": {"kind": "linear", "peak_lr": 1e-3}}
    plain = run_of(carry(tiny(stages=[PLAIN[0], mid]), tmp_path / "plain", base))
    several = tiny(stages=[PLAIN[0], {**mid, "orders": 2}])
    run = run_of(carry(several, tmp_path / "orders", base))
    first = weights(run, "mid-order-1")
    for name, weight in weights(plain, "mid").items():
        assert torch.equal(first[name], weight), name
    assert weights(run, "mid").keys() == first.keys()  # merged, like what it is made of
    told: Any = node(run, "mid").details["lora"]
    assert told["mid"]["rank"] == 2
