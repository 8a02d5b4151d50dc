"""The card says in plain Markdown what the release is."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from evergrow.lineage import Measured, Node
from evergrow.models.card import model_card
from evergrow.models.describe import ModelFacts
from evergrow.models.kind import Kind
from evergrow.models.origin import Origin

FACTS = ModelFacts(615264, 196608, 2, 96, 1, 1)
SCHEDULE = (
    {"start": 0, "end": 180224, "from_lr": 0.0025, "to_lr": 0.0025, "shape": "constant"},
    {
        "start": 180224,
        "end": 270336,
        "from_lr": 0.0025,
        "to_lr": 0.00025,
        "shape": "exponential",
    },
    {"start": 270336, "end": None, "from_lr": 0.00025, "to_lr": 0.00025, "shape": "constant"},
)


def card(
    parent: str | None,
    kind: Kind = "causal",
    counted: str = "tokens",
    unit: str = "bits per byte",
) -> str:
    node = Node(
        key="0f" * 32,
        kind="stage",
        name="after python",
        parents=[],
        of="quickstart",
        counted=counted,
        fed={"english": 180224, "python": 90112},
        scores=[Measured(source="english", unit=unit, loss=3.0391, low=2.99, high=3.1)],
        details={"schedule": [*SCHEDULE]},
    )
    return model_card(node, kind, FACTS, parent)


def test_fewer_bits_are_said_and_a_demo_is_no_hub_id() -> None:
    origin = Origin(
        file="a.gguf", blake3="0e" * 32, type="Q4_1", bits=4, name="A", licence="apache-2.0"
    )
    node = Node(key="0f" * 32, kind="stage", name="x", parents=[], of="r")
    for parent in ("demo/smollm2", "models/a.gguf"):
        text = model_card(node, "causal", FACTS, parent, origin)
        assert "base_model" not in front_of(text)
        assert f"It goes on from {parent}." in text
        assert f"Derived from 4-bit weights (Q4_1): a.gguf of A, blake3 {'0e' * 32}." in text
        assert "That of a.gguf is apache-2.0." in text
    assert "Derived" not in model_card(node, "causal", FACTS, "someone/a")


def test_the_numbers_stand_in_it() -> None:
    text = card("runs/quickstart/main/releases/english")
    for line in (
        "library_name: transformers",
        "# quickstart: after python",
        "A causal language model of 615,264 parameters (2 layers, width 96). "
        "It goes on from runs/quickstart/main/releases/english.",
        "| source | tokens |",
        "| english | 180,224 |",
        "| python | 90,112 |",
        "- from 0 to 180,224 tokens: 0.0025",
        "- from 180,224 to 270,336 tokens: 0.0025 to 0.00025, exponential",
        "- from 270,336 on: 0.00025",
        "| stream | bits per byte | 95 % interval |",
        "| english | 3.039 | 2.990 to 3.100 |",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "model = AutoModelForCausalLM.from_pretrained(folder)",
        "## Bits per byte on held-out data",
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        "Not chosen yet: whoever publishes this model chooses one that the sources above allow.",
    ):
        assert line in text.splitlines()


def test_the_front_matter_comes_first_and_scratch_is_said() -> None:
    front = "---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags:\n- evergrow\n"
    assert card(None).startswith(front)
    assert "It was trained from scratch." in card(None)


def front_of(text: str) -> dict[str, Any]:
    return yaml.safe_load(text.split("---\n")[1])


def test_the_hub_reads_the_scores_as_results() -> None:
    (index,) = front_of(card(None))["model-index"]
    assert index == {
        "name": "quickstart: after python",
        "results": [
            {
                "task": {"type": "text-generation"},
                "dataset": {"name": "english, held out", "type": "english"},
                "metrics": [{"name": "bits per byte", "type": "bits-per-byte", "value": 3.0391}],
            }
        ],
    }


def test_results_are_numbers_and_accuracy_is_one() -> None:
    scores = [
        Measured(source="films", unit="log loss", loss=0.5, low=0.4, high=0.6, accuracy=0.8125),
        Measured(source="lost", unit="log loss", loss=float("nan"), low=0.0, high=1.0),
    ]
    node = Node(key="0f" * 32, kind="stage", name="one", parents=[], scores=scores)
    (index,) = front_of(model_card(node, "classes", FACTS, None))["model-index"]
    (result,) = index["results"]
    assert [metric["value"] for metric in result["metrics"]] == [0.5, 0.8125]
    bare = node.model_copy(update={"scores": []})
    assert "model-index" not in front_of(model_card(bare, "classes", FACTS, None))


@pytest.mark.parametrize(
    ("parent", "base"),
    [
        ("allenai/OLMo-2-0425-1B", "allenai/OLMo-2-0425-1B"),
        ("/models/mine", None),
        ("runs/quickstart/main", None),
        ("here/mine", None),
        (None, None),
    ],
)
def test_a_parent_is_named_for_the_hub_when_it_has_it(
    parent: str | None, base: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here/mine").mkdir(parents=True)
    front = front_of(card(parent))
    assert front.get("base_model") == base
    assert front.get("base_model_relation") == (base and "finetune")


def test_a_masked_model_says_so_and_how_it_was_measured() -> None:
    text = card(None, "masked")
    assert "pipeline_tag: fill-mask\n" in text
    assert "A masked language model of" in text
    assert "model = AutoModelForMaskedLM.from_pretrained(folder)\n" in text
    assert "## Bits per byte on held-out data\n\nA fixed 15 % of the tokens of each" in text
    assert "not to be compared with the bits per byte of a causal model" in text
    assert "Causal" not in text


def test_a_vision_model_is_read_otherwise_and_counted_in_pictures() -> None:
    text = card(None, "classes", "pictures", "log loss")
    for line in (
        "pipeline_tag: image-classification",
        "| source | pictures |",
        "## Log loss on held-out data",
        "In nats.",
        "| stream | log loss | 95 % interval |",
        "from transformers import AutoModelForImageClassification, AutoImageProcessor",
        "model = AutoModelForImageClassification.from_pretrained(folder)",
        "processor = AutoImageProcessor.from_pretrained(folder)",
    ):
        assert line in text.splitlines()
    assert "Tokenizer" not in text


def test_a_classifier_stands_beside_what_needs_no_model() -> None:
    line = Measured(
        source="films", unit="log loss", loss=0.5, low=0.4, high=0.6, accuracy=0.875, floor=0.69
    )
    bare = Measured(source="more", unit="log loss", loss=0.7, low=0.6, high=0.8)
    node = Node(key="0", kind="stage", name="n", parents=[], scores=[line, bare])
    text = model_card(node, "classes", FACTS, None)
    assert "| stream | log loss | 95 % interval | the best constant | accuracy |" in text
    assert "| films | 0.500 | 0.400 to 0.600 | 0.690 | 0.875 |" in text
    assert "| more | 0.700 | 0.600 to 0.800 |  |  |" in text
