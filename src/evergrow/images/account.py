"""How the pixels of a source came about: counted for the audit, and refused where they mix."""

from collections import Counter
from typing import final

from evergrow.errors import InputError
from evergrow.images.config import INTENTS
from evergrow.images.picture import Picture
from evergrow.images.records import Depth, Pixels

_COUNTED = ("inverted", "masked", "shifted", "turned")


@final
class Account:
    """Counts over the pictures of one source, before they are cut to size."""

    def __init__(self) -> None:
        self._depths: dict[int, tuple[int, int, int]] = {}  # pictures, least, largest number
        self._changes: Counter[str] = Counter()
        self._interest: Counter[str] = Counter()
        self._intents: Counter[str] = Counter()
        self._largest: Counter[int] = Counter()  # bits that 16-bit numbers without a word need
        self._narrow = 0
        self._processing: Picture | None = None

    def add(self, picture: Picture) -> None:
        """Count a picture as its reader gave it."""
        reading = picture.reading
        bits = reading.bits or 8 * picture.pixels.itemsize
        low, high = reading.range or (int(picture.pixels.min()), int(picture.pixels.max()))
        count, least, largest = self._depths.get(bits, (0, low, high))
        self._depths[bits] = (count + 1, min(least, low), max(largest, high))
        self._changes.update(name for name in _COUNTED if getattr(reading, name))
        as_stored = reading.interest in (None, "none") and reading.white is None
        self._narrow += as_stored and bits > 8 and low >= 0 and high.bit_length() < bits
        if reading.interest is not None:
            self._interest[reading.interest] += 1
        elif bits == 16 and as_stored:
            self._largest[high.bit_length()] += 1
        if reading.intent is not None:
            self._intents[reading.intent] += 1
            is_raw = reading.intent == INTENTS[1]
            self._processing = self._processing or (picture if is_raw else None)

    def record(self) -> Pixels:
        """Numbers alone, as manifest and audit hold them."""
        return Pixels(
            depths={
                str(bits): Depth(pictures=count, range=(low, high))
                for bits, (count, low, high) in sorted(self._depths.items())
            },
            **{name: self._changes[name] for name in _COUNTED},
            interest=dict(sorted(self._interest.items())),
            intent=dict(sorted(self._intents.items())),
            narrow=self._narrow,
        )

    def refuse_mixed(self, source: str) -> None:
        """Raise InputError for intents that mix and for 16 bits of which the highest is unused."""
        raw = self._intents[INTENTS[1]]
        others = self._intents.total() - raw
        if self._processing is not None and others:
            raise InputError(
                f"sources.{source}: {raw:,} pictures are FOR PROCESSING, first "
                f"{self._processing.shown}, and {others:,} are not: their greys mean other things; "
                "set intent to keep one kind"
            )
        if self._largest and max(self._largest) < 16:
            need = max(self._largest)
            raise InputError(
                f"sources.{source}: {self._largest.total():,} pictures of 16 bits use {need} of "
                f"them and would stay dark; set white: {2**need - 1}, or white: 65535 if they are"
            )

    def told(self, source: str) -> list[str]:
        """What the screen says of it: numbers that were cut, and pictures that may be too dark."""
        said = []
        if masked := self._changes["masked"]:
            said.append(f"{source}: bits outside the stored ones were cut in {masked:,} pictures")
        if raw := self._intents[INTENTS[1]]:
            said.append(f"{source}: all {raw:,} pictures are FOR PROCESSING")
        if self._narrow:
            said.append(
                f"{source}: {self._narrow:,} pictures use less than half of their greys; look "
                "whether they are dark, and set white for those that are no DICOM"
            )
        return said
