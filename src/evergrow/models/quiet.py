"""What transformers may not do to the process that calls it: print, or move the random state."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers.utils import logging


@contextmanager
def undisturbed() -> Iterator[None]:
    """No log lines below errors, no progress bars; torch's CPU random state is left as it was.

    transformers draws weights from the global state even where they are overwritten right after.
    """
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
