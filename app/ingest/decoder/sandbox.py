"""Closing the doors behind whoever reads a file of strangers: afterwards it can compute, read what it was given, and answer.

Two walls that do not depend on each other, both without root, by ctypes:
- Landlock (Linux 5.13; linux/landlock.h, https://docs.kernel.org/userspace-api/landlock.html): no file, no TCP,
  no signal to anybody else. It binds the calling thread and its children, so it goes up before any library has made a thread;
- seccomp (linux/seccomp.h, linux/filter.h): an allow-list of system calls for all threads, once everything lazy has been
  loaded. A kernel without Landlock is closed by it alone.

Around both: no core dumps, no new files, no file ever written, a limit of memory, and others of its user may not trace it.

ffmpeg is another program, so behind the same walls there are gaps for it: Landlock lets it be run and its libraries be read, and
nothing else of the disk; the list of calls has those by which a program is started and loaded; it writes into the one file that it is
given; and starting a program makes it dumpable again (execve(2)), so whoever runs as its user may trace it. It dies with whoever started
it.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Sequence
from errno import ENOSYS, EPERM

from .limits import CPU_SECONDS, FILM_CPU_SECONDS, FILM_MEMORY, FILM_OPEN_FILES, MEMORY

# linux/prctl.h
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_NO_NEW_PRIVS, PR_SET_VMA = 1, 4, 15, 38, 0x53564D41

# linux/landlock.h: the system calls have the same numbers everywhere.
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_RULE_PATH_BENEATH = 1, 1
LANDLOCK_ACCESS_FS_EXECUTE, LANDLOCK_ACCESS_FS_READ_FILE = 1 << 0, 1 << 2
# How many rights over files each version of the interface knows, as bits from the lowest.
LANDLOCK_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}

# linux/seccomp.h, linux/audit.h, linux/elf-em.h
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
RET_KILL_PROCESS, RET_ERRNO, RET_ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
AUDIT_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT = 0x40000000  # asm/unistd.h of x86-64: another set of calls under the same architecture
SECCOMP = {"x86_64": 317, "aarch64": 277}

# linux/bpf_common.h, as classic BPF combines them
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# struct seccomp_data: number, architecture, instruction pointer, then six arguments of 64 bits.
NUMBER, ARCH = 0, 4
CLONE_THREAD, PROT_EXEC = 0x00010000, 0x4

# Numbers on (x86_64, aarch64): asm/unistd_64.h and asm-generic/unistd.h.
ALLOWED = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "close": (3, 57), "fstat": (5, 80),
    "lseek": (8, 62), "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214), "futex": (202, 98),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "gettid": (186, 178), "getpid": (39, 172), "getppid": (110, 173), "set_robust_list": (273, 99), "rseq": (334, 293),
    "exit": (60, 93), "exit_group": (231, 94), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115), "nanosleep": (35, 101), "gettimeofday": (96, 169), "getrandom": (318, 278),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "getrusage": (98, 165), "sysinfo": (99, 179),
    "getcpu": (309, 168), "restart_syscall": (219, 128), "setitimer": (38, 103), "membarrier": (324, 283),
}  # fmt: skip
# What the loader of a program and ffmpeg need beside these. Files are opened only where Landlock lets them.
ALLOWED_TO_PROGRAM = {
    "execve": (59, 221), "arch_prctl": (158, None), "set_tid_address": (218, 96), "access": (21, None), "faccessat": (269, 48),
    "openat": (257, 56), "newfstatat": (262, 79), "pread64": (17, 67), "dup": (32, 23),
    "poll": (7, None), "ppoll": (271, 73), "readlink": (89, None), "readlinkat": (267, 78),
    "uname": (63, 160), "ftruncate": (77, 46),
}  # fmt: skip
CLONE, CLONE3, MMAP, MPROTECT, TGKILL, PRCTL = (56, 220), (435, 435), (9, 222), (10, 226), (234, 131), (157, 167)
PRLIMIT64, FCNTL = (302, 261), (72, 25)
# asm-generic/fcntl.h, linux/fcntl.h: F_DUPFD to F_SETFL, and F_DUPFD_CLOEXEC.
F_LOCKS, F_DUPFD_CLOEXEC = 5, 1030


class _RulesetAttr(ctypes.Structure):
    """struct landlock_ruleset_attr; older kernels know only its beginning."""

    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneathAttr(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("folder", ctypes.c_int32))


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def close_files() -> bool:
    """Raise the first wall, and set the limits. True when the kernel has Landlock and it holds for the whole process."""
    return _close_files(limits={"FSIZE": 0, "NOFILE": 0, "CPU": CPU_SECONDS, "DATA": MEMORY})  # files that are open stay so


def close_files_around_program(*, program: Sequence[str], largest_file: int, parent: int) -> bool:
    """The same for a program about to be started here: of all files it may run and read only those of `program`, files or folders, and
    none that it writes becomes larger than this many bytes. It ends when `parent` does, its parent's process id, or is gone already."""
    if sys.platform == "linux":
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has died before that was asked for
        os.kill(os.getpid(), signal.SIGKILL)
    limits = {"FSIZE": largest_file, "NOFILE": FILM_OPEN_FILES, "CPU": FILM_CPU_SECONDS, "DATA": FILM_MEMORY}
    return _close_files(limits=limits, program=program)


