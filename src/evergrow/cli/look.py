"""Commands on what there is: sample, report, list, log, prune, schema; their tables."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.tree import Tree

from evergrow.cli.options import RUNS, Json, ModelName, RunPath, Runs, parse_tokens
from evergrow.cli.terminal import console, megabytes, print_json, rounded

if TYPE_CHECKING:
    from evergrow.flow.listing import Listed
    from evergrow.lineage import Measured
    from evergrow.run import Run, StageRecord

app = typer.Typer(rich_markup_mode=None)


def show_scores(lines: Sequence["Measured"]) -> None:
    """Losses with their intervals, beside what a constant reaches, and over how much they are."""
    names = list(dict.fromkeys(name for line in lines for name in line.counts))
    more = [
        name
        for name in ("floor", "accuracy", "majority", "auroc")
        if any(getattr(line, name) is not None for line in lines)
    ]
    units = list(dict.fromkeys(line.unit for line in lines))
    heads = [word.removeprefix("num_") for word in (*more, *names)]
    table = Table("source", units[0] if len(units) == 1 else "loss", "95 % interval", *heads)
    for line in lines:
        unit = "" if len(units) == 1 else f" {line.unit}"
        table.add_row(
            line.source,
            f"{line.loss:.3f}{unit}",
            f"{line.low:.3f} to {line.high:.3f}",
            *(rounded(getattr(line, name)) for name in more),
            *(f"{line.counts[name]:,}" if name in line.counts else "" for name in names),
        )
    console.print(table)
    for line in lines:
        if line.told is not None and any(label.floor is not None for label in line.told.labels):
            show_findings(line)


def show_findings(line: "Measured") -> None:
    """Each finding by itself: how often it is there, and what ranking and loss say of it."""
    assert line.told is not None
    heads = ("known", "present", "share", "AUROC", "95 % interval", "log loss", "floor")
    table = Table(line.source, *heads)
    for label in line.told.labels:
        area = label.auroc
        table.add_row(
            label.label,
            f"{label.known:,}",
            f"{label.present:,}",
            rounded(label.prevalence if label.known else None),
            rounded(area and area.value),
            f"{area.low:.3f} to {area.high:.3f}" if area else "",
            rounded(label.loss),
            rounded(label.floor),
        )
    console.print(table)


@app.command()
def sample(
    model: ModelName,
    prompt: Annotated[str, typer.Option(help="The beginning of the text.")] = "",
    tokens: Annotated[
        int, typer.Option(parser=parse_tokens, metavar="COUNT", help="How much to write.")
    ] = 100,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 0.8,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 0,
) -> None:
    """Text from a prompt."""
    from evergrow.models.find import find_model

    folder = find_model(model)
    from evergrow.flow.look import sample

    text = sample(folder, prompt, tokens, temperature, seed)
    console.print(prompt + text, markup=False, soft_wrap=True)


@app.command()
def report(run: RunPath) -> None:
    """Write the report of a run's recipe, or of corpora, again."""
    from evergrow.flow.find import find_reported
    from evergrow.flow.pages import write_pages_again

    console.print(f"report: {write_pages_again(find_reported(run))}", soft_wrap=True)


@app.command("list")
def list_(runs: Runs = RUNS, as_json: Json = False) -> None:
    """Every run with its state and size."""
    from evergrow.flow.listing import list_runs

    found = list_runs(runs)
    if as_json:
        print_json([{**asdict(run), "path": str(run.path)} for run in found])
    elif found:
        show_runs(found)
    else:
        console.print(f"no runs in {runs} yet; make one with evergrow run", markup=False)


def show_runs(runs: Sequence["Listed"]) -> None:
    """Every run with its state and size."""
    table = Table("run", "status", "stages", "tokens", "size")
    for run in runs:
        size = megabytes(run.num_bytes)
        table.add_row(str(run.path), run.status, run.stages, f"{run.tokens:,}", size)
    console.print(table)


@app.command()
def log(
    run: RunPath,
    seen: Annotated[
        bool, typer.Option("--seen", help="What was read, by source and range.")
    ] = False,
    as_json: Json = False,
) -> None:
    """The lineage of a run as a tree."""
    from evergrow.flow.find import find_run

    found = find_run(run)
    if as_json:
        print_json(found.manifest.model_dump(mode="json", exclude={"recipe", "environment"}))
    elif seen:
        show_seen(found)
    else:
        show_lineage(found)


