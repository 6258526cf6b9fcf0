"""What a workload is, and what the ones in workloads/ share.

A workload says what is asked of a server (`kind`), where its files may be (`places`), what it measures
(`columns`), and does one round of it: the runner interleaves the rounds of all peers, and the report
does the arithmetic. Each module in workloads/ has a list WORKLOADS.
"""

import filecmp
import os
import shutil
import time

from measure import Failure, Peak, run_clients

MIB = 1 << 20
GIB = 1 << 30


class Column:
    """One figure of a round, by its key. better: "high" or "low", where a ratio to others says something."""

    def __init__(self, key, heading, better=None):
        self.key, self.heading, self.better = key, heading, better


class Setting:
    """Where a workload runs: a directory of its own on a place, and how large all is."""

    def __init__(self, directory, place, scale, scratch):
        self.directory, self.place, self.scale, self.scratch = directory, place, scale, scratch
        self.out = self.make("out")  # what clients download

    def make(self, *names):
        """A directory that every user may enter: a server may become somebody else."""
        path = self.directory
        for name in names:
            path = os.path.join(path, name)
            os.makedirs(path, exist_ok=True)
            os.chmod(path, 0o755)
        return path

    def make_scratch(self, name):
        """For what a server needs besides, as its log: never on a disk that is measured."""
        path = os.path.join(self.scratch, name)
        os.mkdir(path)
        for each in (self.scratch, path):
            os.chmod(each, 0o755)
        return path

    def size(self, nbytes):
        """A size, scaled, in whole MiB: direct I/O wants whole blocks."""
        return max(1, int(nbytes * self.scale) // MIB) * MIB

    def count(self, number, least=1):
        return max(least, int(number * self.scale))

    def source(self, name, nbytes):
        """A file whose content does not repeat with any power of two."""
        path = os.path.join(self.directory, name)
        block = os.urandom(MIB - 1) if nbytes >= MIB else os.urandom(nbytes)
        with open(path, "wb", buffering=0) as file:
            while nbytes > 0:
                nbytes -= file.write(block[:nbytes])
            if self.place == "disk":
                os.fsync(file.fileno())
        os.chmod(path, 0o644)
        return path

    def offer(self, path, root, name):
        """The file stands beneath a server's root, too."""
        os.link(path, os.path.join(root, name))

    def rest(self):
        """What earlier rounds left in the disk's queue does not count for this one."""
        if self.place == "disk":
            os.sync()


class Workload:
    name = "?"
    title = "?"
    kind = "download"
    places = ("tmpfs", "disk")
    columns = ()
    headline = ()  # the keys of the two columns that README shows

    def takes_part(self, peer):
        return self.kind in peer.can

    def space(self, setting):
        """Bytes that its files may take on the place at any time."""
        return MIB

    def prepare(self, setting):
        """Makes what all peers use."""

    def offer(self, setting, peer, root):
        """Puts into a server's root what it serves, before it is started."""

    def round(self, setting, peer, server, root, check):
        """The figures of one round, by key. check: compare what arrived, byte by byte."""
        raise NotImplementedError


# Files from one end to the other

TRANSFER_COLUMNS = (
    Column("gib_s", "GiB/s", "high"),
    Column("server_cpu", "server CPU-s/GiB", "low"),
    Column("client_cpu", "client"),
    Column("both_cpu", "both", "low"),
    Column("server_kib", "server RssAnon KiB"),
)
SPREAD = Column("spread", "last/first", "low")


class Transfer(Workload):
    """`count` files of `nbytes` at once, each by a client of its own, to the end of the last.

    On a disk it is over when all of it is safe there: what a client or server has not synced, we do.
    """
    nbytes = GIB
    at_once = 1
    columns = TRANSFER_COLUMNS
    headline = ("gib_s", "both_cpu")

    def space(self, setting):
        return (1 + self.at_once) * setting.size(self.nbytes)

    def prepare(self, setting):
        self.path = setting.source("source", setting.size(self.nbytes))

    def offer(self, setting, peer, root):
        if self.kind == "download":
            setting.offer(self.path, root, "source")

    def _clients(self, setting, peer, server, root):
        """The command lines, and the files that they will have made."""
        names = ["file%d" % i for i in range(self.at_once)]
        if self.kind == "download":
            paths = [os.path.join(setting.out, name) for name in names]
            return [peer.get(server, "source", path) for path in paths], paths
        paths = [os.path.join(root, name) for name in names]
        return [peer.put(server, self.path, name) for name in names], paths

    def round(self, setting, peer, server, root, check):
        argvs, paths = self._clients(setting, peer, server, root)
        setting.rest()
        before = server.cpu() if server else 0.0
        with Peak(server.pid if server else os.getpid()) as peak:
            clients = run_clients(argvs)
            ended = max(client.ended for client in clients)
            if setting.place == "disk":
                ended = sync_files(paths)
        if server:
            server.settle()
        server_cpu = server.cpu() - before if server else 0.0
        for path in paths:
            same_content(self.path, path, check)
            os.unlink(path)
        began = min(client.began for client in clients)
        gib = self.at_once * os.stat(self.path).st_size / GIB
        client_cpu = sum(client.cpu for client in clients)
        figures = {
            "seconds": ended - began,
            "gib_s": gib / (ended - began),
            "client_cpu": client_cpu / gib,
            "both_cpu": (server_cpu + client_cpu) / gib,
        }
        if server:
            figures["server_cpu"] = server_cpu / gib
            figures["server_kib"] = peak.kib
        if self.at_once > 1:
            times = [client.ended - began for client in clients]
            figures["spread"] = max(times) / min(times)
        return figures


def sync_files(paths):
    """Returns when it was done."""
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
    return time.monotonic()


def same_content(source, path, check):
    """By size each time, by bytes when it is asked for."""
    if not os.path.exists(path) or os.stat(path).st_size != os.stat(source).st_size:
        raise Failure("%s has not arrived whole" % path)
    if check:
        filecmp.clear_cache()
        if not filecmp.cmp(source, path, shallow=False):
            raise Failure("%s is not what was sent" % path)


def remove(directory):
    shutil.rmtree(directory, ignore_errors=True)