def forbid_core_dumps() -> None:
    """By the limit, which also holds in programs that are started: they are dumpable again. Linux takes 0 to be about files only; where
    it hands dumps to a program (core(5)), as with systemd, the one limit that stops it is 1 (do_coredump() in fs/coredump.c), and that is
    too small for a file as well. Where somebody has set 0 for good, it stays 0."""
    most = 1 if sys.platform == "linux" and resource.getrlimit(resource.RLIMIT_CORE)[1] != 0 else 0
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def _close_files(*, limits: dict[str, int], program: Sequence[str] = ()) -> bool:
    if sys.platform == "linux":
        _prctl(PR_SET_DUMPABLE, 0)
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
    closed = _landlock(program)
    forbid_core_dumps()
    for what, most in limits.items():
        # At the soft limit of CPU time it gets SIGXCPU, which tells why it ended; at the hard one SIGKILL, as from anybody.
        resource.setrlimit(getattr(resource, f"RLIMIT_{what}"), (most, most + (what == "CPU")))
    return closed


def _landlock(program: Sequence[str] = ()) -> bool:
    if sys.platform != "linux":
        return False
    libc = _libc()
    version = libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION)
    if version < 1:
        return False
    attr = _RulesetAttr(
        files=(1 << LANDLOCK_FILE_RIGHTS.get(version, 16)) - 1,
        net=0b11 if version >= 4 else 0,  # bind and connect by TCP
        scoped=0b11 if version >= 6 else 0,  # abstract sockets and signals of others
    )
    known = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, ctypes.byref(attr), known, 0)
    if ruleset < 0:
        return False
    for path in filter(os.path.exists, program):
        place = os.open(path, os.O_PATH)
        rule = _PathBeneathAttr(access=LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE, folder=place)
        libc.syscall(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, ctypes.byref(rule), 0)
        os.close(place)
    closed = libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return bool(closed)


def close_calls(*, program: bool = False) -> bool:
    """Raise the second wall: for all threads, and for good. With `program`, another program can still be started here; the wall stands
    around that too. True when the kernel has it."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in AUDIT_ARCHES:
        return False
    code = _filter(AUDIT_ARCHES[machine], column=list(AUDIT_ARCHES).index(machine), program=program)
    filtering = _Program(length=len(code) // 8, filter=code)
    done = _libc().syscall(SECCOMP[machine], SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(filtering))
    return bool(done == 0)


def _filter(arch: int, *, column: int, program: bool) -> bytes:
    """The allow-list as classic BPF: an instruction is an operation, two jumps (if true, if false) and a number."""
    refuse = _op(RETURN, RET_ERRNO | EPERM)
    allow = _op(RETURN, RET_ALLOW)
    code = [_op(LOAD, ARCH), _op(EQUAL, arch, 1, 0), _op(RETURN, RET_KILL_PROCESS), _op(LOAD, NUMBER)]
    if column == 0:
        code += [_op(AT_LEAST, X32_BIT, 0, 1), _op(RETURN, RET_KILL_PROCESS)]
    allowed = [*ALLOWED.values(), *(ALLOWED_TO_PROGRAM.values() if program else ())]
    for number in (numbers[column] for numbers in allowed):
        if number is not None:  # a call that this machine has by its newer name only
            code += [_op(EQUAL, number, 0, 1), allow]
    # glibc asks for clone3 first, whose flags can't be seen from here, and is content with clone.
    code += [_op(EQUAL, CLONE3[column], 0, 1), _op(RETURN, RET_ERRNO | ENOSYS)]
    # A thread, but no process.
    code += [_op(EQUAL, CLONE[column], 0, 4), _op(LOAD, _argument(0)), _op(ANY_BIT, CLONE_THREAD, 0, 1), allow, refuse]
    # Memory, but none that runs, unless it is where a program is loaded to.
    runs = 0 if program else PROT_EXEC
    for numbers in (MMAP, MPROTECT):
        code += [_op(EQUAL, numbers[column], 0, 4), _op(LOAD, _argument(2)), _op(ANY_BIT, runs, 1, 0), allow, refuse]
    # A signal to itself, so that abort() can end it.
    code += [_op(EQUAL, TGKILL[column], 0, 4), _op(LOAD, _argument(0)), _op(EQUAL, os.getpid(), 0, 1), allow, refuse]
    # Its own limits, which it can only lower.
    if program:
        code += [_op(EQUAL, PRLIMIT64[column], 0, 4), _op(LOAD, _argument(0)), _op(EQUAL, 0, 0, 1), allow, refuse]
        # Descriptors and their flags, but no locks, owners, signals, leases or seals. The kernel looks at no more than the lower half.
        code += [_op(EQUAL, FCNTL[column], 0, 5), _op(LOAD, _argument(1))]
        code += [_op(EQUAL, F_DUPFD_CLOEXEC, 1, 0), _op(AT_LEAST, F_LOCKS, 1, 0), allow, refuse]
    # Names of threads and of memory.
    code += [_op(EQUAL, PRCTL[column], 0, 5), _op(LOAD, _argument(0))]
    code += [_op(EQUAL, PR_SET_NAME, 1, 0), _op(EQUAL, PR_SET_VMA, 0, 1), allow, refuse]
    return b"".join([*code, refuse])


def _op(operation: int, number: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, number)


def _argument(n: int) -> int:
    """Where the lower half of an argument is (both machines are little-endian)."""
    return 16 + 8 * n


def _prctl(option: int, value: int) -> None:
    if _libc().prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
