"""The command line: parse, call one function, print. Heavy imports happen inside the commands."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from evergrow.grow_commands import grow_app

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Models that keep learning: one lineage from the first token to every release.",
    epilog="With --debug, anywhere, an error shows where in the code it was raised.",
)


def _count(text: str) -> int:
    from evergrow.config import parse_count
    from evergrow.errors import InputError

    try:
        tokens = int(str(parse_count(text)))
    except ValueError as error:
        raise InputError(f"--tokens: {error}") from error
    if tokens == 0:
        raise InputError("--tokens: expected at least one token, got 0")
    return tokens


RunPath = Annotated[Path, typer.Argument(help="A run's folder, or a recipe's with one run.")]
Runs = Annotated[Path, typer.Option("--runs", help="Where runs are kept.")]
Tokens = Annotated[
    int, typer.Option(parser=_count, metavar="COUNT", help="A count such as 500k, 20M or 3B.")
]
Data = Annotated[list[str], typer.Option(help="Files to learn: a glob; may be given again.")]
Shape = Literal["exponential", "linear", "one_minus_sqrt", "cosine"]
RUNS = Path("runs")


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe (YAML).")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key.path=value ...")] = None,
    runs: Runs = RUNS,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete what the run made so far.")
    ] = False,
    dry: Annotated[bool, typer.Option("--dry", help="Draw the plan and write nothing.")] = False,
) -> None:
    """Carry out a recipe; run again to go on where it stopped."""
    from evergrow.config import parse_override
    from evergrow.recipe import load_recipe

    loaded = load_recipe(recipe, dict(parse_override(o) for o in overrides or []))
    from evergrow import screen  # after the recipe: its mistakes are told before torch is loaded
    from evergrow.flow.dry import draw_plan
    from evergrow.flow.recipes import carry_out

    base = recipe.resolve().parent
    with screen.watching() as listener:
        if dry:
            plan = draw_plan(loaded, base, listener, runs)
        else:
            carried = carry_out(loaded, runs, base, listener, fresh)
    if dry:
        screen.show_plan(plan)
    else:
        screen.show_summary(carried.summary)
        screen.console.print(f"report: {carried.report}", soft_wrap=True)


@app.command("continue")
def continue_(
    model: Annotated[str, typer.Argument(help="A run, a Hugging Face model folder, or a hub id.")],
    data: Data,
    tokens: Tokens,
    name: Annotated[str, typer.Option(help="The new stage's name (and a new run's).")],
    evaluate: Annotated[
        list[str] | None, typer.Option(help="Files only measured, for a model without a run.")
    ] = None,
    peak_lr: Annotated[
        float | None, typer.Option(help="Peak rate, for a model without a run.")
    ] = None,
    replay: Annotated[
        float | None, typer.Option(help="Share of old data in the new stage, for a run.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key.path=value of the new recipe or stage.")
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """A new stage with new data, on a run's trunk or on a model that has no run yet."""
    from evergrow import screen
    from evergrow.config import parse_override
    from evergrow.errors import InputError
    from evergrow.flow.verbs import continue_model, continue_run

    changes = dict(parse_override(text) for text in settings or [])
    with screen.watching() as listener:
        if (Path(model) / "config.json").exists() or not Path(model).is_dir():
            if replay is not None:
                raise InputError(f"--replay: {model} has no run, so there is no old data to replay")
            if peak_lr is not None:
                changes["schedule.peak_lr"] = peak_lr
            carried = continue_model(
                model, data, tokens, name, runs, listener, changes, evaluate or []
            )
        else:
            if peak_lr is not None or evaluate:
                raise InputError(f"--peak-lr and --evaluate: {model} is a run and has its own")
            if replay is not None:
                changes["replay.fraction"] = replay
            carried = continue_run(Path(model), data, tokens, name, listener, changes)
    screen.show_summary(carried.summary)
    screen.console.print(f"report: {carried.report}", soft_wrap=True)


