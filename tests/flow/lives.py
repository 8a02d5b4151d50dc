"""The life of a brought model, measured: what each family keeps of what it came with.

A tiny random folder of the family, as the hub would have it, is continued for two stages and
released; transformers alone reads the release. ``docs/generate.py models`` writes the table.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from flow.tiny import carry, run_of, tiny, write_texts
from models.zoo import VOCABULARY, tiny_config
from safetensors import safe_open
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.models.families import FAMILIES
from evergrow.models.kind import KINDS, kind_of
from evergrow.models.quiet import undisturbed
from evergrow.stage import legs
from evergrow.stream.tokenizer import train_tokenizer

WINDOW = 16
TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
GENERATION = '{"eos_token_id": [0, 7], "do_sample": false, "temperature": 0.7}\n'
TEXT = "waves and salt\n\n  12 tides"


@dataclass(frozen=True)
class Kind:
    """A family as people bring it; ``tied`` is None where the family's own default is meant.

    ``encodes`` stands for one that has an encoder beside its decoder.
    """

    model_type: str
    masked: bool = False
    tied: bool | None = None
    encodes: bool = False


KINDS_BROUGHT: dict[str, Kind] = {
    "Llama 2, 3": Kind("llama"),
    "Llama 3.2, SmolLM 2": Kind("llama", tied=True),
    "Mistral": Kind("mistral"),
    "Qwen 2, 2.5": Kind("qwen2"),
    "Qwen 2.5, small": Kind("qwen2", tied=True),
    "Qwen 3": Kind("qwen3"),
    "Qwen 3, small": Kind("qwen3", tied=True),
    "Gemma": Kind("gemma"),
    "Gemma 2": Kind("gemma2"),
    "Gemma 3, text": Kind("gemma3_text"),
    "Phi 1.5, 2": Kind("phi"),
    "Phi 3, 4": Kind("phi3"),
    "GPT-2": Kind("gpt2"),
    "GPT-Neo": Kind("gpt_neo"),
    "GPT-J": Kind("gptj"),
    "GPT-NeoX, Pythia": Kind("gpt_neox"),
    "OLMo": Kind("olmo"),
    "OLMo 2": Kind("olmo2"),
    "OLMo 3": Kind("olmo3"),
    "SmolLM 3": Kind("smollm3"),
    "Falcon": Kind("falcon"),
    "StableLM": Kind("stablelm"),
    "Granite": Kind("granite"),
    "Cohere, Command R": Kind("cohere"),
    "Cohere 2": Kind("cohere2"),
    "StarCoder 2": Kind("starcoder2"),
    "OPT": Kind("opt"),
    "BLOOM": Kind("bloom"),
    "MPT": Kind("mpt"),
    "GLM 4": Kind("glm4"),
    "Mamba": Kind("mamba"),
    "Mamba 2": Kind("mamba2"),
    "RecurrentGemma": Kind("recurrent_gemma"),
    "Jamba": Kind("jamba"),
    "Mixtral": Kind("mixtral"),
    "OLMoE": Kind("olmoe"),
    "Qwen 2 MoE": Kind("qwen2_moe"),
    "Qwen 3 MoE": Kind("qwen3_moe"),
    "GPT-OSS": Kind("gpt_oss"),
    "DeepSeek V3": Kind("deepseek_v3"),
    "BERT": Kind("bert", masked=True),
    "RoBERTa": Kind("roberta", masked=True),
    "XLM-RoBERTa": Kind("xlm-roberta", masked=True),
    "DistilBERT": Kind("distilbert", masked=True),
    "ALBERT": Kind("albert", masked=True),
    "ELECTRA": Kind("electra", masked=True),
    "DeBERTa V2, V3": Kind("deberta-v2", masked=True),
    "ModernBERT": Kind("modernbert", masked=True),
    "EuroBERT": Kind("eurobert", masked=True),
    "MPNet": Kind("mpnet", masked=True),
    "T5": Kind("t5", encodes=True),
    "BART": Kind("bart", encodes=True),
    "XLNet": Kind("xlnet"),
}
KEPT = ("logits", "tensors", "dtype", "config", "tokenizer", "template", "generation")


@dataclass(frozen=True)
class Life:
    """What one family came to: ``refused`` in a sentence, or ``lost`` of KEPT (none is right)."""

    tied: bool
    lost: tuple[str, ...] = ()
    refused: str = ""


def life_of(kind: Kind, texts: Path, folder: Path) -> Life:
    """Bring a tiny model of ``kind``, let it live two stages in ``folder``, and look at it."""
    start = folder / "start"
    tied = bring(kind, texts, start)
    recipe = tiny(
        tokenizer=None,
        model={"from": str(start)},
        train={"sequence_length": WINDOW, "batch_size": 2, "threads": 1},
        stages=[
            {"name": "one", "data": "land", "tokens": 4 * 2 * WINDOW},
            {"name": "two", "data": "sea", "tokens": 4 * 2 * WINDOW},
        ],
        evaluate={"part": 300},
        checkpoints={},
    )
    try:
        with released() as in_memory:
            run = run_of(carry(recipe, folder / "runs", texts)).folder
    except InputError as error:
        assert not (folder / "runs" / "tiny" / "main" / "releases").exists(), "refused too late"
        return Life(tied, refused=str(error))
    lost = {
        what
        for name, logits in in_memory.items()
        for what in lost_by(start, run / "releases" / name, logits, kind.masked)
    }
    assert set(in_memory) == {"one", "two"}
    return Life(tied, lost=tuple(what for what in KEPT if what in lost))


def bring(kind: Kind, texts: Path, folder: Path) -> bool:
    """Write a model of ``kind`` in bfloat16 with all that one from the hub has; is it tied?"""
    config: Any = tiny_config(kind.model_type, kind.masked)
    if kind.tied is not None:
        config.tie_word_embeddings = kind.tied
    with undisturbed():
        torch.manual_seed(0)
        auto = KINDS["masked" if kind.masked else "causal"].auto_class
        model = (AutoModelForSeq2SeqLM if kind.encodes else auto).from_config(config)
        model.bfloat16().save_pretrained(folder)
    told = [path.read_text() for path in sorted(texts.rglob("*.txt"))]
    tokenizer = train_tokenizer(told, VOCABULARY - 2, with_mask=kind.masked)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    if not kind.masked:
        (folder / "generation_config.json").write_text(GENERATION)
    return bool(model.all_tied_weights_keys)


@contextmanager
def released() -> Iterator[dict[str, torch.Tensor]]:
    """Inside, the logits of the model in memory at each release, by the release's name."""
    found, write = {}, legs.write_release

    def look(work: Any, folder: Path, node: Any) -> None:
        found[folder.name] = logits_of(work.model, kind_of(work.model) == "masked")
        write(work, folder, node)

    legs.write_release = look
    try:
        yield found
    finally:
        legs.write_release = write


