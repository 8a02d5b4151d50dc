"""How text is drawn from a model; imports no torch."""

from typing import Annotated

from pydantic import Field

from evergrow.config import Config, Count

Temperature = Annotated[float, Field(ge=0, le=100)]
TopP = Annotated[float, Field(gt=0, le=1)]


class Sampling(Config):
    """What decides a text beside model, prompt and seed."""

    temperature: Temperature = Field(default=0.0, description="0 takes the likeliest token")
    top_p: TopP = Field(
        default=1.0,
        description="draw from the fewest likeliest tokens that have this much chance together",
    )
    max_tokens: Count = Field(default=512, description="a text ends here at the latest")
    stop: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[], description="a text ends before the first of these"
    )
