"""What is measured besides releases, and how often a running stage is saved."""

from pydantic import Field

from evergrow.config import Config, Count, Name, PositiveCount


class EvaluateConfig(Config):
    """What is measured besides every stage's release."""

    every: Count = Field(
        default=0, description="tokens between measurements inside a stage; 0: none"
    )
    part: PositiveCount = Field(
        default=8_000,
        description="held-out tokens or pictures a source, inside a stage; of pictures to be "
        "classified a draw by a hash, else the first ones",
    )
    sources: list[Name] = Field(default=[], description="sources that are only ever measured")
    sample_tokens: Count = Field(
        default=60, description="length of the text sampled after each stage"
    )


class CheckpointConfig(Config):
    """How often a running stage is saved; branch points and ends always are."""

    every: PositiveCount | None = Field(
        default=None, description="tokens; default: a tenth of the stage"
    )