def logits_of(model: Any, masked: bool) -> torch.Tensor:
    ids = torch.arange(2, 2 + 2 * WINDOW).view(2, WINDOW)
    training = model.training
    with torch.no_grad():
        found = model.eval()(input_ids=ids, **({} if masked else {"use_cache": False})).logits
    model.train(training)
    return found


def lost_by(start: Path, release: Path, logits: torch.Tensor, masked: bool) -> Iterator[str]:
    """What of KEPT a release has not as ``start`` had it, read by transformers alone."""
    auto = KINDS["masked" if masked else "causal"].auto_class
    with undisturbed():
        model = auto.from_pretrained(release, dtype=torch.float32)
    if not torch.allclose(logits_of(model, masked), logits, rtol=0, atol=1e-5):
        yield "logits"
    before, after = tensors_in(start), tensors_in(release)
    if {name: shape for name, (shape, _) in before.items()} != {
        name: shape for name, (shape, _) in after.items()
    }:
        yield "tensors"
    if [dtype for _, dtype in before.values()] != [dtype for _, dtype in after.values()]:
        yield "dtype"
    if settings_in(start) != settings_in(release):
        yield "config"
    old, new = (AutoTokenizer.from_pretrained(folder) for folder in (start, release))
    if words_of(old) != words_of(new):
        yield "tokenizer"
    if old.chat_template != new.chat_template:
        yield "template"
    if not masked and (
        (release / "generation_config.json").read_text() != GENERATION
        or GenerationConfig.from_pretrained(release).eos_token_id != [0, 7]
    ):
        yield "generation"


def tensors_in(folder: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Name -> shape and type of what lies in the folder's weights; a tied one lies there once."""
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        slices = {name: file.get_slice(name) for name in sorted(file.keys())}
        return {n: (tuple(s.get_shape()), s.get_dtype()) for n, s in slices.items()}


def settings_in(folder: Path) -> dict[str, Any]:
    """config.json without the version of who wrote it; parts may repeat the type or leave it."""
    settings = json.loads((folder / "config.json").read_text())
    del settings["transformers_version"]
    for part in settings.values():
        if isinstance(part, dict) and part.get("dtype") in (None, settings["dtype"]):
            part.pop("dtype", None)
    return settings


def words_of(tokenizer: PreTrainedTokenizerBase) -> tuple[Any, ...]:
    return (tokenizer.encode(TEXT), tokenizer.special_tokens_map, len(tokenizer))


def measured_table() -> str:
    """The table of docs/models.md."""
    with TemporaryDirectory() as place:
        texts = write_texts(Path(place) / "texts")
        lives = {
            name: life_of(kind, texts, Path(place) / str(number))
            for number, (name, kind) in enumerate(KINDS_BROUGHT.items())
        }
    return table(lives)


def table(lives: dict[str, Life]) -> str:
    """A row for each family, in Markdown."""
    head = ["family", "`model_type`", "kind", "tied", "continued and released", "grows; by depth"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, life in lives.items():
        kind = KINDS_BROUGHT[name]
        cells = [
            name,
            f"`{kind.model_type}`",
            "masked" if kind.masked else "encoder and decoder" if kind.encodes else "causal",
            "yes" if life.tied else "no",
            fate(life),
            "yes" if kind.model_type in FAMILIES else "no",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def written_table(page: str) -> str:
    """The table between the marks of docs/models.md."""
    return page.split("<!-- families -->\n")[1].split("\n<!-- /families -->")[0]


def fate(life: Life) -> str:
    """What a row says of it; a refusal without the folder that it begins with."""
    if life.refused:
        return f"refused: {life.refused.partition(': ')[2]}"
    return "yes" if not life.lost else f"no: {', '.join(life.lost)} lost"
