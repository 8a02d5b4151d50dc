"""Which model a recipe starts from, and the rule its sizes follow; imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from evergrow.config import Config, PositiveCount

Kind = Literal["causal", "masked", "patches", "classes"]  # what a model is trained to tell
Preset = Literal["olmo2", "llama", "gpt_neox", "bert", "vit_mae", "vit", "resnet"]
# Ten times what any published model has; more is a slip of the finger that would fill the memory.
Depth = Annotated[PositiveCount, Field(le=2_000)]
Width = Annotated[PositiveCount, Field(le=1_000_000)]
ROTARY_SHARE = 0.25  # of each head of GPT-NeoX


class Rules(NamedTuple):
    """What an architecture asks of its sizes.

    masked         it sees both sides of a token, and is trained by masking it
    gated          its MLP has three matrices instead of two
    grouped        its heads may share keys and values
    head_multiple  what the width of a head is a multiple of: rotary positions turn pairs
    pictures       it reads pictures: whole, or in patches
    """

    masked: bool
    gated: bool
    grouped: bool
    head_multiple: int
    pictures: Literal["whole", "patches"] | None = None


RULES: dict[Preset, Rules] = {
    "olmo2": Rules(masked=False, gated=True, grouped=True, head_multiple=2),
    "llama": Rules(masked=False, gated=True, grouped=True, head_multiple=2),
    "gpt_neox": Rules(False, gated=False, grouped=False, head_multiple=round(2 / ROTARY_SHARE)),
    "bert": Rules(masked=True, gated=False, grouped=False, head_multiple=1),
    "vit_mae": Rules(False, gated=False, grouped=False, head_multiple=4, pictures="patches"),
    "vit": Rules(False, gated=False, grouped=False, head_multiple=1, pictures="patches"),
    "resnet": Rules(False, gated=False, grouped=False, head_multiple=1, pictures="whole"),
}


def kind_of_preset(preset: Preset) -> Kind:
    """What a preset is trained to tell."""
    if RULES[preset].pictures is not None:
        return "patches" if preset == "vit_mae" else "classes"
    return "masked" if RULES[preset].masked else "causal"


@dataclass(frozen=True)
class Sizes:
    """The sizes of a model made from scratch; ``ffn`` is the width inside the MLP."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    tied: bool


def head_width(hidden: int) -> int:
    """The width of a head aimed at: 32 in tiny models, 64 from 512 on, 128 from 2048 on.

    OLMo 2 has 128 at 2048 and above (arXiv 2501.00656, table 3); below, narrower heads keep
    at least three or four of them.
    """
    if hidden < 512:
        return 32
    return 64 if hidden < 2048 else 128


def ffn_multiple(hidden: int) -> int:
    """What the feed-forward width is rounded up to: 32 in tiny models, OLMo 2's 256 from 512 on."""
    return 32 if hidden < 512 else 256


def derived_ffn(hidden: int, preset: Preset = "olmo2") -> int:
    """8/3 hidden, which gives three matrices the parameters of two of width 4 hidden, rounded up.

    Gives OLMo 2's 11008 at 4096 and 13824 at 5120. An MLP without a gate has 4 hidden.
    """
    if not RULES[preset].gated:
        return 4 * hidden
    multiple = ffn_multiple(hidden)
    return -(-8 * hidden // (3 * multiple)) * multiple


class LoraConfig(Config):
    """Low-rank adapters (LoRA, arXiv 2106.09685): trained in place of the weights, then added."""

    rank: PositiveCount = Field(description="of each adapter")
    alpha: float | None = Field(
        default=None,
        gt=0,
        description="the adapter is multiplied by alpha / rank; default: twice the rank",
    )
    targets: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None,
        min_length=1,
        description="linear layers by the end of their names, such as q_proj; default: all of the "
        "blocks, and the head of a classifier of pictures",
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of an adapter's inputs that are dropped"
    )
    release: Literal["merged", "adapter"] = Field(
        default="merged",
        description="what a release holds: the merged model, or beside it the adapter, for peft",
    )

    @property
    def scaled_by(self) -> float:
        """Alpha: as given, or twice the rank."""
        return 2.0 * self.rank if self.alpha is None else self.alpha


