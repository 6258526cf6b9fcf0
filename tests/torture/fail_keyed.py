"""The cases of the suite `fail` with uploads of protocol 2 that are known again.

One call fails, in a run that publishes, breaks off, goes on and asks again. Whatever was said, the
same upload sent again ends with its receipt, and nothing is left but files and what is known.
"""

import os
from errno import EIO, ENOSPC, EPERM

import keyed
from errors import ERRORS, SYSEXITS
from fail_daemon import WAYS, Case
from torture import FAIL, MARK, NONE, Place, read_file, write_file

OTHERS = {"futimens": [EIO], "fsetxattr": [ENOSPC], "fgetxattr": [EPERM]}
# All that storage does, and memory; the first error of each, which is one that ends what it is about.
KINDS = ("memory", "fallocate", "fchmod", "fgetxattr", "fsetxattr", "fstat", "fstatat", "fstatvfs",
         "fsync", "fsync-dir", "ftruncate", "futimens", "linkat", "mkdirat", "openat", "openat2",
         "pread", "preadv", "pwrite", "pwritev", "renameat", "renameat2", "tmpfile", "unlinkat")


class KeyedCase(Case):
    what, options = "daemon keyed", keyed.OPTIONS

    def point(self, place, number):
        """False when the run was over before that call."""
        place.clear()
        os.mkdir(place.path("dir"))
        write_file(place.path("old"), keyed.Plays.OLD)
        place.control.order(FAIL, self.kind, number, self.error, WAYS[self.way])
        uploads = []
        if place.start():
            uploads = self.play(place)
            assert place.stop() == 0, place.log()
        else:
            assert place.control.hit and place.status in SYSEXITS, (place.status, place.log())
        hit = place.control.hit
        place.control.order(NONE, lacks=WAYS[self.way])
        self.check(place, uploads)
        return hit

    def play(self, place):
        uploads = keyed.Plays.now() + keyed.Plays.large()
        for up in uploads:
            up.loses_name = self.kind == "unlinkat"
        for up in uploads:
            if not up.now:
                up.attempt(place.address, keyed.CUT)
            if up.attempt(place.address) != "acknowledged":
                up.attempt(place.address)  # by the same process
                assert up.ended == "acknowledged", "%s: %s %s\n%s" % (
                    up, up.ended, up.code, place.log())
        uploads[0].attempt(place.address)
        return uploads

    @staticmethod
    def check(place, uploads):
        """A new daemon: each is sent again as often as it takes, which is once."""
        assert place.start(), place.log()
        for up in uploads:
            up.settle(place, keyed.Plays.OLD if up.name == "old" else None)
        assert place.stop() == 0, place.log()
        if MARK in place.files():  # what could not be removed, or not for good
            keyed.start_and_sweep(place)()
            assert place.stop() == 0, place.log()
        keyed.check_clean(place, [up.name for up in uploads] + ["old"])
        assert uploads or read_file(place.path("old")) == keyed.Plays.OLD


def cases():
    errors = dict({kind: some[:1] for kind, some in ERRORS.items()}, **OTHERS)
    return [KeyedCase(way, kind, error) for kind in KINDS for error in errors[kind]
            for way in ("unnamed", "linked")]
