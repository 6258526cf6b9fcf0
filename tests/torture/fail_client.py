"""The client's cases of the suite `fail`."""

import os
import shutil

from errors import ERRORS, SYSEXITS, error_name
from torture import (FAIL, NO_FALLOCATE, NO_LINK_UNNAMED, NO_OPENAT2, NO_TMPFILE,
                     Control, Place, content, read_file, run_ftxfer, write_file)

# A download's file is kept as one on the server is, but moved over an older one.
WAYS = {
    "unnamed": 0,
    "named": NO_TMPFILE | NO_OPENAT2,
    "copied": NO_LINK_UNNAMED | NO_FALLOCATE,
}
NEW = content(300 * 1024, 3)
OLD = content(5000, 4)
NOTICE = 'ftxfer: client file "'


class Case:
    def __init__(self, mode, way, kind, error):
        self.mode, self.way, self.kind, self.error = mode, way, kind, error

    def __str__(self):
        return "client %s %s %s %s" % (self.mode, self.way, self.kind, error_name(self.error))

    def __call__(self, points):
        place = Place("client")
        try:
            self.local = os.path.join(place.dir, "local")
            self.control = Control(os.path.join(place.dir, "client-control"))
            assert place.start(), place.log()
            number = 1
            while True:
                try:
                    if not self.point(place, number):
                        break
                except AssertionError as e:
                    points.failed("%s %d (%s)" % (self, number, self.control.call), e)
                points.count("client: " + self.kind)
                number += 1
            assert place.stop() == 0, place.log()
        finally:
            place.close()

    def point(self, place, number):
        """False when the run was over before that call."""
        self.prepare(place)
        self.control.order(FAIL, self.kind, number, self.error, WAYS[self.way])
        ran = run_ftxfer(place, self.mode, self.remote(number), os.path.join(self.local, "file"),
                         self.control)
        self.said = ran.stderr.decode("utf-8", "replace")
        assert "Sanitizer" not in self.said and "runtime error:" not in self.said, self.said
        hit = self.control.hit
        assert ran.returncode == 0 or hit, "exit status %d\n%s" % (ran.returncode, self.said)
        if ran.returncode != 0:
            self.check_words(ran.returncode)
        if self.mode == "upload":
            self.check_upload(place, self.remote(number), ran.returncode == 0)
        else:
            self.check_download(ran.returncode == 0)
        return hit

    def remote(self, number):
        return "new%d" % number if self.mode == "upload" else "there"

    def prepare(self, place):
        shutil.rmtree(self.local, True)
        os.mkdir(self.local)
        write_file(os.path.join(self.local, "file"), NEW if self.mode == "upload" else OLD)
        write_file(place.path("there"), NEW)

    def check_words(self, status):
        """One sentence says why; others may say what went on."""
        assert status in SYSEXITS, "exit status %d\n%s" % (status, self.said)
        said = [line for line in self.said.splitlines()
                if not line.startswith((NOTICE, "ftxfer: warning: "))]
        if self.kind == "write":
            return  # of the sentence itself
        assert len(said) == 1 and said[0].startswith("ftxfer: ") and len(said[0]) > 20, \
            "it did not say why:\n" + self.said

    def check_upload(self, place, name, good):
        there = place.files()
        if name in there:
            assert read_file(place.path(name)) == NEW, "a partial file: " + name
            os.unlink(place.path(name))
            del there[name]
        else:
            assert not good, "it said that the file is stored"
        assert list(there) == ["there"], "left behind: %s" % there
        assert read_file(os.path.join(self.local, "file")) == NEW, "the client's file has changed"

    def check_download(self, good):
        names = os.listdir(self.local)
        if self.kind == "unlinkat" and len(names) > 1 and "cannot remove" in self.said:
            names = ["file"]
        assert names == ["file"], "left behind: %s\n%s" % (names, self.said)
        data = read_file(os.path.join(self.local, "file"))
        assert self.kind != "fsync" or good or data == OLD, \
            "what may not be on the disk has its name"
        assert data == NEW or (not good and data == OLD), "a partial file, %d bytes\n%s" % (
            len(data), self.said)


def cases():
    return [Case(mode, way, kind, error) for kind, errors in ERRORS.items() for error in errors
            for mode, way in [("upload", "unnamed")] + [("download", way) for way in WAYS]]
