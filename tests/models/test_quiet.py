"""Settings of transformers and torch's random state come back, also after an error."""

import pytest
import torch
from transformers.utils import logging

from evergrow.models.quiet import undisturbed


def test_everything_is_put_back_after_an_error() -> None:
    logging.set_verbosity_info()
    logging.enable_progress_bar()
    before = torch.get_rng_state()
    try:
        with pytest.raises(KeyError), undisturbed():
            assert logging.get_verbosity() == logging.ERROR
            assert not logging.is_progress_bar_enabled()
            torch.rand(3)
            raise KeyError
        assert logging.get_verbosity() == logging.INFO
        assert logging.is_progress_bar_enabled()
        assert torch.equal(torch.get_rng_state(), before)
    finally:
        logging.set_verbosity_warning()


def test_bars_that_were_off_stay_off() -> None:
    logging.disable_progress_bar()
    try:
        with undisturbed():
            pass
        assert not logging.is_progress_bar_enabled()
    finally:
        logging.enable_progress_bar()
