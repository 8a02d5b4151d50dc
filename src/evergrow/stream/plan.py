"""The n-th global sample as a pure function of the stage plan: mixture, order, replay and epochs.

Nothing here is iterated or stored. A stage is its shares and its length; what it saw follows from
them, so a resumed, extended or branched run reads exactly what an uninterrupted one would, for any
world size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from evergrow.errors import InputError
from evergrow.run import Ledger, Seen
from evergrow.stream.mixture import Mixture, share_weights
from evergrow.stream.order import key_of, permute


class Sample(NamedTuple):
    """Item ``item`` (a window or an image) of ``source``; ``origin`` is the stage that owns it."""

    source: str
    item: int
    origin: int


@dataclass(frozen=True)
class _Stage:
    ledger: Ledger
    first_sample: int
    sources: tuple[str, ...]
    mixture: Mixture
    kinds: Mixture  # 0 = replayed, 1 = fresh
    ancestors: Mixture  # which earlier stage a replayed sample comes from
    fresh_start: dict[str, int]  # samples of each source read by earlier stages
    replay_start: tuple[int, ...]  # samples of each earlier stage replayed by the stages in between

    @property
    def num_fresh(self) -> int:
        return self.kinds.count(self.ledger.num_samples, 1)


class SampleStream:
    """The samples of the stages on the way to one of them, from the start of the model on.

    A source is its data, not its name: two versions of one source are two sources, and a new one
    starts at its own beginning. Where stages cut a source into items of other sizes (a longer
    window), a later one begins at the share of it that was read. Raises InputError for a source
    without items.
    """

    def __init__(self, ledgers: Sequence[Ledger], seed: int) -> None:
        self._seed = seed
        self._keys: dict[tuple[str, int, int], int] = {}  # of an epoch's order, remembered
        self._stages: list[_Stage] = []
        for ledger in ledgers:
            self._refuse_empty(ledger)
            self._stages.append(self._enter(ledger))

    def _refuse_empty(self, ledger: Ledger) -> None:
        for source in ledger.shares:
            if ledger.sizes[source] == 0:
                raise InputError(
                    f"{source}: too short for one sample; give it more data or lower "
                    "train.sequence_length"
                )

    def _enter(self, ledger: Ledger) -> _Stage:
        earlier = self._stages
        last = earlier[-1] if earlier else None
        sources = tuple(ledger.shares)
        starts = {s: 0 for s in sources}
        replayed = [0] * len(earlier)
        for stage in earlier:
            for j, source in enumerate(stage.sources):
                if source in starts:
                    read, size = stage.mixture.count(stage.num_fresh, j), stage.ledger.sizes[source]
                    starts[source] += -(-read * ledger.sizes[source] // size)
            num_replayed = stage.ledger.num_samples - stage.num_fresh
            for a in range(len(stage.replay_start)):
                replayed[a] += stage.ancestors.count(num_replayed, a)
        fresh = [stage.num_fresh for stage in earlier]
        weights = [n / sum(fresh) for n in fresh]
        return _Stage(
            ledger=ledger,
            first_sample=last.first_sample + last.ledger.num_samples if last else 0,
            sources=sources,
            mixture=Mixture(tuple(ledger.shares.values())),
            kinds=Mixture(ledger.replay_shares if earlier else (0, 1)),
            ancestors=Mixture(share_weights(weights) if earlier else (1,)),
            fresh_start=starts,
            replay_start=tuple(replayed),
        )

    def sample(self, n: int) -> Sample:
        """The ``n``-th sample since init; past the last stage's end its plan simply goes on."""
        index = self._stage_of(n)
        stage = self._stages[index]
        local = n - stage.first_sample
        if stage.kinds.source_of(local) == 1:
            return self._fresh(index, stage.kinds.count(local, 1))
        return self._replayed(index, stage.kinds.count(local, 0))

    def _stage_of(self, n: int) -> int:
        index = len(self._stages) - 1
        while index and n < self._stages[index].first_sample:
            index -= 1
        return index

    def _fresh(self, index: int, k: int) -> Sample:
        """The ``k``-th sample of new data of stage ``index``."""
        stage = self._stages[index]
        j = stage.mixture.source_of(k)
        source = stage.sources[j]
        size = stage.ledger.sizes[source]
        position = self._in_order(stage, j, stage.fresh_start[source] + stage.mixture.count(k, j))
        epoch, place = divmod(position, size)
        if (source, epoch, size) not in self._keys:  # a third of a sample's time otherwise
            self._keys[source, epoch, size] = key_of("order", self._seed, source, epoch)
        item = permute(place, size, self._keys[source, epoch, size])
        return Sample(source, item, index)

    def _in_order(self, stage: _Stage, j: int, position: int) -> int:
        """Where in a source's own order a stage of a further order reads at ``position``.

        It reads what the first order reads of each epoch, no more and no less, by another
        permutation: as OLMo 2's data seeds do with one mix (2501.00656, section 4.5).
        """
        if stage.ledger.order == 1:
            return position
        source = stage.sources[j]
        start, size = stage.fresh_start[source], stage.ledger.sizes[source]
        epoch = position // size
        low = max(start, epoch * size)
        high = min(start + stage.mixture.count(stage.num_fresh, j), (epoch + 1) * size)
        place = (source, epoch, -stage.ledger.order)
        if place not in self._keys:
            self._keys[place] = key_of("order", self._seed, source, epoch, stage.ledger.order)
        return low + permute(position - low, high - low, self._keys[place])

    def _replayed(self, index: int, m: int) -> Sample:
        """The ``m``-th replayed sample of stage ``index``: each ancestor's new data again, as seen.

        Ancestors take turns in proportion to their new data, and each is read on from where the
        last replay of it stopped (Ibrahim et al. 2024, section 4.2: no reshuffle).
        """
        stage = self._stages[index]
        a = stage.ancestors.source_of(m)
        num_fresh = self._stages[a].num_fresh
        turn, k = divmod(stage.replay_start[a] + stage.ancestors.count(m, a), num_fresh)
        if stage.ledger.replay_order == "reshuffled":
            k = permute(k, num_fresh, key_of("replay", self._seed, index, a, turn))
        return self._fresh(a, k)

    def seen(self, index: int) -> dict[str, Seen]:
        """What stage ``index`` read: a range of each source's order, and replayed samples."""
        stage = self._stages[index]
        found = {}
        for j, source in enumerate(stage.sources):
            first = stage.fresh_start[source]
            last = first + stage.mixture.count(stage.num_fresh, j)
            found[source] = Seen(
                first=first,
                last=last,
                epochs=last / stage.ledger.sizes[source],
                replayed=0,
                tokens=round((last - first) * stage.ledger.tokens_an_item[source]),
            )
        num_replayed = stage.ledger.num_samples - stage.num_fresh
        for a in range(index):
            self._count_replayed(found, a, stage.ancestors.count(num_replayed, a))
        return found

    def _count_replayed(self, found: dict[str, Seen], a: int, num_samples: int) -> None:
        """Add ``num_samples`` replayed samples of ancestor ``a`` to its sources."""
        ancestor = self._stages[a]
        for j, source in enumerate(ancestor.sources):
            count = ancestor.mixture.count(num_samples, j)
            if not count:
                continue
            before = found.get(source, Seen(first=0, last=0, epochs=0, replayed=0, tokens=0))
            tokens = round(count * ancestor.ledger.tokens_an_item[source])
            changes = {"replayed": before.replayed + count, "tokens": before.tokens + tokens}
            found[source] = before.model_copy(update=changes)

    def refuse_too_many_epochs(self, limits: Mapping[str, float]) -> None:
        """Raise InputError when a source is read more often than ``limits`` (epochs) allow."""
        for index, stage in enumerate(self._stages):
            sizes = stage.ledger.sizes
            for source, seen in self.seen(index).items():
                if seen.epochs > limits.get(source, float("inf")):
                    raise InputError(
                        f"stages[{index}] would read {source} {seen.epochs:.2f} times "
                        f"({seen.last:,} samples of {sizes[source]:,}), more than its "
                        f"max_epochs {limits[source]:g}; give it more data, fewer tokens, or "
                        "raise max_epochs"
                    )
