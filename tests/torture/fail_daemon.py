"""The daemon's cases of the suite `fail`."""

import os
import re
from errno import ENOENT, EOPNOTSUPP, EPERM

from errors import ERRORS, REASONS, SYSEXITS, error_name
from torture import (FAIL, MARK, NONE, NO_FALLOCATE, NO_LINK_UNNAMED, NO_MEMORY_FS, NO_OPENAT2,
                     NO_RENAMEAT2, NO_TMPFILE, STAGE_NAME, STATE_DIR, TOGETHER, Place, content,
                     download, read_file, upload, upload_together, wait_for, write_file)

# How files are kept (see stage.c), by what the system lacks; and with an earlier run's stage files.
WAYS = {
    "unnamed": 0,
    "named": NO_TMPFILE,
    "linked": NO_TMPFILE | NO_RENAMEAT2 | NO_OPENAT2,
    "copied": NO_LINK_UNNAMED | NO_FALLOCATE,
    "swept": NO_TMPFILE,
}
NEW = content(300 * 1024, 1)
THERE = content(70 * 1024, 2)
LEFT = [".ftxferd-0123456789abcdef-0", "dir/.ftxferd-0123456789abcdef-1"]
ROOT = "stays root"  # a warning that tests which run as root must live with


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


class Case:
    what, options = "daemon", ""

    def __init__(self, way, kind, error):
        self.way, self.kind, self.error = way, kind, error

    def __str__(self):
        return "%s %s %s %s" % (self.what, self.way, self.kind, error_name(self.error))

    def __call__(self, points):
        place = Place("fail", self.options)
        number = 1
        try:
            while True:
                try:
                    if not self.point(place, number):
                        break
                except AssertionError as e:
                    points.failed("%s %d (%s)" % (self, number, place.control.call), e)
                    place.close_daemon()
                points.count("%s: %s" % (self.what, self.kind))
                number += 1
        finally:
            place.close()

    def prepare(self, place):
        place.clear()
        os.mkdir(place.path("dir"))
        write_file(place.path("dir/there"), THERE)
        if self.way == "swept":
            os.mkdir(place.path(os.path.dirname(MARK)))
            write_file(place.path(MARK), b"")
            for name in LEFT:
                write_file(place.path(name), b"stage")

    def point(self, place, number):
        """False when the run was over before that call."""
        self.prepare(place)
        place.control.order(FAIL, self.kind, number, self.error, WAYS[self.way])
        if place.start():
            self.serve(place)
        else:
            self.check_start(place)
        hit = place.control.hit
        place.control.order(NONE)
        self.check_files(place)
        return hit

    def check_start(self, place):
        assert place.control.hit, "it did not start\n" + place.log()
        assert place.status in SYSEXITS, "exit status %d\n%s" % (place.status, place.log())
        said = [line for line in place.log().splitlines()
                if line.startswith("ftxferd: ") or " error: " in line]
        assert len(said) == 1 and re.search(": .{10,}", said[0]), \
            "it did not say why:\n" + place.log()

    def serve(self, place):
        self.ended = {}
        before = descriptors(place.process.pid)
        first = upload(place.address, {"dir/new": NEW})["dir/new"]
        second = upload(place.address, {"dir/there": b"other"})["dir/there"]
        data, third = download(place.address, "dir/there")
        assert second != "acknowledged", "a file was replaced"
        assert third != "whole" or data == THERE, "a wrong file was sent"
        assert self.kind != "fsync" or first == "acknowledged" or "dir/new" not in place.files(), \
            "what may not be on the disk has its name"
        good = (first, second, third) == ("acknowledged", "refused", "whole")
        hit = place.control.hit
        assert hit or good, "%s\n%s" % ((first, second, third), place.log())
        if hit:
            self.serve_again(place)
            wait_for(lambda: descriptors(place.process.pid) <= before,
                     lambda: "the %d descriptors of before, now %s\n%s" % (
                         before, place.open_files(), place.log()), 10)
        status = place.stop()
        assert status == 0, "exit status %d\n%s" % (status, place.log())
        # A refusal keeps its reason in the log, also when nobody could be told of it.
        untold = self.kind == "send" and (first, third) == ("acknowledged", "whole")
        if not good and not untold:
            self.check_reason(place)

    def serve_again(self, place):
        """The daemon goes on, and the name that failed can be used again."""
        name = "dir/fresh" if os.path.exists(place.path("dir/new")) else "dir/new"
        wait_for(lambda: upload(place.address, {name: NEW})[name] == "acknowledged",
                 lambda: "%s to be taken again\n%s" % (name, place.log()), 10)
        assert download(place.address, name) == (NEW, "whole"), place.log()

    def check_reason(self, place):
        """Somewhere the log says what failed, by the error's own name where it has one."""
        log = place.log()
        assert not re.search("reason=(idle|request)-timeout", log), "it hung:\n" + log
        reasons = re.findall(r" reason=([\w-]+)$", log, re.M)
        wanted = [REASONS[self.error]] if self.error in REASONS else set(reasons) - {"ok", "exists"}
        said = [line for line in re.findall(" (?:error|warning): (.*)", log) if ROOT not in line]
        assert said or set(wanted) & set(reasons), "the log does not say why:\n" + log

    def may_leave(self, stages):
        """A stage file that cannot be removed has a mark, and the next start removes both. The mark
        also stays when the removal may not be durable."""
        return self.way == "swept" or self.kind == "unlinkat" or (
            self.kind == "fsync-dir" and not stages)

    def check_files(self, place):
        there = place.files()
        stages = [name for name in there if STAGE_NAME.match(os.path.basename(name))]
        if stages or STATE_DIR in there:
            assert MARK in there or not stages, "stage files, no mark: %s\n%s" % (
                there, place.log())
            assert self.may_leave(stages), "stage files: %s\n%s" % (there, place.log())
            assert place.start(), place.log()
            place.wait_swept()
            assert place.stop() == 0, place.log()
            there = place.files()
        for name in there:
            want = THERE if name == "dir/there" else NEW
            assert name in ("dir/there", "dir/new", "dir/fresh"), "left behind: %s\n%s" % (
                there, place.log())
            assert read_file(place.path(name)) == want, "%s has %d of %d bytes, or wrong ones" % (
                name, there[name], len(want))
        assert "dir/there" in there, "a file is gone"


