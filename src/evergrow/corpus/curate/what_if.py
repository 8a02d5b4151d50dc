"""Another policy over the columns that are there: what it would keep, and what each rule does."""

from dataclasses import dataclass

from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.decide import Reason
from evergrow.corpus.curate.known import Known, learn
from evergrow.corpus.curate.measure import all_rules, groups_needed
from evergrow.corpus.curate.waterfall import kept, waterfall
from evergrow.corpus.curate.whole import all_files, refuse_changed, refuse_changed_parents
from evergrow.corpus.policies.config import PolicyConfig
from evergrow.corpus.records import Amount, Waterfall
from evergrow.errors import InputError


@dataclass(frozen=True)
class Tried:
    """A corpus' waterfall now and under another policy.

    ``alone`` maps rules of that to what would be kept more without this one, all later steps asked
    again.
    """

    corpus: str
    now: Waterfall
    then: Waterfall
    alone: dict[str, Amount]


def what_if(corpus: Corpus, policy: PolicyConfig) -> Tried:
    """The waterfall now and under ``policy``, and what each rule alone keeps out under it.

    No text is read and nothing is written. Raises InputError for a policy that needs signals which
    were not measured, or that edits otherwise, and when the corpus or one that it was compared with
    is not what it was.
    """
    manifest = corpus.manifest
    other = corpus.config.model_copy(update={"policy": policy})
    _refuse_unmeasured(corpus, other)
    refuse_changed(corpus, all_files(corpus), quick=True)
    refuse_changed_parents(corpus)
    suites = [one.suite for one in manifest.suites]
    known = learn(corpus.folder, corpus.shards, other, manifest.signals, suites, corpus.parents)
    told = waterfall(known.columns, known.decide())
    alone = {
        step.rule: _alone(known, told, Reason(step.stage, step.rule))
        for step in told.steps
        if step.documents
    }
    return Tried(manifest.name, manifest.waterfall, told, alone)


def _alone(known: Known, told: Waterfall, reason: Reason) -> Amount:
    """What would be kept more without ``reason``."""
    if reason.stage == "policy":
        number = [rule.name for rule in known.judged.rules].index(reason.rule)
        if not (known.judged.only_D == number).any():
            return Amount(documents=0, bytes=0)
    more = kept(known.columns, known.decide(reason, count_any=False))
    return Amount(
        documents=more.documents - told.kept.documents, bytes=more.bytes - told.kept.bytes
    )


def _refuse_unmeasured(corpus: Corpus, other: CorpusConfig) -> None:
    known = set(corpus.manifest.signals)
    if missing := groups_needed(all_rules(other)) - known:
        raise InputError(
            f"{corpus.folder}: the policy looks at {', '.join(sorted(missing))}, which was not "
            "measured here; add it to the corpus' signals and curate once"
        )
    if other.policy.edits != corpus.config.policy.edits:
        raise InputError(
            f"{corpus.folder}: the policy edits texts by {list(other.policy.edits)}, the corpus by "
            f"{list(corpus.config.policy.edits)}, and edits decide what repeats; curate with it "
            "to see, or give both the same edits"
        )
