"""What is promised of names: directories that are made, files that get another name or go.

Each step is one request, by a program that does nothing else; its exit status 0 is the receipt. In
each state that the disk may be in, every name is as it was before the step that is under way, or
as it will be after it; after the receipt, only the latter. And no content is lost on the way.
"""

import os

from harness import run as run_program
from powercut_run import BUILD, STATE_DIR, Run, is_stage

PROGRAM = os.path.join(BUILD, "tests", "torture", "names_record")
WAYS = {"renamed": "", "linked": "renameat2", "bare": "renameat2,openat2"}
TREE = {"file": b"1", "d/other": b"2", "e/third": b"3"}
# What is asked, and what that changes: name -> content, None for a directory, False: gone.
STEPS = [
    ("mkdir new", {"new": None}),
    ("mkdir new/er", {"new/er": None}),
    ("mkdirs a/b/c", {"a": None, "a/b": None, "a/b/c": None}),
    ("rename file a/b/file", {"file": False, "a/b/file": b"1"}),
    ("rename a/b/file a/b/moved", {"a/b/file": False, "a/b/moved": b"1"}),
    ("replace a/b/moved d/other", {"a/b/moved": False, "d/other": b"1"}),
    ("remove e/third", {"e/third": False}),
    ("rmdir e", {"e": False}),
    ("rmdir new/er", {"new/er": False}),
]


class Names(Run):
    """The steps so far: self.trees is what there is after each, with the number of its receipt."""

    def play(self, steps, drop=""):
        tree = {path: data for path, (_, data) in self.look().items() if path}
        self.trees = [(-1, tree)]
        for number, (asked, change) in enumerate(steps, 1):
            self.drop = drop if number == len(steps) else ""
            ran = run_program([PROGRAM, self.root] + asked.split(), env=self.environment())
            assert ran.status == 0, (self.name, asked, ran)
            tree = {name: what for name, what in dict(tree, **change).items() if what is not False}
            self.trees.append((len(self.poll()), tree))
            self.records.append({"op": "end", "port": 0, "how": asked})
        self.compare()
        return self


def judge(state, before, after):
    """What is wrong with a state between two trees: sentences."""
    there = {path: data for path, (data, _) in state.files.items()}
    there.update((path, None) for path in state.dirs)
    wrong = []
    for path in sorted(set(before) | set(after) | set(there)):
        if path.startswith(STATE_DIR) or is_stage(path):
            continue
        allowed = [tree.get(path, False) for tree in (before, after)]
        if there.get(path, False) not in allowed:
            wrong.append("%s is %r" % (path, there.get(path, "missing")))
    kept = set(before.values()) & set(after.values()) - {None}
    lost = kept - set(there.values())
    return wrong + ["lost: %r" % data for data in sorted(lost)]


def faults(run, tally, without=()):
    """The first state that breaks a promise, in words; records in `without` are left out."""
    disk, step, point = run.disk(), 0, "before anything was done"
    for number, record in enumerate([None] + run.records, -1):
        if record is not None:
            if number in without or not disk.play(number, record):
                continue
            point = "after #%d %s" % (number, record["op"])
        if step + 1 < len(run.trees) and number >= run.trees[step + 1][0]:
            step += 1
        before = run.trees[step][1]
        after = run.trees[min(step + 1, len(run.trees) - 1)][1]
        if record is not None and record["op"] == "end":
            after = before  # the receipt of the one, before the other begins
        tally.points += 1
        for state in disk.states():
            tally.states += 1
            wrong = judge(state, before, after)
            if wrong:
                return ["power cut %s\n    %s\n    so: %s" % (
                    point, "\n    ".join(state.explain()), "; ".join(wrong))]
    tally.records += len(run.records)
    return []


def recorded(name, fail="", steps=len(STEPS), drop=""):
    """The first so many steps; in the last one `drop` is left out."""
    with Names(name, TREE, fail) as run:
        return run.play(STEPS[:steps], drop)


def syncs_of_last(run):
    """The numbers of its records."""
    first = run.trees[-2][0]
    return [number for number, record in enumerate(run.records)
            if number > first and record["op"] == "fsync"]


def is_needed(run, number):
    """Whether a power cut can tell that this sync was not made: something has changed there since the
    one before it; none comes after it, or not before something goes; and it is not one of two for a
    rename, which is one change."""
    def about(record):
        return [record[key][:2] for key in ("inode", "dir", "from_dir") if key in record]

    inode, first = run.records[number]["inode"][:2], run.trees[-2][0]
    step = run.records[first + 1:]
    if any(r["op"] == "rename" and r["dir"][:2] != r["from_dir"][:2] for r in step):
        return False
    synced = [at for at, r in enumerate(run.records)
              if at > first and r["op"] == "fsync" and r["inode"][:2] == inode]
    since = max([at for at in synced if at < number], default=first)
    changed = any(inode in about(r) for r in run.records[since + 1:number] if r["op"] != "fsync")
    later = min((at for at in synced if at > number), default=None)
    return changed and (later is None or any(r["op"] == "unlink" for r in run.records[number:later]))
