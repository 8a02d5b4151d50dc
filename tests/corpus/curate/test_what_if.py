"""Another policy over the same columns keeps what curating with it keeps, and writes nothing."""

from pathlib import Path

import pytest
from corpus.curate.texts import SETTINGS, contents, make, write_texts

from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.what_if import what_if
from evergrow.corpus.policies.config import PolicyConfig
from evergrow.errors import InputError

THRESHOLDS = {"gopher.min_words": 30, "gopher.max_words": 130}
OTHER = SETTINGS["policy"] | {"thresholds": THRESHOLDS}


def test_it_is_what_curating_with_the_policy_gives(
    whole: Corpus, base: Path, tmp_path: Path
) -> None:
    before = contents(whole.folder)
    told = what_if(whole, PolicyConfig.model_validate(OTHER))
    assert contents(whole.folder) == before
    assert told.now == whole.manifest.waterfall
    assert told.then == make(tmp_path / "web", base, policy=OTHER).manifest.waterfall
    assert told.then.kept.documents == 14


def test_alone_is_what_curating_without_the_rule_keeps_more(
    whole: Corpus, base: Path, tmp_path: Path
) -> None:
    told = what_if(whole, whole.config.policy)
    assert told.then == told.now
    policy = SETTINGS["policy"] | {"off": ["gopher.min_words"]}
    without = make(tmp_path / "web", base, policy=policy).manifest.waterfall.kept
    more = told.alone["gopher.min_words"]
    assert more.bytes == without.bytes - told.now.kept.bytes
    assert more.documents == without.documents - told.now.kept.documents == 1
    # Without near repeats 03.txt comes back; the leaked text without its test.
    assert told.alone["near.document"].documents == 1
    assert told.alone["contamination.items"].documents == 1


def test_earlier_corpora_must_be_what_they_were(tmp_path: Path) -> None:
    base = write_texts(tmp_path / "texts")
    first = make(tmp_path / "first", base, sources=["news"])
    second = make(tmp_path / "second", base, earlier=[first.folder])
    policy = second.config.policy
    assert what_if(second, policy).then == second.manifest.waterfall
    first.folder.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"compared with first in .*, where no finished corpus"):
        what_if(second, policy)
    (base / "news/00.txt").unlink()
    make(tmp_path / "first", base, sources=["news"])
    with pytest.raises(InputError, match=rf"when that was {first.key[:12]}, and now it is"):
        what_if(second, policy)


def test_policies_of_unmeasured_signals_or_other_edits_are_refused(whole: Corpus) -> None:
    with pytest.raises(InputError, match=r"looks at fineweb, which was not measured"):
        what_if(whole, PolicyConfig(presets=["fineweb"], edits=["mask_emails"]))
    with pytest.raises(InputError, match=r"edits texts by \[\], the corpus by \['mask_emails'\]"):
        what_if(whole, PolicyConfig(presets=["gopher"]))
