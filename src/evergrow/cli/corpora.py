"""Commands on corpora: curate, why; waterfalls, and why a document is in one or not."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from evergrow.cli.live import watching
from evergrow.cli.options import RUNS, Json, Overrides, RecipePath, Runs, settings_of
from evergrow.cli.terminal import console, megabytes, print_json
from evergrow.errors import InputError

if TYPE_CHECKING:
    from evergrow.corpus.contamination import Hit
    from evergrow.corpus.curate.dropped import Dropped
    from evergrow.corpus.curate.trace import Elsewhere, InCorpus, InRun
    from evergrow.corpus.curate.what_if import Tried
    from evergrow.corpus.curate.why import Answer, RuleTold, Told
    from evergrow.corpus.curate.write import Fate
    from evergrow.corpus.records import Step, Waterfall

app = typer.Typer(rich_markup_mode=None)


@app.command()
def curate(
    recipe: RecipePath,
    overrides: Overrides = None,
    runs: Runs = RUNS,
    what_if: Annotated[
        Path | None,
        typer.Option("--what-if", help="A policy (YAML): show what it would keep, write nothing."),
    ] = None,
) -> None:
    """Make a recipe's corpora from its sources; run again to go on where it stopped."""
    from evergrow.recipe import find_recipe, load_corpus_recipe

    recipe = find_recipe(recipe)
    loaded = load_corpus_recipe(recipe, settings_of(overrides))
    from evergrow.flow.corpora import curate
    from evergrow.flow.corpora import what_if as try_policy

    if what_if is not None:
        for told in try_policy(loaded, runs, what_if):
            show_what_if(told)
        return
    with watching() as listener:
        made = curate(loaded, runs, recipe.resolve().parent, listener)
    for corpus in made:
        show_waterfall(corpus.manifest.name, corpus.manifest.waterfall)
        console.print(f"corpus: {corpus.folder}", soft_wrap=True)


def show_waterfall(name: str, told: "Waterfall") -> None:
    """What each rule dropped, in the order in which they were asked."""
    table = _table(name, "rule", "dropped", "bytes", "would drop first", "left")
    left = told.read.documents
    table.add_row("read", "", _size(told.read.bytes), "", f"{left:,}")
    for step in told.steps:
        left -= step.documents
        if step.any_documents:
            dropped, first = f"{step.documents:,}", f"{step.any_documents:,}"
            table.add_row(step.rule, dropped, _size(step.bytes), first, f"{left:,}")
    table.add_row("kept", "", _size(told.kept.bytes), "", f"{left:,}")
    console.print(table)


def show_what_if(told: "Tried") -> None:
    """Both waterfalls side by side, and what each rule of the other policy keeps out alone."""
    columns = ("rule", "drops now", "would drop", "bytes", "without it, kept more")
    table = _table(f"{told.corpus}: the other policy", *columns)
    now = {step.rule: step for step in told.now.steps}
    then = {step.rule: step for step in told.then.steps}
    for rule in dict.fromkeys([*now, *then]):
        old, new = now.get(rule), then.get(rule)
        if not (old and old.documents) and not (new and new.documents):
            continue
        more = ""
        if new:
            alone = told.alone.get(rule)
            documents, num_bytes = (alone.documents, alone.bytes) if alone else (0, 0)
            more = f"{documents:+,} ({_size(num_bytes)})"
        size = _size(new.bytes) if new else ""
        table.add_row(rule, _number(old), _number(new), size, more)
    kept = told.then.kept
    documents = [f"{k.documents:,}" for k in (told.now.kept, kept)]
    table.add_row("kept", *documents, _size(kept.bytes), "")
    console.print(table)


def _number(step: "Step | None") -> str:
    return "not asked" if step is None else f"{step.documents:,}"


def _size(num_bytes: int) -> str:
    return megabytes(num_bytes) if num_bytes >= 1e6 else f"{num_bytes / 1e3:,.0f} kB"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=not number)
    return table


