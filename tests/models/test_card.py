"""The card says in plain Markdown what the release is."""

from evergrow.models.card import model_card
from evergrow.models.describe import ModelFacts

FACTS = ModelFacts(615264, 196608, 2, 96, 1, 1)


def card(parent: str | None) -> str:
    return model_card(
        name="quickstart, after python",
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
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        "Not chosen yet: whoever publishes this model chooses one that the sources above allow.",
    ):
        assert line in text.splitlines()


def test_the_front_matter_comes_first_and_scratch_is_said() -> None:
    assert card(None).startswith("---\nlibrary_name: transformers\n")
    assert "It was trained from scratch." in card(None)
