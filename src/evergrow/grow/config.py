"""What a model grows to and how; imports no torch."""

from typing import Literal, Self

from pydantic import Field, model_validator

from evergrow.config import Config, Fraction, PositiveCount

Axis = Literal["hidden", "heads", "kv_heads", "head_dim", "ffn", "layers", "vocab"]
Method = Literal["auto", "fpi", "fpi_random", "aki", "lemon", "zero", "sqrt", "average"]
Depth = Literal["auto", "identity", "stack"]

AUTO_NOISE = 0.05  # 1e-3 beside weights of 0.02 broke every tie within 40 steps


class Experts(Config):
    """A mixture of copies of a dense model's feed-forward."""

    number: int = Field(ge=2, le=4096, description="experts of each block")
    per_token: int = Field(2, ge=1, description="how many of them a token goes through")
    drop: Fraction = Field(
        0.0, description="share of each expert's neurons that is drawn anew (arXiv 2502.19261)"
    )

    @model_validator(mode="after")
    def _chosen_of_all(self) -> Self:
        if self.per_token > self.number:
            raise ValueError(
                f"{self.per_token} experts a token of {self.number}: a token goes through as many "
                "as there are at most"
            )
        return self


def numbers_in(ranges: str) -> list[int]:
    """0 1 2 5 of ``0-2,5``."""
    parts = [part.partition("-") for part in ranges.split(",")]
    return [
        number
        for first, dash, last in parts
        for number in range(int(first), int(last if dash else first) + 1)
    ]


class GrowConfig(Config):
    """Another size for any of the axes, and the operators that lead there."""

    to: dict[Axis, PositiveCount] = Field(
        default={}, description="axis: new size; an axis not named keeps its size"
    )
    layers: str | None = Field(
        None,
        max_length=1000,
        pattern=r"^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$",
        description="the source's blocks in the order of the grown model's, counted from 0, such "
        "as 0-23,8-31 (depth up-scaling, arXiv 2312.15166), in place of to.layers and depth",
    )
    tokenizer: str | None = Field(
        None,
        min_length=1,
        description="a folder with the tokenizer to read by from now on: of a model folder only",
    )
    experts: Experts | None = Field(
        None, description="a dense model becomes a mixture of experts: of a model folder only"
    )
    method: Method = Field("auto", description="operator of the widths")
    depth: Depth = Field("auto", description="operator of layers: identity blocks or copies")
    goal: Literal["keep", "speed"] = Field(
        "keep", description="what depth: auto serves, old knowledge or the speed of pre-training"
    )
    noise: float | None = Field(
        None,
        ge=0,
        description="deviation of the noise the function does not see, as a multiple of the "
        "matrix's root mean square; default: 0.05 with auto, else 0",
    )
    seed: int = Field(0, ge=0, description="of random copies, splits and noise")
    train: Literal["all", "new"] = Field(
        "all",
        description="what the stage trains: all layers, or the blocks alone that growth added "
        "(block expansion, arXiv 2401.02415)",
    )
    optimizer_state: Literal["asymmetric", "copy", "drop"] = Field(
        "asymmetric",
        description="moments: kept for old elements and 0 for new ones, kept for all, or none",
    )
    rho: float = Field(1.3, gt=0, description="peak rate of new parameters over the trunk's rate")
    warm_steps: int = Field(250, ge=0, description="optimiser steps to warm new parameters up in")

    @model_validator(mode="after")
    def _grows_something(self) -> Self:
        others = (self.layers, self.tokenizer, self.experts)
        if not self.to and all(setting is None for setting in others):
            raise ValueError("name an axis and its size in to, or the blocks in layers")
        if self.tokenizer is not None and "vocab" in self.to:
            raise ValueError("a tokenizer says how many rows there are; remove to.vocab")
        if self.layers is not None and ("layers" in self.to or self.depth != "auto"):
            raise ValueError(
                f"layers {self.layers} says which blocks there are; remove to.layers and depth"
            )
        return self

    @model_validator(mode="after")
    def _new_is_blocks(self) -> Self:
        wider: list[Axis] = [axis for axis in self.to if axis != "layers"]
        if self.train == "new" and wider:
            raise ValueError(
                f"train new trains new blocks alone, and {wider[0]}={self.to[wider[0]]} puts new "
                "units into old ones; grow layers only, or train all"
            )
        return self

    @property
    def order(self) -> list[int] | None:
        """The source's blocks in the order that ``layers`` says; None where it says nothing."""
        return None if self.layers is None else numbers_in(self.layers)

    @property
    def noise_ratio(self) -> float:
        """The noise that is used: the one given, else the method's own."""
        if self.noise is not None:
            return self.noise
        return AUTO_NOISE if self.method == "auto" else 0.0
