"""Patients who come back in a later source: on the side where they were, or refused.

A patient's pseudonyms differ between sources, so that nobody can join them from what is written.
Whoever has the files can: a ``person`` is the same for all sources, in memory alone.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from evergrow.errors import InputError
from evergrow.images.audit import Entry
from evergrow.images.config import ImageSourceConfig
from evergrow.images.identities import pseudonyms_of
from evergrow.images.picture import Picture
from evergrow.images.records import Returned


def recognised(
    earlier: Mapping[str, Sequence[Entry]],
    sources: Mapping[str, ImageSourceConfig],
    base: Path,
    pictures: Sequence[Picture],
) -> tuple[dict[str, list[Entry]], list[str]]:
    """The entries of earlier sources, those of the pictures' patients with their person.

    And the sources in which nobody can be recognised, because their files are gone.
    """
    places = {p.drawn for p in pictures if p.patient is not None}
    found, gone = {}, []
    for name, entries in earlier.items():
        found[name] = list(entries)
        if not places or not any(e.patient and not e.person for e in entries):
            continue
        names = pseudonyms_of(sources[name], base, name)
        if names is None:
            gone.append(name)
            continue
        persons = {names.of_place(place): place.hex() for place in places}
        found[name] = [replace(e, person=persons.get(e.patient or "", e.person)) for e in entries]
    return found, gone


def sides(earlier: Mapping[str, Sequence[Entry]]) -> dict[str, bool]:
    """Whether each person is held out, by the first source that has them."""
    found: dict[str, bool] = {}
    for entry in (e for entries in earlier.values() for e in entries):
        if entry.person:
            found.setdefault(entry.person, not entry.is_trained)
    return found


class Returning(NamedTuple):
    """What two sources share of patients who are on different sides: pictures of the later one."""

    held_out: list[Entry]  # of patients who are trained on in the earlier source
    train: list[Entry]  # of patients who are held out there

    def counts(self) -> Returned:
        """Patients and pictures, as manifest and audit hold them."""
        persons = {e.person for e in [*self.held_out, *self.train]}
        held_out, train = len(self.held_out), len(self.train)
        return Returned(patients=len(persons), held_out=held_out, train=train)


def returning(entries: Sequence[Entry], source: str) -> dict[str, Returning]:
    """By earlier source: the pictures of ``source`` whose patients are on its other side."""
    known: dict[str, dict[bool, set[str]]] = defaultdict(lambda: {True: set(), False: set()})
    own = [e for e in entries if e.source == source and e.person]
    for e in entries:
        if e.source != source and e.person:
            known[e.source][e.is_trained].add(e.person)
    found = {}
    for other, persons in known.items():
        held_out = [e for e in own if not e.is_trained and e.person in persons[True]]
        train = [e for e in own if e.is_trained and e.person in persons[False]]
        if held_out or train:
            found[other] = Returning(held_out, train)
    return found


def counted_returning(
    entries: Sequence[Entry], source: str, config: ImageSourceConfig
) -> dict[str, Returned]:
    """What the audit says of patients on two sides of two sources.

    Raises InputError unless the source allows them: a model is then tested on whom it has seen.
    """
    found = returning(entries, source)
    if config.returning == "refuse" and found:
        num_held_out = sum(not e.is_trained for e in entries if e.source == source)
        other, shared = next(iter(found.items()))
        first = [*shared.held_out, *shared.train][0]
        if shared.held_out:
            what = (
                f"{len(shared.held_out):,} of {num_held_out:,} held-out pictures show patients "
                f"trained on in {other}"
            )
        else:
            what = f"{len(shared.train):,} pictures to train on show patients held out in {other}"
        raise InputError(
            f"sources.{source}: {what}, first {first.shown}; remove the column split to keep "
            "patients on one side in all sources, or set returning: allow"
        )
    return {other: shared.counts() for other, shared in found.items()}
