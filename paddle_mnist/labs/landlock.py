"""Landlock, a fence of Linux's kernel that a process puts around itself and cannot take down.

Documented in the kernel's ``userspace-api/landlock``; the numbers below are those of ``linux/landlock.h``.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Sequence

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH = 1
_CREATE_VERSION = 1
_PR_SET_NO_NEW_PRIVS = 38

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
# How many kinds of access to files each version of the interface knows; later ones know what the last one does.
_FILE_KINDS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP_KINDS = 0b11  # bind and connect, since version 4
_SCOPES = 0b11  # abstract sockets and signals, since version 6
_OF_FILES = _WRITE_FILE | _READ_FILE | 1 | 1 << 14 | 1 << 15  # kinds that apply to a file, not only to folders


def restrict(write: Sequence[str], read: Sequence[str]) -> bool:
    """Allow this thread, and those that it starts, to use files in some folders only; return whether the kernel can.

    No program can be started afterwards. From version 4 of the interface on, no TCP connection can be made; from
    version 6 on, no signal can be sent to processes outside.

    Args:
        write: folders in which everything is allowed.
        read: folders in which files can be read.
    """
    if sys.platform != "linux":
        return False
    try:
        call = ctypes.CDLL(None, use_errno=True).syscall
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return False
    call.restype = ctypes.c_long
    version = call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_CREATE_VERSION))
    if version < 1:
        return False
    kinds = (1 << _FILE_KINDS.get(version, _FILE_KINDS[5])) - 1
    attributes = struct.pack("QQQ", kinds, _TCP_KINDS if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = call(_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    if rules < 0:
        return False
    try:
        allowed = [(folder, kinds & ~1) for folder in write]  # all but the execution of programs
        allowed += [(folder, _READ_FILE | _READ_DIR) for folder in [*read, *_LIBRARIES]]
        allowed += [(os.devnull, _READ_FILE | _WRITE_FILE), ("/dev/urandom", _READ_FILE)]
        for path, access in allowed:
            _allow(call, rules, path, access & kinds)
        return prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and call(_RESTRICT_SELF, rules, ctypes.c_uint32(0)) == 0
    finally:
        os.close(rules)


# Shared libraries that are loaded late, and what the C library reads.
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")


def _allow(call: ctypes._FuncPointer, rules: int, path: str, access: int) -> None:
    """Add a rule; a path that does not exist needs none."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            access &= _OF_FILES
        call(_ADD_RULE, rules, _RULE_PATH_BENEATH, struct.pack("=Qi", access, descriptor), ctypes.c_uint32(0))
    finally:
        os.close(descriptor)
