"""Large files: one at a time, eight at once, and until they are safe on a disk."""

from workload import GIB, MIB, SPREAD, TRANSFER_COLUMNS, Transfer


class Download(Transfer):
    name = "download"
    title = "one 2 GiB download, the client writes a file"
    kind = "download"
    nbytes = 2 * GIB


class Upload(Transfer):
    name = "upload"
    title = "one 2 GiB upload"
    kind = "upload"
    places = ("tmpfs",)
    nbytes = 2 * GIB


class Durable(Transfer):
    name = "durable"
    title = "one 2 GiB upload, until it is safe on the disk"
    kind = "upload"
    places = ("disk",)
    nbytes = 2 * GIB

    def takes_part(self, peer):
        return super().takes_part(peer) or "disk" in peer.can


class ManyDownloads(Transfer):
    name = "downloads8"
    title = "8 downloads of 512 MiB at once"
    kind = "download"
    places = ("tmpfs",)
    nbytes = 512 * MIB
    at_once = 8
    columns = TRANSFER_COLUMNS + (SPREAD,)


class ManyUploads(ManyDownloads):
    name = "uploads8"
    title = "8 uploads of 512 MiB at once"
    kind = "upload"


WORKLOADS = [Download(), Upload(), Durable(), ManyDownloads(), ManyUploads()]
