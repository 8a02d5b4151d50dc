"""A filter of system calls for bubblewrap: what opens ways around the limits is refused.

The program is classic BPF over ``struct seccomp_data`` (number, architecture, pointer, six
arguments of 8 bytes), as the kernel's Documentation/userspace-api/seccomp_filter.rst has it.
"""

import errno
import platform
import struct

# Namespaces give capabilities over new mounts, and so memory without bound; shared memory that is
# detached again counts in no limit; the rest watches or steers other processes and the kernel.
REFUSED = {
    "x86_64": {
        **{"shmget": 29, "ptrace": 101, "pivot_root": 155, "mount": 165, "umount2": 166},
        **{"add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "setns": 308},
        **{"perf_event_open": 298, "process_vm_readv": 310, "process_vm_writev": 311},
        **{"memfd_create": 319, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425},
        **{"open_tree": 428, "fsopen": 430, "fsmount": 432},
    },
    "aarch64": {
        **{"umount2": 39, "mount": 40, "pivot_root": 41, "unshare": 97, "ptrace": 117},
        **{"shmget": 194, "add_key": 217, "request_key": 218, "keyctl": 219, "setns": 268},
        **{"perf_event_open": 241, "process_vm_readv": 270, "process_vm_writev": 271},
        **{"memfd_create": 279, "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425},
        **{"open_tree": 428, "fsopen": 430, "fsmount": 432},
    },
}
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435  # its flags lie in memory, out of a filter's sight; libc then takes clone
_NEW_NAMESPACES = (
    0x7E020000  # CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
)
_X32 = 0x40000000  # the second numbering of x86_64

_LOAD, _EQUAL, _ABOVE, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16


def program(machine: str | None = None) -> bytes | None:
    """The compiled filter for a machine as ``platform.machine()`` names it; None for others."""
    machine = platform.machine() if machine is None else machine
    if machine not in REFUSED:
        return None
    lines = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, _AUDIT[machine]), (_RETURN, 0, 0, _KILL)]
    lines.append((_LOAD, 0, 0, _NUMBER))
    lines += _refuse(_ABOVE, _X32, errno.ENOSYS)
    lines += _refuse(_EQUAL, _CLONE3, errno.ENOSYS)
    for number in REFUSED[machine].values():
        lines += _refuse(_EQUAL, number, errno.EPERM)
    lines += [(_EQUAL, 0, 3, _CLONE[machine]), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
    lines += _refuse(_ANY_BIT, _NEW_NAMESPACES, errno.EPERM)
    lines.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _refuse(test: int, operand: int, error: int) -> list[tuple[int, int, int, int]]:
    """Return ``error`` where the test holds, else go on behind it."""
    return [(test, 0, 1, operand), (_RETURN, 0, 0, _ERRNO | error)]
