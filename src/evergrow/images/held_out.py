"""Which pictures are held out: those the data itself sets apart, else patients by their hash."""

from collections import Counter
from collections.abc import Sequence

from blake3 import blake3

from evergrow.errors import InputError
from evergrow.images.picture import Picture

TRAIN = "train"
MIN_PICTURES = 32  # a bootstrap over pictures needs some


def choose_held_out(pictures: Sequence[Picture], fraction: float, source: str) -> list[bool]:
    """Whether each picture is held out.

    A data set with splits keeps them: all but ``train`` is held out. Otherwise whole patients (or
    single pictures, equal ones together) in the order of a hash, until ``fraction`` of the pictures
    and 32 at least are reached. Raises InputError when that leaves less than half for training, and
    for data of which only a part has a split.
    """
    with_split = [p.split is not None for p in pictures]
    if all(with_split):
        return [p.split != TRAIN for p in pictures]
    if any(with_split):
        first = next(p for p in pictures if p.split is None)
        raise InputError(
            f"sources.{source}: {first.key} has no split, others have; fill the column or remove it"
        )
    wanted = max(MIN_PICTURES, round(fraction * len(pictures)))
    if 2 * wanted > len(pictures):
        raise InputError(
            f"sources.{source}: {len(pictures)} pictures are too few to hold out {wanted}; "
            "give it more"
        )
    sizes = Counter(p.owner for p in pictures)
    chosen: set[str] = set()
    total = 0
    for owner in sorted(sizes, key=lambda o: blake3(o.encode()).digest()):
        if total >= wanted:
            break
        if total + sizes[owner] <= len(pictures) - wanted:
            chosen.add(owner)
            total += sizes[owner]
    return [p.owner in chosen for p in pictures]
