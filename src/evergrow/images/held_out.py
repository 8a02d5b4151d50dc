"""Which pictures are held out: those the data itself sets apart, else patients by their hash.

What a stage is steered by (``val``) and what is reported (``held_out``) are kept apart where the
data has a part for each.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from evergrow.errors import InputError
from evergrow.images.picture import PARTS, SPLITS, Part, Picture

MIN_PICTURES = 32  # a bootstrap over pictures needs some
MIN_GIVEN = 2  # of a part that the data itself holds out


def choose_parts(
    pictures: Sequence[Picture],
    fraction: float,
    source: str,
    known: Mapping[str, bool] | None = None,
) -> list[Part]:
    """The part of each picture.

    A data set with splits keeps them; one that has val or test alone holds that out. Otherwise
    those patients are held out whose hash lies below ``fraction``, the same ones in every source,
    and of pictures without a patient the first by their hash. Who is ``known`` (hash of the id ->
    held out) from an earlier source stays on that side. Where that gives fewer than 32 pictures the
    next by their hash follow, unless they would leave less than half for training. Raises
    InputError when fewer than 32 (of a given part 2) are held out or less than half is left, and
    for data of which only some has a split.
    """
    with_split = [p.split is not None for p in pictures]
    if all(with_split):
        return _given(pictures, source)
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
    chosen = _chosen(pictures, fraction, known or {})
    out = [p.owner in chosen for p in pictures]
    staying = sum(known.get(p.drawn.hex()) is False for p in pictures) if known else 0
    _refuse_other_share(pictures, out, staying, source)
    return ["held_out" if is_out else "train" for is_out in out]


def on_other_side(pictures: Sequence[Picture], parts: Sequence[Part], fraction: float) -> int:
    """Patients who are not where their hash puts them, so that another source may differ."""
    sides = {p.owner: (part, p) for p, part in zip(pictures, parts, strict=True) if p.patient}
    return sum((part != "train") != _is_below(p, fraction) for part, p in sides.values())


def _given(pictures: Sequence[Picture], source: str) -> list[Part]:
    parts: list[Part] = [SPLITS[str(p.split)] for p in pictures]
    if "held_out" not in parts:
        parts = [part if part == "train" else "held_out" for part in parts]
    sizes = Counter(parts)
    num_out = sizes["val"] + sizes["held_out"]
    if num_out < MIN_GIVEN:
        raise InputError(
            f"sources.{source}: the split holds out {num_out} of {len(pictures)} pictures, "
            f"fewer than {MIN_GIVEN}; name some val or test, or remove it to split by patient"
        )
    for part in PARTS[1:]:
        if 0 < sizes[part] < MIN_GIVEN:
            raise InputError(
                f"sources.{source}: the split has one picture in "
                f"{'val' if part == 'val' else 'test'}, and {MIN_GIVEN} are "
                "the least to measure on; name more, or put it into another part"
            )
    return parts


def _is_below(picture: Picture, fraction: float) -> bool:
    return int.from_bytes(picture.drawn, "big") < fraction * 2 ** (8 * len(picture.drawn))


def _chosen(pictures: Sequence[Picture], fraction: float, known: Mapping[str, bool]) -> set[str]:
    """The owners that are held out."""
    sizes = Counter(p.owner for p in pictures)
    owners = {p.owner: p for p in pictures}
    order = sorted(owners, key=lambda owner: owners[owner].drawn)
    sides = {o: known.get(owners[o].drawn.hex()) for o in order if owners[o].patient}
    chosen = {
        o for o, out in sides.items() if (_is_below(owners[o], fraction) if out is None else out)
    }
    loose = [o for o in order if owners[o].patient is None]
    left = round(fraction * sum(sizes[o] for o in loose))
    for owner in loose:
        if left <= 0:
            break
        chosen.add(owner)
        left -= sizes[owner]
    total = sum(sizes[o] for o in chosen)
    for owner in order:
        if total >= MIN_PICTURES:
            break
        if owner in chosen or sides.get(owner) is not None:
            continue
        if 2 * (total + sizes[owner]) <= len(pictures):
            chosen.add(owner)
            total += sizes[owner]
    return chosen


def _refuse_other_share(
    pictures: Sequence[Picture], out: Sequence[bool], staying: int, source: str
) -> None:
    """Raise InputError when too few are held out or too few left; names the largest patient.

    Or says how many are ``staying`` in training, since their patients are trained on before.
    """
    total, num = sum(out), len(pictures)
    if MIN_PICTURES <= total <= num / 2:
        return
    if staying and total < MIN_PICTURES:
        raise InputError(
            f"sources.{source}: {total} of {num} pictures would be held out, fewer than "
            f"{MIN_PICTURES}, because {staying} show patients trained on in an earlier source; "
            "add patients, or set returning: allow to test on those too"
        )
    owner, size = Counter(p.owner for p in pictures).most_common(1)[0]
    first = next(p for p in pictures if p.owner == owner)
    rule = f"fewer than {MIN_PICTURES}" if total < MIN_PICTURES else "more than half"
    raise InputError(
        f"sources.{source}: {total} of {num} pictures would be held out, {rule}, because a "
        f"patient stays whole and the largest has {size} (first {first.shown}); add patients, or "
        "say the split in a manifest"
    )
