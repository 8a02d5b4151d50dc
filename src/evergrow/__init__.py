"""Models that keep learning: one lineage from the first token to every release.

The verbs of the command line by their words: ``run``, ``continue_``, ``grow_plan``. An underscore
ends a name that Python has itself. Importing this imports nothing; a verb is imported when it is
first asked for.
"""

import sys
from importlib import import_module
from types import ModuleType

TYPE_CHECKING = False  # type checkers know the name; typing takes twice as long as all the rest
if TYPE_CHECKING:
    from evergrow.listener import Listener
    from evergrow.python.compare import compare, open_
    from evergrow.python.corpora import curate, why
    from evergrow.python.evaluate import eval_
    from evergrow.python.grow import grow_apply, grow_plan, grow_verify
    from evergrow.python.init import init
    from evergrow.python.look import list_, log, prune, report, sample, schema
    from evergrow.python.rewarm import rewarm
    from evergrow.python.run import anneal, continue_, extend, load, plan, run
    from evergrow.python.shift import shift
    from evergrow.python.soup import soup
    from evergrow.python.study import study

    __version__: str

_HOMES = {
    "init": "init",
    "run": "run",
    "plan": "run",
    "continue_": "run",
    "extend": "run",
    "anneal": "run",
    "soup": "soup",
    "load": "run",
    "rewarm": "rewarm",
    "shift": "shift",
    "eval_": "evaluate",
    "sample": "look",
    "report": "look",
    "list_": "look",
    "log": "look",
    "compare": "compare",
    "open_": "compare",
    "curate": "corpora",
    "why": "corpora",
    "prune": "look",
    "study": "study",
    "schema": "look",
    "grow_plan": "grow",
    "grow_apply": "grow",
    "grow_verify": "grow",
}

__all__ = [
    "Listener",
    "anneal",
    "compare",
    "continue_",
    "curate",
    "eval_",
    "extend",
    "grow_apply",
    "grow_plan",
    "grow_verify",
    "init",
    "list_",
    "load",
    "log",
    "open_",
    "plan",
    "prune",
    "report",
    "rewarm",
    "run",
    "sample",
    "schema",
    "shift",
    "soup",
    "study",
    "why",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.python.{_HOMES[name]}"), name)
    if name == "Listener":
        return import_module(f"{__name__}.listener").Listener
    if name == "__version__":
        return import_module("importlib.metadata").version(__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


class _Verbs(ModuleType):
    """Keeps ``evergrow.run`` the verb: an import of the room of that name would put it there."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Verbs
