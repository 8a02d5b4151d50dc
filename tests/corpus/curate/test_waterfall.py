"""What is said of a waterfall: presets that drop most of a corpus, and where to look."""

from pathlib import Path

from evergrow.corpus.curate.waterfall import drops_most
from evergrow.corpus.records import Amount, Kept, Step, Waterfall

FOLDER = Path("runs/n/corpora/notes")


def told(*steps: tuple[str, str, int]) -> Waterfall:
    return Waterfall(
        read=Amount(documents=118, bytes=0),
        steps=[
            Step(stage=s, rule=r, documents=n, bytes=0, any_documents=n, any_bytes=0)
            for s, r, n in steps
        ],
        kept=Kept(documents=0, bytes=0, bytes_after_edits=0),
    )


def test_a_preset_that_drops_most_names_its_hardest_rule_and_two_commands() -> None:
    steps = [("policy", "gopher.min_words", 20), ("policy", "gopher.alphabetic_words", 85)]
    assert drops_most(told(*steps, ("exact", "exact.document", 10)), "notes", FOLDER) == [
        "notes: gopher dropped 105 of 118 documents, 85 of them by gopher.alphabetic_words; look "
        "at them: evergrow why runs/n/corpora/notes --rule gopher.alphabetic_words; what another "
        "policy would keep: evergrow curate RECIPE --what-if POLICY.yaml"
    ]


def test_half_is_not_most_and_what_is_asked_for_is_no_surprise() -> None:
    steps = [("policy", "c4.lines", 59), ("select", "select.max_bytes", 100)]
    assert drops_most(told(*steps), "notes", FOLDER) == []
    [said] = drops_most(told(("contamination", "contamination.gsm8k", 60)), "notes", FOLDER)
    assert said.endswith("60 of 118 documents; look at them: evergrow why "
                         "runs/n/corpora/notes --rule contamination.gsm8k")  # fmt: skip
