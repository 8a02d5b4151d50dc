"""One finding out of several that a picture may show, some of them unknown."""

from evergrow.errors import InputError

PRESENT, ABSENT = "present", "absent"
_TOLD = {"1": PRESENT, "0": ABSENT, "-1": None, "": None}
BETWEEN = "|"  # labels of one picture, as the NIH's table has them


def from_number(value: object, where: str) -> str | None:
    """What 1, 0, and -1 or nothing say (Irvin et al. 2019, arXiv 1901.07031, table 1).

    Raises InputError for another value.
    """
    spelt = str(value).strip().removesuffix(".0")
    if spelt not in _TOLD:
        raise InputError(
            f"{where} is {spelt!r}; a finding is 1, 0, and -1 or nothing where it is unknown"
        )
    return _TOLD[spelt]


def from_list(label: str | None, finding: str) -> str | None:
    """Whether the finding is among the labels of a picture; unknown without any label."""
    if not label:
        return None
    return PRESENT if finding in [part.strip() for part in label.split(BETWEEN)] else ABSENT
