"""What the system tests share: the real binaries, started and stopped; see wire.py for raw peers.

The programs come from the environment (make check-system sets it): FTXFERD, FTXFER, STAMMERPROXY;
without it from build/ at the top of the tree. Everything talks to loopback, on ports that the
kernel chose, in directories below $TMPDIR, and is stopped by its process id. A program that leaves
a sanitizer's report on standard error fails the test that started it.
"""

import os
import re
import resource
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import unittest

from wire import DEADLINE, Peer, Script, read_file, request, size_message, wait_for, write_file

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLOW = os.environ.get("FTXFER_TEST_SLOW", "1") != "0"
WORKERS = os.environ.get("FTXFER_TEST_WORKERS")  # of each ftxferd, unless a test says
CONFINED = "FTXFER_TEST_CONFINED" in os.environ  # ftxferd may call what its unit allows: check-unit
GRACE = 2


def program(variable, name):
    given = os.environ.get(variable)
    return shlex.split(given) if given else [os.path.join(TOP, "build", name)]


def ftxferd():
    return program("FTXFERD", "ftxferd")


def ftxfer():
    return program("FTXFER", "ftxfer")


def stammerproxy():
    return program("STAMMERPROXY", "stammerproxy")


def sanitizers():
    """Those ftxferd was built with, by their first letters: such a program takes memory and time of
    its own, and the thread sanitizer never rests."""
    try:
        with open(ftxferd()[-1], "rb") as file:
            return {letter.decode() for letter in re.findall(rb"__([atu])b?san_", file.read())}
    except OSError:
        return set()


# Processes

class Program:
    """A started program whose standard output and error go to files."""

    def __init__(self, argv, directory, name, **popen):
        self.argv = argv
        self.out_path = os.path.join(directory, name + ".out")
        self.err_path = os.path.join(directory, name + ".err")
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            **popen)
        self.pid = self.process.pid

    def out(self):
        return read_file(self.out_path).decode("utf-8", "replace")

    def err(self):
        return read_file(self.err_path).decode("utf-8", "replace")

    def running(self):
        return self.process.poll() is None

    def wait(self, deadline=DEADLINE):
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError("%s did not end in %g s\n%s" % (self.argv, deadline, self.err()))

    def send_signal(self, number):
        os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM, deadline=DEADLINE):
        """Ends it; returns its exit status. AssertionError when it had to be killed."""
        if self.running():
            self.send_signal(number)
        try:
            status = self.wait(deadline)
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise
        self.check_sanitizers()
        return status

    def check_sanitizers(self):
        text = self.err() + self.out()
        if "Sanitizer" in text or "runtime error:" in text:
            raise AssertionError("%s:\n%s" % (self.argv[0], text[-6000:]))

    def changes(self):
        """The state names that -d printed, in order."""
        return re.findall(r"changed status to: (\w+)", self.out() + self.err())

    def counters(self):
        return counters(self.err())


def counters(text):
    """What each worker has counted, as -d says at the end: a list of dictionaries."""
    found = re.findall(r"worker (\d+):((?: [\w-]+=\d+)+)$", text, re.M)
    return [{name: int(value) for name, value in re.findall(r"([\w-]+)=(\d+)", line)}
            for _, line in sorted(found, key=lambda it: int(it[0]))]


class Listener(Program):
    """Says `listening on ADDR:PORT` for each of its addresses, and logs `reason=` for each peer."""

    def __init__(self, argv, directory, name, **popen):
        super().__init__(argv, directory, name, **popen)
        try:
            wait_for(lambda: self.addresses() or not self.running(), "the line `listening on`")
            if not self.addresses():
                raise AssertionError("%s ended with %d: %s%s" % (
                    argv, self.process.returncode, self.out(), self.err()))
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise
        self.port = self.addresses()[0][1]
        self.address = ("127.0.0.1", self.port)
        self.where = "127.0.0.1:%d" % self.port

    def addresses(self):
        found = re.findall(r"listening on (\S+):(\d+)$", self.out(), re.M)
        return [(host, int(port)) for host, port in found]

    def reasons(self):
        """How each connection that has ended did, in order of their ends."""
        return re.findall(r" peer=.* reason=([\w-]+)$", self.err(), re.M)

    def reason(self, peer):
        """How that peer's connection ended, once it has."""
        pattern = r" peer=\S+:%d .* reason=([\w-]+)$" % peer.port
        return wait_for(lambda: re.findall(pattern, self.err(), re.M),
                        lambda: "the end of port %d: %s" % (peer.port, self.err()[-2000:]))[-1]

    def ended(self, count, deadline=DEADLINE):
        """Waits until count connections have ended, and returns their reasons."""
        return wait_for(lambda: len(self.reasons()) >= count and self.reasons(),
                        lambda: "%d ends of connections: %s" % (count, self.err()[-2000:]),
                        deadline)