class TogetherCase(Case):
    """Files that are committed together: whichever is acknowledged is there whole, and the failure of
    one does not touch the others."""

    FAILS = {"syncfs": 0, "sync_file_range": 1, "linkat": 1, "fchmod": 1, "fsync": 1, "fstatfs": 0}

    def __str__(self):
        return "daemon together, " + super().__str__()

    def point(self, place, number):
        self.prepare(place)
        place.control.order(NONE)
        assert place.start(), place.log()
        place.control.order(FAIL, self.kind, number, self.error, WAYS[self.way] | NO_MEMORY_FS)
        ended = upload_together(place)
        hit = place.control.hit
        place.control.order(NONE, lacks=WAYS[self.way] | NO_MEMORY_FS)
        assert place.stop() == 0, place.log()
        there = place.files()
        bad = [name for name, how in ended.items() if how != "acknowledged"]
        if self.kind == "fsync-dir":
            assert hit == bool(bad), (hit, bad)
        elif self.kind in self.FAILS:
            assert len(bad) == (self.FAILS[self.kind] if hit else 0), (hit, bad, place.log())
            assert not set(bad) & set(there), "no receipt, but there: %s" % bad
        for name in set(TOGETHER) & set(there):
            assert read_file(place.path(name)) == TOGETHER[name], "%s is not whole" % name
        lost = set(TOGETHER) - set(there) - set(bad)
        assert not lost, "acknowledged and lost: %s" % lost
        left = set(there) - set(TOGETHER) - {"dir/there"}
        assert not left, "left behind: %s" % left
        return hit


# Each is called once for all of them, or for each.
TOGETHER_KINDS = ("fchmod", "fstatfs", "fsync", "fsync-dir", "linkat", "sync_file_range", "syncfs")


def cases():
    together = [TogetherCase("unnamed", kind, error) for kind in TOGETHER_KINDS
                for error in ERRORS[kind] if error not in (EPERM, EOPNOTSUPP, ENOENT)]
    return together + [Case(way, kind, error) for kind, errors in ERRORS.items() for error in errors
            for way in WAYS]
