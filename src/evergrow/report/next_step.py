"""What to do after this run: one command that can be copied, and why."""

import shlex
from dataclasses import dataclass

from evergrow.report.arms_table import changes_of
from evergrow.report.folder import Arm, RunFolder
from evergrow.report.verdict import ARROW, best_arm, listed, mean_rise
from evergrow.report.words import count, signed
from evergrow.stage.changes import Change

REPLAY = 0.1  # what removes most of the forgetting at little cost (docs/log.md)


@dataclass(frozen=True)
class Step:
    """A command line ("" where there is nothing to type) and its reason."""

    command: str
    why: str


def next_step(folder: RunFolder, not_learnt: list[str]) -> Step:
    """The step that what was measured speaks for; commands start in the folder that holds runs."""
    if folder.status == "running":
        return Step("", "It is being trained; this page is written anew as it goes on.")
    if folder.status != "done":
        return Step(f"evergrow run {_path(folder)}/recipe.yaml", "Goes on where it stopped.")
    if not_learnt:
        return _longer(folder, not_learnt)
    arm = best_arm(folder)
    if any(data.form == "examples" for data in folder.data.values()):
        return Step(f"evergrow sample {_path(folder, arm)} --prompt 'TEXT'", "Ask it something.")
    lost = sorted((c for c in changes_of(arm) if c.is_forgotten), key=lambda c: -(c.rise or 0))
    if len(folder.arms) > 1:
        return _go_on_with_the_best(folder, arm)
    if lost and lost[0].is_learnt:
        return _with_replay(folder, arm, lost[0])
    if lost:
        return _mixed_in(folder, arm, lost[0])
    return _go_on(folder, arm)


def _path(folder: RunFolder, arm: Arm | None = None) -> str:
    return shlex.quote(f"runs/{folder.name}" + (f"/{arm.first.path}" if arm else ""))


def _continue(folder: RunFolder, arm: Arm, more: str = "") -> str:
    tokens = count(arm.stages[-1].tokens)
    return (
        f"evergrow continue {_path(folder, arm)} --data 'FILES' --tokens {tokens} --name next{more}"
    )


def _longer(folder: RunFolder, not_learnt: list[str]) -> Step:
    """Twice as long, as a run of its own."""
    stages = folder.arms[0].plan  # of pictures: text has no constant to compare with
    lengths = [f"stages.{place}.images={2 * s.tokens}" for place, s in enumerate(stages)]
    name = shlex.quote(f"name={folder.name}-longer")
    command = f"evergrow run {_path(folder)}/recipe.yaml {name} {' '.join(lengths)}"
    why = f"No better than a constant answer: {listed(not_learnt)}. Twice as long, as a new run."
    return Step(command, why)


def _go_on_with_the_best(folder: RunFolder, arm: Arm) -> Step:
    rise = mean_rise(arm)
    kept = "" if rise is None else f" and forgot {signed(rise)}"
    why = f"{arm.name} ends lowest on average{kept}: its trunk can take in the next files."
    if folder.num_seeds == 1:
        why += " Under another name with seeds: 3 you would see what is chance."
    return Step(_continue(folder, arm), why)


def _with_replay(folder: RunFolder, arm: Arm, lost: Change) -> Step:
    """More replay than the last stage had."""
    had = float(str(arm.stages[-1].replay["fraction"]))
    share = min(0.5, 2 * had) if had else REPLAY
    why = (
        f"{_told(lost)} was lost. A next stage that replays {share:.0%} of what was learnt "
        "keeps it, at little cost to the new."
    )
    return Step(_continue(folder, arm, f" --replay {share:g}"), why)


def _mixed_in(folder: RunFolder, arm: Arm, lost: Change) -> Step:
    """What no stage has learnt cannot be replayed, but it can be read along."""
    place = len(arm.plan) - 1
    new = {name: round((1 - REPLAY) * w, 6) for name, w in arm.plan[place].mixture.items()}
    mixture = ", ".join(f"{name}: {w:g}" for name, w in {**new, lost.stream: REPLAY}.items())
    others = [s for s in folder.sources if s not in folder.learnt and s != lost.stream]
    settings = [
        f"name={folder.name}-mixed",
        f"stages.{place}.data=null",
        f"stages.{place}.mixture={{{mixture}}}",
        f"evaluate.sources=[{', '.join(others)}]",
    ]
    why = (
        f"{_told(lost)} was lost, and is only measured. A tenth of it read along with the new "
        "keeps most; a lower schedule.peak_lr forgets less too."
    )
    told = " ".join(shlex.quote(setting) for setting in settings)
    return Step(f"evergrow run {_path(folder)}/recipe.yaml {told}", why)


def _go_on(folder: RunFolder, arm: Arm) -> Step:
    """Nothing was lost, or nothing older was measured."""
    known = [c for c in changes_of(arm) if c.rise is not None]
    if not known and folder.begins_with_a_model and folder.counted == "tokens":
        why = "What the model knew before was not measured: name files of that kind."
        return Step(f"evergrow eval {_path(folder)} --add old='FILES'", why)
    kept = "Nothing was lost." if known else "The trunk is not annealed."
    return Step(_continue(folder, arm), f"{kept} It can take in the next files.")


def _told(lost: Change) -> str:
    assert lost.lowest is not None and lost.last is not None
    return (
        f"{lost.stream}, {lost.lowest.loss:.2f} {ARROW} {lost.last.loss:.2f} "
        f"({signed(lost.rise or 0)}),"
    )
