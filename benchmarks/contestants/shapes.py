"""The models and batches that are timed; imports nothing, so that every environment can read it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """An OLMo 2 model, or a Llama where it shares keys and values, and the batch it reads."""

    width: int
    num_layers: int
    num_heads: int
    ffn_width: int
    vocab_size: int
    tied: bool
    batch_size: int
    sequence_length: int
    num_kv_heads: int | None = None  # of a Llama

    @property
    def num_parameters(self) -> int:
        """All weights; a tied head counts once."""
        return self._num_in_products + (0 if self.tied else self.vocab_size * self.width)

    @property
    def flops_per_token(self) -> int:
        """Forward and backward: 6 N + 12 L d T, N without the embedding table but with the head."""
        attention = 12 * self.num_layers * self.width * self.sequence_length
        return 6 * self._num_in_products + attention

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.sequence_length

    @property
    def _num_in_products(self) -> int:
        d = self.width
        shared = 1.0 if self.num_kv_heads is None else self.num_kv_heads / self.num_heads
        num_norms = 4 if self.num_kv_heads is None else 2
        # q and o, k and v; gate, up, down; norms
        layer = round((2 + 2 * shared) * d * d) + 3 * d * self.ffn_width + num_norms * d
        return self.num_layers * layer + d + self.vocab_size * d


SHAPES = {
    "cpu": {
        "1m": Shape(128, 4, 4, 344, 2048, False, 16, 128),
        "10m": Shape(320, 6, 5, 864, 8192, False, 8, 256),
        "124m": Shape(768, 12, 12, 2048, 50304, True, 2, 256),
        "smollm2": Shape(576, 30, 9, 1536, 49152, True, 4, 256, num_kv_heads=3),
    },
    "cuda": {
        "124m": Shape(768, 12, 12, 2048, 50304, True, 32, 1024),
        "350m": Shape(1024, 24, 16, 2736, 50304, True, 16, 1024),
        "1.3b": Shape(2048, 24, 16, 5504, 50304, True, 8, 2048),
    },
}
LEARNING_RATE = 1e-3  # constant: a schedule costs nobody anything
BETAS = (0.9, 0.95)
EPSILON = 1e-8
WEIGHT_DECAY = 0.1
CLIP_NORM = 1.0
Z_LOSS = 1e-5
SEED = 0
