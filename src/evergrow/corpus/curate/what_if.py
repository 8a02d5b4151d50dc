"""Another policy over the columns that are there: what it would keep, and what each rule does."""

from collections.abc import Mapping
from typing import Any

from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.decide import Reason
from evergrow.corpus.curate.known import Known, learn
from evergrow.corpus.curate.measure import all_rules, groups_needed
from evergrow.corpus.curate.waterfall import waterfall
from evergrow.corpus.curate.whole import all_files, refuse_changed, refuse_changed_parents
from evergrow.corpus.policies.config import PolicyConfig
from evergrow.errors import InputError


def what_if(corpus: Corpus, policy: PolicyConfig) -> dict[str, Any]:
    """The waterfall now and under ``policy``, and what each rule alone keeps out under it.

    No text is read and nothing is written. ``alone`` maps rules to the documents and bytes that
    would be kept more without this one rule, all later steps asked again. Raises InputError for a
    policy that needs signals which were not measured, or that edits otherwise, and when the corpus
    or one that it was compared with is not what it was.
    """
    config = corpus.config
    other = config.model_copy(update={"policy": policy})
    _refuse_unmeasured(corpus, other)
    refuse_changed(corpus, all_files(corpus), quick=True)
    refuse_changed_parents(corpus)
    suites = [suite["suite"] for suite in corpus.manifest["suites"]]
    keys: Mapping[str, str] = corpus.manifest["signals"]
    known = learn(corpus.folder, corpus.shards, other, keys, suites, corpus.parents)
    decided = known.decide()
    told = waterfall(known.columns, decided)
    steps = [step for step in told["steps"] if step["documents"]]
    return {
        "corpus": corpus.manifest["name"],
        "now": corpus.manifest["waterfall"],
        "then": told,
        "alone": {
            step["rule"]: _alone(known, told, Reason(step["stage"], step["rule"])) for step in steps
        },
    }


def _alone(known: Known, told: Mapping[str, Any], reason: Reason) -> dict[str, int]:
    """What would be kept more without ``reason``."""
    if reason.stage == "policy":
        number = [rule.name for rule in known.judged.rules].index(reason.rule)
        if not (known.judged.only_D == number).any():
            return {"documents": 0, "bytes": 0}
    kept = waterfall(known.columns, known.decide(reason, count_any=False))["kept"]
    return {name: kept[name] - told["kept"][name] for name in ("documents", "bytes")}


def _refuse_unmeasured(corpus: Corpus, other: CorpusConfig) -> None:
    known = set(corpus.manifest["signals"])
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
