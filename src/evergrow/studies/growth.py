"""How much training does a grown model save, and by which operator?

Chen et al. 2022, bert2BERT (2110.07143): BERT of width 512 to 768, and GPT. Here: two models of
text of installed packages, one causal (Llama), one masked (BERT, the paper's setting).

Every arm is a source and, at the same rate or a lower one that it chose on another seed, a target.
The arm from scratch has the target's size in both stages.
"""

from collections.abc import Callable, Mapping

from pydantic import JsonValue

from evergrow.errors import InputError
from evergrow.recipe import Recipe
from evergrow.run import Run
from evergrow.studies.dial import Dial
from evergrow.studies.findings import Arms, Settings
from evergrow.studies.harness import Claim, Study
from evergrow.studies.operations import (
    SCRATCH,
    SOURCE,
    at_the_end,
    birth,
    cost_to_target,
    free_share,
    rate_share,
    scratch_needs,
    spent,
)

RATES = (1.0, 0.5, 0.25)  # of the target's stage, over the source's
OLD_OPTIMIZER = {"optimizer_state": "copy", "warm_steps": 0}  # nothing that tells copies apart

# Savings of FLOPs, source not counted. Paper: table 1 of 2110.07143; LiGO: 2303.00980, table 1.
BESIDE = [
    "bert2BERT, 12 layers of 512 to 768, source not counted: 45.2 % saved (AKI alone 38.4 %, FPI "
    "alone 30.4 %; GPT 47 %); 23.9 % from 6 layers",
    "measured again by LiGO's authors, 6 layers of 512 to 12 of 768: bert2BERT 29.0 %, stacking "
    "34.1 %",
]


def _recipe(name: str, preset: str, ffn: int, train: Settings, tokens: tuple[int, int]) -> Settings:
    """A source, and a target twice as wide."""
    grow = {"hidden": 64, "heads": 8, "ffn": 2 * ffn}
    source, target = tokens
    return {
        "name": name,
        "description": "A model grown from a smaller one against one from scratch: bert2BERT.",
        "sources": {SOURCE: {"installed": "python", "max_bytes": "2M", "drop_repeated_lines": 40}},
        "tokenizer": {"vocab_size": 280},
        "model": {"preset": preset, "hidden": 32, "layers": 2, "heads": 4, "ffn": ffn},
        "workers": 2,
        "train": {**train, "threads": 1},
        "schedule": {"kind": "constant", "peak_lr": 3e-3, "warmup": 0.05},
        "stages": [
            {"name": "source", "data": SOURCE, "tokens": source},
            # 25 steps: the paper's 250 are of far longer runs
            {
                "name": "target",
                "data": SOURCE,
                "tokens": target,
                "grow": {"to": grow, "warm_steps": 25},
            },
        ],
        "evaluate": {"every": 25_600, "part": 12_000, "sample_tokens": 0},
    }


RECIPE = _recipe(
    "growth",
    "llama",
    96,
    {"sequence_length": 32, "batch_size": 16},
    (512_000, 409_600),
)
# Masked prediction stays on its plateau for long; short windows, of which much is hidden, leave it.
RECIPE_BERT = _recipe(
    "growth-bert",
    "bert",
    128,
    {
        "sequence_length": 8,
        "batch_size": 64,
        "objective": {"kind": "masked", "fraction": 0.4},
    },
    (640_000, 409_600),
)

