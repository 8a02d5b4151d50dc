"""One source from its files to pictures of one size, with pseudonyms and without repeats."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evergrow.errors import InputError
from evergrow.images.account import Account
from evergrow.images.config import INTENTS, ImageSourceConfig
from evergrow.images.findings import ABSENT, PRESENT, UNCERTAIN
from evergrow.images.named import NamedFiles
from evergrow.images.picture import SPLITS, Picture, Shows, disagree, same_id
from evergrow.images.records import (
    Alike,
    Answers,
    LeftOut,
    Pixels,
    ReadFile,
    Returned,
    SourceTold,
    Two,
)
from evergrow.images.shape import reshaped
from evergrow.images.spool import spool
from evergrow.images.unreadable import Unreadable, refuse_too_many

LISTED = 200  # pairs of pictures whose patient is spelt in two ways


class Seen(NamedTuple):
    """The first picture of these pixels, and what it and its repeats show."""

    key: str
    shows: Shows


@dataclass
class ImageReading:
    """What came in and what did not while one source was read; filled by ``source_pictures``.

    ``unreadable`` and ``sentences`` are for the screen, with the number of a file whose name is
    hidden; ``quarantine`` is the same for what is written. ``pixels`` is what the audit says of
    them; ``alike`` are pairs of pictures whose patient is spelt in two ways; ``num_lost`` counts
    repeats that say more than the picture of an earlier source for which they went.
    """

    files: list[ReadFile] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    quarantine: list[LeftOut] = field(default_factory=list)
    num_dropped: int = 0
    num_filtered: int = 0
    pixels: Pixels = field(default_factory=Pixels)
    alike: list[tuple[Picture, Picture]] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    findings: dict[str, Answers] = field(default_factory=dict)
    split: list[str] = field(default_factory=list)  # the parts that the data itself names
    seen: dict[str, Seen] = field(default_factory=dict)  # by content hash
    joined: dict[str, Shows] = field(default_factory=dict)  # by key: what repeats say more
    num_lost: int = 0

    def told(self, returning: Mapping[str, Returned]) -> SourceTold:
        """What the audit says of a source beside its entries, without a name."""
        pairs = [Two(first=a.key, second=b.key) for a, b in self.alike[:LISTED]]
        num_patients = len({a.patient for a, _ in self.alike})
        return SourceTold(
            pixels=self.pixels,
            filtered=self.num_filtered,
            split=self.split,
            ids_alike=Alike(patients=num_patients, listed=pairs),
            findings=self.findings,
            returning=dict(returning),
        )


def source_pictures(
    config: ImageSourceConfig,
    base: Path,
    source: str,
    reading: ImageReading,
    earlier: Mapping[str, Shows] | None = None,
    people: Collection[str] = (),
    scratch: Path | None = None,
) -> list[Picture]:
    """The pictures of a source as [C, H, W], the files in the order of their names.

    Identifying values are replaced by pseudonyms, also those of other sources' ``people`` (see
    ``identities``). Pixels lie in a file of ``scratch`` (the system's folder for such). With
    ``duplicates: drop`` a picture goes whose content hash an ``earlier`` source (content hash ->
    what it shows) or an earlier file has, unless their labels contradict each other: that is for
    the audit to refuse; what it knows more of findings is said of the one that stays. Raises
    InputError for globs that match nothing, for more unreadable pictures than ``max_bad``, for
    pictures of several sizes, bit depths or intents, for 16 bits that are mostly unused, for labels
    outside the set or that name somebody, for a split of another name, and for a label of ``only``
    or a finding that no picture has.
    """
    files, account = NamedFiles(config, base, source), Account()
    files.names.know(people)
    num_read = 0
    try:
        with spool(scratch) as spooled:
            wanted = _wanted(files, config, source, reading, account)
            for num_read, picture in enumerate(wanted, 1):  # noqa: B007 (counted)
                if not _is_dropped(picture, config, earlier or {}, reading):
                    spooled.add(picture)
            kept = [_joined(picture, reading) for picture in spooled.pictures()]
        files.hide_records(reading)
        num_read += reading.num_filtered
        refuse_too_many(reading.unreadable, num_read, config.max_bad, source)
        _refuse_labels(kept, config, source, files)
        account.refuse_mixed(source)
    except InputError as error:  # its sentence goes to a screen, and from there into a log
        raise InputError(files.names.hide_known(str(error))) from None
    reading.alike = [
        (files.hidden_everywhere(a), files.hidden_everywhere(b)) for a, b in reading.alike
    ]
    reading.pixels = account.record()
    reading.findings = _counted(kept, config.findings or [])
    reading.sentences = [*account.told(source), *_told_alike(reading.alike, source)]
    reading.sentences += _told_repeats(reading, source)
    return [files.hidden_everywhere(picture) for picture in kept]


def _wanted(
    files: NamedFiles,
    config: ImageSourceConfig,
    source: str,
    reading: ImageReading,
    account: Account,
) -> Iterator[Picture]:
    """The pictures that are not left out by label, view or intent, in form and under pseudonyms."""
    first: Picture | None = None
    spelt: dict[str, Picture] = {}
    for picture in digits(source) if config.pictures else files.read(reading):
        hidden = files.hidden(picture)
        _refuse_label(hidden, config, source)
        if not _is_wanted(hidden, config):
            reading.num_filtered += 1
            continue
        account.add(hidden)
        shaped = reshaped(hidden, config)
        first = first or shaped
        _refuse_other_form(shaped, first, source)
        _note_spelling(picture, shaped, spelt, reading)
        yield shaped


def _is_dropped(
    picture: Picture,
    config: ImageSourceConfig,
    earlier: Mapping[str, Shows],
    reading: ImageReading,
) -> bool:
    """Whether a picture repeats another one and is to go for it."""
    if config.duplicates == "refuse":
        return False
    digest, shows = picture.content_hash, picture.shows
    first = reading.seen.setdefault(digest, Seen(picture.key, shows))
    if first.key != picture.key:
        is_repeat = not disagree(first.shows, shows)
        both = first.shows.joined(shows)
        if is_repeat and both != first.shows:
            reading.joined[first.key] = both
            reading.seen[digest] = Seen(first.key, both)
    else:
        is_repeat = digest in earlier and not earlier[digest].contradicts(shows)
        reading.num_lost += is_repeat and earlier[digest].joined(shows) != earlier[digest]
    reading.num_dropped += is_repeat
    return is_repeat


def _joined(picture: Picture, reading: ImageReading) -> Picture:
    """The picture with what its repeats say more."""
    shows = reading.joined.get(picture.key, picture.shows)
    return replace(picture, label=shows.label, findings=shows.findings)


def _told_repeats(reading: ImageReading, source: str) -> list[str]:
    told = []
    if reading.joined:
        told.append(
            f"{source}: of {len(reading.joined):,} pictures equal ones knew more findings, which "
            "are theirs now"
        )
    if reading.num_lost:
        told.append(
            f"{source}: {reading.num_lost:,} pictures went that are in an earlier source, which "
            "knows less of them; what they say more is not learnt"
        )
    return told


def _is_wanted(picture: Picture, config: ImageSourceConfig) -> bool:
    """Whether label, view and intent are among those that are kept."""
    if config.only and picture.label not in config.only:
        return False
    if config.views and picture.view not in config.views:
        return False
    if config.intent is None:
        return True
    said = picture.reading.intent or "unknown"
    return said == config.intent or (said == "unknown" and config.intent == INTENTS[0])


def _counted(kept: list[Picture], names: list[str]) -> dict[str, Answers]:
    """Of each finding how many pictures show it, do not, are uncertain, and say nothing of it."""
    words = {1: PRESENT, 0: ABSENT, UNCERTAIN: "uncertain", None: "unmentioned"}
    values = {name: Counter((p.findings or {}).get(name) for p in kept) for name in names}
    return {n: Answers(**{word: values[n][v] for v, word in words.items()}) for n in names}


def _note_spelling(
    picture: Picture, hidden: Picture, spelt: dict[str, Picture], reading: ImageReading
) -> None:
    """Remember whose id is written in another way than before; pixels are not kept.

    ``spelt`` has every person's first picture, and every spelling's behind a zero.
    """
    if picture.patient is None:
        return
    light = hidden.with_pixels(np.empty(0, np.uint8))
    first = spelt.setdefault(same_id(picture.patient), light)
    written = spelt.setdefault(f"\0{picture.patient}", light)
    if written is light and first is not light:
        reading.alike.append((first, light))


def _told_alike(alike: list[tuple[Picture, Picture]], source: str) -> list[str]:
    if not alike:
        return []
    first, second = alike[0]
    return [
        f"{source}: {len({a.patient for a, _ in alike}):,} patients are spelt in several ways "
        f"(case, blanks, normal form) and count once each, first that of {first.shown} and "
        f"{second.shown}"
    ]


def _refuse_other_form(picture: Picture, first: Picture, source: str) -> None:
    """Raise InputError when a picture has another size or depth than the first."""
    own, form = picture.pixels, first.pixels
    if own.shape != form.shape:
        raise InputError(
            f"sources.{source}: {picture.shown} is {own.shape[1]} x {own.shape[2]} pixels, others "
            f"{form.shape[1]} x {form.shape[2]}; set size to bring them to one"
        )
    if own.dtype != form.dtype:
        raise InputError(
            f"sources.{source}: {picture.shown} has {8 * own.itemsize} bits a pixel, others "
            f"{8 * form.itemsize}; set bits to bring them to one"
        )


def _refuse_label(picture: Picture, config: ImageSourceConfig, source: str) -> None:
    if config.labels is not None and picture.label not in config.labels:
        raise InputError(
            f"sources.{source}: {picture.shown} has the label {picture.label!r}, which is not "
            f"among labels {config.labels}; correct it or add it"
        )
    if picture.split is not None and picture.split not in SPLITS:
        raise InputError(
            f"sources.{source}: {picture.shown} has the split {picture.split!r}; "
            f"write {', '.join(SPLITS)}"
        )


def _refuse_labels(
    kept: list[Picture], config: ImageSourceConfig, source: str, files: NamedFiles
) -> None:
    if not kept:
        raise InputError(f"sources.{source}: no picture is left; check images, only, views, intent")
    found = {picture.label: picture for picture in reversed(kept)}
    if missing := set(config.only or []) - set(found):
        raise InputError(
            f"sources.{source}: no picture has the label {min(missing)!r}; remove it from only"
        )
    shown = {name for p in kept for name, value in (p.findings or {}).items() if value == 1}
    if missing := [name for name in config.findings or [] if name not in shown]:
        raise InputError(
            f"sources.{source}: no picture has the finding {missing[0]!r}; check its name"
        )
    for label, picture in found.items():
        if label is not None and files.names.knows(label):
            raise InputError(
                f"sources.{source}: {picture.shown} has the label {label!r}, which is somebody's "
                "name or number in the data; labels are written out, so give it another one, in a "
                "manifest"
            )


def digits(source: str) -> Iterator[Picture]:
    """The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn carries (UCI)."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise InputError(
            f"sources.{source}: the digits come with scikit-learn; install evergrow[vision]"
        ) from error
    data: Any = load_digits()
    for row, (pixels, label) in enumerate(zip(data.images, data.target, strict=True)):
        grey = np.rint(pixels * 255 / 16).astype(np.uint8)
        yield Picture(grey, source, "digits", f"digits#{row}", label=str(label))
