"""What became of a stream: the numbers by hand, and sentences that deny nothing."""

from evergrow.lineage import Measured
from evergrow.stage.changes import (
    Change,
    Moment,
    change,
    forgotten_sentence,
    learnt_sentence,
    mean_changes,
    mean_moment,
    moment,
    verdict,
)


def at(*losses: float | None) -> list[Moment | None]:
    return [None if loss is None else Moment(loss=loss) for loss in losses]


def test_a_learnt_stream_rises_over_its_lowest_release_since_it_was_learnt() -> None:
    found = change("mail", 1, Moment(loss=4.0), at(1.0, 2.5, 2.25, 2.75))
    assert (found.lowest, found.last) == (Moment(loss=2.25), Moment(loss=2.75))
    assert found.rise == 0.5
    assert found.is_forgotten
    assert found.reached == Moment(loss=2.25)


def test_a_stream_that_is_only_measured_rises_over_what_the_model_knew_before() -> None:
    found = change("old", None, Moment(loss=2.25), at(2.5, 3.0))
    assert (found.first, found.lowest, found.rise) == (Moment(loss=2.25), Moment(loss=2.25), 0.75)
    assert change("old", None, None, at(2.5)).rise is None


def test_the_newest_stream_cannot_be_forgotten_yet() -> None:
    found = change("mail", 0, Moment(loss=3.36), at(2.63))
    assert (found.rise, found.is_forgotten, found.reached) == (None, False, Moment(loss=2.63))


def test_sentences_say_what_was_learnt_and_what_was_lost() -> None:
    changes = [
        change("mail", 0, Moment(loss=3.36), at(2.63)),
        change("old", None, Moment(loss=2.277), at(3.124)),
        change("wiki", None, Moment(loss=2.0), at(2.004)),
    ]
    assert learnt_sentence(changes) == "Learnt mail 3.36 -> 2.63."
    assert forgotten_sentence(changes) == "Forgot old: 2.28 -> 3.12 (+0.85)."
    assert forgotten_sentence(changes[2:]) == "Forgot nothing of wiki 2.00 -> 2.00."
    unknown = "Nothing older was measured, so nothing is said of forgetting."
    assert forgotten_sentence(changes[:1]) == unknown
    assert (learnt_sentence([]), forgotten_sentence([])) == ("", "")


def test_the_worst_loss_comes_first() -> None:
    changes = [
        change(name, None, Moment(loss=2.0), at(last)) for name, last in (("a", 2.1), ("b", 2.5))
    ]
    assert forgotten_sentence(changes) == "Forgot b: 2.00 -> 2.50 (+0.50), a: 2.00 -> 2.10 (+0.10)."


def test_classes_are_told_by_their_accuracy() -> None:
    line = Measured(source="x", unit="log loss", loss=0.5, low=0.4, high=0.6, accuracy=0.875)
    first = moment(line)
    assert first == Moment(loss=0.5, beside={"accuracy": 0.875})
    last = Moment(loss=1.0, beside={"accuracy": 0.5, "auroc": 0.75, "majority": 0.25})
    found = [Change(stream="x", is_learnt=False, first=first, lowest=first, last=last)]
    said = (
        "Forgot x: accuracy 0.875 -> 0.500, AUROC 0.750, the commonest class alone 0.250, "
        "loss 0.50 -> 1.00 (+0.50)."
    )
    assert forgotten_sentence(found) == said


def test_means_need_every_part() -> None:
    parts = [Moment(loss=1.0, beside={"floor": 2.0}), Moment(loss=3.0, beside={})]
    assert mean_moment(parts) == Moment(loss=2.0)
    assert mean_moment([parts[0], None]) is None
    lives = [[change("a", None, Moment(loss=1.0), at(2.0))], [change("a", None, None, at(4.0))]]
    mean = mean_changes(lives)[0]
    assert (mean.first, mean.last) == (None, Moment(loss=3.0))


def test_a_classifier_that_is_too_sure_has_learnt_all_the_same() -> None:
    first = Moment(loss=0.69, beside={"auroc": 0.72})
    for area, is_better in ((0.95, True), (0.71, False)):
        films = change("films", 0, first, [Moment(loss=0.78, beside={"auroc": area})])
        assert films.is_better == is_better
    assert not films.model_copy(update={"has_failed": True}).is_better


def test_what_was_not_learnt_is_neither_called_learnt_nor_forgotten() -> None:
    films = change("films", 0, Moment(loss=2.6), at(1.0, 1.5))
    films = films.model_copy(update={"has_failed": True})
    assert (films.rise, films.is_forgotten) == (None, False)
    assert learnt_sentence([films]) == "Did not learn films 2.60 -> 1.00."
    assert forgotten_sentence([films]) == ""
    mail = change("mail", 0, Moment(loss=3.0), at(2.0, 2.5))
    told = "Learnt mail 3.00 -> 2.00. Forgot mail: 2.00 -> 2.50 (+0.50)."
    assert verdict([mail], {}) == told
    assert verdict([mail], {"x": [films]}) == f"{told} To x: Did not learn films 2.60 -> 1.00."
    worse = change("mail", 0, Moment(loss=2.0), at(2.25))
    assert learnt_sentence([worse]) == "Did not learn mail 2.00 -> 2.25."
