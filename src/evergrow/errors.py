"""The errors a user can cause or meet; each is one sentence: the value, the rule, the way out."""


class EvergrowError(Exception):
    """Something failed while working; the command line prints it and exits with 1."""

    exit_code = 1


class InputError(EvergrowError):
    """The recipe, the data or the arguments are wrong; the command line exits with 2."""

    exit_code = 2


class Stopped(EvergrowError):
    """A signal asked the run to stop and everything was saved; exits with 128 + the signal."""

    def __init__(self, signal_number: int, saved_at: str) -> None:
        super().__init__(
            f"stopped by signal {signal_number}; everything up to {saved_at} is saved; "
            "run the same command to go on"
        )
        self.signal_number = signal_number
        self.saved_at = saved_at
        self.exit_code = 128 + signal_number

    def __reduce__(self) -> tuple[type["Stopped"], tuple[int, str]]:
        return Stopped, (self.signal_number, self.saved_at)
