from evergrow.studies.growth import STUDY_BERT
from evergrow.studies.harness import study_recipe


def test_the_papers_setting_has_no_arm_for_another_norm() -> None:
    recipe = study_recipe(STUDY_BERT, 2, {})
    assert recipe.model.preset == "bert"
    assert set(recipe.arms) == {"scratch", "fpi", "fpi-noise", "aki", "stack", "two-stage"}


def test_the_large_scale_is_bert_small_to_base() -> None:
    recipe = study_recipe(STUDY_BERT, 2, {}, "gpu")
    source, target = recipe.model.sizes(), recipe.resolve("scratch").model.sizes()
    assert (source.layers, source.hidden, source.heads, source.ffn) == (12, 512, 8, 2048)
    assert (target.layers, target.hidden, target.heads, target.ffn) == (12, 768, 12, 3072)