# The paper's own shapes, in about twenty minutes on one H100 (estimated, not run).
GPU: Settings = {
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
GPU_BERT: Settings = {
    **GPU,
    "model.ffn": 2048,
    "train.objective.fraction": 0.15,
    "schedule.peak_lr": 3e-4,
    "stages.1.grow": {"to": {"hidden": 768, "heads": 12, "ffn": 3072}},
}


def arms(recipe: Recipe) -> Arms:
    """From scratch, and one arm an operator: the same source, sizes and data.

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
    tokens, layers = recipe.stages[0].length, recipe.model.layers
    layers_after = grow.to.get("layers", layers)
    half = layers_after // 2
    share = layers * recipe.model.hidden**2 / (half * grow.to["hidden"] ** 2)

    def grown(**changes: JsonValue) -> Settings:
        return {"stages.1.grow": {**settings, **changes}}

    found = {
        SCRATCH: {
            **target,
            "stages.0.tokens": recipe.stages[1].length,
            "stages.1.grow": None,
        },
        "fpi": grown(method="fpi", **OLD_OPTIMIZER),
        "fpi-noise": grown(method="fpi", noise=0.05),
        "aki": grown(method="aki"),
        "stack": {
            **target,
            "model.layers": half,
            "stages.0.tokens": round(share * tokens),
            **grown(to={"layers": layers_after}, depth="stack"),
        },
        "two-stage": {
            **grown(method="aki"),
            "stages.1.two_stage": {"layers": max(1, layers_after // 4)},
        },
    }
    if recipe.model.preset in ("llama", "olmo2"):  # the square root's rule is RMSNorm's
        found["sqrt"] = grown(method="sqrt")
    return found


def at_rate(recipe: Recipe, share: float) -> Settings:
    """The target's stage at ``share`` of the source's rate."""
    peak = recipe.schedule.peak_lr
    assert peak is not None, "the first rate of a recipe is given"
    return {"stages.1.schedule": {"kind": "constant", "peak_lr": share * peak}}


SUNK, COUNTED = "cost", "with source"
NEEDS, SPENT, ALL_SPENT = "scratch needs", "spent", "all spent"
MEASURES: Mapping[str, Callable[[Run], float | None]] = {
    "rate": rate_share,
    SUNK: cost_to_target(counted=False),
    COUNTED: cost_to_target(counted=True),
    "end": at_the_end,
    NEEDS: scratch_needs,
    SPENT: spent(counted=False),
    ALL_SPENT: spent(counted=True),
    "birth": birth,
    "free": free_share,
}


def claims(operators: list[str]) -> list[Claim]:
    """Each operator against scratch, and the operators against each other as the papers have it."""
    saves = [
        Claim(f"{arm} {text}", (arm, measure), "below", (other or arm, needed))
        for measure, other, needed, text in (
            (SUNK, SCRATCH, SUNK, "comes to the target with fewer operations, its source sunk"),
            (COUNTED, SCRATCH, COUNTED, "does with its source counted"),
            (SPENT, None, NEEDS, "spends less to its own end than scratch, its source sunk"),
            (ALL_SPENT, None, NEEDS, "does to its own end with its source counted"),
        )
        for arm in operators
        if arm != "fpi"
    ]
    return [
        *saves,
        Claim("equal splits stay tied", ("fpi", "free"), "below", ("fpi-noise", "free")),
        Claim("noise ends below equal splits", ("fpi-noise", "end"), "below", ("fpi", "end")),
        Claim("AKI is cheaper than FPI", ("aki", SUNK), "below", ("fpi-noise", SUNK)),
        Claim("AKI starts higher", ("aki", "birth"), "above", ("fpi-noise", "birth")),
        Claim("two stages are cheaper than one", ("two-stage", SUNK), "below", ("aki", SUNK)),
    ]


QUESTION = "How many operations does a grown model need to a loss, beside one from scratch?"
UNIT = "operations as a share of scratch's to the target, losses in bits per byte"
LEGEND = [
    "A loss is the mean of three readings in a row, on the trunk. rate: of the target's stage over "
    "the source's, the best of 1, 1/2 and 1/4 for each arm on a seed that is not reported.",
    "cost: operations to the target, scratch's loss at three fifths of its own; the source sunk as "
    "the paper counts, or counted (with source); ∞: never there. scratch needs: operations from "
    "scratch to the arm's own end, beside what the arm spent to it, and all spent with its source.",
    "birth: the growth's own rise of the loss. free: the lowest share of units of a matrix that "
    "are not tied to another at the end, as evergrow grow counts them.",
]
OPERATORS = ["fpi", "fpi-noise", "aki", "stack", "two-stage"]


def _study(recipe: Settings, gpu: Settings, operators: list[str]) -> Study:
    return Study(
        question=QUESTION,
        paper="Chen et al. 2022, bert2BERT, arXiv 2110.07143",
        recipe=recipe,
        arms=arms,
        measures=MEASURES,
        claims=claims(operators),
        unit=UNIT,
        notes=[*LEGEND, *BESIDE],
        scales={"gpu": {**gpu, "name": f"{recipe['name']}-gpu"}},
        dial=Dial("rate", RATES, at_rate, at_the_end),
    )


STUDY = _study(RECIPE, GPU, [*OPERATORS, "sqrt"])
STUDY_BERT = _study(RECIPE_BERT, GPU_BERT, OPERATORS)
