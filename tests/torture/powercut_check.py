"""What must hold in every legal state, and that the real daemon recovers from each."""

import os
import shutil
import tempfile

import powercut_keyed as keyed
from harness import Daemon
from powercut_model import State
from powercut_run import MARK, STAGE, STATE_DIR, XATTR, is_stage
from wire import Peer, read_file, request, wait_for


class Violation:
    def __init__(self, point, lines, wrong):
        self.point, self.lines, self.wrong = point, lines, wrong

    def __str__(self):
        return "power cut %s\n    %s\n    so: %s" % (
            self.point, "\n    ".join(self.lines), "\n        ".join(self.wrong))


class Tally:
    def __init__(self):
        self.records = self.points = self.states = 0
        self.distinct = set()


def describe(data):
    return "%d bytes, %s" % (len(data), data[:8].hex() + "..." if data else "empty")


def judge(state, promise, acknowledged, uploads=()):
    """What is wrong with a state: sentences. acknowledged: name -> (content, mode)."""
    wrong = []
    stages = [path for path in state.files if is_stage(path)]
    for path, (data, mode) in state.files.items():
        if path in stages or path.startswith(STATE_DIR + "/"):
            continue
        allowed = list(promise.may.get(path, ()))
        if path in promise.keep:
            allowed.append(promise.keep[path])
        if path in acknowledged:
            allowed = [acknowledged[path]]
        if (data, mode) in allowed:
            continue
        if data in [version for version, _ in allowed]:
            wrong.append("%s has mode %04o" % (path, mode))
        else:
            wrong.append("%s is %s: %s" % (
                path, "acknowledged, but wrong" if path in acknowledged else "not whole",
                describe(data)))
    for path in sorted(set(acknowledged) | set(promise.keep)):
        if path not in state.files:
            wrong.append("%s is missing, and was %s" % (
                path, "acknowledged" if path in acknowledged else "there before"))
    if uploads:
        found = keyed.stages_known(state)
        stages = [path for path in stages if os.path.basename(path) not in found]
        wrong += keyed.judge(state, acknowledged, uploads)
    if promise.daemon and stages and MARK not in state.files:
        wrong.append("%s would never be swept: there is no %s" % (", ".join(stages), MARK))
    return wrong


def sentence(record):
    if "name" in record:
        return "%s %s" % (record["op"], record["name"])
    return "%s%s" % (record["op"], " (%s)" % record["how"] if "how" in record else "")


def violations(run, tally, without=(), most=1, trees=None):
    """Looks at every state at every point of the trace; stops at `most` violations.

    without: numbers of records that are played as if they had not been. trees: collects each
    distinct state for recovery, see tree_key().
    """
    found, disk, seen, point = [], run.disk(), set(), "before anything was done"
    must = {name: list(when) for name, when in run.promise.must.items()}
    acknowledged, uploads = {}, getattr(run, "uploads", ())
    for number, record in enumerate([None] + run.records, -1):
        if record is not None:
            if number in without or not disk.play(number, record):
                continue
            point = "after #%d %s" % (number, sentence(record))
        for name, when in must.items():
            for at, version in when:
                if at == number:
                    acknowledged[name] = version
        tally.points += 1
        for state in disk.states():
            tally.states += 1
            key = (frozenset(state.files.items()), frozenset(state.dirs),
                   frozenset(acknowledged.items()), frozenset(state.stamps.items()))
            if key in seen:
                continue
            seen.add(key)
            wrong = judge(state, run.promise, acknowledged, uploads)
            if wrong and not any(v.point == point and v.wrong == wrong for v in found):
                found.append(Violation(point, state.explain(), wrong))
                if len(found) >= most:
                    return found
            if not wrong and trees is not None:
                key = (keyed.tree_key if uploads else tree_key)(state)
                trees.setdefault((key, run if uploads else None), (run, state))
    tally.records += len(run.records)
    tally.distinct |= {key[:2] for key in seen}
    return found


def tree_key(state):
    """States that differ only in what is in a stage, or in its number, are one: it is swept by its
    name, whatever it holds."""
    counts, files = {}, []
    for path, version in state.files.items():
        if is_stage(path):
            where = os.path.dirname(path)
            counts[where] = counts.get(where, 0) + 1
        else:
            files.append((path, version))
    return (frozenset(files), frozenset(counts.items()), frozenset(state.dirs))


def materialise(root, state):
    os.makedirs(root)
    for path in sorted(state.dirs):
        os.makedirs(os.path.join(root, path), exist_ok=True)
    for path, (data, mode) in state.files.items():
        with open(os.path.join(root, path), "wb") as file:
            file.write(data)
        stamp(os.path.join(root, path), *state.stamps[path])
        os.chmod(os.path.join(root, path), mode)
    keyed.patch(root, state)


def stamp(path, mtime, xattr):
    if xattr:
        try:
            os.setxattr(path, XATTR, xattr)
        except OSError:
            pass  # not here
    if mtime is not None:
        os.utime(path, ns=(mtime, mtime))


def reserved(root):
    """Stage files, the mark and its directory: what must not be there once all is swept."""
    return sorted(name for where, dirs, names in os.walk(root) for name in dirs + names
                  if name == STATE_DIR or name.startswith(STAGE))


def recover(run, state):
    """Starts the real daemon on a state; AssertionError when it does not come to rights."""
    scratch = tempfile.mkdtemp(prefix="ftxfer-powercut-")
    root = os.path.join(scratch, "root")
    daemon = None
    try:
        materialise(root, state)
        uploads = getattr(run, "uploads", ())
        daemon = Daemon(scratch, root, allow_replace=bool(uploads) or None)
        keyed.send_again(run, state, daemon) if uploads else None
        if MARK in state.files and uploads:
            wait_for(lambda: "stage files of an earlier run" in daemon.err(),
                     lambda: "a sweep: %s" % daemon.files(), step=0.001)
        elif MARK in state.files:  # without it there is nothing to sweep
            wait_for(lambda: not reserved(root), lambda: "a sweep: %s" % reserved(root), step=0.001)
        for name in sorted(set(run.promise.may) | set(run.promise.keep)) if not uploads else ():
            with Peer(daemon.address) as peer:
                peer.send(request(b"D" if name in state.files else b"U", name))
                if name not in state.files:
                    assert peer.receive(1) == b"T", "%s is absent, but not free" % name
                    continue
                data, _ = state.files[name]
                assert peer.receive(9) == b"T" + len(data).to_bytes(8, "big"), name
                peer.send(b"T")
                assert peer.rest() == (data, "fin"), "%s does not come whole" % name
        assert daemon.stop() == 0, daemon.err()
        left = {os.path.relpath(os.path.join(where, name), root): read_file(
            os.path.join(where, name)) for where, _, names in os.walk(root) for name in names}
        whole = {path: data for path, (data, _) in state.files.items()
                 if not is_stage(path) and path != MARK}
        if uploads:
            whole.update((up.name, up.data) for up in uploads)
            whole.pop(keyed.LOG, None)
            left.pop(keyed.LOG, None)
            whole.pop(keyed.LOG + ".new", None)
        assert left == whole, "left after recovery: %s" % sorted(left)
    except AssertionError as e:
        raise AssertionError("%s: recovery from %s: %s" % (run.name, sorted(state.files), e))
    finally:
        if daemon is not None and daemon.running():
            daemon.process.kill()
            daemon.process.wait()
        shutil.rmtree(scratch, True)
