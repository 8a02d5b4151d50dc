"""Results: plain values that show themselves, and folders that any verb takes as a path."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Generic, TypeVar, final

from pydantic_core import to_jsonable_python

from evergrow.errors import InputError
from evergrow.lineage import Node, read_node
from evergrow.python.screen import as_html, as_text, link
from evergrow.stage.summary import ArmSummary, Summary

Row = TypeVar("Row")


@final
@dataclass(frozen=True, repr=False)
class Result:
    """A recipe carried out: its folder, its page and its numbers. Any verb takes it as a path."""

    folder: Path
    report: Path
    summary: Summary

    def __fspath__(self) -> str:
        return str(self.folder)

    def arm(self, name: str | None = None) -> ArmSummary:
        """The numbers of an arm, by default of the only one; raises InputError for no such arm."""
        arms = self.summary.arms
        if name is None and len(arms) == 1:
            return next(iter(arms.values()))
        if name not in arms:
            raise InputError(f"arm: {self.folder} has {', '.join(arms)}, got {name!r}; name one")
        return arms[name]

    def release(self, stage: str | None = None, arm: str | None = None) -> "Release":
        """The model that ``stage`` of an arm released, by default the last one, of the first seed.

        Raises InputError for no such arm or release.
        """
        numbers = self.arm(arm)
        found = next(iter(numbers.seeds.values()), numbers).releases
        if not found or (stage is not None and stage not in found):
            raise InputError(f"stage: {self.folder} has {', '.join(found) or 'none'}, got {stage}")
        name = list(found)[-1] if stage is None else stage
        return Release(self.folder / found[name])

    def rows(self) -> list[dict[str, Any]]:
        """A row for each arm and seed, for a data frame: its measures, and its last losses."""
        return [
            {"arm": name, "seed": seed, **_measures(numbers)}
            for name, arm in self.summary.arms.items()
            for seed, numbers in (arm.seeds or {str(self.summary.seeds[0]): arm}).items()
        ]

    def __repr__(self) -> str:
        return f"{as_text(self._show)}\nreport: {self.report}"

    def _repr_html_(self) -> str:
        return f"{as_html(self._show)}\n{link(self.report, 'The whole report')}"

    def _show(self) -> None:
        from evergrow.cli.run import show_summary

        show_summary(self.summary)


def _measures(arm: ArmSummary) -> dict[str, Any]:
    last = arm.loss_matrix[-1] if arm.loss_matrix else []
    numbers = {
        "average": arm.average,
        "forgetting": arm.forgetting,
        "backward_transfer": arm.backward_transfer,
        "forward_transfer": arm.forward_transfer,
        "transient_peak": arm.transient_peak,
    }
    return numbers | dict(zip(arm.streams, last, strict=False))


@final
@dataclass(frozen=True, repr=False)
class Release:
    """A folder that ``from_pretrained`` loads, and what it says of itself; as text, its path."""

    folder: Path

    def __fspath__(self) -> str:
        return str(self.folder)

    def __str__(self) -> str:
        return str(self.folder)  # transformers asks for the text of what it is to load

    @property
    def node(self) -> Node:
        """Its place in the lineage: parents, what it was fed, what it scores."""
        found = read_node(self.folder)
        if found is None:
            raise InputError(f"{self.folder}: no release of evergrow; it has no evergrow.json")
        return found

    def __repr__(self) -> str:
        return f"{as_text(self._show)}\nrelease: {self.folder}"

    def _repr_html_(self) -> str:
        return f"{as_html(self._show)}\n<p><code>{escape(str(self.folder))}</code></p>"

    def _show(self) -> None:
        from evergrow.cli.look import show_scores

        show_scores(self.node.scores)


@final
class Rows(list[Row], Generic[Row]):
    """A list that shows itself as the table that the command line prints."""

    def __init__(self, rows: Sequence[Row], show: Callable[[Sequence[Row]], None]) -> None:
        super().__init__(rows)
        self._show = show

    def __repr__(self) -> str:
        return as_text(lambda: self._show(self))

    def _repr_html_(self) -> str:
        return as_html(lambda: self._show(self))


@final
class Record(dict[str, Any]):
    """A record as plain data, as ``--json`` prints it, that shows itself as the screen does.

    A notebook shows a link to its page, where it has one.
    """

    def __init__(self, record: object, show: Callable[[], None], page: Path | None = None) -> None:
        super().__init__(to_jsonable_python(record))
        self._show, self._page = show, page

    def __repr__(self) -> str:
        return as_text(self._show)

    def _repr_html_(self) -> str:
        html = as_html(self._show)
        return html if self._page is None else f"{html}\n{link(self._page, 'The whole page')}"


PathLike = str | os.PathLike[str]
