"""What objectives say of a release besides its losses: what it shows, what its features tell."""

from pydantic import Field

from evergrow.config import Config


class Case(Config):
    """A held-out picture under its class map: what it is, and what the model takes it for."""

    is_: str = Field(alias="is")
    told: str


class Shown(Config):
    """What a model does with the beginning of a source: its text after a prompt, or a sheet.

    ``picture`` is a path relative to where this is written. Of words that is the drift of domains,
    not quality.
    """

    source: str
    prompt: str = ""
    text: str = ""
    picture: str | None = None
    cases: list[Case] = []
    num_right: int = 0


class Probed(Config):
    """What a simple rule tells from a model's features, or from raw data, with a 95 % interval."""

    source: str
    features: str
    probe: str
    accuracy: float
    low: float
    high: float
    counts: dict[str, int] = {}