def show_lineage(run: "Run") -> None:
    """The tree of stages, the releases that left their trunks, and branches made on request."""
    manifest = run.manifest
    start = f"{manifest.name}, {manifest.arm}, seed {manifest.seed}: from {manifest.start.source}"
    tree = Tree(start)
    above: dict[int, Tree] = {}  # what each stage hangs from
    nodes: dict[int, Tree] = {}
    orders = {number for stage in manifest.stages for number in stage.ingredients}
    drawn = {n: stage for n, stage in enumerate(manifest.stages) if n not in orders}
    for number, stage in drawn.items():
        place = stage.begin.stage
        # A trunk that goes on stays in its line; what else leaves a stage hangs below it.
        first = next(s for s in drawn.values() if s.begin.stage == place)
        goes_on = stage.begin.kind == "trunk" and first is stage
        above[number] = tree if place is None else above[place] if goes_on else nodes[place]
        nodes[number] = above[number].add(_stage_line(stage))
        if stage.ingredients:
            _add_orders(nodes[number], stage, [manifest.stages[n] for n in stage.ingredients])
        elif stage.release:
            left = stage.last_step if stage.fork_step is None else stage.fork_step
            where = f"left the trunk at {stage.clock_at(left):,} {stage.counted}"
            nodes[number].add(f"release {stage.release}, {where}")
        for branch in manifest.branches:
            if branch.stage == stage.name:
                left = stage.clock_at(branch.from_step)
                told = f"{branch.tokens:,} {stage.counted} from {left:,}"
                nodes[number].add(f"release {branch.release}, {told}")
    console.print(tree)


def _add_orders(node: Tree, stage: "StageRecord", orders: Sequence["StageRecord"]) -> None:
    """The orders that a stage is made of and their average, and the losses one is chosen by."""
    losses = {one.name: one.loss for one in stage.soup.candidates} if stage.soup else {}
    for order in orders:
        loss = f", {losses.pop(order.name):.4f} {order.unit}" if order.name in losses else ""
        shared = f", shared with {order.shared_with}" if order.shared_with else ""
        node.add(
            f"{order.name} ({order.status}{shared}): {order.release or 'no release yet'}{loss}"
        )
    for name, loss in losses.items():
        node.add(f"{name} of the {len(orders)} orders, {loss:.4f} {stage.unit}")
    if stage.soup is not None:
        node.add(f"release {stage.release}, the best: {stage.soup.chosen}")


def _stage_line(stage: "StageRecord") -> str:
    shared = f", shared with {stage.shared_with}" if stage.shared_with else ""
    begin = stage.begin
    model = f", from {begin.model}" if begin.kind == "model" else ""
    release = ", from the release" if begin.kind == "release" else ""
    end = f"{stage.clock_at(stage.last_step):,} {stage.counted}"
    way = f"{len(stage.ingredients)} orders" if stage.ingredients else "trunk"
    return (
        f"{stage.name} ({stage.objective}, {stage.status}{shared}{model}{release}): {way} to {end}"
    )


def show_seen(run: "Run") -> None:
    """What every stage read: ranges of each source's own reading order, in its samples."""
    table = Table("stage", "source", "samples read", "epochs so far", "replayed", "holding")
    for stage in run.manifest.stages:
        for source, seen in stage.seen.items():
            table.add_row(
                stage.name,
                source,
                f"{seen.first:,} to {seen.last:,}" if seen.last > seen.first else "",
                f"{seen.epochs:.2f}" if seen.last else "",
                f"{seen.replayed:,}" if seen.replayed else "",
                f"{seen.tokens:,} {stage.counted}",
            )
    console.print(table)


@app.command()
def prune(
    run: RunPath,
    dry: Annotated[bool, typer.Option("--dry", help="Only say what would go.")] = False,
) -> None:
    """Delete checkpoints that going on does not need; releases and records stay."""
    from evergrow.flow.find import find_run

    find_run(run)
    from evergrow.flow.look import prune

    names, num_bytes = prune(run, dry)
    verb = "would delete" if dry else "deleted"
    kept = "kept what continue, extend and anneal need"
    console.print(
        f"{verb} {len(names)} checkpoints ({megabytes(num_bytes)}), {kept}: "
        f"{', '.join(names) or 'nothing'}",
        soft_wrap=True,
    )


@app.command()
def schema() -> None:
    """The JSON schema of recipes, for editors."""
    from evergrow.recipe import Recipe

    print_json(Recipe.model_json_schema(by_alias=True))
