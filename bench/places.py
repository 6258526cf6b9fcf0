"""Where files are during a workload: a memory file system, a disk, or a slow disk of our own."""

import contextlib
import sys
import tempfile
import unittest

import machine
from peers import SYSTEM
from workload import remove

sys.path.insert(0, SYSTEM)

import slowdisk  # noqa: E402

SLOW_RATE = "64M"  # bytes a second, written
SLOW_DIRTY = 64 << 20  # what may wait to be written: there, too, who writes waits for the disk
SLOW_KIB = 3 << 20


class Missing(Exception):
    """There is no such place on this machine, or for this user."""


def describe(directories):
    found = {place: machine.file_system(path) for place, path in directories.items()}
    found["slow"] = "ext4 on tests/slowfs, %s/s" % SLOW_RATE
    return found


@contextlib.contextmanager
def temporary(parent):
    path = tempfile.mkdtemp(prefix="ftxferd-bench.", dir=parent)
    try:
        yield path
    finally:
        remove(path)


@contextlib.contextmanager
def slow_disk(directory):
    try:
        disk = slowdisk.SlowDisk(directory, "-w", SLOW_RATE, kib=SLOW_KIB, dirty=SLOW_DIRTY,
                                 mkfs="-J size=16")
    except unittest.SkipTest as why:
        raise Missing(str(why)) from None
    try:
        with machine.mounts_of(disk.holder.pid):
            yield disk.inner
    finally:
        disk.close()


@contextlib.contextmanager
def directory_on(place, directories):
    """A directory of our own on that place, gone with the block."""
    with contextlib.ExitStack() as stack:
        parent = directories.get(place)
        if place == "slow":
            scratch = stack.enter_context(temporary(directories["tmpfs"]))
            parent = stack.enter_context(slow_disk(scratch))
        yield stack.enter_context(temporary(parent))
