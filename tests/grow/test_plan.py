"""What a plan says of a configuration, and what it refuses; no weights are touched."""

import itertools
from typing import Any

import pytest
from grow.tiny import TINY, described, tiny

from evergrow.config import decode
from evergrow.errors import InputError
from evergrow.grow.config import AUTO_NOISE, GrowConfig
from evergrow.grow.plan import plan_growth
from evergrow.models.skeleton import skeleton


def config_of(family: str, **changes: Any) -> dict[str, Any]:
    kind, config = TINY[family]
    return config.to_dict() | {"architectures": [kind.__name__]} | changes


def refusal(config: dict[str, Any], **settings: Any) -> str:
    with pytest.raises(InputError) as error:
        plan_growth(config, GrowConfig(**settings))
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("family", "to", "sentence"),
    [
        ("llama", {"hidden": 24}, "hidden=24: smaller than the source's 48, and a run's model"),
        ("llama", {"heads": 6, "kv_heads": 4}, "heads=6: not divisible by kv_heads=4; every key"),
        ("mistral", {"heads": 9, "kv_heads": 3}, None),
        ("llama", {"heads": 4, "kv_heads": 3}, "heads=4: not divisible by kv_heads=3"),
        (
            "llama",
            {"hidden": 97},
            "hidden=97: not divisible by heads=4, which transformers asks of",
        ),
        ("llama", {"heads": 5, "kv_heads": 5}, "hidden=48: not divisible by heads=5, which"),
        ("qwen3", {"hidden": 97}, None),
        ("llama", {"head_dim": 18}, "head_dim=18: from 12, rotary speeds would fall between"),
        ("llama", {"hidden": 48}, "to: every size is the source's already; name another"),
        ("vit", {"vocab": 200}, "vocab=200: vit has no such axis; leave it out"),
        ("bert", {"kv_heads": 8}, "kv_heads=8: bert has no such axis; leave it out"),
        ("gpt2", {"head_dim": 24}, "head_dim=24: gpt2 has no such axis; leave it out"),
        ("bert", {"hidden": 50}, "hidden=50: bert splits it into heads of 12, which does not"),
        ("bert", {"hidden": 96, "heads": 7}, "heads=7: does not divide hidden=96; choose a"),
        ("bert", {"heads": 8}, "heads=8: would make heads narrower (6 instead of 12); bert needs"),
    ],
)
def test_impossible_targets(family: str, to: dict[str, int], sentence: str | None) -> None:
    if sentence is None:
        plan_growth(config_of(family), GrowConfig(to=to))
    else:
        assert refusal(config_of(family), to=to).startswith(sentence)


def test_a_group_without_a_place_for_its_query_heads() -> None:
    config = config_of("mistral", num_attention_heads=8, num_key_value_heads=2, head_dim=12)
    text = refusal(config, to={"heads": 9, "kv_heads": 3})
    assert "the 4 query heads that share a key head need 4 places, and a copy of theirs has 3" in (
        text
    )
    assert text.endswith("choose heads=12 or a multiple of it")


def test_methods_that_a_norm_forbids() -> None:
    assert refusal(config_of("gpt2"), to={"hidden": 72}, method="zero") == (
        "method zero: does not keep the norms of gpt2 (layer norm); use method auto"
    )
    assert "bert (post-layer norm)" in refusal(
        config_of("bert"), to={"hidden": 72}, method="average"
    )
    assert refusal(config_of("bert"), to={"layers": 5}, depth="identity").startswith(
        "depth identity: bert normalises after every sum"
    )


def test_settings_that_tie_the_function_to_a_size() -> None:
    scaled = config_of("gpt2", scale_attn_by_inverse_layer_idx=True)
    assert refusal(scaled, to={"layers": 6}).startswith(
        "layers=6: with scale_attn_by_inverse_layer_idx=True in config.json a grown model would"
    )
    assert plan_growth(scaled, GrowConfig(to={"hidden": 96})).exactness == "exact"
    slides = config_of("qwen2", use_sliding_window=True, sliding_window=8)
    assert plan_growth(slides, GrowConfig(to={"layers": 6})).target["layer_types"]
    del slides["layer_types"]  # counted from the bottom where it is silent: written out
    slides["max_window_layers"] = 1
    full, slide = "full_attention", "sliding_attention"
    target = plan_growth(slides, GrowConfig(to={"layers": 6})).target
    assert target["layer_types"] == [full, full, slide, slide, slide, slide]
    assert "layer_types" not in plan_growth(slides, GrowConfig(to={"hidden": 96})).target
    assert refusal(config_of("modernbert"), to={"layers": 6}).startswith(
        "layers=6: with model_type"
    )
    wide = config_of("electra", embedding_size=96)
    assert refusal(wide, to={"hidden": 96}).startswith("hidden=96: electra as wide as its embedd")
    yarn = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}
    assert refusal(config_of("llama", rope_parameters=yarn), to={"head_dim": 24}) == (
        "head_dim=24: rope type 'yarn' ties speeds to the width of a head; keep head_dim at 12"
    )


