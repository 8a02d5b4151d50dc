"""The lineage as a drawing: a lane for each leaf of an arm, releases and branches beside them.

Coordinates are those of an SVG view box WIDTH wide. A stage that several arms share is drawn once,
on the lane of the first of them, striped in their colours. The lane of an arm leads to its last
stage; below it lie those of other leaves.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from evergrow.report.canvas import DASH, NUM_ARM_COLORS
from evergrow.report.folder import Arm, Growth, RunFolder, Span
from evergrow.report.matrix import ways
from evergrow.report.words import count
from evergrow.run import Branch, StageRecord

WIDTH = 960
LEFT, RIGHT, TOP = 84, 130, 52
LANE = 74
DROP = 26  # from the trunk down to a release
BEND = 34  # length in which a line changes lanes
FAN = 12  # between the orders of a stage
JOINED = 22  # before the stage's end, where they lead together

Place = Callable[[float], float]  # tokens -> x


@dataclass(frozen=True)
class Curve:
    """A path shared by the arms ``colors``; ``kind`` is trunk, planned, release or branch."""

    path: str
    kind: str
    colors: tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """A point; ``kind`` as of a Curve, or start or growth; ``title`` shows on hovering."""

    x: float
    y: float
    kind: str
    color: int
    title: str
    label: str = ""


@dataclass
class Tree:
    """A drawing ready for the page."""

    height: float
    columns: list[tuple[float, str]] = field(default_factory=list)
    lanes: list[tuple[float, str, int]] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)


def lineage(folder: RunFolder) -> Tree:
    """Draw the first seed of every arm; arms that share stages lie side by side."""
    owners = _owners(folder)
    longest = max((arm.first.way for arm in folder.arms), key=len)
    spans = [span for arm in folder.arms for span in arm.first.spans]
    first, last = min(span.start for span in spans), max(span.end for span in spans)

    def place(tokens: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (tokens - first) / (last - first)

    arms = _side_by_side(folder, owners)
    lanes = _lanes(arms)
    tree = Tree(height=max(lane.y for lane in lanes.values()) + DROP + 24)
    tree.columns = [(place(span.start), span.stage.name) for span in longest]
    tree.lanes = [(lane.y, lane.name, lane.color) for lane in dict.fromkeys(lanes.values())]
    tree.nodes.append(Node(place(first), TOP, "start", -1, "the model before stage 1"))
    drawn: set[str] = set()
    for arm in arms:
        _draw_arm(tree, arm, owners, lanes, drawn, place)
    return tree


class Lane(NamedTuple):
    """The height of a leaf's stages, and what stands at its end."""

    y: float
    name: str
    color: int


Lanes = dict[tuple[str, str], Lane]  # by arm and stage


def _lanes(arms: list[Arm]) -> Lanes:
    """The lane of every stage of every arm: of the first leaf that it leads to."""
    found: Lanes = {}
    height = float(TOP)
    for arm in arms:
        for leaf, way in ways(arm):
            name = arm.name if leaf == arm.stages[-1].name else f"{arm.name}: {leaf}"
            lane = Lane(height, name, arm.color)
            for span in way:
                found.setdefault((arm.name, span.stage.name), lane)
            height += LANE
    return found


def _draw_arm(
    tree: Tree,
    arm: Arm,
    owners: dict[str, list[Arm]],
    lanes: Lanes,
    drawn: set[str],
    place: Place,
) -> None:
    heights: list[float] = []
    ingredients = {number for stage in arm.stages for number in stage.ingredients}
    for number, span in enumerate(arm.first.spans):
        stage, begin = span.stage, span.stage.begin
        sharing = owners[stage.key]
        target = 0.0 if number in ingredients else lanes[sharing[0].name, stage.name].y
        y = float(TOP) if begin.stage is None else heights[begin.stage]
        y += DROP if begin.kind == "release" else 0
        heights.append(target)
        if stage.key in drawn or number in ingredients:
            continue
        drawn.add(stage.key)
        if stage.ingredients:
            _draw_orders(tree, arm, span, y, target, place)
            continue
        kind = "planned" if stage.status == "pending" else "trunk"
        rail = _rail(place(span.start), y, place(span.end), target)
        tree.curves.append(Curve(rail, kind, tuple(other.color for other in sharing)))
        tree.nodes.append(_trunk_node(place(span.end), target, kind, sharing, stage))
        if growth := arm.first.growths.get(stage.name):
            tree.nodes.append(_growth_node(place(span.start), target, sharing[0], span, growth))
        _draw_release(tree, arm, span, target, place)
    places = {stage.name: stage for stage in arm.stages}
    for branch in arm.first.manifest.branches:
        stage = places[branch.stage]
        _draw_branch(tree, arm, branch, stage, lanes[arm.name, stage.name].y, place)


def _trunk_node(x: float, y: float, kind: str, sharing: list[Arm], stage: StageRecord) -> Node:
    names = ", ".join(arm.name for arm in sharing)
    shared = "trained once, shared: " if len(sharing) > 1 else ""
    return Node(x, y, kind, sharing[0].color, f"{stage.name} ({shared}{names})")


