"""Runs of the recorded programs: what was done, what was promised, and the trace of it."""

import json
import os
import shutil
import stat
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

from harness import Daemon, ftxferd, run as run_program  # noqa: E402
from powercut_model import Disk  # noqa: E402
from wire import Peer, content, read_file, request, size_message, wait_for  # noqa: E402

BUILD = os.path.dirname(os.path.abspath(ftxferd()[-1]))
MODE = 0o640
STATE_DIR = ".ftxferd"
MARK = STATE_DIR + "/named-stages"
STAGE = ".ftxferd-"
CLIENT_STAGE = ".ftxfer-"
XATTR = "user.ftxferd.digest"


def recorded(name):
    return os.path.join(BUILD, "tests", "torture", name + "_record")


def is_stage(path):
    return os.path.basename(path).startswith((STAGE, CLIENT_STAGE))


def pieces(size, seed, *sizes):
    """Content in pieces of those sizes and a rest; no sector of it is all zeroes."""
    data, parts = content(size, seed), []
    for length in sizes:
        parts.append(data[:length])
        data = data[length:]
    return parts + [data] if data else parts


def stored_digest(path):
    """The attribute, or nothing."""
    try:
        return os.getxattr(path, XATTR)
    except OSError:
        return b""


class Promise:
    """What may stand under names, and from which record on it must.

    may: name -> [(content, mode)]; must: name -> [(number of a record, (content, mode))]
    """

    def __init__(self):
        self.may, self.must = {}, {}
        self.keep = {}     # name -> (content, mode): was there, and stays until something replaces it
        self.daemon = True  # its stages need a mark