class Daemon(Listener):
    """ftxferd on a storage root of its own; options as keywords, as in its configuration file."""

    def __init__(self, directory, root, args=(), popen=None, name="ftxferd", wrap=list, **options):
        self.root = root
        options.setdefault("storage_root", root)
        options.setdefault("listen_address", ["127.0.0.1"])
        options.setdefault("grace_time", GRACE)
        options.setdefault("workers", int(WORKERS) if WORKERS else None)
        self.conf = write_file(os.path.join(directory, name + ".conf"), conf_text(options))
        super().__init__(wrap(ftxferd() + ["-f", self.conf, "-l", "0"] + list(args)), directory,
                         name, **(popen or {}))

    def files(self):
        """Everything beneath the storage root, whatever its kind."""
        return [os.path.relpath(os.path.join(where, name), self.root)
                for where, dirs, names in os.walk(self.root) for name in dirs + names]

    def strays(self, *known):
        """What is beneath the storage root, not known, and not in the daemon's own directory."""
        return sorted(name for name in set(self.files()) - set(known)
                      if name.split(os.sep)[0] != ".ftxferd")

    def path(self, name):
        return os.path.join(self.root, name)


def conf_text(options):
    """Tests may run as root and in a container without accounts: their daemons stay who they are."""
    options = {"user": "root", **options}
    return "".join("%s = %s;\n" % (key, conf_value(value))
                   for key, value in options.items() if value is not None).encode()


def conf_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return "%d%s" % (value, "L" if value > 0x7FFFFFFF else "")
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(conf_value(item) for item in value)
    return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')


# What the kernel knows about a process

def may_look_into(pid):
    """Only root may read the descriptors of a daemon: to its own user it is closed."""
    return os.access("/proc/%d/fd" % pid, os.R_OK)


def descriptors(pid):
    where = "/proc/%d/fd" % pid
    count = len(os.listdir(where)) if may_look_into(pid) else os.stat(where).st_size  # Linux 6.2
    if count == 0:
        raise unittest.SkipTest("this system does not count a daemon's descriptors for its user")
    return count


def status_field(path, field):
    with open(path) as file:
        return int(re.search(r"^%s:\s+(\d+)" % field, file.read(), re.M).group(1))


def rss_anon(pid):
    return status_field("/proc/%d/status" % pid, "RssAnon")


def switches(pid):
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        for field in ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"):
            total += status_field("/proc/%d/task/%s/status" % (pid, task), field)
    return total


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listening_ports(pid):
    """The TCP ports that a process listens on, found through its descriptors: may_look_into()."""
    inodes = set()
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            link = os.readlink("/proc/%d/fd/%s" % (pid, fd))
            inodes.update(re.findall(r"socket:\[(\d+)\]", link))
        except OSError:
            pass
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table):
            with open(table) as file:
                for line in list(file)[1:]:
                    fields = line.split()
                    if fields[3] == "0A" and fields[9] in inodes:
                        ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


