"""The walls that a systemd unit puts around its process, put up without systemd: `python -m tests.walls UNIT COMMAND...`.

Only those that a program can stumble over: the system calls it may make, memory that is written may not run, no privileges, no core files.
"""

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path

PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 38, 65, 1  # linux/prctl.h
SCMP_ACT_ALLOW, SCMP_ACT_ERRNO = 0x7FFF0000, 0x00050000  # seccomp.h
EPERM = 1


NOBODY = 65534
PLAIN = [
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--bounding-set=-all,+dac_read_search", "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
]  # fmt: skip
"""In front of a command: run it as a user who owns nothing. Reading is allowed, because root's own Python may lie where no other may go."""


def settings_of(unit: Path) -> dict[str, list[str]]:
    """What a unit's file sets, by name; a name may stand there several times."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        name, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def allowed_calls(filters: list[str]) -> set[str]:
    """The names of the system calls that `SystemCallFilter=` lines leave, as systemd reads them."""
    allowed: set[str] = set()
    for line in filters:
        names = {call for word in line.removeprefix("~").split() for call in _calls(word)}
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


def _calls(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    told = subprocess.run(["systemd-analyze", "syscall-filter", word], check=True, capture_output=True, text=True).stdout
    lines = (line.strip() for line in told.splitlines()[1:])
    return {call for line in lines if line and not line.startswith("#") for call in _calls(line)}


def _filter_calls(names: set[str]) -> None:
    """By libseccomp, as systemd does it."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(library.seccomp_init(SCMP_ACT_ERRNO | EPERM))
    for name in names | {"execve"}:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0 and library.seccomp_rule_add(rules, SCMP_ACT_ALLOW, number, 0) != 0:
            raise OSError(f"no rule for {name}")
    if library.seccomp_load(rules) != 0:
        raise OSError("the kernel takes no filter")


def main(unit: str, *command: str) -> None:
    told = settings_of(Path(unit))
    names = allowed_calls(told["SystemCallFilter"])
    libc = ctypes.CDLL(None, use_errno=True)
    most = min(1, resource.getrlimit(resource.RLIMIT_CORE)[1]) if resource.getrlimit(resource.RLIMIT_CORE)[1] >= 0 else 1
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    os.umask(int(told["UMask"][0], 8))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if told["MemoryDenyWriteExecute"] == ["yes"] and libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        print("this kernel can't forbid memory that is written and runs", file=sys.stderr)  # before Linux 6.3
    _filter_calls(names)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