class ModelConfig(Config):
    """A preset made from scratch (``preset``, ``hidden``, ``layers``), or one loaded ``from``."""

    preset: Preset | None = Field(None, description="architecture made from scratch")
    from_: str | None = Field(
        None,
        alias="from",
        min_length=1,
        description="a model folder, the folder of a run (its newest release), a GGUF file, "
        "demo/smollm2 or a hub id",
    )
    hidden: Width | None = Field(None, description="width of the residual stream")
    layers: Depth | None = Field(None, description="number of blocks")
    heads: Width | None = Field(
        None, description="default: hidden / 32, / 64 from 512 on, / 128 from 2048 on, rounded"
    )
    kv_heads: Width | None = Field(
        None, description="key and value heads, a divisor of heads; default: heads"
    )
    ffn: Width | None = Field(
        None,
        description="default: 8/3 hidden up to a multiple of 32, of 256 from hidden 512 on; "
        "4 hidden for gpt_neox and bert",
    )
    patch: Width | None = Field(
        None, description="side of a patch in pixels, a divisor of the pictures'; vit and vit_mae"
    )
    pixel_mean: list[float] | None = Field(
        None,
        description="of a .safetensors file: what its pixels, from 0 to 1, had taken away, one "
        "number a channel; a model folder says it itself",
    )
    pixel_deviation: list[float] | None = Field(
        None, description="of a .safetensors file: what its pixels were then divided by"
    )
    release_dtype: Literal["float32", "bfloat16", "float16"] | None = Field(
        None,
        description="what releases store weights in; default: as the loaded model's are stored, "
        "float32 from scratch. Training is in float32 either way",
    )
    optimizer: Literal["trainer"] | None = Field(
        None,
        description="trainer: begin with the moments in the optimizer.pt of a checkpoint that "
        "Hugging Face's Trainer wrote; default: fresh ones",
    )
    tied: bool = Field(
        False,
        description="input embedding and output head share their weights; bert always shares",
    )

    @model_validator(mode="before")
    @classmethod
    def _tied_as_the_family_is(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("preset") == "bert":
            return {"tied": True, **data}
        return data

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.preset is None) == (self.from_ is None):
            given = "neither" if self.preset is None else "both"
            raise ValueError(
                "set either preset: olmo2 or another (from scratch) or from: (a model to load), "
                f"got {given}"
            )
        self._refuse_scale()
        if self.from_ is None:
            if self.optimizer is not None:
                raise ValueError(
                    f"optimizer: a preset begins with fresh moments, got {self.optimizer}; remove "
                    "it, or give a checkpoint as from:"
                )
            self.sizes()
            return self
        sizes = {"hidden", "layers", "heads", "kv_heads", "ffn", "patch"}
        unused = [n for n in sorted(sizes) if getattr(self, n) is not None]
        unused += ["tied"] if "tied" in self.model_fields_set else []
        if unused:
            raise ValueError(
                f"a loaded model has its own sizes, got {', '.join(unused)} beside "
                f"from: {self.from_}; remove them or use preset: instead of from:"
            )
        return self

    def _refuse_scale(self) -> None:
        """Raise ValueError unless a file of weights, and nothing else, has a scale of pixels."""
        is_file = self.from_ is not None and self.from_.endswith(".safetensors")
        given = [self.pixel_mean is not None, self.pixel_deviation is not None]
        if is_file and not all(given):
            raise ValueError(
                f"{self.from_} does not say on which pixels it was trained; set pixel_mean and "
                "pixel_deviation (torchvision: [0.485, 0.456, 0.406] and [0.229, 0.224, 0.225]; "
                "torchxrayvision: [0.5] and [0.00048828125])"
            )
        if any(given) and not is_file:
            raise ValueError(
                "pixel_mean and pixel_deviation are for a .safetensors file; remove them, a model "
                "folder says it in preprocessor_config.json and a preset takes pixels from 0 to 1"
            )

    @model_serializer(mode="wrap")
    def _only_what_is_set(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Plain data that validates again: ``from`` under its own name, no empty keys."""
        written: Mapping[str, Any] = write(self)
        if self.from_ is not None:
            beside = ("pixel_mean", "pixel_deviation", "release_dtype", "optimizer")
            return {"from": self.from_, **{k: written[k] for k in beside if written[k]}}
        return {key: value for key, value in written.items() if value is not None}

    def sizes(self) -> Sizes:
        """All sizes of a preset, derived where the recipe is silent.

        Raises ValueError when hidden or layers is missing or the heads do not divide.
        """
        assert self.preset is not None, "a loaded model has its own sizes"
        if self.hidden is None or self.layers is None:
            missing = "hidden" if self.hidden is None else "layers"
            raise ValueError(f"preset {self.preset} needs hidden and layers, got no {missing}")
        rules = RULES[self.preset]
        if (self.patch is None) == (rules.pictures == "patches"):
            found = "none" if self.patch is None else self.patch
            way_out = "set it" if self.patch is None else "remove it"
            raise ValueError(f"patch: for vit and vit_mae alone, got {found}; {way_out}")
        if rules.pictures == "whole":
            return self._stages()
        heads = self.heads or max(1, round(self.hidden / head_width(self.hidden)))
        multiple = rules.head_multiple
        if self.hidden % heads or self.hidden // heads % multiple:
            width = {1: "a width", 2: "an even width"}.get(multiple, f"a multiple of {multiple}")
            reason = " (rotary positions turn pairs)" if multiple > 1 else ""
            raise ValueError(
                f"hidden must be heads times {width}{reason}, got hidden {self.hidden} with "
                f"{heads} heads; set hidden to a multiple of {multiple * heads} or set heads"
            )
        kv_heads = self.kv_heads or heads
        if kv_heads != heads and not rules.grouped:
            raise ValueError(
                f"kv_heads: preset {self.preset} has as many as heads ({heads}), got {kv_heads}; "
                "remove it or use preset: llama"
            )
        if heads % kv_heads:
            raise ValueError(f"kv_heads must divide heads ({heads}), got {kv_heads}")
        if self.preset == "bert" and not self.tied:
            raise ValueError(
                "tied: the head of preset bert is its input embedding, got false; set tied: true"
            )
        ffn = self.ffn or derived_ffn(self.hidden, self.preset)
        return Sizes(self.hidden, self.layers, heads, kv_heads, ffn, self.tied)

    def _stages(self) -> Sizes:
        """A ResNet: ``layers`` stages of one block, the last one ``hidden`` channels wide."""
        assert self.hidden is not None and self.layers is not None
        if self.heads or self.kv_heads or self.ffn or self.tied:
            raise ValueError("preset resnet has hidden and layers only; remove the other sizes")
        if self.hidden % 2 ** (self.layers - 1):
            raise ValueError(
                f"hidden is halved from each stage to that below it, got {self.hidden} for "
                f"{self.layers} stages; set a multiple of {2 ** (self.layers - 1)}"
            )
        return Sizes(self.hidden, self.layers, 1, 1, self.hidden, False)


def explain(config: ModelConfig) -> list[str]:
    """One line for each size that the recipe left open: its value and the rule that made it."""
    if config.preset is None or RULES[config.preset].pictures == "whole":
        return []
    sizes = config.sizes()
    width, multiple = head_width(sizes.hidden), ffn_multiple(sizes.hidden)
    lines = []
    if config.heads is None:
        lines.append(f"heads {sizes.heads}: hidden {sizes.hidden} / {width}, rounded")
    if config.kv_heads is None:
        lines.append(f"kv_heads {sizes.kv_heads}: as many as heads")
    if config.ffn is None and not RULES[config.preset].gated:
        lines.append(f"ffn {sizes.ffn}: 4 x {sizes.hidden}")
    elif config.ffn is None:
        lines.append(f"ffn {sizes.ffn}: 8/3 x {sizes.hidden}, up to a multiple of {multiple}")
    return lines
