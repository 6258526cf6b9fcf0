"""Many downloads of clients that have stopped reading: the memory that each of them costs."""

import re
import resource
import subprocess
import time

from measure import Failure, anonymous_kib
from peers import find, native
from places import Missing
from probes import Beside
from workload import MIB, Column, Workload

FILE = "large"


def socket_kib(port):
    """(connections, KiB of the kernel's) of a server's ends: all that stands in their buffers.

    skmem as ss(8) has it: received (r), to be sent (w), set aside for more (f), and options (o).
    """
    done = subprocess.run(["ss", "-tmnH", "state", "established", "sport", "=", ":%d" % port],
                          stdout=subprocess.PIPE, text=True, check=True)
    found = re.findall(r"skmem:\(r(\d+),.*?,f(\d+),w(\d+),o(\d+)", done.stdout)
    return len(found), sum(int(value) for fields in found for value in fields) / 1024


def most_connections():
    """What all servers have descriptors for: ftxferd keeps three for each."""
    return (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 256) // 3


class Held(Workload):
    name = "held"
    title = "10,000 downloads, or what descriptors allow, whose clients have stopped reading"
    kind = "connections"
    places = ("tmpfs",)
    columns = (
        Column("count", "held"),
        Column("user_kib", "user KiB each", "low"),
        Column("kernel_kib", "kernel KiB each", "low"),
        Column("seconds", "seconds until all had begun"),
    )
    headline = ("user_kib", "kernel_kib")

    def takes_part(self, peer):
        """Not the reference: it serves one at a time."""
        return super().takes_part(peer) and not peer.name.startswith("native")

    def space(self, setting):
        return 64 * MIB

    def prepare(self, setting):
        if not find("ss"):
            raise Missing("there is no ss (Debian: iproute2)")
        self.path = setting.source(FILE, 64 * MIB)

    def offer(self, setting, peer, root):
        setting.offer(self.path, root, FILE)

    @staticmethod
    def _at_rest(server):
        """What all their buffers have once nothing is put into them any more."""
        last = None
        for _ in range(120):
            now = socket_kib(server.port)
            if now == last:
                return now
            last = now
            time.sleep(0.5)
        return last

    def round(self, setting, peer, server, root, check):
        count = min(setting.count(10000, least=20), most_connections())
        if not hasattr(server, "idle_kib"):  # later it keeps what it had
            server.idle_kib = anonymous_kib(server.pid)
        began = time.monotonic()
        with Beside([native("hold"), "stall", peer.load, str(server.port), str(count), FILE]) as all_:
            if not all_.line().startswith("held"):
                all_.finish()
            seconds = time.monotonic() - began
            found, kernel = self._at_rest(server)
            user = anonymous_kib(server.pid) - server.idle_kib
            if found < count:
                raise Failure("%d of %d downloads are held" % (found, count))
        return {"count": count, "user_kib": max(user, 0) / count, "kernel_kib": kernel / count,
                "seconds": seconds}


WORKLOADS = [Held()]
