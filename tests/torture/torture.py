"""What the two suites share: a daemon that takes orders, and the loop that gives them.

The layout of Control is that of struct torture_control in torture.h.
"""

import mmap
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))

from wire import Peer, content, read_file, request, size_message, wait_for, write_file

TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.dirname(os.environ.get("FTXFERD") or os.path.join(TOP, "build", "ftxferd"))
FTXFERD = os.path.join(BUILD, "tests", "torture", "ftxferd")
FTXFER = os.path.join(BUILD, "tests", "torture", "ftxfer")
DEADLINE = 30  # seconds that anything may take that does not hang
MODE = 0o640

NONE, KILL_BEFORE, KILL_AFTER, FAIL = range(4)
SHORT = 4096
(NO_TMPFILE, NO_RENAMEAT2, NO_LINK_UNNAMED, NO_OPENAT2, NO_FALLOCATE,
 NO_MEMORY_FS) = (1 << i for i in range(6))

STAGE_NAME = re.compile(r"^\.ftxferd?-")
STATE_DIR = ".ftxferd"
MARK = os.path.join(STATE_DIR, "named-stages")


def scratch_directory():
    """In memory where there is such a place: an fsync costs nothing there, and what only a power
    cut loses is not looked for here."""
    memory = "/dev/shm"
    return memory if os.access(memory, os.W_OK | os.X_OK) and os.path.ismount(memory) else None


class Control:
    """Orders for one program, in a file that it maps."""

    ACTION, ERROR, AT, LACKS, COUNT, HIT, HOLD, KIND, CALL, SIZE = 0, 4, 8, 12, 16, 20, 24, 28, 60, 92

    def __init__(self, path):
        self.path = write_file(path, bytes(self.SIZE))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), self.SIZE)

    def _put(self, at, *values):
        struct.pack_into("=%dI" % len(values), self.map, at, *values)

    def _get(self, at):
        return struct.unpack_from("=I", self.map, at)[0]

    def order(self, action, kind="", at=0, error=0, lacks=0):
        self._put(self.ACTION, NONE, error, at, lacks, 0, 0)
        self.map[self.KIND:self.SIZE] = kind.encode().ljust(32, b"\0") + bytes(32)
        self._put(self.ACTION, action)

    def hold(self, on):
        """Until it is taken back no commit goes on."""
        self._put(self.HOLD, int(on))

    def environment(self):
        return dict(os.environ, FTX_TORTURE=self.path)

    @property
    def hit(self):
        return self._get(self.HIT) != 0

    @property
    def call(self):
        return self.map[self.CALL:self.SIZE].rstrip(b"\0").decode()


