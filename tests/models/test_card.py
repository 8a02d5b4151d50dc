"""The card says in plain Markdown what the release is."""

from evergrow.models.card import model_card
from evergrow.models.describe import ModelFacts
from evergrow.models.kind import Kind

FACTS = ModelFacts(615264, 196608, 2, 96, 1, 1)


def card(parent: str | None, kind: Kind = "causal") -> str:
    return model_card(
        name="quickstart, after python",
        kind=kind,
        facts=FACTS,
        parent=parent,
        fed={"english": 180224, "python": 90112},
        schedule=["constant at 0.0025", "exponential from 0.0025 to 0.00025"],
        scores={"english": (3.0391, 2.99, 3.1)},
    )


def test_the_numbers_stand_in_it() -> None:
    text = card("runs/quickstart/main/releases/english")
    for line in (
        "library_name: transformers",
        "# quickstart, after python",
        "A causal language model of 615,264 parameters (2 layers, width 96). "
        "It goes on from runs/quickstart/main/releases/english.",
        "| english | 180,224 |",
        "| python | 90,112 |",
        "- exponential from 0.0025 to 0.00025",
        "| english | 3.039 | 2.990 to 3.100 |",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "model = AutoModelForCausalLM.from_pretrained(folder)",
        "## Bits per byte on held-out text",
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        "Not chosen yet: whoever publishes this model chooses one that the sources above allow.",
    ):
        assert line in text.splitlines()


def test_the_front_matter_comes_first_and_scratch_is_said() -> None:
    front = "---\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n"
    assert card(None).startswith(front)
    assert "It was trained from scratch." in card(None)


def test_a_masked_model_says_so_and_how_it_was_measured() -> None:
    text = card(None, "masked")
    assert "pipeline_tag: fill-mask\n" in text
    assert "A masked language model of" in text
    assert "model = AutoModelForMaskedLM.from_pretrained(folder)\n" in text
    assert "## Bits per byte of masked tokens of held-out text\n" in text
    assert "not to be compared with the bits per byte of a causal model" in text
    assert "Causal" not in text
