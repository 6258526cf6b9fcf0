"""One large file by protocol 2, whose digest is made or checked on both sides, beside protocol 1, which has none."""

import os

from measure import run_clients
from peers import Ftxferd, Ftxferd2
from workload import GIB, Transfer

SOURCE = "source"


class Digest(Transfer):
    places = ("tmpfs",)
    nbytes = 2 * GIB

    def takes_part(self, peer):
        return isinstance(peer, Ftxferd)

    def space(self, setting):
        return super().space(setting) + setting.size(self.nbytes)


class Up(Digest):
    name = "digestup"
    title = "one 2 GiB upload, with and without a digest"
    kind = "upload"


class Down(Digest):
    """The digest is stored with the file: it has come by an upload."""
    name = "digestdown"
    title = "one 2 GiB download, with a digest that is stored, and without"
    kind = "download"

    def offer(self, setting, peer, root):
        if not isinstance(peer, Ftxferd2):
            super().offer(setting, peer, root)

    def round(self, setting, peer, server, root, check):
        if not os.path.exists(os.path.join(root, SOURCE)):
            run_clients([peer.put(server, self.path, SOURCE)])
        return super().round(setting, peer, server, root, check)


WORKLOADS = [Up(), Down()]