class Place:
    """A scratch directory with a storage root, a configuration and a control file; one daemon at a
    time."""

    def __init__(self, name, options=""):
        self.dir = tempfile.mkdtemp(prefix="ftxfer-torture-%s-" % name, dir=scratch_directory())
        self.root = os.path.join(self.dir, "root")
        os.mkdir(self.root)
        self.log_path = os.path.join(self.dir, "log")
        self.pid_file = os.path.join(self.dir, "pid")
        self.control = Control(os.path.join(self.dir, "control"))
        # Its own: a client whose daemon has been killed goes on, and somebody else's may have its port then.
        self.host = "127.%d.%d.%d" % tuple(random.randint(1, 254) for _ in range(3))
        self.conf = write_file(os.path.join(self.dir, "conf"), ("""
            user = "root"; storage_root = "%s"; listen_address = ["%s"]; grace_time = 2; workers = 2;
            pid_file = "%s"; file_mode = "%o"; pool_threads = 5;
            %s
            """ % (self.root, self.host, self.pid_file, MODE, options)).encode())
        self.process = None
        self.address = None
        self.status = None  # of a daemon that has ended

    def clear(self):
        """An empty root."""
        shutil.rmtree(self.root)
        os.mkdir(self.root)

    def start(self):
        """True when it listens; False when it has ended before that."""
        self.address = None
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [FTXFERD, "-f", self.conf, "-l", "0"], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, env=self.control.environment())
        line = self.process.stdout.readline()
        found = re.match(rb"listening on 127\.[\d.]+:(\d+)$", line.strip())
        if found:
            self.address = (self.host, int(found.group(1)))
        elif line:
            raise AssertionError("the daemon says %r" % line)
        else:
            self.wait()
        return bool(found)

    def wait(self):
        """The exit status; negative for a signal."""
        try:
            self.status = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the daemon did not end\n" + self.log())
        finally:
            self.process.stdout.close()
        if "Sanitizer" in self.log() or "runtime error:" in self.log():
            raise AssertionError(self.log()[-4000:])
        return self.status

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def log(self):
        return read_file(self.log_path).decode("utf-8", "replace")

    def path(self, name):
        return os.path.join(self.root, name)

    def files(self):
        """All beneath the root but directories that belong there: name -> size on disk."""
        found = {}
        for where, dirs, names in os.walk(self.root):
            for name in names + [d for d in dirs if d == STATE_DIR]:
                path = os.path.join(where, name)
                found[os.path.relpath(path, self.root)] = os.lstat(path).st_size
        return found

    def wait_swept(self):
        """Until nothing speaks of stage files any more: then there are none."""
        wait_for(lambda: not os.path.exists(self.path(STATE_DIR)),
                 lambda: "the sweep: %s\n%s" % (self.files(), self.log()), DEADLINE, 0.001)

    def open_files(self):
        where = "/proc/%d/fd" % self.process.pid
        return [os.readlink(os.path.join(where, fd)) for fd in os.listdir(where)]

    def close_daemon(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def close(self):
        self.close_daemon()
        shutil.rmtree(self.dir, True)


def run_ftxfer(place, mode, name, local, control=None):
    """The client to its end; with a control, the one that takes orders."""
    program = FTXFER if control else os.path.join(BUILD, "ftxfer")
    return subprocess.run([program, "-m", mode, "-s", "%s:%d" % place.address, "-v", name,
                           "-l", local], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=DEADLINE, env=control.environment() if control else None)


# What a peer hears

def upload(address, files, begin=lambda: None, ready=lambda: None):
    """Uploads all of {name: data} at once. name -> "acknowledged", "refused" or "cut". begin() is
    called before any content is sent, ready() when all is."""
    peers, ended = {}, {}

    def each(step):
        for name in list(peers):
            try:
                how = step(name, peers[name])
            except OSError:
                how = "cut"
            if how:
                ended[name] = how
                peers.pop(name).close()

    def answer(peer):
        letter = peer.sock.recv(1)
        return {b"T": None, b"": "cut"}.get(letter, "refused")

    def finish(_name, peer):
        end = peer.rest()
        if end[1] == "open":
            raise AssertionError("the connection hangs")
        return "acknowledged" if end == (b"", "fin") else "cut"

    for name in files:
        try:
            peers[name] = Peer(address, deadline=DEADLINE)
        except OSError:
            ended[name] = "cut"
    each(lambda name, peer: peer.send(request(b"U", name)))
    each(lambda name, peer: answer(peer))
    each(lambda name, peer: peer.send(size_message(len(files[name]))))
    each(lambda name, peer: answer(peer))
    begin()
    each(lambda name, peer: peer.send(files[name]))
    ready()
    each(finish)
    return ended


# What is committed together, while the commit of the first one is under way; and there is one thread
# for it (pool_threads).
TOGETHER = {"first": b"1", "dir/a": b"a", "b": b"bb", "dir/c": b"c", "d": content(3000, 7)}


def upload_together(place):
    """As upload(), of those."""
    def ready():
        for _ in range(3):  # the daemon goes through its loop
            upload(place.address, {"dir": b""})
            time.sleep(0.01)
        place.control.hold(False)

    try:
        return upload(place.address, TOGETHER, lambda: place.control.hold(True), ready)
    finally:
        place.control.hold(False)


def download(address, name):
    """What came, and whether it was the whole of what was announced."""
    try:
        with Peer(address, deadline=DEADLINE) as peer:
            peer.send(request(b"D", name))
            answer = b""
            while len(answer) < 9:
                part = peer.sock.recv(9 - len(answer))
                if not part:
                    return None, "cut"
                answer += part
            if answer[:1] != b"T":
                return None, "refused"
            peer.send(b"T")
            data, end = peer.rest()
    except OSError:
        return None, "cut"
    if end == "open":
        raise AssertionError("the connection hangs")
    whole = end == "fin" and len(data) == struct.unpack(">Q", answer[1:])[0]
    return data, "whole" if whole else "cut"


# The loop

class Points:
    """Runs jobs side by side, counts the points that they try, and says so at the end."""

    def __init__(self, name, jobs):
        self.name, self.jobs = name, list(jobs)
        self.lock = threading.Lock()
        self.counts, self.failures = {}, []

    def count(self, kind, points=1):
        with self.lock:
            self.counts[kind] = self.counts.get(kind, 0) + points

    def failed(self, where, why):
        with self.lock:
            self.failures.append(where)
            print("FAILED %s: %s" % (where, why), flush=True)

    def _work(self):
        while True:
            with self.lock:
                if not self.jobs or len(self.failures) > 20:
                    return
                job = self.jobs.pop(0)
            try:
                job(self)
            except BaseException:
                self.failed(str(job), traceback.format_exc())

    def run(self):
        started = time.monotonic()
        threads = [threading.Thread(target=self._work) for _ in range(2 + (os.cpu_count() or 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for kind in sorted(self.counts):
            print("%6d  %s" % (self.counts[kind], kind))
        total = sum(self.counts.values())
        bad = len(self.failures)
        print("%s: %d points in %.0f s: %d passed, %d failed" % (
            self.name, total, time.monotonic() - started, max(total - bad, 0), bad))
        return 1 if bad or not total else 0


def only(cases):
    """Those that the command line names by a part of their name. Without one it is all, or, with
    FTXFER_TEST_TORTURE=N, one in N: others in each run.
    """
    texts = sys.argv[1:]
    if not texts:
        step = int(os.environ.get("FTXFER_TEST_TORTURE", "1"))
        return cases[random.randrange(step)::step]
    return [case for case in cases if any(text in str(case) for text in texts)]
