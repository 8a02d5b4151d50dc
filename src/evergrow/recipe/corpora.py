"""The part of a recipe that makes corpora."""

from collections.abc import Collection, Mapping
from typing import Self

from pydantic import Field, model_validator

from evergrow.config import Config, Name, Workers, nearest, refuse_alike
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.config import CorpusConfig


def refuse_corpora(sources: Collection[str], corpora: Mapping[str, CorpusConfig]) -> None:
    """Raise ValueError for a corpus that is called like a source, or made of an unknown one."""
    if taken := next((name for name in corpora if name in sources), None):
        raise ValueError(f"a source and a corpus are both called {taken!r}; rename one of them")
    for name, corpus in corpora.items():
        if unknown := next((source for source in corpus.sources if source not in sources), None):
            raise ValueError(
                f"corpus {name!r} is made of {unknown!r}, which is no source; "
                f"{nearest(unknown, sources, 'sources')}"
            )


class CorpusRecipe(Config):
    """The part of a recipe that makes its corpora; it may stand alone, without model and stages."""

    name: Name
    description: str = ""
    workers: Workers | None = Field(
        default=None, description="shards curated side by side; default: as many as cores"
    )
    sources: dict[Name, SourceConfig] = Field(min_length=1)
    corpora: dict[Name, CorpusConfig] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        refuse_corpora(self.sources, self.corpora)
        refuse_alike([*self.sources, *self.corpora])
        return self
