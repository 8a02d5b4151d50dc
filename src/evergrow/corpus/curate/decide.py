"""Which documents stay: a pure function over columns, so that it can be asked again at once.

In this order: ids that come twice, the policy's rules, items of tests, exact repeats, near repeats,
selection. A document that one step drops takes no part in later ones: nothing goes because of a
document that is gone itself. So a contaminated document is no reason to drop its clean twin. Only
selection comes after: what it leaves out may have been the one kept of several alike.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, final

import numpy as np

from evergrow.corpus.curate.columns import PASSED, Columns, Judged, NearColumns
from evergrow.corpus.curate.config import CorpusConfig, NearConfig
from evergrow.corpus.curate.index import Index
from evergrow.corpus.curate.texts import Compared
from evergrow.corpus.duplicates.clusters import KEPT as ALONE
from evergrow.corpus.duplicates.clusters import Clusters, cluster, rank_documents, repeats
from evergrow.corpus.duplicates.likeness import Likeness

KEPT = -1  # instead of the number of a reason
NO_PARTNER = -1  # rows of earlier corpora are -2, -3, ...


class Reason(NamedTuple):
    """A rule of a step, in the order in which documents meet them."""

    stage: str
    rule: str


@dataclass(frozen=True)
class Decided:
    """What became of every document.

    reason_D   int16: KEPT, or the number in ``reasons`` of the first that dropped it
    partner_D  int64: the row it repeats; -2 - e for row e of the earlier corpora; else NO_PARTNER
    any_documents, any_bytes  by reason: how many it would drop were it asked first; None unless
        asked for
    near_found, near_compared  pairs that shared a band, and those of them whose texts were compared
    """

    reasons: list[Reason]
    reason_D: np.ndarray
    partner_D: np.ndarray
    any_documents: np.ndarray | None
    any_bytes: np.ndarray | None
    near_found: int
    near_compared: int


def reasons_of(judged: Judged, columns: Columns) -> list[Reason]:
    """Every rule of every step, in order."""
    return [
        Reason("identity", "id.repeated"),
        *(Reason("policy", rule.name) for rule in judged.rules),
        *(Reason("contamination", f"contamination.{suite}") for suite in columns.suites),
        Reason("exact", "exact.earlier"),
        Reason("exact", "exact.document"),
        Reason("near", "near.earlier"),
        Reason("near", "near.document"),
        Reason("select", "select.fraction"),
        Reason("select", "select.source_bytes"),
        Reason("select", "select.max_bytes"),
    ]


def decide(
    columns: Columns,
    judged: Judged,
    double_D: np.ndarray,
    earlier: Index,
    compared: Compared,
    config: CorpusConfig,
    without: Reason | None = None,
    count_any: bool = True,
) -> Decided:
    """Ask every step in turn; ``without`` one reason, to see what it alone keeps out."""
    dropping = _Dropping(columns, reasons_of(judged, columns), without, count_any)
    dropping.drop(Reason("identity", "id.repeated"), double_D)
    _ask_rules(dropping, judged)
    for number, suite in enumerate(columns.suites):
        dropping.drop(
            Reason("contamination", f"contamination.{suite}"), columns.contaminated_DS[:, number]
        )
    find = _Repeats(columns, earlier, compared, config.near)
    if config.exact is not None:
        dropping.drop_repeats("exact", find.exact, earlier)
    if config.near is not None:
        dropping.drop_repeats("near", find.near, earlier)
    _select(dropping, columns, config)
    return dropping.decided()


@final
@dataclass
class _Dropping:
    """The documents still there, and what happened to the others."""

    columns: Columns
    reasons: list[Reason]
    without: Reason | None
    count_any: bool
    reason_D: np.ndarray = field(init=False)
    partner_D: np.ndarray = field(init=False)
    any_documents: np.ndarray = field(init=False)
    any_bytes: np.ndarray = field(init=False)
    near_found: int = 0
    near_compared: int = 0

    def __post_init__(self) -> None:
        num, num_reasons = len(self.columns), len(self.reasons)
        self.reason_D = np.full(num, KEPT, np.int16)
        self.partner_D = np.full(num, NO_PARTNER, np.int64)
        self.any_documents = np.zeros(num_reasons, np.int64)
        self.any_bytes = np.zeros(num_reasons, np.int64)

    @property
    def allowed_D(self) -> np.ndarray:
        return self.reason_D == KEPT

    def drop(self, reason: Reason, fails_D: np.ndarray) -> np.ndarray:
        """Drop what fails and is still there; returns which rows these are."""
        number = self.reasons.index(reason)
        self.any_documents[number] += np.count_nonzero(fails_D)
        self.any_bytes[number] += self.columns.bytes_D[fails_D].sum()
        if reason == self.without:
            return np.zeros(len(fails_D), bool)
        dropped_D = fails_D & self.allowed_D
        self.reason_D[dropped_D] = number
        return dropped_D

    def drop_repeats(
        self, stage: str, find: Callable[[np.ndarray], Clusters], earlier: Index
    ) -> None:
        """Drop what repeats a document that stays, of this corpus or an earlier one."""
        found_D, num_found, num_compared = find(self.allowed_D)
        every_D = find(np.ones(len(found_D), bool)).repeat_of_D if self.count_any else found_D
        self.near_found += num_found
        self.near_compared += num_compared
        for rule, is_it in (("earlier", np.less), ("document", np.greater_equal)):
            reason = Reason(stage, f"{stage}.{rule}")
            fails_D = (found_D != ALONE) & is_it(found_D, len(earlier))
            dropped_D = self.drop(reason, fails_D)
            rows = found_D[dropped_D]
            self.partner_D[dropped_D] = np.where(
                rows < len(earlier), -2 - rows, rows - len(earlier)
            )
            number = self.reasons.index(reason)
            any_D = (every_D != ALONE) & is_it(every_D, len(earlier))
            self.any_documents[number] = np.count_nonzero(any_D)
            self.any_bytes[number] = self.columns.bytes_D[any_D].sum()

    def decided(self) -> Decided:
        documents, num_bytes = self.any_documents, self.any_bytes
        return Decided(
            self.reasons,
            self.reason_D,
            self.partner_D,
            documents if self.count_any else None,
            num_bytes if self.count_any else None,
            self.near_found,
            self.near_compared,
        )


def _ask_rules(dropping: _Dropping, judged: Judged) -> None:
    """The rules of the policy, which were asked of every shard before."""
    first = dropping.reasons.index(Reason("policy", judged.rules[0].name))
    fails_D = (judged.first_D != PASSED) & dropping.allowed_D
    if dropping.without is not None and dropping.without.stage == "policy":
        number = dropping.reasons.index(dropping.without) - first
        fails_D &= judged.only_D != number
    dropping.reason_D[fails_D] = first + judged.first_D[fails_D]
    rules = slice(first, first + len(judged.rules))
    dropping.any_documents[rules] = judged.any_documents
    dropping.any_bytes[rules] = judged.any_bytes


@final
@dataclass(frozen=True)
class _Repeats:
    """Finds what repeats what among the allowed documents: rows of earlier corpora come first.

    What is found names ALONE, a row of the earlier corpora, or their number plus a row of ours.
    """

    columns: Columns
    earlier: Index
    compared: Compared
    config: NearConfig | None

    def exact(self, allowed_D: np.ndarray) -> Clusters:
        hashes = np.concatenate([self.earlier.hashes_E2, self.columns.hashes_D2])
        num = len(self.earlier)
        return Clusters(repeats(hashes, *self._among(allowed_D), num_fixed=num)[num:], 0, 0)

    def near(self, allowed_D: np.ndarray) -> Clusters:
        near, config, num = self.columns.near, self.config, len(self.earlier)
        assert near is not None and config is not None
        likeness = Likeness(
            at_least=config.similarity,
            permutations=config.permutations,
            signatures_of=partial(self._signatures, near),
            exact=self.compared.exact,
            compare=self.compared.compare,
        )
        found = cluster(self._bands(near), likeness, *self._among(allowed_D), num_fixed=num)
        return found._replace(repeat_of_D=found.repeat_of_D[num:])

    def _among(self, allowed_D: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rank and permission of all rows."""
        num, near = len(self.earlier), self.columns.near
        rank_D = np.arange(len(allowed_D))
        if near is not None and self.config is not None:
            sizes = (near.characters_D, self.columns.kept_bytes_D)
            rank_D = rank_documents(self.config.keep, *sizes, self.columns.dates)
        rank = np.concatenate([np.arange(num), num + rank_D])
        return rank, np.concatenate([np.ones(num, bool), allowed_D])

    def _bands(self, near: NearColumns) -> Iterator[np.ndarray]:
        """One band of all at a time: 8 bytes a document more, not 8 a band."""
        for band in range(near.bands_DB.shape[1]):
            yield np.concatenate([self.earlier.bands_EB[:, band], near.bands_DB[:, band]])

    def _signatures(self, near: NearColumns, rows: np.ndarray) -> np.ndarray:
        """uint8 [rows, P], in their order."""
        num = len(self.earlier)
        found = np.empty((len(rows), near.signatures_DP.shape[1]), np.uint8)
        is_ours = rows >= num
        found[is_ours] = near.signatures_DP[rows[is_ours] - num]
        found[~is_ours] = self.earlier.signatures_EP[rows[~is_ours]]
        return found


