"""How much training does a grown model save, and by which operator?

Chen et al. 2022, bert2BERT (2110.07143): BERT of width 512 to 768, and GPT. Here: two models of
text of installed packages, one causal (Llama), one masked (BERT, the paper's setting).

The model trained from scratch is the longest; its loss at the end is the target of all. Every loss
is the trunk's at the same constant rate, never an annealed one against one that is not.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch
from safetensors.torch import load_file

from evergrow.errors import InputError
from evergrow.grow.freedom import middle_of_each_kind
from evergrow.grow.symmetry import symmetry_of
from evergrow.recipe import Recipe
from evergrow.run import Run, StageRecord
from evergrow.stage.architecture import read_growth
from evergrow.stage.checkpoints import Mark
from evergrow.stage.flops import stage_flops, step_costs
from evergrow.studies.harness import Claim, Study

SOURCE = "text"
SCRATCH_STAGES = 2.5  # the model from scratch is trained so many times as long as a grown one
OLD_OPTIMIZER = {"optimizer_state": "copy", "warm_steps": 0}  # nothing that tells copies apart

# Savings of FLOPs, source not counted. Paper: table 1 of 2110.07143; LiGO: 2303.00980, table 1.
BESIDE = [
    "bert2BERT, 12 layers of 512 to 768, source not counted: 45.2 % saved (AKI alone 38.4 %, FPI "
    "alone 30.4 %; GPT 47 %); 23.9 % from 6 layers",
    "measured again by LiGO's authors, 6 layers of 512 to 12 of 768: bert2BERT 29.0 %, stacking "
    "34.1 %",
]

RECIPE: dict[str, Any] = {
    "name": "growth",
    "description": "A model grown from a smaller one against one from scratch, after bert2BERT.",
    "workers": 2,
    "sources": {SOURCE: {"installed": "python", "max_bytes": "6M", "drop_repeated_lines": 40}},
    "tokenizer": {"vocab_size": 512},
    "model": {"preset": "llama", "hidden": 64, "layers": 4, "heads": 4, "ffn": 192},
    "train": {"sequence_length": 64, "batch_size": 16},
    "schedule": {"kind": "infinite", "peak_lr": 3e-3, "anneal": {"fraction": 0.05}},
    "stages": [
        {"name": "source", "data": SOURCE, "tokens": 614_400},
        {
            "name": "target",
            "data": SOURCE,
            "tokens": 327_680,
            # 25 steps: the paper's 250 are of far longer runs
            "grow": {"to": {"hidden": 128, "heads": 8, "ffn": 384}, "warm_steps": 25},
        },
    ],
    "evaluate": {"every": 20_480, "part": 6_000, "sample_tokens": 0},
}

BERT: dict[str, Any] = {
    **RECIPE,
    "name": "growth-bert",
    "model": {"preset": "bert", "hidden": 64, "layers": 4, "heads": 4, "ffn": 256},
    "schedule": {"kind": "infinite", "peak_lr": 1e-3, "anneal": {"fraction": 0.05}},
    "stages": [
        RECIPE["stages"][0],
        {
            **RECIPE["stages"][1],
            "grow": {"to": {"hidden": 128, "heads": 8, "ffn": 512}, "warm_steps": 25},
        },
    ],
}

# The paper's own shapes, in about twenty minutes on one H100 (estimated, not run).
GPU: dict[str, Any] = {
    "workers": 1,
    f"sources.{SOURCE}.max_bytes": "600M",
    "tokenizer.vocab_size": 8192,
    "model.hidden": 512,
    "model.layers": 12,
    "model.heads": 8,
    "model.ffn": 1536,
    "train.sequence_length": 512,
    "train.batch_size": 64,
    "schedule.peak_lr": 1e-3,
    "stages.0.tokens": "100M",
    "stages.1.tokens": "50M",
    "stages.1.grow": {"to": {"hidden": 768, "heads": 12, "ffn": 2304}},
    "evaluate.every": "2M",
    "evaluate.part": "50k",
}
GPU_BERT = {
    **GPU,
    "model.ffn": 2048,
    "schedule.peak_lr": 3e-4,
    "stages.1.grow": {"to": {"hidden": 768, "heads": 12, "ffn": 3072}},
}


def arms(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """From scratch, and one arm an operator: the same source, sizes, data and rates.

    Stacking needs a source of the target's width and half its layers, on fewer tokens, so that its
    operations are about those of the other source. Raises InputError for a recipe of other stages.
    """
    grow = recipe.stages[1].grow if len(recipe.stages) == 2 else None
    if grow is None or recipe.model.hidden is None or recipe.model.layers is None:
        raise InputError(
            "stages: the study has two, a source from a preset and a target that grows before it; "
            "for others write a recipe"
        )
    settings = grow.model_dump(mode="json", exclude_defaults=True)
    target = {f"model.{axis}": size for axis, size in grow.to.items()}
    first, second = recipe.to_data()["stages"]
    layers, layers_after = recipe.model.layers, grow.to.get("layers", recipe.model.layers)
    half = layers_after // 2
    share = layers * recipe.model.hidden**2 / (half * grow.to["hidden"] ** 2)

    def grown(**changes: Any) -> dict[str, Any]:
        return {"stages.1.grow": {**settings, **changes}}

    scratch = {**second, "grow": None, "tokens": round(SCRATCH_STAGES * second["tokens"])}
    stack = {**settings, "to": {"layers": layers_after}, "depth": "stack"}
    found = {
        "scratch": {**target, "stages": [scratch]},
        "fpi": grown(method="fpi", **OLD_OPTIMIZER),
        "fpi-noise": grown(method="fpi", noise=0.05),
        "lemon": grown(method="lemon"),
        "aki": grown(method="aki"),
        "stack": {
            **target,
            "model.layers": half,
            "stages": [
                {**first, "tokens": round(share * first["tokens"])},
                {**second, "grow": stack},
            ],
        },
        "two-stage": {
            **grown(method="aki"),
            "stages.1.two_stage": {"layers": max(1, layers_after // 4)},
        },
    }
    if recipe.model.preset in ("llama", "olmo2"):  # the square root's rule is RMSNorm's
        found["sqrt"] = grown(method="sqrt")
    return found


def _curve(run: Run) -> list[tuple[float, float]]:
    """(operations since the last stage began, bits per byte) along its trunk."""
    index = len(run.manifest.stages) - 1
    stage, costs = run.manifest.stages[index], step_costs(run.manifest, index)
    return [
        (costs.between(stage.first_step, line["step"]), line["loss"])
        for line in run.read("evals")
        if (line["stage"], line["leg"], line["source"]) == (stage.name, "trunk", SOURCE)
    ]


def _sunk(run: Run) -> float:
    """Operations of the source: of every stage but the last, along the trunk."""
    return sum(stage_flops(run.manifest, i)[0] for i in range(len(run.manifest.stages) - 1))


def _scratch(run: Run) -> Run | None:
    """The Run from scratch of the same seed, once it is finished."""
    folder = run.folder.parent.parent / "scratch" / run.folder.name
    if not (folder / "manifest.json").exists():
        return None
    found = Run(folder)
    return found if found.manifest.status == "done" else None


def first_reached(curve: list[tuple[float, float]], target: float) -> float:
    """Operations at which the loss first is at or below ``target``; infinity when it never is.

    Straight lines between measurements; 0 when the curve begins there.
    """
    if curve[0][1] <= target:
        return curve[0][0]
    for (cost, loss), (next_cost, next_loss) in pairwise(curve):
        if next_loss <= target:
            return cost + (next_cost - cost) * (loss - target) / (loss - next_loss)
    return math.inf


def loss_at(curve: list[tuple[float, float]], operations: float) -> float | None:
    """The loss at ``operations``, on straight lines; None outside the curve."""
    for (cost, loss), (next_cost, next_loss) in pairwise(curve):
        if cost <= operations <= next_cost:
            return loss + (next_loss - loss) * (operations - cost) / (next_cost - cost)
    return None


def cost_to_target(counted: bool) -> Callable[[Run], float | None]:
    """Operations to the target over those of all the training from scratch; inf: never there.

    With ``counted`` those of the source are added, without it they are sunk (the paper's way).
    """

    def read(run: Run) -> float | None:
        scratch = _scratch(run)
        if scratch is None:
            return None
        whole = _curve(scratch)
        reached = first_reached(_curve(run), whole[-1][1])
        return (reached + (_sunk(run) if counted else 0.0)) / whole[-1][0]

    return read


def lead(run: Run) -> float | None:
    """How far the arm ends below scratch at equal operations, its source counted."""
    scratch, own = _scratch(run), _curve(run)
    if scratch is None:
        return None
    there = loss_at(_curve(scratch), _sunk(run) + own[-1][0])
    return None if there is None else there - own[-1][1]


def at_the_end(run: Run) -> float:
    """Bits per byte where the trunk ends."""
    return _curve(run)[-1][1]


def birth(run: Run) -> float | None:
    """The rise of the loss by the growth itself, in bits per byte; None without growth."""
    stage = run.manifest.stages[-1]
    if stage.grow is None:
        return None
    loss = read_growth(run, stage.name)["loss"][SOURCE]
    return loss["after"] - loss["before"]


def rank(run: Run) -> float:
    """The lowest rank of a matrix at the trunk's end, as a share of what its shape allows.

    One matrix of each kind is taken, tables and head aside.
    """
    tensors = _weights(run, run.manifest.stages[-1])
    shapes = {n: tuple(t.shape) for n, t in tensors.items() if ".layers." in n or ".layer." in n}
    found = [symmetry_of(tensors[name]) for name in middle_of_each_kind(shapes).values()]
    return min((s.rank or 0) / min(s.shape) for s in found)


def _weights(run: Run, stage: StageRecord) -> dict[str, torch.Tensor]:
    end = stage.first_step + stage.num_steps
    mark = Mark(len(run.manifest.stages) - 1, stage.name, "trunk", end)
    return load_file(run.checkpoints / mark.name / "model.safetensors")


REUSED, STAGED = "cost", "cost with source"
MEASURES: Mapping[str, Callable[[Run], float | None]] = {
    REUSED: cost_to_target(counted=False),
    STAGED: cost_to_target(counted=True),
    "lead": lead,
    "end": at_the_end,
    "birth": birth,
    "rank": rank,
}


def claims(operators: list[str]) -> list[Claim]:
    """Each operator against scratch, and the operators against each other as the papers have it."""
    saves = [
        Claim(f"{arm} {text}", (arm, measure), "below", ("scratch", measure))
        for measure, text in (
            (REUSED, "reaches the target with fewer operations, its source sunk"),
            (STAGED, "does with its source counted"),
        )
        for arm in operators
        if arm != "fpi"
    ]
    return [
        *saves,
        Claim(
            "equal splits keep the source's rank", ("fpi", "rank"), "below", ("fpi-noise", "rank")
        ),
        Claim("noise ends below equal splits", ("fpi-noise", "end"), "below", ("fpi", "end")),
        Claim("AKI is cheaper than FPI", ("aki", REUSED), "below", ("fpi-noise", REUSED)),
        Claim("AKI starts higher", ("aki", "birth"), "above", ("fpi-noise", "birth")),
        Claim("two stages are cheaper than one", ("two-stage", REUSED), "below", ("aki", REUSED)),
    ]


QUESTION = "How many operations does a grown model need to the loss that one from scratch ends at?"
UNIT = "cost as a share of the operations from scratch, losses in bits per byte"
LEGEND = (
    "cost: operations until the loss is scratch's last one, the source sunk (as the paper counts) "
    "or not; ∞: never. lead: how far below scratch at equal operations, source counted. birth: the "
    "growth's own rise of the loss. rank: the lowest of a matrix as a share of its full rank."
)
OPERATORS = ["fpi", "fpi-noise", "lemon", "aki", "stack", "two-stage"]


def _study(recipe: dict[str, Any], gpu: dict[str, Any], operators: list[str]) -> Study:
    return Study(
        question=QUESTION,
        paper="Chen et al. 2022, bert2BERT, arXiv 2110.07143",
        recipe=recipe,
        arms=arms,
        measures=MEASURES,
        claims=claims(operators),
        unit=UNIT,
        notes=[LEGEND, *BESIDE],
        scales={"gpu": {**gpu, "name": f"{recipe['name']}-gpu"}},
    )


STUDY = _study(RECIPE, GPU, [*OPERATORS, "sqrt"])
STUDY_BERT = _study(BERT, GPU_BERT, OPERATORS)
