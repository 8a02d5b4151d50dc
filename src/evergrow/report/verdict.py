"""What a page says first: the headline, what was learnt and what was forgotten, in few numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from evergrow.lineage import SHARES
from evergrow.report.arms_table import changes_of
from evergrow.report.folder import Arm, RunFolder
from evergrow.report.words import DASH, bits, fine, listing, reach, signed
from evergrow.stage.changes import UNMEASURED, Change, Moment
from evergrow.statistics import SEEDS_FOR_A_CLAIM, SEEDS_FOR_THE_LOG, Comparison, compare

ARROW = "\u2192"
MOST_ROWS = 6
NOT_LEARNT = "Not all was learnt, so nothing is said of what was forgotten."
NOTHING_YET = "Nothing has been released yet, so there is nothing to judge."
NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


@dataclass(frozen=True)
class Row:
    """One line of a tile: of what, its numbers; ``is_loss`` where something was forgotten."""

    name: str
    text: str
    is_loss: bool = False


@dataclass(frozen=True)
class Tile:
    """One of the boxes on top: its large text, what that is, and the rows behind it."""

    title: str
    large: str
    unit: str
    rows: list[Row]
    is_loss: bool = False

    @property
    def shown(self) -> list[Row]:
        """The rows there is room for."""
        return self.rows[:MOST_ROWS]

    @property
    def num_more(self) -> int:
        return len(self.rows) - len(self.shown)


def mean_rise(arm: Arm) -> float | None:
    """How far all that could be forgotten has risen, on average: old streams, and sources that are
    only measured."""
    rises = [change.rise for change in changes_of(arm) if change.rise is not None]
    return sum(rises) / len(rises) if rises else None


def best_arm(folder: RunFolder) -> Arm:
    """The arm that ends lowest on average; the first where nothing is measured."""
    scored = [arm for arm in folder.arms if arm.scores and arm.scores.average is not None]
    return min(
        scored, key=lambda arm: (arm.scores and arm.scores.average) or 0.0, default=folder.arms[0]
    )


def by_rise(folder: RunFolder) -> list[tuple[float, Arm]]:
    """Arms that could have forgotten, the one that forgot least first."""
    pairs = [(rise, arm) for arm in folder.arms if (rise := mean_rise(arm)) is not None]
    return sorted(pairs, key=lambda pair: pair[0])


def learnt_tile(folder: RunFolder) -> Tile:
    """Every learnt stream from the model before the first stage to its best release."""
    rows = []
    for stream in dict.fromkeys(c.stream for c in _learnt(folder)):
        same = [c for c in _learnt(folder) if c.stream == stream]
        failed = not any(c.is_better for c in same)
        shares = _shares(same)
        of = f", {folder.unit}" if shares else ""
        name = f"{stream}{of}" + " (not learnt)" * failed
        rows += [Row(name, _way(same), failed), *shares]
    if not rows:
        return Tile("Learnt", DASH, NOTHING_YET, [])
    arm = best_arm(folder)
    changes = [c for c in changes_of(arm) if c.is_learnt and c.reached is not None]
    measure = _main_share(changes)
    over = "" if len(changes) == 1 else ", mean of the streams"
    of = f", {arm.name}" if len(folder.arms) > 1 else ""
    said = SHARES[measure] if measure else folder.unit
    has_failed = not any(change.is_better for change in changes)
    title = "Not learnt" if has_failed else "Learnt"
    return Tile(title, _mean_way(changes, measure), f"{said}{over}{of}", rows, has_failed)


def _main_share(changes: Sequence[Change]) -> str:
    """What stands for a classifier: its accuracy, of findings the AUROC; "" for all others."""
    shared = [set(c.reached.beside) for c in changes if c.reached]
    return next((name for name in ("accuracy", "auroc") if all(name in s for s in shared)), "")


def _mean_way(changes: Sequence[Change], measure: str) -> str:
    """``3.83 → 2.27``: the mean over streams, at first and at best."""
    firsts = [_value(c.first, measure) for c in changes if c.first]
    ends = [_value(c.reached, measure) for c in changes if c.reached]
    known = [value for value in firsts if value is not None]
    start = f"{_mean(known):.2f} {ARROW} " if len(known) == len(ends) else ""
    return start + f"{_mean([value for value in ends if value is not None]):.2f}"


def _value(moment: Moment, measure: str) -> float | None:
    return moment.beside.get(measure) if measure else moment.loss


def forgotten_tile(folder: RunFolder, not_learnt: Sequence[str]) -> Tile:
    """What rose again since it was known: of one arm by stream, of several by arm."""
    if not_learnt:
        return Tile("Forgot", DASH, NOT_LEARNT, [])
    arms = by_rise(folder)
    if not arms:
        said = UNMEASURED if _learnt(folder) else ""
        return Tile("Forgot", DASH, said, [])
    if len(folder.arms) == 1:
        return _forgotten_by_stream(folder)
    rows = [Row(arm.name, signed(rise), rise >= 0.005) for rise, arm in arms]
    rises = [rise for rise, _ in arms]
    is_loss = max(rises) >= 0.005
    large = reach(rises) if is_loss else "nothing"
    return Tile("Forgot", large, f"{folder.unit} of what was known before, mean", rows, is_loss)


def _forgotten_by_stream(folder: RunFolder) -> Tile:
    known = [c for c in changes_of(folder.arms[0]) if c.rise is not None]
    known.sort(key=lambda change: -(change.rise or 0))
    rows = [
        Row(
            c.stream + ("" if c.is_learnt else " (measured only)"),
            f"{_loss(c.lowest)} {ARROW} {_loss(c.last)} ({signed(c.rise or 0)})",
            c.is_forgotten,
        )
        for c in known
    ]
    worst = known[0]
    if not worst.is_forgotten:
        gain = signed(worst.rise or 0)
        return Tile("Forgot", "nothing", f"{worst.stream} {gain} {folder.unit}", rows)
    large = signed(worst.rise or 0)
    return Tile("Forgot", large, f"{folder.unit} of {worst.stream}", rows, True)


def headline(folder: RunFolder) -> str:
    """What was learnt and forgotten in a sentence or two, and what that is worth."""
    if not _learnt(folder):
        return NOTHING_YET
    if len(folder.arms) == 1:
        scores = folder.arms[0].scores
        return (scores and scores.verdict(ARROW)) or NOT_LEARNT
    sentences = [_least_and_most(folder), _lowest_average(folder)]
    if len(folder.arms) > 1 and folder.num_seeds == 1:
        sentences.append("One seed: no verdict.")
    return " ".join(sentence for sentence in sentences if sentence)


def _least_and_most(folder: RunFolder) -> str:
    arms = by_rise(folder)
    if not arms:
        return UNMEASURED
    (least, best), (most, worst) = arms[0], arms[-1]
    if most <= 0:
        gains = reach([-rise for rise, _ in arms])
        return (
            f"Nothing was forgotten: what was known before ended {gains} {folder.unit} lower, on "
            "average."
        )
    if bits(least) == bits(most):
        return f"All arms forgot the same, {fine(least)} {folder.unit} of what was known before."
    return (
        f"Of what was known before {best.name} forgot least ({fine(least)} {folder.unit} on "
        f"average), {worst.name} most ({fine(most)})."
    )


def _lowest_average(folder: RunFolder) -> str:
    values = {arm.name: arm.scores.average for arm in folder.arms if arm.scores}
    scored = sorted((value, name) for name, value in values.items() if value is not None)
    if len(scored) < 2 or bits(scored[0][0]) == bits(scored[1][0]):
        return ""
    value, name = scored[0]
    return f"Over all streams {name} ends lowest ({bits(value)})."


def over_seeds(folder: RunFolder) -> str:
    """Comparison, paired by seed, of the arms that forgot least and most; "" for one seed.

    Where nothing could be forgotten, of the arms that end lowest and highest on average.
    """
    arms = [arm for _, arm in by_rise(folder)]
    what = "forgot"
    if not arms:
        scored = [arm for arm in folder.arms if arm.scores and arm.scores.average is not None]
        arms = sorted(scored, key=lambda arm: (arm.scores and arm.scores.average) or 0.0)
        what = "ended"
    if folder.num_seeds == 1 or len(arms) < 2:
        return ""
    best, worst = arms[0], arms[-1]
    pairs = _pairs(best, worst, what)
    if len(pairs) < 2:
        return ""
    found = compare([a for a, _ in pairs], [b for _, b in pairs], best.name, worst.name)
    return in_plain_words(found, pairs, best.name, worst.name, what, folder.unit)


def in_plain_words(
    found: Comparison,
    pairs: Sequence[tuple[float, float]],
    best: str,
    worst: str,
    what: str,
    unit: str,
) -> str:
    """A comparison as a person would say it, claiming no more than the seeds allow."""
    number = found.num_pairs
    many = NUMBERS[number] if number < len(NUMBERS) else f"{number}"
    if number < SEEDS_FOR_THE_LOG:
        return f"{many} seeds are too few to compare {best} with {worst}; run three or more."
    interval = found.interval
    if interval.low <= 0 <= interval.high:
        return (
            f"Over {many.lower()} seeds no difference between {best} and {worst} is shown: "
            f"{signed(found.mean_difference)} {unit}, and anything from {signed(interval.low)} to "
            f"{signed(interval.high)} fits. One of {fine(found.detectable)} would have been seen "
            "four times out of five."
        )
    wins = sum(a < b for a, b in pairs)
    every = "in every one" if wins == number else f"in {wins} of them"
    verb = {"forgot": "forgot {} {} less", "ended": "ended {} {} lower"}[what]
    less = verb.format(fine(abs(found.mean_difference)), unit)
    ends = f"{fine(-interval.high)} to {fine(-interval.low)}"
    worth = (
        "That is a result."
        if number >= SEEDS_FOR_A_CLAIM
        else f"{many} seeds are a hint; six make a claim."
    )
    return (
        f"Over {many.lower()} seeds {best} {less} than {worst}, {every} (95 % interval {ends}). "
        f"{worth}"
    )


def _pairs(first: Arm, second: Arm, what: str) -> list[tuple[float, float]]:
    """The measure of both arms, seed by seed."""
    ours, theirs = _by_seed(first, what), _by_seed(second, what)
    return [(value, theirs[seed]) for seed, value in ours.items() if seed in theirs]


def _by_seed(arm: Arm, what: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for seed, scores in (arm.scores.seeds if arm.scores else {}).items():
        rises = [change.rise for change in scores.changes if change.rise is not None]
        value = scores.average if what == "ended" else _mean(rises) if rises else None
        if value is not None:
            found[seed] = value
    return found


def _learnt(folder: RunFolder) -> list[Change]:
    """The changes of learnt streams, over all arms."""
    return [
        change
        for arm in folder.arms
        for change in changes_of(arm)
        if change.is_learnt and change.reached is not None
    ]


def _way(same: Sequence[Change]) -> str:
    """``3.36 → 2.63``, of several arms ``4.30 → 2.03 to 2.10``."""
    firsts = [c.first.loss for c in same if c.first]
    start = f"{_mean(firsts):.2f} {ARROW} " if firsts else ""
    return start + reach([c.reached.loss for c in same if c.reached])


def _shares(same: Sequence[Change]) -> list[Row]:
    """Of classes what is told right: at first and at best; and what the trivial answer does."""
    rows = []
    for name, said in SHARES.items():
        firsts = [c.first.beside[name] for c in same if c.first and name in c.first.beside]
        ends = [c.reached.beside[name] for c in same if c.reached and name in c.reached.beside]
        if not ends:
            continue
        start = f"{_mean(firsts):.2f} {ARROW} " if firsts and name != "majority" else ""
        rows.append(Row(f"\u2003{said}", start + reach(ends)))
    floors = [c.last.beside["floor"] for c in same if c.last and "floor" in c.last.beside]
    if floors:
        rows.append(Row("\u2003the best constant", reach(floors)))
    return rows


def _loss(moment: Moment | None) -> str:
    return DASH if moment is None else f"{moment.loss:.2f}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def listed(names: Sequence[str], most: int = 6) -> str:
    """``a, b and c``, of many the first ones."""
    if len(names) <= most:
        return listing(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
