"""What a study found, as study.json holds it: numbers by arm and seed, and a verdict a claim."""

from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, JsonValue

from evergrow.config import Config
from evergrow.run import FORMAT

Number = tuple[str, str]  # an arm, a measure
Expected = Literal["below", "above", "equal"]
Values = dict[str, dict[str, dict[int, float]]]  # arm -> measure -> seed
Settings = Mapping[str, object]  # a recipe as plain data, or overrides of one by dotted path
Arms = Mapping[str, Settings]


class Difference(Config):
    """First less second over paired seeds, with its 95 % interval.

    ``p_holm`` is corrected for all the claims of a difference that could be compared; None for one
    of equality.
    """

    mean: float
    interval: tuple[float, float]
    p_value: float
    p_holm: float | None = None
    detectable: float
    comparison: str


class Judged(Config):
    """A claim with its verdict; ``never`` says what was reached on too few seeds to compare."""

    claim: str
    first: Number
    expected: Expected
    second: Number
    margin: float
    seeds: list[int]
    never: str | None = None
    difference: Difference | None = None
    verdict: str


class Findings(Config):
    """The whole of study.json; a number that was never reached is infinite, "Infinity" there.

    ``chosen`` are the values that arms chose for themselves, on seeds that are not among these.
    """

    model_config = ConfigDict(allow_inf_nan=True, ser_json_inf_nan="strings")

    format: int = FORMAT
    study: str
    status: Literal["done", "stopped"]
    question: str
    paper: str
    unit: str
    notes: list[str]
    seeds: list[int]
    arms: dict[str, dict[str, JsonValue]]
    chosen: dict[str, float] = {}
    numbers: Values
    claims: list[Judged]