class Run:
    """A recorded program at work in a directory; the trace; what it promised."""

    def __init__(self, name, tree=None, fail="", drop=""):
        self.name, self.fail, self.drop = name, fail, drop
        self.dir = tempfile.mkdtemp(prefix="ftxfer-powercut-")
        self.root = os.path.join(self.dir, "root")
        self.trace = os.path.join(self.dir, "trace")
        self.held = os.path.join(self.dir, "held")
        self.promise = Promise()
        self.records, self._read, self.sent, self.daemon = [], 0, 0, None
        self.killed = 0  # records until a daemon was killed
        self.ports = {}  # port -> (name, (content, mode)) of uploads that were confirmed
        self._plant(tree or {})
        open(self.trace, "wb").close()

    def __enter__(self):
        return self

    def __exit__(self, *_why):
        if self.daemon is not None and self.daemon.running():
            self.daemon.process.kill()
            self.daemon.process.wait()
        shutil.rmtree(self.dir, True)

    def _plant(self, tree):
        os.mkdir(self.root)
        os.mkdir(os.path.join(self.root, "d"))
        for name, data in tree.items():
            path = os.path.join(self.root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
            os.chmod(path, MODE)
            if not is_stage(path) and name != MARK:
                self.promise.keep[name] = (data, MODE)
        self.start = self.look()

    def look(self):
        """What is there: path -> (stat, content or None for a directory); "" is the root."""
        found = {"": (os.stat(self.root), None)}
        for where, dirs, names in os.walk(self.root):
            for name in dirs + names:
                path = os.path.join(where, name)
                found[os.path.relpath(path, self.root)] = (
                    os.lstat(path), read_file(path) if name in names else None)
        return found

    def disk(self):
        """A model of what was there before the program came."""
        inodes, disk = {}, Disk(None)
        for path in sorted(self.start):
            st, data = self.start[path]
            inodes[path] = disk.add((st.st_dev, st.st_ino), "dir" if data is None else "file",
                                    path, stat.S_IMODE(st.st_mode), data or b"")
            if path:
                disk.entries[(inodes[os.path.dirname(path)], os.path.basename(path))] = inodes[path]
        disk.root = inodes[""]
        return disk

    def environment(self):
        env = dict(os.environ, FTX_RECORD_TRACE=self.trace, FTX_RECORD_FAIL=self.fail,
                   FTX_RECORD_DROP=self.drop, FTX_RECORD_HOLD=self.held)
        return env

    def poll(self):
        """Reads on in the trace; returns all of it."""
        with open(self.trace, "rb") as file:
            file.seek(self._read)
            data = file.read()
        data = data[:data.rfind(b"\n") + 1]
        self._read += len(data)
        self.records += [json.loads(line) for line in data.splitlines()]
        return self.records

    def saw(self, what, test):
        """Waits for a record."""
        return wait_for(lambda: any(test(record) for record in self.poll()),
                        lambda: "%s: a record of %s" % (self.name, what), step=0.001)

    # The daemon and its peers

    def start_daemon(self, **options):
        self.daemon = Daemon(self.dir, self.root, wrap=lambda argv: [recorded("ftxferd")] + argv[1:],
                             popen={"env": self.environment()}, **options)
        return self.daemon

    def wait_for_rest(self):
        """A call is written down when it is done: so not between these two."""
        count, since = -1, time.monotonic()
        while time.monotonic() - since < 0.3:
            time.sleep(0.01)
            if len(self.poll()) != count:
                count, since = len(self.poll()), time.monotonic()

    def stop_daemon(self):
        status = self.daemon.stop()
        assert status == 0, "%s: exit %d\n%s" % (self.name, status, self.daemon.err())
        self._settle()

    def kill_daemon(self):
        """As it stands; what it had not synced is still to be lost or kept."""
        self.wait_for_rest()
        self.daemon.process.kill()
        self.daemon.process.wait()
        self._settle()
        self.killed = len(self.records)

    def _settle(self):
        for number, record in enumerate(self.poll()):
            if record["op"] == "end" and record["how"] == "fin" and record["port"] in self.ports:
                name, version = self.ports.pop(record["port"])
                self.promise.must.setdefault(name, []).append((number, version))
        assert not self.ports, "%s: confirmed, but not in the trace: %s" % (self.name, self.ports)
        self.compare()

    def begin(self, name, size, answer=b"TT"):
        """A peer whose upload was answered like that, up to its size."""
        peer = Peer(self.daemon.address)
        peer.send(request(b"U", name))
        got = peer.receive(1)
        if got == b"T":
            peer.send(size_message(size))
            got += peer.receive(1)
        assert got == answer, (self.name, name, got)
        return peer

    def send(self, peer, data):
        """A piece that is written by itself."""
        peer.send(data)
        self.sent += len(data)
        made = lambda: {tuple(r["inode"]) for r in self.poll() if r["op"] == "create"}  # noqa: E731
        wait_for(lambda: sum(len(r["data"]) // 2 for r in self.poll() if r["op"] == "write"
                             and tuple(r["inode"]) in made()) >= self.sent,
                 "%d bytes in the trace of %s" % (self.sent, self.name), step=0.001)

    def begin_upload(self, name, parts):
        self.promise.may.setdefault(name, []).append((b"".join(parts), MODE))
        return self.begin(name, sum(map(len, parts)))

    def finish_upload(self, peer, name, parts):
        """The connection's clean end is the receipt."""
        assert peer.rest() == (b"", "fin"), (self.name, name)
        self.ports[peer.port] = (name, (b"".join(parts), MODE))
        peer.close()

    def upload_together(self, first, others):
        """Commits `first`, and all others while that is under way: by one thread, so they are what it
        finds waiting next. {name: content}"""
        peers = []
        for name, data in list(first.items()) + list(others.items()):
            peer = self.begin_upload(name, [data])
            open(self.held, "wb").close()  # only now, for a mark is not to be held
            peer.send(data)
            self.sent += len(data)
            peers.append((peer, name, [data]))
        self.send(peers[-1][0], b"")  # until all is written
        for _ in range(3):  # and the daemon has been through its loop since then
            self.refuse(next(iter(self.promise.keep)), 1, b"F")
            time.sleep(0.05)
        os.unlink(self.held)
        for one in peers:
            self.finish_upload(*one)

    def upload(self, name, parts):
        peer = self.begin_upload(name, parts)
        for part in parts[:-1]:
            self.send(peer, part)
        for part in parts[-1:]:
            peer.send(part)
            self.sent += len(part)
        self.finish_upload(peer, name, parts)

    def refuse(self, name, size, answer):
        peer = self.begin(name, size, answer)
        assert peer.rest() == (b"", "fin"), (self.name, name)
        peer.close()
        self.daemon.reason(peer)

    def abort(self, name, part):
        """Sends a part of a file and goes. A stage with a name is removed before this returns."""
        before = sum(1 for record in self.poll() if record["op"] == "unlink")
        peer = self.begin(name, len(part) + 1)
        self.send(peer, part)
        peer.reset()
        self.daemon.reason(peer)
        last = [record for record in self.records if record["op"] == "create"
                and not record.get("name", "").startswith("named-")][-1]
        if "name" in last:
            wait_for(lambda: sum(1 for record in self.poll() if record["op"] == "unlink") > before,
                     "%s: the stage to be removed" % self.name, step=0.001)

    # The client

    def download(self, server, name, local, version, *args):
        """With the recorded client into `local`; its exit status 0 is the receipt."""
        self.promise.daemon = False
        self.promise.may[local] = [version]
        ran = run_program([recorded("ftxfer"), "-m", "download", "-s", server.where, "-v", name,
                           "-l", os.path.join(self.root, local)] + list(args),
                          env=self.environment(), umask=0o666 & ~version[1])
        assert ran.status == 0, (self.name, ran)
        self.promise.must[local] = [(len(self.poll()), version)]
        self.records.append({"op": "end", "port": 0, "how": "exit 0"})
        self.compare()

    def probe(self, *args):
        """Each recorded call, made by a program that does nothing else."""
        ran = run_program([os.path.join(BUILD, "tests", "torture", "record_probe"), self.root]
                          + list(args), env=self.environment())
        assert ran.status == 0, (self.name, ran)
        self.compare()

    # The recorder's own proof

    def compare(self):
        """Played without a power cut the trace must lead to what is there: nothing was missed."""
        disk = self.disk()
        for number, record in enumerate(self.poll()):
            disk.play(number, record)
        state = disk.now()
        there = {path: (data, stat.S_IMODE(st.st_mode))
                 for path, (st, data) in self.look().items() if data is not None}
        wrong = sorted(path for path in set(state.files) | set(there)
                       if state.files.get(path) != there.get(path))
        assert not wrong, "%s: the trace does not lead to what is there: %s" % (self.name, wrong)
        for path, (mtime, xattr) in state.stamps.items():
            there = os.path.join(self.root, path)
            assert mtime in (None, os.stat(there).st_mtime_ns), "%s: the time of %s" % (
                self.name, path)
            assert xattr == stored_digest(there), "%s: the attribute of %s" % (self.name, path)
        dirs = {path for path, (_, data) in self.look().items() if data is None and path}
        assert set(state.dirs) == dirs, (self.name, state.dirs, dirs)
        strange = {r["number"] for r in self.records if r["op"] == "syscall"}
        assert not strange, "%s: system calls %s, which record_content.c does not know" % (
            self.name, sorted(strange))
