"""What a picture may show of several things at once, some of them unknown.

A finding is 1 (present), 0 (absent) or -1 (uncertain); one that nobody speaks of is not there.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from evergrow.errors import InputError
from evergrow.images.picture import Findings

PRESENT, ABSENT = "present", "absent"
UNCERTAIN = -1
_VALUES = {"1": 1, "0": 0, "-1": UNCERTAIN, "": None, "nan": None}
_WORDS = {1: PRESENT, 0: ABSENT}
BETWEEN = "|"  # labels of one picture, as the NIH's table has them


def from_number(value: object, where: str) -> int | None:
    """What 1, 0, -1 or nothing say (Irvin et al. 2019, arXiv 1901.07031, table 1).

    Raises InputError for another value.
    """
    spelt = str(value).strip().removesuffix(".0")
    if spelt not in _VALUES:
        raise InputError(
            f"{where} is {spelt!r}; a finding is 1, 0, -1 where it is uncertain, or nothing"
        )
    return _VALUES[spelt]


def from_row(values: Mapping[str, object], names: Sequence[str], where: str) -> Findings:
    """The findings of a line: each from its own column, else from the list in ``label``.

    Nothing is known from an empty list.
    """
    listed = str(values.get("label") or "")
    parts = {part.strip() for part in listed.split(BETWEEN)}
    found: Findings = {}
    for name in names:
        if name in values:
            told = values[name]
            value = None if told is None else from_number(told, f"{where}: {name}")
        else:
            value = int(name in parts) if listed else None
        if value is not None:
            found[name] = value
    return found


def from_columns(labels: np.ndarray, num: int, names: Sequence[str], where: str) -> list[Findings]:
    """Of an archive's labels [N, K]: the names of all columns in order, or numbers of some.

    Raises InputError for another form.
    """
    fits = labels.ndim == 2 and len(labels) == num and labels.dtype.kind in "biuf"
    by_number = all(name.isdecimal() for name in names)
    columns = [int(name) for name in names] if by_number else list(range(len(names)))
    width = labels.shape[1] if fits else 0
    if not fits or max(columns) >= width or (not by_number and len(names) != width):
        raise InputError(
            f"{where} is {list(labels.shape)} of {labels.dtype} for {num} images, and findings are "
            f"{', '.join(names)}; expected numbers [N, K], and K names or numbers of columns from 0"
        )
    rows = labels[:, columns].astype(np.float64).tolist()
    return [
        from_row(dict(zip(names, row, strict=True)), names, f"{where}, row {n}")
        for n, row in enumerate(rows)
    ]


def as_label(findings: Findings, names: Sequence[str]) -> str | None:
    """Of a single finding whether it is there, in a word; several are no one label."""
    value = findings.get(names[0])
    return None if value is None or len(names) > 1 else _WORDS.get(value)