def _growth_node(x: float, y: float, arm: Arm, span: Span, growth: Growth) -> Node:
    """Where a stage's line has come to its own lane: the model that it begins with is larger."""
    size = growth.cost.source.num_parameters, growth.cost.grown.num_parameters
    axes = ", ".join(f"{a.axis} {a.before} to {a.after}" for a in growth.axes)
    title = (
        f"grown before {span.stage.name}: {count(size[0])} to {count(size[1])} parameters; "
        f"{axes} ({growth.exactness})"
    )
    return Node(x + BEND, y, "growth", arm.color, title, f"{size[1] / size[0]:.2g}x")


def _draw_release(tree: Tree, arm: Arm, span: Span, y: float, place: Place) -> None:
    """A fork that ends in a ring; a ring on the trunk where the trunk itself was annealed."""
    stage, end = span.stage, place(span.end)
    if stage.release is None:
        return
    title = f"{arm.first.path}/{stage.release}"
    if stage.fork_step is None:
        tree.nodes.append(Node(end, y, "release", arm.color, title))
        return
    fork = place(stage.clock_at(stage.fork_step))
    middle, low = (fork + end) / 2, y + DROP
    path = f"M{fork:.1f} {y:.1f} C{middle:.1f} {y:.1f} {middle:.1f} {low:.1f} {end:.1f} {low:.1f}"
    tree.curves.append(Curve(path, "release", (arm.color,)))
    tree.nodes.append(Node(end, low, "release", arm.color, title))


def _draw_orders(tree: Tree, arm: Arm, span: Span, y: float, target: float, place: Place) -> None:
    """A fan of the orders that a stage is made of: each ends in a ring, all lead to its release."""
    stage, x0, x1 = span.stage, place(span.start), place(span.end)
    parts = [arm.stages[number] for number in stage.ingredients]
    gap = min(FAN, 2 * DROP / (len(parts) - 1))
    losses = {one.name: one.loss for one in stage.soup.candidates} if stage.soup else {}
    for number, part in enumerate(parts):
        height = target + (number - (len(parts) - 1) / 2) * gap
        x, middle = x1 - JOINED, x0 + min(BEND, (x1 - x0) / 2)
        path = (
            f"M{x0:.1f} {y:.1f} C{middle:.1f} {y:.1f} {x0:.1f} {height:.1f} {middle:.1f} "
            f"{height:.1f} H{x:.1f} L{x1:.1f} {target:.1f}"
        )
        kind = "planned" if part.status == "pending" else "release"
        tree.curves.append(Curve(path, kind, (arm.color,)))
        if part.release is not None:
            loss = f": {losses[part.name]:.4f} {part.unit}" if part.name in losses else ""
            title = f"{arm.first.path}/{part.release}{loss}"
            tree.nodes.append(Node(x, height, "release", arm.color, title))
    kind = "planned" if stage.release is None else "release"
    chosen = "" if stage.soup is None else f", {stage.soup.chosen} of {len(parts)} orders"
    title = stage.name if stage.release is None else f"{arm.first.path}/{stage.release}{chosen}"
    tree.nodes.append(Node(x1, target, kind, arm.color, title))


def _draw_branch(
    tree: Tree, arm: Arm, branch: Branch, stage: StageRecord, y: float, place: Place
) -> None:
    start = stage.clock_at(branch.from_step)
    x0, x1 = place(start), min(place(start + branch.tokens) + 14, WIDTH - RIGHT + 30)
    high = y - DROP
    path = (
        f"M{x0:.1f} {y:.1f} C{x0 + 10:.1f} {high:.1f} {x0 + 10:.1f} {high:.1f} {x1:.1f} {high:.1f}"
    )
    tree.curves.append(Curve(path, "branch", (arm.color,)))
    title = f"{arm.first.path}/{branch.release}"
    tree.nodes.append(Node(x1, high, "branch", arm.color, title, branch.name))


def stripes(colors: tuple[int, ...]) -> list[tuple[str, str]]:
    """CSS colour and dash array of lines drawn over each other so that all stay visible."""
    number = len(colors)
    return [
        (
            f"var(--arm-{color % NUM_ARM_COLORS})",
            f"{DASH * (number - place)} {DASH * place}" if place else "none",
        )
        for place, color in enumerate(colors)
    ]


def _owners(folder: RunFolder) -> dict[str, list[Arm]]:
    """Arms by the key of each node they trained or share."""
    owners: dict[str, list[Arm]] = {}
    for arm in folder.arms:
        for stage in arm.stages:
            owners.setdefault(stage.key, []).append(arm)
    return owners


def _side_by_side(folder: RunFolder, owners: dict[str, list[Arm]]) -> list[Arm]:
    """The arms from top to bottom in the order of their ancestors, so that lines rarely cross."""

    def ancestors(arm: Arm) -> list[int]:
        return [owners[stage.key][0].color for stage in arm.stages]

    return sorted(folder.arms, key=ancestors)


def _rail(x0: float, y0: float, x1: float, y1: float) -> str:
    """A straight line, or one that changes lanes in a soft bend first."""
    if y0 == y1:
        return f"M{x0:.1f} {y0:.1f} H{x1:.1f}"
    bend = min(BEND, (x1 - x0) * 0.8)
    middle = x0 + bend / 2
    turn = f"C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x0 + bend:.1f} {y1:.1f}"
    return f"M{x0:.1f} {y0:.1f} {turn} H{x1:.1f}"
