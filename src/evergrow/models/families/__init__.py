"""The architectures that growth, freezing by depth and rates by depth know; see `Family`."""

from collections.abc import Mapping
from typing import Any

from evergrow.errors import InputError
from evergrow.models.families.decoders import DECODERS
from evergrow.models.families.encoders import ENCODERS
from evergrow.models.families.pictures import PICTURES
from evergrow.models.family import Family

FAMILIES: dict[str, Family] = {family.name: family for family in (*ENCODERS, *DECODERS, *PICTURES)}


def family_of(config: Mapping[str, Any]) -> Family:
    """The family of a config.json; raises InputError for an architecture nobody described.

    A similar name is not offered: a model relabelled as its neighbour computes something else.
    """
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise InputError(
            f"model_type {kind!r}: no family of this name is described; described are "
            f"{', '.join(sorted(FAMILIES))}"
        )
    return FAMILIES[str(kind)]
