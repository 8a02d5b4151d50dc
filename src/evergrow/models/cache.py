"""Where models that are made of others on loading are kept, each by its content."""

import os
from pathlib import Path


def cache() -> Path:
    """EVERGROW_CACHE, else evergrow/ in XDG_CACHE_HOME, else ~/.cache/evergrow."""
    asked, shared = os.environ.get("EVERGROW_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if asked:
        return Path(asked).expanduser()
    return (Path(shared) if shared else Path.home() / ".cache") / "evergrow"
