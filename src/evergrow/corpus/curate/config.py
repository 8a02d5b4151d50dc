"""Which sources a corpus is made of, what may stay in it, and how much of that is taken."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from evergrow.config import Config, Fraction, Name, PositiveCount
from evergrow.corpus.contamination.config import SuiteConfig
from evergrow.corpus.dates import LATEST_YEAR, iso_date
from evergrow.corpus.policies.config import PolicyConfig

Keep = Literal["longest", "newest", "first"]


class ExactConfig(Config):
    """Text that comes again unchanged: whole documents always, and if asked parts of them."""

    unit: Literal["document", "paragraph", "line"] = Field(
        default="document",
        description="document: drop it; paragraph, line: cut them out of prose where they come "
        "again, too, and of code the comments that a file begins with",
    )
    min_characters: PositiveCount = Field(
        default=40, description="Shorter lines and paragraphs stay where they are"
    )


class NearConfig(Config):
    """Documents that say nearly the same: MinHash of word shingles, banded, then compared."""

    permutations: PositiveCount = Field(default=112, description="Hash functions of a signature")
    bands: PositiveCount = Field(
        default=14, description="Bands of a signature; two documents meet when one band agrees"
    )
    similarity: Fraction = Field(
        default=0.7,
        description="Share of all shingles of two documents that both must have, as their "
        "signatures estimate it; of those that met, the rest stay",
    )
    shingle: PositiveCount = Field(default=5, description="Words in a row that are hashed as one")
    keep: Keep = Field(
        default="longest",
        description="Which document of a cluster stays; longest by letters and digits, so that no "
        "spelling is preferred",
    )

    @model_validator(mode="after")
    def _bands_divide(self) -> Self:
        if self.permutations % self.bands:
            raise ValueError(
                f"bands must divide permutations, got {self.bands} and {self.permutations}; "
                "14 bands of 112 find pairs that share about 72 % of their shingles"
            )
        return self


class DecontaminateConfig(Config):
    """Test items that must not be learnt."""

    suites: list[str | SuiteConfig] = Field(
        min_length=1,
        description="Names such as humaneval, or files of items relative to the recipe's folder",
    )
    n: Annotated[int, Field(ge=10)] = Field(
        default=13, description="Words in a row that are looked for; 10 or more"
    )


class SelectConfig(Config):
    """How much is taken of what passed everything; by a hash of the origin, so that takes nest."""

    fraction: Annotated[Fraction, Field(gt=0)] = Field(
        default=1.0, description="Of the documents, above 0 to 1"
    )
    max_bytes: PositiveCount | None = Field(default=None, description="Of text, in all")
    source_bytes: dict[Name, PositiveCount] = Field(
        default={}, description="Of text, at most so much of a source"
    )


class CorpusConfig(Config):
    """One corpus: a curated set of documents, made of sources."""

    sources: list[Name] = Field(min_length=1, description="In this order; earlier ones come first")
    policy: PolicyConfig = PolicyConfig()
    exact: ExactConfig | None = ExactConfig()
    near: NearConfig | None = NearConfig()
    decontaminate: DecontaminateConfig | None = None
    select: SelectConfig = SelectConfig()
    against: list[str] = Field(
        default=[],
        description="Folders of finished corpora whose documents are not taken again; earlier "
        "corpora of the recipe always are among them",
    )
    signals: list[str] = Field(
        default=[],
        description="Signal groups measured besides those the policy needs, so that another policy "
        "can be tried at once: shape, repetition, c4, fineweb, dclm, olmo2, code, language, "
        "personal",
    )
    as_of: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = Field(
        default=None,
        description="YYYY-MM-DD: later dates lie in the future and count as unknown; default: "
        f"those after {LATEST_YEAR}, since a clock would change the corpus from day to day",
    )
    shard_bytes: PositiveCount = Field(
        default=16 * 2**20,
        description="Of text, in one shard: the unit of work and of memory",
    )
    max_epochs: Annotated[float, Field(gt=0)] = Field(
        default=4, description="Refuse to train on it more often, whatever its sources allow"
    )
    executor: Literal["pool", "ray"] = Field(
        default="pool", description="Processes of this machine, or Ray; the bytes are the same"
    )

    @field_validator("as_of")
    @classmethod
    def _is_a_day(cls, as_of: str | None) -> str | None:
        if as_of is not None and iso_date(as_of) is None:
            raise ValueError(f"no such day: {as_of!r}; expected one such as 2024-02-29")
        return as_of

    @model_validator(mode="after")
    def _sources_agree(self) -> Self:
        if len(set(self.sources)) < len(self.sources):
            twice = next(s for s in self.sources if self.sources.count(s) > 1)
            raise ValueError(f"sources must differ, got {twice!r} twice")
        if unknown := self.select.source_bytes.keys() - set(self.sources):
            raise ValueError(
                f"select.source_bytes names {min(unknown)!r}, which is no source of this corpus; "
                f"its sources are {', '.join(self.sources)}"
            )
        return self