class Ran:
    """How a program ended that ran to its end."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return "exit %d\n--- stdout\n%s--- stderr\n%s" % (self.status, self.out, self.err)


def file_system(path):
    return subprocess.run(["stat", "-f", "-c", "%T", path], stdout=subprocess.PIPE,
                          check=True).stdout.decode().strip()


def run(argv, deadline=60, **popen):
    process = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=deadline, **popen)
    ran = Ran(process.returncode, process.stdout.decode("utf-8", "replace"),
              process.stderr.decode("utf-8", "replace"))
    if "Sanitizer" in ran.err or "runtime error:" in ran.err:
        raise AssertionError("%s: %r" % (argv[0], ran))
    return ran


class SystemTest(unittest.TestCase):
    """A scratch directory for each test, and programs that end with it."""

    maxDiff = 2000

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="ftxfer-test-")
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.made = 0

    def scratch(self, name, data=None):
        path = os.path.join(self.dir, name)
        return path if data is None else write_file(path, data)

    def root(self, name="root"):
        path = self.scratch(name)
        os.makedirs(path, exist_ok=True)
        return path

    def daemon(self, expect=0, **kwargs):
        """A running daemon; at the end of the test it must stop with exit status `expect`."""
        self.made += 1
        root = kwargs.pop("root", None) or self.root()
        daemon = Daemon(self.dir, root, name="ftxferd-%d" % self.made, **kwargs)
        self.addCleanup(self._stopped, daemon, expect)
        return daemon

    def _stopped(self, daemon, expect):
        self.assertEqual(daemon.stop(), expect, daemon.err()[-4000:])

    def proxy(self, server, *args):
        self.made += 1
        proxy = Listener(stammerproxy() + ["-l", "0", "-s", server.where] + list(args), self.dir,
                         "proxy-%d" % self.made)
        self.addCleanup(proxy.stop)
        return proxy

    def script(self, play, times=1):
        script = Script(play, times)
        self.addCleanup(script.close)
        return script

    def peer(self, server, **kwargs):
        peer = Peer(server if isinstance(server, tuple) else server.address, **kwargs)
        self.addCleanup(peer.close)
        return peer

    def transfer(self, mode, server, name, local, *args, **popen):
        """Runs ftxfer to its end."""
        where = server if isinstance(server, str) else server.where
        return run(ftxfer() + ["-m", mode, "-s", where, "-v", name, "-l", local] + list(args),
                   **popen)

    def transferred(self, *args, **popen):
        """The same, and it must succeed."""
        ran = self.transfer(*args, **popen)
        self.assertEqual(ran.status, 0, ran)
        return ran

    def upload(self, server, name, data, **kwargs):
        """A whole upload by a raw peer; it must succeed, and end with a clean close."""
        peer = self.peer(server, **kwargs)
        peer.send(request(b"U", name))
        self.assertEqual(peer.receive(1), b"T")
        self._finish_upload(peer, data)

    def _finish_upload(self, peer, data):
        peer.send(size_message(len(data)))
        self.assertEqual(peer.receive(1), b"T")
        peer.send(data)
        self.assertEqual(peer.rest(), (b"", "fin"))
        peer.close()

    def upload_when_free(self, server, name, data):
        """The same when the last holder of the name has just gone: its disk job may still run."""
        def begun():
            peer = self.peer(server)
            peer.send(request(b"U", name))
            if peer.receive(1) == b"T":
                return peer
            peer.close()
            return None
        self._finish_upload(wait_for(begun, "the name %r to be free" % name, 5), data)

    def started_upload(self, server, name, size, data=b"", **kwargs):
        """An upload under way: both answers are in, and data is sent."""
        peer = self.peer(server, **kwargs)
        peer.send(request(b"U", name))
        self.assertEqual(peer.receive(1), b"T")
        peer.send(size_message(size))
        self.assertEqual(peer.receive(1), b"T")
        peer.send(data)
        return peer

    def started_download(self, server, name, size, **kwargs):
        """A download of `name` that is offered, and not yet confirmed."""
        peer = self.peer(server, **kwargs)
        peer.send(request(b"D", name))
        self.assertEqual(peer.receive(9), b"T" + size_message(size))
        return peer

    def download(self, server, name, **kwargs):
        """A whole download by a raw peer, checked for its end; returns the content."""
        peer = self.peer(server, **kwargs)
        peer.send(request(b"D", name))
        answer = peer.receive(9)
        self.assertEqual(answer[:1], b"T")
        peer.send(b"T")
        data, end = peer.rest()
        self.assertEqual((len(data), end), (struct.unpack(">Q", answer[1:])[0], "fin"))
        peer.close()
        return data


def mounted(where, size, argv):
    """argv with a tmpfs of its own, of that many bytes, at where. SkipTest if not allowed."""
    return in_namespace('mount -t tmpfs -o size="$1" none "$0" && shift', [where, str(size)], argv)


def in_namespace(script, args, argv):
    """argv after script ($0, $1... are args, then argv) with mounts of its own."""
    for kind in ("-m", "-Urm"):  # as root; as one's own root, who can become nobody else
        lead = ["unshare", kind, "sh", "-c", script + ' && exec "$@"'] + args
        try:
            if subprocess.run(lead + ["true"], stderr=subprocess.DEVNULL).returncode == 0:
                return lead + argv
        except FileNotFoundError:
            pass
    raise unittest.SkipTest("this system lets no ordinary user mount a tmpfs")


def without_proc(where, argv):
    """argv where /proc has no descriptors: no unnamed file can be given a name, so stages have one.

    What sanitizers look at in /proc is still there, linked from where, an empty directory.
    """
    return in_namespace("""
        mount --rbind /proc "$0" && mount -t tmpfs none /proc && mkdir "/proc/$$" &&
        ln -s "$$" /proc/self && for it in task maps exe environ status cmdline; do
            ln -s "$0/$$/$it" "/proc/$$/$it"; done""", [where], argv)


def limit_descriptors(count):
    """For preexec_fn."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