@app.command()
def why(
    corpus: Annotated[Path, typer.Argument(help="A corpus' folder, or a run's.")],
    document: Annotated[
        str | None, typer.Argument(help="A path or its end, an id or its beginning, a key.")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option("--rule", help="Instead: all that gopher.min_words dropped."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Of a rule, so many documents.")
    ] = 20,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Every rule, partner and hit that kept or dropped a document, and where it went."""
    from evergrow.flow.corpora import dropped_by, why

    if document is not None and rule is None:
        answer = why(corpus, document, runs)
        show = partial(show_why, answer)
    elif rule is not None and document is None:
        answer = dropped_by(corpus, rule, limit)
        show = partial(show_dropped, answer)
    else:
        raise InputError("why: name either a document, or with --rule what dropped others")
    if as_json:
        print_json(asdict(answer))
    else:
        show()


def show_why(told: "Answer") -> None:
    """Every record of a document: its fate first, then what decided it."""
    for record in told.quarantined:
        fate = "read without what it claims" if record.kept else "not read"
        place = f"{record.path} at {record.offset:,}"
        _say(f"{fate}: {place}, because of {record.reason}; its beginning: {record.head!r}")
    for document in told.documents:
        _show_document(document)
    for one in told.elsewhere:
        where = " ".join(name for name in (one.source, one.path) if name)
        _say(f"{one.id} {where}: corpus {told.corpus} does not have it")
        for line in _held(one):
            _say(f"  {line}")
    looked = told.looked
    for one in looked.unreadable:
        _say(f"could not be looked at: {one.path}, because: {one.reason}")
    _say(
        f"looked through {looked.corpora} corpora and the data of {looked.runs} runs, below "
        f"{looked.folder} and beside this corpus"
    )


def _show_document(told: "Told") -> None:
    _say(f"{told.id} {told.key} ({told.source})")
    _say(f"  {_fate(told.decision)}")
    known = {"date": told.date, "license": told.license, "repository": told.repository}
    for name, value in known.items():
        if value:
            _say(f"  {name}: {value}")
    _say(f"  {told.bytes:,} bytes: {told.excerpt!r}")
    _show_rules(told.rules)
    for line in _lines(told):
        _say(f"  {line}")


def show_dropped(told: "Dropped") -> None:
    """The documents that one rule dropped, a row each."""
    title = f"{told.rule}: {len(told.documents):,} of the {told.num_documents:,} it dropped"
    table = _table(title, "id", "value", "threshold", "document")
    for one in told.documents:
        name = f"{one.key} ({one.source})"
        name += f", repeats {one.partner}" if one.partner else ""
        table.add_row(one.id, _plain(one.value), _plain(one.threshold), name)
    console.print(table)


def _fate(fate: "Fate") -> str:
    if fate.keep:
        return "kept"
    numbers = ""
    if fate.value is not None:
        numbers = f": {fate.value:g}, the threshold is {fate.threshold:g}"
    return f"dropped by {fate.rule}{numbers}"


def _show_rules(rules: "Sequence[RuleTold]") -> None:
    table = _table("", "rule", "value", "at least", "at most", "verdict")
    for rule in rules:
        low = " or ".join(rule.allowed) if rule.allowed else _plain(rule.low)
        table.add_row(rule.rule, _plain(rule.value), low, _plain(rule.high), rule.verdict)
    console.print(table)


def _plain(value: float | str | None) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, int | float) else value


def _lines(told: "Told") -> list[str]:
    """Partners, hits, cuts, edits, and where the document went, a sentence each."""
    lines = []
    if (partner := told.duplicate) is not None:
        alike = "" if partner.similarity is None else f", similarity {partner.similarity:.2f}"
        if partner.estimate is not None:
            alike += f" (estimated {partner.estimate:.2f})"
        fate = {True: "kept", False: f"dropped by {partner.rule}", None: "not here any more"}
        where = partner.key or f"of corpus {partner.corpus}"
        lines.append(f"repeats {partner.id} {where}{alike}; that one is {fate[partner.kept]}")
    lines += [f"repeated by {one.id} ({one.stage})" for one in told.repeated_by]
    lines += [_hit(hit) for hit in told.contamination]
    lines += [f"cut, because it occurred before: {line.strip()[:80]!r}" for line in told.cut]
    lines += [f"edited ({e.kind}) at {e.start:,} to {e.end:,}" for e in told.edits]
    return lines + _held(told)


def _held(told: "Told | Elsewhere") -> list[str]:
    """Which corpora and runs hold it."""
    lines = [f"in corpus {c.name} ({c.folder}){_by(c)}" for c in told.corpora]
    for run in told.runs:
        stages = f", read in {', '.join(run.stages)}" if run.stages else ""
        lines.append(f"in run {run.run}: {run.source}, {run.part}{stages}{_by(run)}")
    return lines


def _hit(hit: "Hit") -> str:
    share = f"{hit.share:.0%} of it, {hit.how}"
    return f"holds the {hit.part} of {hit.suite} {hit.item}: {share}"


def _by(found: "InCorpus | InRun") -> str:
    return ", under another id" if found.by == "text" else ""


def _say(sentence: str) -> None:
    console.print(sentence, markup=False, soft_wrap=True)
