"""How a suite is asked, by a command or a recipe; imports no torch."""

from pydantic import Field

from evergrow.config import Config, Count, PositiveCount
from evergrow.errors import InputError
from evergrow.models.sampling import Sampling, Temperature, TopP

SAMPLED_AT = 0.8  # of several answers; Chen et al. 2021 (2107.03374) for pass@100


class Asked(Config):
    """How the answers of a suite are made."""

    samples: PositiveCount = Field(default=1, le=1000, description="answers to each item")
    temperature: Temperature | None = Field(
        default=None, description="default: 0 (the likeliest) for one answer, 0.8 for several"
    )
    top_p: TopP = Field(default=1.0, description="draw from the likeliest of this chance together")
    max_tokens: PositiveCount | None = Field(
        default=None, description="of an answer; default: what the suite says, else 512"
    )
    chat: bool = Field(default=False, description="ask through the tokenizer's chat template")
    limit: PositiveCount | None = Field(
        default=None, description="so many items, drawn by a hash of their ids; default: all"
    )
    seed: Count = Field(default=0, description="of what is drawn")

    def sampling(self, max_tokens: int | None, stop: list[str]) -> Sampling:
        """How texts are drawn, with what the suite says of their end.

        Raises InputError for several answers that would all be the same.
        """
        temperature = self.temperature
        if temperature is None:
            temperature = 0.0 if self.samples == 1 else SAMPLED_AT
        if temperature == 0 and self.samples > 1:
            raise InputError(
                f"{self.samples} samples at temperature 0 are one answer {self.samples} times; "
                "give a temperature above 0, or one sample"
            )
        most = self.max_tokens or max_tokens
        told = {} if most is None else {"max_tokens": most}
        return Sampling(temperature=temperature, top_p=self.top_p, stop=stop, **told)


class AskedSuite(Asked):
    """A suite that every release is asked."""

    suite: str = Field(description="humaneval, or a file of items, relative to the recipe's folder")

    @property
    def asked(self) -> Asked:
        """How, whichever suite it is."""
        return Asked.model_validate(self.model_dump(exclude={"suite"}))
