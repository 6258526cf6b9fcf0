"""A new connection for each small file: what a connection costs."""

from measure import run_clients
from peers import native
from workload import Column, Workload

FILES = 100
PARALLEL = 64


class Connections(Workload):
    name = "connections"
    title = "new connections, a file of 1 KiB each, %d at a time" % PARALLEL
    kind = "connections"
    places = ("tmpfs",)
    columns = (
        Column("per_s", "connections/s", "high"),
        Column("server_us", "server CPU us each", "low"),
        Column("client_us", "client"),
        Column("p50_us", "p50 us"),
        Column("p99_us", "p99 us"),
    )
    headline = ("per_s", "server_us")

    def prepare(self, setting):
        self.path = setting.source("small", 1024)
        self.names = ["%03d" % i for i in range(FILES)]

    def offer(self, setting, peer, root):
        for name in self.names:
            setting.offer(self.path, root, name)

    def round(self, setting, peer, server, root, check):
        count = setting.count(100000, least=1000)
        before = server.cpu()
        # The client compares every byte of every file, and ends with 1 when one is wrong.
        client, = run_clients([[native("load"), peer.load, str(server.port), str(count),
                                str(PARALLEL), self.path] + self.names])
        server.settle()
        server_cpu = server.cpu() - before
        words = client.output.split()
        said = {key: float(value) for key, value in zip(words[::2], words[1::2])}
        return {
            "seconds": said["seconds"],
            "per_s": count / said["seconds"],
            "server_us": server_cpu / count * 1e6,
            "client_us": client.cpu / count * 1e6,
            "p50_us": said["p50_us"],
            "p99_us": said["p99_us"],
        }


WORKLOADS = [Connections()]