@app.command()
def extend(run: RunPath, tokens: Tokens) -> None:
    """More of a run's last stage; its release is made anew at the new end."""
    from evergrow import screen
    from evergrow.flow.verbs import extend

    with screen.watching() as listener:
        carried = extend(run, tokens, listener)
    screen.show_summary(carried.summary)
    screen.console.print(f"report: {carried.report}", soft_wrap=True)


@app.command()
def anneal(
    run: RunPath,
    tokens: Tokens,
    shape: Annotated[Shape, typer.Option(help="The way down.")] = "exponential",
    floor: Annotated[float, typer.Option(help="Last rate, as a share of the peak.")] = 0.1,
) -> None:
    """A release on request: branch off the trunk's head, rate to the floor, the trunk untouched."""
    from evergrow import screen
    from evergrow.flow.verbs import anneal

    with screen.watching() as listener:
        release = anneal(run, tokens, shape, floor, listener)
    screen.console.print(f"release: {release}", soft_wrap=True)


@app.command("eval")
def eval_(
    model: Annotated[Path, typer.Argument(help="A run, a release, or a model folder.")],
    data: Annotated[
        list[str] | None, typer.Option(help="Files; default: the run's held-out streams.")
    ] = None,
    sequence_length: Annotated[int | None, typer.Option(help="Tokens a window.")] = None,
) -> None:
    """Bits per byte with 95 % intervals."""
    from evergrow import screen
    from evergrow.flow.look import evaluate

    screen.show_scores(evaluate(model, data or [], sequence_length))


@app.command()
def sample(
    model: Annotated[Path, typer.Argument(help="A run, a release, or a model folder.")],
    prompt: Annotated[str, typer.Option(help="The beginning of the text.")] = "",
    tokens: Annotated[
        int, typer.Option(parser=_count, metavar="COUNT", help="How much to write.")
    ] = 100,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 0.8,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 0,
) -> None:
    """Text from a prompt."""
    from evergrow import screen
    from evergrow.flow.look import sample

    text = sample(model, prompt, tokens, temperature, seed)
    screen.console.print(prompt + text, markup=False, soft_wrap=True)


@app.command()
def report(run: RunPath) -> None:
    """Write the report of a run's recipe, or of corpora, again."""
    from evergrow import screen
    from evergrow.flow.find import find_reported
    from evergrow.report import write_report

    screen.console.print(f"report: {write_report(find_reported(run))}", soft_wrap=True)


@app.command("list")
def list_(runs: Runs = RUNS) -> None:
    """Every run with its state and size."""
    from evergrow import screen
    from evergrow.flow.look import list_runs

    screen.show_runs(list_runs(runs))


@app.command()
def log(
    run: RunPath,
    seen: Annotated[
        bool, typer.Option("--seen", help="What was read, by source and range.")
    ] = False,
) -> None:
    """The lineage of a run as a tree."""
    from evergrow import screen
    from evergrow.flow.find import find_root, find_run, unit_of

    found = find_run(run)
    if seen:
        recipe = unit_of(found, find_root(found.folder)).recipe
        screen.show_seen(found, recipe.train.sequence_length)
    else:
        screen.show_lineage(found)


@app.command()
def curate(
    recipe: Annotated[Path, typer.Argument(help="A recipe (YAML) with corpora.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key.path=value ...")] = None,
    runs: Runs = RUNS,
    what_if: Annotated[
        Path | None,
        typer.Option("--what-if", help="A policy (YAML): show what it would keep, write nothing."),
    ] = None,
) -> None:
    """Make a recipe's corpora from its sources; run again to go on where it stopped."""
    from evergrow import corpus_screen, screen
    from evergrow.config import parse_override
    from evergrow.flow.corpora import curate
    from evergrow.flow.corpora import what_if as try_policy
    from evergrow.recipe import load_corpus_recipe

    loaded = load_corpus_recipe(recipe, dict(parse_override(o) for o in overrides or []))
    if what_if is not None:
        for told in try_policy(loaded, runs, what_if):
            corpus_screen.show_what_if(told)
        return
    with screen.watching() as listener:
        made = curate(loaded, runs, recipe.resolve().parent, listener)
    for corpus in made:
        corpus_screen.show_waterfall(corpus.manifest["name"], corpus.manifest["waterfall"])
        screen.console.print(f"corpus: {corpus.folder}", soft_wrap=True)


