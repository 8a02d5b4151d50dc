"""The lineage as a drawing: one lane an arm, releases and branches beside the trunk.

Coordinates are those of an SVG view box WIDTH wide. A stage that several arms share is drawn once,
on the lane of the first of them, striped in their colours.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from evergrow.report.canvas import DASH, NUM_ARM_COLORS
from evergrow.report.folder import Arm, Growth, RunFolder, Span
from evergrow.report.words import count
from evergrow.run import Branch, StageRecord

WIDTH = 960
LEFT, RIGHT, TOP = 84, 130, 52
LANE = 74
DROP = 26  # from the trunk down to a release
BEND = 34  # length in which a line changes lanes

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
    spans = max((arm.first.spans for arm in folder.arms), key=len)
    first = min(arm.first.spans[0].start for arm in folder.arms)
    last = max(arm.first.spans[-1].end for arm in folder.arms)

    def place(tokens: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (tokens - first) / (last - first)

    arms = _side_by_side(folder, owners)
    lanes = {arm.name: float(TOP + LANE * number) for number, arm in enumerate(arms)}
    tree = Tree(height=TOP + LANE * (len(arms) - 1) + DROP + 24)
    tree.columns = [(place(span.start), span.stage.name) for span in spans]
    tree.lanes = [(lanes[arm.name], arm.name, arm.color) for arm in arms]
    tree.nodes.append(Node(place(first), TOP, "start", -1, "the model before stage 1"))
    drawn: set[str] = set()
    for arm in arms:
        _draw_arm(tree, arm, owners, lanes, drawn, place)
    return tree


def _draw_arm(
    tree: Tree,
    arm: Arm,
    owners: dict[str, list[Arm]],
    lanes: dict[str, float],
    drawn: set[str],
    place: Place,
) -> None:
    y = TOP
    for span in arm.first.spans:
        sharing = owners[span.stage.key]
        target = lanes[sharing[0].name]
        if span.stage.key not in drawn:
            drawn.add(span.stage.key)
            kind = "planned" if span.stage.status == "pending" else "trunk"
            rail = _rail(place(span.start), y, place(span.end), target)
            tree.curves.append(Curve(rail, kind, tuple(other.color for other in sharing)))
            tree.nodes.append(_trunk_node(place(span.end), target, kind, sharing, span.stage))
            if growth := arm.first.growths.get(span.stage.name):
                tree.nodes.append(_growth_node(place(span.start), target, sharing[0], span, growth))
            _draw_release(tree, arm, span, target, place)
        y = target
    for branch in arm.first.manifest.branches:
        _draw_branch(tree, arm, branch, lanes[arm.name], place)


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
    fork = place(stage.fork_step * arm.first.tokens_per_step)
    middle, low = (fork + end) / 2, y + DROP
    path = f"M{fork:.1f} {y:.1f} C{middle:.1f} {y:.1f} {middle:.1f} {low:.1f} {end:.1f} {low:.1f}"
    tree.curves.append(Curve(path, "release", (arm.color,)))
    tree.nodes.append(Node(end, low, "release", arm.color, title))


def _draw_branch(tree: Tree, arm: Arm, branch: Branch, y: float, place: Place) -> None:
    start = branch.from_step * arm.first.tokens_per_step
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
