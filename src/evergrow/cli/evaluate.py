"""The command eval: losses, and scores on suites; their tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from evergrow.cli.live import watching
from evergrow.cli.options import Json, ModelName
from evergrow.cli.terminal import beside, console, print_json
from evergrow.errors import InputError

if TYPE_CHECKING:
    from evergrow.evals.suites.records import SuiteScore

app = typer.Typer(rich_markup_mode=None)


@app.command("eval")
def eval_(
    model: ModelName,
    other: Annotated[
        str | None, typer.Argument(help="With --suite: a second model, compared item by item.")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="Files; default: the run's held-out streams.")
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(help="name=files: measure every release of a run on it from now on."),
    ] = None,
    sequence_length: Annotated[int | None, typer.Option(help="Tokens a window.", min=2)] = None,
    suite: Annotated[
        str | None, typer.Option(help="Items with verifiers: humaneval, or a file of them.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Answers to each item; default: 1.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Default: 0 for one answer, 0.8 for several.")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Draw from the likeliest of this chance together.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Of an answer; default: what the suite says, else 512.")
    ] = None,
    chat: Annotated[bool, typer.Option("--chat", help="Ask by the chat template.")] = False,
    limit: Annotated[int | None, typer.Option(help="So many items, the same for all.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of what is drawn; default: 0.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="JSONL of answers made elsewhere: judge these.")
    ] = None,
    allow_unsandboxed: Annotated[
        bool, typer.Option("--allow-unsandboxed", help="Carry out programs without protection.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Losses, or scores on a suite, with 95 % intervals; what was measured before is read."""
    asked = _said(
        samples=samples,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        chat=chat or None,
        limit=limit,
        seed=seed,
    )
    if suite is None:
        if asked or other or answers or allow_unsandboxed:
            raise InputError("--suite: say which; a second model and answers belong to a suite")
        _losses(model, data or [], add or [], sequence_length, as_json)
        return
    if data or add or sequence_length:
        raise InputError("--suite: brings its own items; leave --data, --add and the length out")
    models = [model, *([other] if other else [])]
    found = suite_scores(models, suite, asked, answers, allow_unsandboxed)
    if as_json:
        print_json(_with_difference(found))
    else:
        show_suite_scores(found)


def _said(**asked: float | None) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


def _losses(
    model: str, data: list[str], add: list[str], sequence_length: int | None, as_json: bool
) -> None:
    from evergrow.cli.look import show_scores
    from evergrow.flow.asked import refuse_no_files
    from evergrow.flow.find import find_root
    from evergrow.models.find import find_model

    more = [pair_of(text) for text in add]
    refuse_no_files(data, Path.cwd(), "--data")
    refuse_no_files([files for _, files in more], Path.cwd(), "--add")
    if more:
        find_root(Path(model))
    folder = find_model(model)
    from evergrow.flow.look import evaluate  # after what was typed: its mistakes need no torch
    from evergrow.flow.verbs import measure_also

    with watching(beside if as_json else None) as listener:
        for name, files in more:
            measure_also(Path(model), name, files, listener)
    found = evaluate(folder, data, sequence_length)
    if as_json:
        print_json([line.model_dump(mode="json") for line in found])
    else:
        show_scores(found)


def pair_of(text: str) -> tuple[str, str]:
    """``name=files``; raises InputError for anything else."""
    name, equals, files = text.partition("=")
    if not (name and equals and files):
        raise InputError(f"--add: expected name=files, such as old='mail/*.txt', got {text!r}")
    return name, files


def suite_scores(
    models: Sequence[str],
    suite: str,
    asked: dict[str, Any],
    answers: Path | None,
    allow_unsandboxed: bool,
) -> "list[SuiteScore]":
    """The scores of one model or two on a suite."""
    from evergrow.config import decode
    from evergrow.evals.suites.config import Asked
    from evergrow.models.find import find_model

    settings = decode(Asked, asked, "eval")
    for model in models:
        find_model(model)
    from evergrow.flow.suites import evaluate_suite

    return evaluate_suite(list(models), suite, settings, answers, allow_unsandboxed)


def _with_difference(scores: "list[SuiteScore]") -> dict[str, Any]:
    from dataclasses import asdict

    from evergrow.flow.suites import compared

    found: dict[str, Any] = {"scores": [score.model_dump(mode="json") for score in scores]}
    if len(scores) == 2:
        found["difference"] = asdict(compared(*scores))
    return found


def show_suite_scores(scores: "Sequence[SuiteScore]") -> None:
    """Each metric with its interval beside what needs no model; what it rests on; a comparison."""
    first = scores[0]
    title = f"{first.suite}, {len(first.items):,} items, in %"
    table = Table("model", "metric", "score", "95 % interval", title=title, title_justify="left")
    for score in scores:
        others = {name: told for name, told in score.scores.items() if name != score.metric}
        for metric, told in {score.metric: score.own, **others}.items():
            between = f"{100 * told.low:.1f} to {100 * told.high:.1f}"
            table.add_row(score.model, metric, f"{100 * told.value:.1f}", between)
    for name, value in first.baselines.items():
        table.add_row("no model", name, f"{100 * value:.1f}", "")
    console.print(table)
    for score in scores:
        console.print(_told(score), markup=False, soft_wrap=True)
    if len(scores) == 2:
        from evergrow.flow.suites import compared

        console.print(compared(*scores).verdict, markup=False, soft_wrap=True)


def _told(score: "SuiteScore") -> str:
    """What a score rests on, in lines."""
    parts = [f"interval: {score.own.method}"]
    if (sampling := score.sampling) is not None:
        drawn = f"temperature {sampling.temperature:g}, top_p {sampling.top_p:g}"
        parts.append(
            f"{score.samples} answers an item, {drawn}, at most {sampling.max_tokens} tokens, "
            f"seed {score.seed}{', as a chat' if score.chat else ''}"
        )
    if score.counts:
        parts.append(", ".join(f"{name}: {number:,}" for name, number in score.counts.items()))
    if score.tier:
        from evergrow.sandbox.tiers import TIERS

        parts.append(f"sandbox: {score.tier} (keeps out {TIERS[score.tier].keeps_out})")
    lines = f"{score.model}: {'; '.join(parts)}"
    return f"{lines}\ntraining data checked against this suite: {score.searched}"
