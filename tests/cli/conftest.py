"""The command line called as a shell would, in this process."""

import sys
from collections.abc import Callable

import pytest

from evergrow import cli

Call = Callable[..., int]
Refused = Callable[..., str]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """The exit code of ``evergrow args``."""

    def called(*args: str) -> int:
        monkeypatch.setattr(sys, "argv", ["evergrow", *args])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        code = caught.value.code
        assert isinstance(code, int)
        return code

    return called


@pytest.fixture
def refused(call: Call, capsys: pytest.CaptureFixture[str]) -> Refused:
    """The one sentence of a mistake in ``evergrow args``, which ends with 2 and says no more."""

    def told(*args: str) -> str:
        assert call(*args) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1
        return said.err.removeprefix("error: ").removesuffix("\n")

    return told
