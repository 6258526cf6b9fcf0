"""The programs that protocol 1 comes from, which were in Python: a model of them, since they do not run
any more (tests/system/model.py)."""

import os

from measure import run_clients
from peers import native
from probes import figures_of
from workload import GIB, MIB, Column, Workload, same_content

SMALL = "small"


class First(Workload):
    name = "first"
    title = "the first programs, as a model of them: 10 MiB there and back, then new connections of 1 KiB"
    kind = "first"
    places = ("tmpfs",)
    columns = (
        Column("up_mib_s", "upload MiB/s", "high"),
        Column("down_mib_s", "download MiB/s", "high"),
        Column("server_cpu", "server CPU-s/GiB", "low"),
        Column("client_cpu", "client"),
        Column("per_s", "connections/s", "high"),
    )
    headline = ("per_s", "server_cpu")

    def prepare(self, setting):
        self.path = setting.source("source", setting.size(10 * MIB))
        self.small = setting.source(SMALL, 1024)

    def offer(self, setting, peer, root):
        setting.offer(self.small, root, SMALL)

    def round(self, setting, peer, server, root, check):
        back, there = os.path.join(setting.out, "back"), os.path.join(root, "there")
        before = server.cpu()
        up, = run_clients([peer.put(server, self.path, "there")])
        down, = run_clients([peer.get(server, "there", back)])
        server_cpu = server.cpu() - before
        for path in (there, back):
            same_content(self.path, path, check)
            os.unlink(path)
        count = setting.count(2000, least=50)
        load, = run_clients([[native("load"), peer.load, str(server.port), str(count), "8",
                              self.small, SMALL]])
        mib = os.stat(self.path).st_size / MIB
        return {
            "up_mib_s": mib / (up.ended - up.began),
            "down_mib_s": mib / (down.ended - down.began),
            "server_cpu": server_cpu / (2 * mib * MIB / GIB),
            "client_cpu": (up.cpu + down.cpu) / (2 * mib * MIB / GIB),
            "per_s": count / figures_of(load.output)["seconds"],
        }


WORKLOADS = [First()]
