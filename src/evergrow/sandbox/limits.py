"""How much a program in the sandbox may use."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Of each of the two processes; memory is bounded by ``num_processes * memory_bytes``.

    ``cpu_seconds`` are a process's own, so that a slow or busy machine gives the same verdict;
    ``wall_seconds`` end a program that sleeps, ``message_bytes`` bound one call or answer.
    """

    cpu_seconds: int = 4  # HumanEval's slowest solution and its tests take 0.7
    wall_seconds: float = 60
    memory_bytes: int = 1 << 29
    num_processes: int = 8  # threads count as well
    num_open_files: int = 64
    file_bytes: int = 1 << 24
    scratch_bytes: int = 1 << 24
    output_bytes: int = 1 << 20
    message_bytes: int = 1 << 22

    def inside(self) -> dict[str, int]:
        """What a process inside takes upon itself."""
        names = ("cpu_seconds", "memory_bytes", "num_processes", "num_open_files", "file_bytes")
        values = asdict(self)
        return {name: values[name] for name in names}
