"""Uploads of protocol 2 that are known again, before and after a power cut.

The receipt is the OK on the wire, at the record of the send(2) that it left with. From there on, in
each state that the disk may be in: the file is there with content, mode and time; the record of it
says so (READY or PUBLISHED); and no stored digest vouches for other content. Where a stage file is,
its mark or its record is. The real daemon, started on the tree, gives the receipt to who sends the
same again, goes on with what is kept, and leaves nothing but files and the record.
"""

import ctypes
import hashlib
import os
import struct
import threading
import time

from keyed import BITS, MTIME, Keyed
from powercut_run import Run, is_stage
from wire2 import PREFACE, REPLACE

LOG = ".ftxferd/uploads"
MAGIC = b"ftxferd uploads 1\n"
READY, PUBLISHED, FORGOTTEN = 2, 3, 4
WHEN = MTIME[0] * 10 ** 9 + MTIME[1]


class _Hash(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


XXH = ctypes.CDLL("libxxhash.so.0")
XXH.XXH3_128bits.restype = _Hash
XXH.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def check_of(body):
    return struct.pack(">Q", XXH.XXH3_128bits(body, len(body)).high)


class Record:
    """One of the log, by store/upload_log.c: what we look at, and its bytes."""

    def __init__(self, body):
        self.body, self.state, self.id = body, body[0], body[1:17]
        self.ino, = struct.unpack(">Q", body[58:66])
        version = body[88]
        kind = body[89 + version]
        at = 90 + version + {0: 0, 1: 16, 2: 32}[kind] + 21
        self.stage = body[at:at + 64].rstrip(b"\0").decode()
        self.name = body[at + 66:].decode()

    def with_ino(self, ino):
        body = self.body[:58] + struct.pack(">Q", ino) + self.body[66:]
        return struct.pack(">I", len(body) + 12) + check_of(body) + body


def read_log(data):
    """Its whole records, and what is behind them."""
    if not data.startswith(MAGIC):
        return [], data
    found, at = [], len(MAGIC)
    while at + 12 <= len(data):
        size, = struct.unpack(">I", data[at:at + 4])
        body = data[at + 12:at + size]
        if size < 12 or len(body) != size - 12 or check_of(body) != data[at + 4:at + 12]:
            break
        found.append(Record(body))
        at += size
    return found, data[at:]


def known(state):
    """id -> the last record of each that is known."""
    last = {}
    for record in read_log(state.files[LOG][0] if LOG in state.files else b"")[0]:
        last[record.id] = record
    return {key: record for key, record in last.items() if record.state != FORGOTTEN}


def vouches_wrongly(data, stamp):
    """Whether a stored digest (store/stored_digest.h) would be believed, and is not the content's."""
    mtime, value = stamp
    if len(value) != 22 + 32 or value[:2] != b"\2\2":
        return False
    size, seconds, nanoseconds = struct.unpack(">QqI", value[2:22])
    if size != len(data) or mtime not in (None, seconds * 10 ** 9 + nanoseconds):
        return False
    return value[22:] != hashlib.sha256(data).digest()


def judge(state, acknowledged, uploads):
    """What is wrong with a state, but for what is wrong of any: sentences."""
    records, wrong = known(state), []
    for path, (data, _) in state.files.items():
        if not is_stage(path) and vouches_wrongly(data, state.stamps[path]):
            wrong.append("%s: its stored digest vouches for something else" % path)
    for up in uploads:
        if up.name not in acknowledged:
            continue
        if up.name in state.files and state.stamps[up.name][0] != WHEN:
            wrong.append("%s is acknowledged, but without its time" % up.name)
        if up.id not in records or records[up.id].state not in (READY, PUBLISHED):
            wrong.append("%s is acknowledged, and nobody would know" % up.name)
    return wrong


def stages_known(state):
    return {record.stage for record in known(state).values()}


# Runs

def sparse(size, seed):
    """Content whose sectors are zeros but for the first and the last: so there are fewer states."""
    first = bytes([seed]) * 512
    return (first + bytes(size - 1024) + first)[:size] if size > 1024 else (first * 2)[:size]


class KeyedRun(Run):
    """With uploads that are known again: self.uploads."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.uploads, self.told = [], []

    def begin_keyed(self, name, data, **kwargs):
        up = Keyed(name, data, **kwargs)
        self.promise.may.setdefault(name, []).append((data, BITS))
        self.uploads.append(up)
        return up

    def attempt(self, up, **kwargs):
        ended = up.attempt(self.daemon.address, **kwargs)
        if ended == "acknowledged":
            self.told.append((up.port, up))
        return ended

    def attempt_together(self, ups):
        """The first is held while the others come: by one thread, they are what it finds waiting next."""
        open(self.held, "wb").close()
        threads = [threading.Thread(target=self.attempt, args=(up,)) for up in ups]
        for thread in threads:
            thread.start()
            time.sleep(0.1)
        os.unlink(self.held)
        for thread, up in zip(threads, ups):
            thread.join()
            assert up.ended == "acknowledged", (up, up.code)

    def receipt_in_trace(self, port, up):
        """Whether its OK is there; the record with which it went is noted."""
        stream, at = b"", len(PREFACE)
        for number, record in enumerate(self.poll()):
            if record["op"] != "send" or record["port"] != port:
                continue
            stream += bytes.fromhex(record["data"])
            while at + 8 <= len(stream):
                length, kind = struct.unpack(">IB", stream[at:at + 5])
                if at + 8 + length > len(stream):
                    break
                at += 8 + length
                if kind == 0x50:
                    record["receipt"] = True
                    self.promise.must.setdefault(up.name, []).append((number, (up.data, BITS)))
                    return True
        return False

    def settle_receipts(self):
        """The record at which each OK was on its way: it is written after that."""
        deadline = time.monotonic() + 20
        for port, up in self.told:
            while not self.receipt_in_trace(port, up):
                assert time.monotonic() < deadline, "%s: its receipt is not in the trace" % up
                time.sleep(0.01)
        self.told = []

    def kill_daemon(self):
        self.settle_receipts()
        super().kill_daemon()

    def _settle(self):
        self.settle_receipts()
        super()._settle()


def small(run):
    """With NOW: one that is new, one that replaces; and asked for once more."""
    run.start_daemon(allow_replace=True)
    for up in (run.begin_keyed("d/new", sparse(600, 1), now=True),
               run.begin_keyed("old", sparse(300, 2), now=True, policy=REPLACE)):
        assert run.attempt(up) == "acknowledged", up.code
        assert run.attempt(up) == "acknowledged", up.code
    run.stop_daemon()


def resumed(run):
    """One breaks off, is gone on with, and published."""
    up = run.begin_keyed("d/large", sparse(4096 + 600, 3))
    run.start_daemon()
    run.attempt(up, until=4096 + 512)
    assert run.attempt(up) == "acknowledged" and up.had == 4096, (up.code, up.had)
    run.stop_daemon()


def killed(run):
    """Likewise, and the daemon is killed in between."""
    up = run.begin_keyed("d/large", sparse(4096 + 600, 3))
    run.start_daemon()
    run.attempt(up, until=4096 + 512)
    run.kill_daemon()
    run.start_daemon()
    assert run.attempt(up) == "acknowledged", up.code
    run.stop_daemon()


def given_up(run):
    """What one run has kept is given up in the next one."""
    up = run.begin_keyed("d/large", sparse(4096 + 600, 3))
    run.start_daemon()
    run.attempt(up, until=4096 + 512)
    run.stop_daemon()
    run.start_daemon()
    assert run.attempt(up, abort=True) == "refused", up.code
    run.stop_daemon()


def together(run):
    """Some become ready while the commit of another one is under way: with records of their own."""
    run.start_daemon(pool_threads=5)
    run.attempt_together([run.begin_keyed(name, data, now=True) for name, data in (
        ("first", b"f"), ("a", b"1"), ("d/b", b"2"), ("c", b""), ("d/d", b"4"))])
    run.stop_daemon()


PLAYS = {"small": small, "resumed": resumed, "killed": killed, "given up": given_up}


def tree_key(state):
    """States that a daemon cannot tell apart, for what is in a stage its digest tells."""
    log = {record.id: (record.state, record.stage) for record in known(state).values()}
    behind = bool(read_log(state.files[LOG][0])[1]) if LOG in state.files else None
    return (frozenset((path, version, state.stamps[path]) for path, version in state.files.items()
                      if path != LOG and not is_stage(path)),
            frozenset(path for path in state.files if is_stage(path)),
            frozenset(log.items()), behind, frozenset(state.dirs))


def patch(root, state):
    """The record speaks of inodes; these are others."""
    if LOG not in state.files:
        return
    at = {state.numbers[path]: os.stat(os.path.join(root, path)).st_ino for path in state.files}
    records, behind = read_log(state.files[LOG][0])
    if not records:
        return
    with open(os.path.join(root, LOG), "wb") as file:
        file.write(MAGIC + b"".join(r.with_ino(at.get(r.ino, 0)) for r in records) + behind)


def send_again(run, state, daemon):
    """Whatever there is of them: each ends with its receipt, and is not published once more."""
    for up in run.uploads:
        path = daemon.path(up.name)
        there = up.name in state.files and state.files[up.name] == (up.data, BITS)
        inode = os.stat(path).st_ino if there else None
        again = Keyed(up.name, up.data, now=up.now, policy=up.policy)
        again.id = up.id
        assert again.attempt(daemon.address) == "acknowledged", "%s: sent again: %s %s" % (
            up, again.ended, again.code)
        assert inode in (None, os.stat(path).st_ino), "%s: published twice" % up
