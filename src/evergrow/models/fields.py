"""Which fields of config.json transformers looks at; a file on the hub may hold any others."""

import dataclasses
import importlib
import inspect
import re
from functools import cache

from transformers import CONFIG_MAPPING, GenerationConfig, configuration_utils, modeling_rope_utils

# Of how text is generated; transformers 5 drops them from a config.json.
_OF_GENERATION = frozenset(GenerationConfig._get_default_generation_params())


def is_read(model_type: str, name: str) -> bool:
    """Whether transformers' code for ``model_type`` declares the field or mentions it by name.

    A field that it does neither with cannot reach what the model computes.
    """
    if name in _OF_GENERATION:
        return False
    if name in {field.name for field in dataclasses.fields(CONFIG_MAPPING[model_type])}:
        return True
    mention = re.compile(rf"""(\b(config|self)\.|["']){re.escape(name)}\b""")
    return any(mention.search(text) for text in _sources(model_type))


@cache
def _sources(model_type: str) -> tuple[str, ...]:
    """What reads a configuration of ``model_type``: its own two modules and the general ones."""
    own = CONFIG_MAPPING[model_type].__module__
    folder, _, file = own.rpartition(".")
    modeling = f"{folder}.{file.replace('configuration_', 'modeling_')}"
    modules = [importlib.import_module(module) for module in (own, modeling)]
    return tuple(
        inspect.getsource(module) for module in (*modules, configuration_utils, modeling_rope_utils)
    )