def _select(dropping: _Dropping, columns: Columns, config: CorpusConfig) -> None:
    """Take by the ids, which are hashes of the origins: half of a take is a take of half."""
    select = config.select
    draw_D = columns.ids_D2[:, 0].byteswap()  # the id's first 16 digits as a number
    if select.fraction < 1:
        limit = np.uint64(int(select.fraction * 2.0**64))
        dropping.drop(Reason("select", "select.fraction"), draw_D >= limit)
    order = np.lexsort((columns.ids_D2[:, 1], draw_D))
    for source, most in select.source_bytes.items():
        mine_D = columns.source_D == config.sources.index(source)
        over_D = _over(columns, order, dropping.allowed_D & mine_D, most)
        dropping.drop(Reason("select", "select.source_bytes"), over_D)
    if select.max_bytes is not None:
        over_D = _over(columns, order, dropping.allowed_D, select.max_bytes)
        dropping.drop(Reason("select", "select.max_bytes"), over_D)


def _over(columns: Columns, order: np.ndarray, among_D: np.ndarray, most: int) -> np.ndarray:
    """bool [D]: the documents from the first on with which the taken ones exceed ``most`` bytes."""
    rows = order[among_D[order]]
    total = np.cumsum(columns.kept_bytes_D[rows])
    over_D = np.zeros(len(among_D), bool)
    over_D[rows[total > most]] = True
    return over_D
