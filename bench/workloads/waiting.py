"""Small files while the disk keeps somebody waiting: what others wait for must not make these wait.

The small file is in memory. Probes are sent on time whatever the server does (native/probe).
"""

import os
import subprocess

from measure import Failure
from peers import native
from probes import Beside, figures_of, pause, probe, probing
from workload import GIB, MIB, Column, Workload

SMALL = "small"


class Waiting(Workload):
    def takes_part(self, peer):
        """All that serve small files but the reference, which serves one at a time."""
        return {"download", "connections"} & peer.can and not peer.name.startswith("native")

    def prepare(self, setting):
        self.path = setting.source(SMALL, 1024)

    def offer(self, setting, peer, root):
        setting.offer(self.path, root, SMALL)


class SlowDisk(Waiting):
    """Half a second to fill what dirty pages there may be, and the disk is what everybody waits for."""
    name = "slowdisk"
    title = "1 KiB downloads, 500 a second, while one upload through the server runs into a slow disk"
    kind = "upload"
    places = ("slow",)
    columns = (
        Column("idle_p50", "idle p50 us"),
        Column("idle_p99", "p99"),
        Column("other_p50", "another writes: p50"),
        Column("other_p99", "p99"),
        Column("own_p50", "the upload: p50", "low"),
        Column("own_p99", "p99", "low"),
        Column("by_other", "p99 by another's"),
    )
    headline = ("own_p50", "own_p99")
    seconds = 4

    def space(self, setting):
        return 2 * GIB

    def takes_part(self, peer):
        return super().takes_part(peer) and "upload" in peer.can

    def prepare(self, setting):
        super().prepare(setting)
        # A hole: reading it takes no disk. Larger than the disk can swallow in the time.
        self.upload = os.path.join(setting.directory, "upload")
        with open(self.upload, "wb") as file:
            file.truncate(GIB)
        os.chmod(self.upload, 0o644)

    def _beside(self, setting, peer, server, root, argv, name):
        """The probes' figures while that runs; afterwards the disk is at rest again."""
        with Beside(argv) as writer:
            pause(0.5)
            figures = probe(peer, server, self.path, SMALL, self.seconds_of(setting),
                            writer.check_running)
        server.settle()
        for path in (os.path.join(root, name), os.path.join(root, name + ".part")):
            if os.path.exists(path):
                os.unlink(path)
        subprocess.run(["sync", "-f", root], check=True)
        return figures

    def seconds_of(self, setting):
        return max(0.5, self.seconds * min(1, setting.scale))

    def round(self, setting, peer, server, root, check):
        figures = {}
        figures["idle_p50"], figures["idle_p99"] = probe(
            peer, server, self.path, SMALL, self.seconds_of(setting) / 2)
        other = ["dd", "if=/dev/zero", "of=" + os.path.join(root, "other"), "bs=1M", "status=none"]
        for key, argv, name in (("other", other, "other"),
                                ("own", peer.put(server, self.upload, "up"), "up")):
            figures[key + "_p50"], figures[key + "_p99"] = self._beside(
                setting, peer, server, root, argv, name)
        figures["by_other"] = figures["own_p99"] / figures["other_p99"]
        return figures


class Cold(Waiting):
    name = "cold"
    title = "64 downloads of files that are not in memory, 1 KiB downloads, 500 a second, beside them"
    kind = "connections"
    places = ("disk",)
    columns = (
        Column("idle_p50", "idle p50 us"),
        Column("idle_p99", "p99"),
        Column("cold_p50", "beside: p50", "low"),
        Column("cold_p99", "p99", "low"),
        Column("by_idle", "p99 by idle's"),
        Column("gib_s", "GiB/s", "high"),
    )
    headline = ("cold_p50", "cold_p99")
    files, nbytes = 64, 32 * MIB

    def space(self, setting):
        return self.files * setting.size(self.nbytes)

    def takes_part(self, peer):
        return super().takes_part(peer) and self.kind in peer.can

    def prepare(self, setting):
        super().prepare(setting)
        self.names = ["cold%02d" % i for i in range(self.files)]
        self.paths = [setting.source(name, setting.size(self.nbytes)) for name in self.names]

    def offer(self, setting, peer, root):
        super().offer(setting, peer, root)
        for path, name in zip(self.paths, self.names):
            setting.offer(path, root, name)

    def _forget(self):
        for path in self.paths:
            fd = os.open(path, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)

    def round(self, setting, peer, server, root, check):
        figures = {}
        figures["idle_p50"], figures["idle_p99"] = probe(
            peer, server, self.path, SMALL, max(0.5, 2 * min(1, setting.scale)))
        setting.rest()
        self._forget()
        downloads = [native("hold"), "drain", peer.load, str(server.port), str(self.files)]
        with Beside(probing(peer, server, self.path, SMALL, 60)) as probes:
            with Beside(downloads + self.names) as cold:
                said = figures_of(cold.finish())
            probes.process.terminate()
            beside = figures_of(probes.finish())
        size = sum(os.stat(path).st_size for path in self.paths)
        if said["bytes"] < size:
            raise Failure("%d bytes of %d have arrived" % (said["bytes"], size))
        figures.update(cold_p50=beside["p50_us"], cold_p99=beside["p99_us"],
                       by_idle=beside["p99_us"] / figures["idle_p99"],
                       gib_s=size / GIB / said["seconds"])
        return figures


WORKLOADS = [SlowDisk(), Cold()]