@app.command()
def why(
    corpus: Annotated[
        Path, typer.Argument(help="A corpus' folder, or a recipe's with one corpus.")
    ],
    document: Annotated[str, typer.Argument(help="An id, the beginning of one, a key or a path.")],
    runs: Runs = RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: all of it.")] = False,
) -> None:
    """Every rule, partner and hit that kept or dropped a document, and where it went."""
    import json

    from evergrow import corpus_screen
    from evergrow.flow.corpora import why

    told = why(corpus, document, runs)
    if as_json:
        sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    else:
        corpus_screen.show_why(told)


@app.command()
def prune(
    run: RunPath,
    dry: Annotated[bool, typer.Option("--dry", help="Only say what would go.")] = False,
) -> None:
    """Delete checkpoints that going on does not need; releases and records stay."""
    from evergrow import screen
    from evergrow.flow.look import prune

    names, num_bytes = prune(run, dry)
    verb = "would delete" if dry else "deleted"
    kept = "kept what continue, extend and anneal need"
    screen.console.print(
        f"{verb} {len(names)} checkpoints ({screen.megabytes(num_bytes)}), {kept}: "
        f"{', '.join(names) or 'nothing'}",
        soft_wrap=True,
    )


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="infinite, rewarm, growth or growth-bert")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="key.path=value of its recipe; data.SOURCE=GLOB for your own files, data=GLOB "
            "for your own pictures."
        ),
    ] = None,
    modality: Annotated[str, typer.Option(help="What the question is asked of: text, image.")] = (
        "text"
    ),
    runs: Runs = RUNS,
    seeds: Annotated[int, typer.Option(help="Seeds 0 to N - 1; run again with more to add.")] = 3,
    scale: Annotated[
        str | None, typer.Option(help="Other sizes than those for two cores: gpu.")
    ] = None,
    fresh: Annotated[bool, typer.Option(help="Delete what the run made so far.")] = False,
) -> None:
    """One question of one paper: paired seeds, and a verdict on each of its claims."""
    from evergrow import screen
    from evergrow.config import parse_override
    from evergrow.studies import find_study
    from evergrow.studies.harness import carry_out_study, study_recipe
    from evergrow.studies.table import claims_table, numbers_table, what_is_missing

    settings = dict(parse_override(o) for o in overrides or [])
    asked = find_study(name, modality, settings.pop("data", None))
    recipe = study_recipe(asked, seeds, settings, scale)
    with screen.watching() as listener:
        findings = carry_out_study(asked, recipe, runs, listener, fresh)
    screen.console.print(numbers_table(findings), claims_table(findings), sep="\n")
    for note in findings["notes"]:
        screen.console.print(note)
    if sentence := what_is_missing(findings):
        screen.console.print(sentence, soft_wrap=True)
    screen.console.print(f"report: {runs / recipe.name / 'report.html'}", soft_wrap=True)


app.add_typer(grow_app, name="grow")


@app.command()
def schema() -> None:
    """The JSON schema of recipes, for editors."""
    import json

    from evergrow.recipe import Recipe

    sys.stdout.write(json.dumps(Recipe.model_json_schema(by_alias=True), indent=1) + "\n")


def main() -> None:
    """The entry point: errors are one line, unless ``--debug`` asks for the traceback."""
    from evergrow.errors import EvergrowError

    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        app()
    except (EvergrowError, OSError) as error:
        if debug:
            raise
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code if isinstance(error, EvergrowError) else 1)
