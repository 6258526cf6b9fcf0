"""The cases of the suite `fail` for what no protocol asks the store for yet: the program names."""

import os
import shutil
import subprocess
import tempfile
from errno import EINTR, EIO, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM, ERANGE

from errors import ERRORS, error_name
from torture import (BUILD, DEADLINE, FAIL, NO_LINK_UNNAMED, NO_OPENAT2, NO_RENAMEAT2, NO_TMPFILE,
                     Control, read_file, scratch_directory, write_file)

PROGRAM = os.path.join(BUILD, "tests", "torture", "names")
WAYS = {"usual": 0, "bare": NO_OPENAT2 | NO_RENAMEAT2 | NO_TMPFILE, "copied": NO_LINK_UNNAMED}
# These, and those of the other cases that the program calls at all.
OWN = {
    "fdopendir": [ENOMEM],
    "fgetxattr": [EIO, ERANGE],
    "fsetxattr": [EIO, ENOSPC, EOPNOTSUPP],
    "futimens": [EIO, EPERM],
    "readdir": [EIO],
}
OTHERS = ("memory", "fchmod", "fstat", "fstatat", "fsync", "fsync-dir", "linkat", "mkdirat", "openat",
          "openat2", "preadv", "pwrite", "pwritev", "renameat", "renameat2", "unlinkat")
TREE = {"file": b"1", "dir/inner": b"2", "dir": None, "empty": None}
NEW = b"content"
# What is asked: what is answered, and what is there then, where that is different.
ASKED = {
    "stat file": ("ok file", {}),
    "list .": ("ok dir empty file", {}),
    "sum dir/inner": ("ok cb358fcee0dfde56fb95a7322f5da314", {}),
    "mkdir dir/new": ("ok", {"dir/new": None}),
    "mkdirs dir/a/b": ("ok", {"dir/a": None, "dir/a/b": None}),
    "rename file dir/new": ("ok", {"file": False, "dir/new": b"1"}),
    "replace file dir/inner": ("ok", {"file": False, "dir/inner": b"1"}),
    "remove dir/inner": ("ok", {"dir/inner": False}),
    "rmdir empty": ("ok", {"empty": False}),
    "put dir/new": ("ok", {"dir/new": NEW}),
    "upload dir/new": ("ok", {"dir/new": NEW}),
}
LEFT = (".ftxferd",)  # a mark that could not be removed: the daemon's cases look after it


def is_stage(name):
    return os.path.basename(name).startswith(".ftxferd-")


def after(change):
    return {name: what for name, what in dict(TREE, **change).items() if what is not False}


class Case:
    def __init__(self, asked, way, kind, error):
        self.asked, self.way, self.kind, self.error = asked, way, kind, error

    def __str__(self):
        return "names: %s, %s, %s %s" % (self.asked, self.way, self.kind, error_name(self.error))

    def __call__(self, points):
        self.dir = tempfile.mkdtemp(prefix="ftxfer-torture-names-", dir=scratch_directory())
        self.root = os.path.join(self.dir, "root")
        self.control = Control(os.path.join(self.dir, "control"))
        number = 1
        try:
            while True:
                try:
                    if not self.point(number):
                        break
                except AssertionError as e:
                    points.failed("%s %d (%s)" % (self, number, self.control.call), e)
                    if not self.control.hit:
                        break
                points.count("names: " + self.kind)
                number += 1
        finally:
            shutil.rmtree(self.dir)

    def prepare(self):
        shutil.rmtree(self.root, True)
        os.mkdir(self.root)
        for name in sorted(TREE):
            if TREE[name] is None:
                os.mkdir(os.path.join(self.root, name))
        for name, what in TREE.items():
            if what is not None:
                write_file(os.path.join(self.root, name), what)

    def look(self):
        found = {}
        for where, dirs, names in os.walk(self.root):
            dirs[:] = [name for name in dirs if name not in LEFT]
            for name in dirs + names:
                path = os.path.join(where, name)
                found[os.path.relpath(path, self.root)] = read_file(path) if name in names else None
        return found

    def point(self, number):
        """False when the run was over before that call."""
        self.prepare()
        self.control.order(FAIL, self.kind, number, self.error, WAYS[self.way])
        ran = subprocess.run([PROGRAM, self.root] + self.asked.split(), stdin=subprocess.DEVNULL,
                             capture_output=True, timeout=DEADLINE, env=self.control.environment())
        hit = self.control.hit
        said, loud = ran.stdout.decode().strip(), ran.stderr.decode("utf-8", "replace")
        assert ran.returncode in (0, 1) and said, "exit status %d\n%s" % (ran.returncode, loud)
        assert "Sanitizer" not in loud and "runtime error:" not in loud, loud
        assert "is left" not in said, said
        want, change = ASKED[self.asked]
        there, good = self.look(), ran.returncode == 0
        assert hit or good, "%s\n%s" % (said, loud)
        if good:
            assert said == want, "%r instead of %r" % (said, want)
            stages = [name for name in there if is_stage(name)]
            assert not stages or self.kind == "unlinkat", "left behind: %s" % stages
            assert {n: d for n, d in there.items() if n not in stages} == after(change), there
            # Whoever is told of a change must not lose it.
            assert not hit or not change or self.is_upload() or \
                self.kind not in ("fsync", "fsync-dir"), "not durable"
        else:
            self.check_failed(there, change, said + "\n" + loud)
        if self.is_upload():
            self.ask_again(good)
        return hit

    def is_upload(self):
        """Its log is synced once more than it need be, at the end, and again where that failed."""
        return self.asked.startswith("upload")

    def ask_again(self, good):
        """What was published is known, and nothing else; what was not can be sent again."""
        ran = subprocess.run([PROGRAM, self.root] + self.asked.split(), stdin=subprocess.DEVNULL,
                             capture_output=True, timeout=DEADLINE)
        said, loud = ran.stdout.decode().strip(), ran.stderr.decode("utf-8", "replace")
        name = self.asked.split()[1]
        assert said == "ok published" if good else said in ("ok", "ok published", "exists"), \
            "then: %s\n%s" % (said, loud)
        assert self.look().get(name) == NEW, "then: %s, but the file is not there" % said

    def check_failed(self, there, change, said):
        """Whatever was done, each name is as it was or as it was to be, and no content is lost."""
        done = after(change)
        for name in set(there) | set(TREE):
            assert not is_stage(name) or self.kind == "unlinkat", "left behind: %s\n%s" % (name, said)
            if not is_stage(name):
                assert there.get(name, False) in (TREE.get(name, False), done.get(name, False)), \
                    "%s: %r\n%s" % (name, there.get(name), said)
        lost = set(done.values()) & set(TREE.values()) - set(there.values())
        assert not lost, "lost: %s\n%s" % (lost, said)


def cases():
    kinds = dict({kind: [e for e in ERRORS[kind] if e != EINTR][:2] for kind in OTHERS}, **OWN)
    return [Case(asked, way, kind, error) for asked in ASKED for way in WAYS
            if way != "copied" or asked.startswith(("put", "upload"))
            for kind, errors in kinds.items() for error in errors]