def test_what_nobody_described() -> None:
    for kind in ("lama", "olmo7"):  # olmo2 under another name is another model: none is offered
        text = refusal({"model_type": kind}, to={"hidden": 96})
        assert text.startswith(f"model_type '{kind}': no family of this name is described; descri")
        assert "did you mean" not in text
    strange = config_of("llama", per_layer_config={"0": {"head_dim": 6}})
    assert refusal(strange, to={"hidden": 96}).startswith(
        "config.json: nobody said what per_layer_config means for a grown llama"
    )
    bare = config_of("llama")
    del bare["hidden_size"]
    assert refusal(bare, to={"hidden": 96}).startswith("config.json: hidden_size is missing")
    assert refusal(config_of("llama", hidden_size="48"), to={"hidden": 96}) == (
        "config.json: hidden_size is '48', and a size is a whole number"
    )
    assert refusal(config_of("bert", hidden_size=50), to={"hidden": 96}).startswith(
        "config.json: 4 heads do not divide hidden_size 50"
    )


def test_a_plan_needs_an_axis_it_knows_and_a_positive_size() -> None:
    for to in ({}, {"depth": 3}, {"hidden": 0}):
        with pytest.raises(InputError, match="grow"):
            decode(GrowConfig, {"to": to}, "grow")
    assert decode(GrowConfig, {"to": {"vocab": "4k"}}, "grow").to == {"vocab": 4000}


def test_noise_is_the_methods_own_unless_given() -> None:
    assert GrowConfig(to={"hidden": 96}).noise_ratio == AUTO_NOISE
    assert GrowConfig(to={"hidden": 96}, method="fpi").noise_ratio == 0
    assert GrowConfig(to={"hidden": 96}, method="fpi", noise=0.1).noise_ratio == 0.1
    assert GrowConfig(to={"hidden": 96}, noise=0.0).noise_ratio == 0


def test_auto_takes_the_exact_rule_of_the_norm() -> None:
    def operator(family: str, **to: int) -> tuple[str, str]:
        verdict = plan_growth(config_of(family), GrowConfig(to=to)).verdicts[0]
        return verdict.operator, verdict.exactness

    assert operator("llama", hidden=96) == ("copies", "exact")
    assert operator("llama", hidden=72) == ("copies scaled by the root of their count", "exact")
    assert operator("gpt2", hidden=72) == ("average expansion", "exact")
    assert operator("bert", hidden=72) == ("copies", "approximate")
    plan = plan_growth(config_of("bert"), GrowConfig(to={"hidden": 72}))
    assert "96 would be exact" in plan.verdicts[0].reason
    assert "auto" not in plan.verdicts[0].reason  # it was auto
    drawn = GrowConfig(to={"hidden": 96}, method="fpi_random")
    assert "method fpi" in plan_growth(config_of("llama"), drawn).verdicts[0].reason


@pytest.mark.parametrize(
    ("family", "goal", "operator", "exactness"),
    [
        ("llama", "keep", "identity blocks", "exact"),
        ("llama", "speed", "stack", "lossy"),
        ("bert", "keep", "stack", "lossy"),
    ],
)
def test_auto_depth_follows_the_goal(family: str, goal: Any, operator: str, exactness: str) -> None:
    plan = plan_growth(config_of(family), GrowConfig(to={"layers": 6}, goal=goal))
    assert [(v.axis, v.operator) for v in plan.verdicts] == [("layers", operator)]
    assert plan.exactness == exactness


def test_the_worst_axis_decides() -> None:
    to = {"hidden": 96, "vocab": 112}
    assert plan_growth(config_of("llama"), GrowConfig(to=to)).exactness == "approximate"
    to["layers"] = 6
    grow = GrowConfig(to=to, depth="stack")
    assert plan_growth(config_of("llama"), grow).exactness == "lossy"


def test_heads_follow_hidden_where_they_share_it() -> None:
    plan = plan_growth(config_of("bert"), GrowConfig(to={"hidden": 96}))
    assert plan.changed == {"hidden_size": (48, 96), "num_attention_heads": (4, 8)}
    assert [v.axis for v in plan.verdicts] == ["hidden", "heads"]
    plan = plan_growth(config_of("bert"), GrowConfig(to={"hidden": 96, "heads": 4}))
    assert plan.changed == {"hidden_size": (48, 96)}
    assert [v.axis for v in plan.verdicts] == ["hidden", "head_dim"]


