"""Many small files over one connection: up, down, until they are safe, and far away. By protocol 2."""

import itertools
import os

from measure import Failure, Server, run_clients
from peers import Ftxferd2, ours
from workload import MIB, Column, Workload, remove, same_content

TREE = "tree"
WAY = 0.025  # s, each way


class Small(Workload):
    """A directory of files, as a client brings or fetches it; each peer in its own way."""
    places = ("tmpfs",)
    columns = (
        Column("files_s", "files/s", "high"),
        Column("both_us", "CPU us each, both", "low"),
        Column("server_us", "server"),
        Column("client_us", "client"),
    )
    headline = ("files_s", "both_us")
    files, nbytes = 10000, 4096
    copies = 40  # of all of them, at most, that take space at a time

    def count(self, setting):
        return setting.count(self.files, least=100)

    def space(self, setting):
        return self.copies * self.count(setting) * self.nbytes + 64 * MIB

    def prepare(self, setting):
        """Each has content of its own, so that what is exchanged shows."""
        self.path = setting.make(TREE)
        for number in range(self.count(setting)):
            path = os.path.join(self.path, "file%05d" % number)
            with open(path, "wb") as file:
                file.write(os.urandom(self.nbytes))
            os.chmod(path, 0o644)
        setting.rest()

    def offer(self, setting, peer, root):
        """To download from us they have come by an upload, which stores their digests with them."""
        if self.kind == "tree_down" and not isinstance(peer, Ftxferd2):
            os.mkdir(os.path.join(root, TREE))
            for name in os.listdir(self.path):
                setting.offer(os.path.join(self.path, name), os.path.join(root, TREE), name)

    def move(self, setting, peer, server, root, check):
        """Once, from the start of the client to its end. The client, compared and removed."""
        if self.kind == "tree_down":
            if not os.path.exists(os.path.join(root, TREE)):
                run_clients([peer.put_tree(server, self.path)])
            made = os.path.join(setting.out, TREE)
            argv = peer.get_tree(server, TREE, setting.out)
        else:
            made = os.path.join(root, TREE)
            argv = peer.put_tree(server, self.path)
        setting.rest()
        client, = run_clients([argv])
        names = os.listdir(self.path)
        if sorted(os.listdir(made)) != sorted(names):
            raise Failure("%d files have arrived" % len(os.listdir(made)))
        for name in names:
            same_content(os.path.join(self.path, name), os.path.join(made, name), check)
        remove(made)
        return client

    def round(self, setting, peer, server, root, check):
        before = server.cpu()
        client = self.move(setting, peer, server, root, check)
        server.settle()
        server_cpu = server.cpu() - before
        count, seconds = self.count(setting), client.ended - client.began
        return {
            "seconds": seconds,
            "files_s": count / seconds,
            "server_us": server_cpu / count * 1e6,
            "client_us": client.cpu / count * 1e6,
            "both_us": (server_cpu + client.cpu) / count * 1e6,
        }


class Up(Small):
    name = "smallup"
    title = "10,000 files of 4 KiB up, over one connection"
    kind = "tree_up"


class Down(Small):
    name = "smalldown"
    title = "10,000 files of 4 KiB down, over one connection"
    kind = "tree_down"


class Durable(Small):
    name = "smalldurable"
    title = "10,000 files of 4 KiB up, until they are safe on the disk"
    kind = "tree_durable"
    places = ("disk",)


class Medium:
    """Too large to be sent by the dozen, and too small for their bytes to be all that counts."""
    files, nbytes = 1000, 128 << 10
    copies = 10


class MediumUp(Medium, Up):
    name = "mediumup"
    title = "1,000 files of 128 KiB up, over one connection"


class MediumDown(Medium, Down):
    name = "mediumdown"
    title = "1,000 files of 128 KiB down, over one connection"


class MediumDurable(Medium, Durable):
    name = "mediumdurable"
    title = "1,000 files of 128 KiB up, until they are safe on the disk"


class Via:
    """A server, as it is seen through the proxy."""

    def __init__(self, proxy):
        self.port = proxy.port


class Far(Small):
    """The same through a line that takes its time: what it takes longer, in round trips."""
    columns = (
        Column("seconds", "s", "low"),
        Column("near_s", "without the way"),
        Column("rounds", "round trips", "low"),
    )
    headline = ("seconds", "rounds")
    files = 1000
    proxies = itertools.count()

    def round(self, setting, peer, server, root, check):
        # Not shut off by a narrow buffer, nor by pauses: only the way is long.
        argv = ours("STAMMERPROXY", "stammerproxy") + [
            "-l", "0", "-s", "127.0.0.1:%d" % server.port, "--delay", "0", "--latency",
            "%dms" % (1000 * WAY), "--buffer", "64M"]
        near = self.move(setting, peer, server, root, check)
        proxy = Server(argv, setting.make_scratch("proxy%d" % next(self.proxies)))
        try:
            far = self.move(setting, peer, Via(proxy), root, check)
        finally:
            proxy.stop()
        seconds, near_s = far.ended - far.began, near.ended - near.began
        return {"seconds": seconds, "near_s": near_s, "rounds": (seconds - near_s) / (2 * WAY)}


class FarUp(Far):
    name = "farup"
    title = "1,000 files of 4 KiB up, %d ms away" % (1000 * WAY)
    kind = "tree_up"


class FarDown(Far):
    name = "fardown"
    title = "1,000 files of 4 KiB down, %d ms away" % (1000 * WAY)
    kind = "tree_down"


WORKLOADS = [Up(), Down(), Durable(), MediumUp(), MediumDown(), MediumDurable(), FarUp(), FarDown()]