def test_what_a_rule_would_misread_is_written_out() -> None:
    silent = config_of("qwen2", num_key_value_heads=4)  # says nothing of head_dim
    plan = plan_growth(silent, GrowConfig(to={"hidden": 96}))
    assert plan.changed == {"hidden_size": (48, 96), "head_dim": (None, 12)}
    plan = plan_growth(silent, GrowConfig(to={"heads": 8}))
    assert plan.changed == {
        "num_attention_heads": (4, 8),
        "num_key_value_heads": (4, 8),
        "head_dim": (None, 12),
    }
    plan = plan_growth(config_of("gpt2", n_inner=None), GrowConfig(to={"hidden": 96}))
    assert plan.changed == {"n_embd": (48, 96), "n_head": (4, 8), "n_inner": (None, 192)}
    silent = config_of("vit")
    del silent["pooler_output_size"]
    plan = plan_growth(silent, GrowConfig(to={"hidden": 96}))
    assert plan.changed["pooler_output_size"] == (None, 48)


def test_each_block_keeps_its_kind_of_attention() -> None:
    kinds = ["full_attention", "sliding_attention", "full_attention"]
    plan = plan_growth(config_of("qwen3", layer_types=kinds), GrowConfig(to={"layers": 5}))
    assert plan.target["layer_types"] == [kinds[0], kinds[1], kinds[1], kinds[2], kinds[2]]


def test_an_encoder_without_its_head_has_nothing_tied() -> None:
    config = config_of("qwen3", architectures=["Qwen3Model"])
    plan = plan_growth(config, GrowConfig(to={"hidden": 96}))
    assert not plan.tied
    assert plan.outputs.weight.tolist() == [0.5] * 96
    assert plan_growth(config_of("qwen3"), GrowConfig(to={"hidden": 96})).tied
    assert described(tiny("qwen3"))["architectures"] == ["Qwen3ForCausalLM"]


def test_blocks_in_any_order() -> None:
    assert GrowConfig(layers="0-2,1,0-1").order == [0, 1, 2, 1, 0, 1]
    plan = plan_growth(config_of("llama"), GrowConfig(layers="0-1,1-2"))
    assert [block.source for block in plan.blocks] == [0, 1, 1, 2]
    assert [block.new for block in plan.blocks] == [False, False, True, False]
    assert plan.target["num_hidden_layers"] == 4
    assert (plan.verdicts[0].operator, plan.exactness) == ("blocks 0-1,1-2", "lossy")
    both = plan_growth(config_of("llama"), GrowConfig(layers="0-1,0-1", to={"hidden": 96}))
    assert both.verdicts[-1].reason.endswith("blocks [2] are left out")
    assert [v.axis for v in both.verdicts] == ["hidden", "layers"]


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ("0-3", "layers=0-3: the source's blocks are 0 to 2; each range runs upwards and inside"),
        ("2-0", "layers=2-0: the source's blocks are 0 to 2"),
        ("0-2", "layers=0-2: 3 blocks, as many as the source has; list more, or fewer"),
        ("0,2", "layers=2: smaller than the source's 3, and a run's model only grows; shrink a"),
    ],
)
def test_lists_that_are_no_growth(layers: str, said: str) -> None:
    assert refusal(config_of("llama"), layers=layers).startswith(said)


def test_a_list_stands_alone() -> None:
    for settings in (
        {"layers": "0-1,x"},
        {"layers": "0-2,1-2", "to": {"layers": 5}},
        {"layers": "0-2,1-2", "depth": "stack"},
        {},
    ):
        with pytest.raises(InputError, match=r"grow"):
            decode(GrowConfig, settings, "grow")


@pytest.mark.parametrize("family", TINY)
def test_whatever_is_planned_can_be_built(family: str) -> None:
    """No target ends in the validator of transformers."""
    config, planned = config_of(family), 0
    axes = {"hidden": (48, 72, 96, 97), "heads": (None, 5, 6, 8, 9), "kv_heads": (None, 2, 5)}
    for sizes in itertools.product(*axes.values()):
        to = {axis: size for axis, size in zip(axes, sizes, strict=True) if size is not None}
        try:
            plan = plan_growth(config, GrowConfig(to=to))  # pyright: ignore
        except InputError:
            continue
        assert skeleton(plan.target).config.hidden_size == to["hidden"]
        planned += 1
    assert planned >= 3
