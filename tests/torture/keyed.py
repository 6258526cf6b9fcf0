"""Uploads of protocol 2 that are known again: tries that may be cut off, and what must be true then.

A Keyed is one upload with its number, as one client knows it: whatever happens to a try, the next
one, with the same number, must end with the receipt, and the file is published once.
"""

import os
import stat

from torture import DEADLINE, MARK, STATE_DIR, content, read_file, wait_for
from wire2 import (ABORT, CREATE, PARENTS, REPLACE, SUPERSEDED, Client, encode, frame,
                   new_upload_id, sha256)

MTIME = (1234567890, 987654321)
BITS = 0o604
OPTIONS = "allow_replace = true;"
LOG = os.path.join(STATE_DIR, "uploads")


class Peer(Client):
    """Whatever ends a connection early is an OSError."""

    def fill(self, size):
        if not super().fill(size):
            raise ConnectionResetError("the end of the connection")
        return True

    def answer(self, number):
        while True:
            message = self.result(number)
            if message.type != "WORKING":
                return message


class Keyed:
    """One upload. ended: "acknowledged" (receipt has the OK), "refused" (by the ERROR) or "cut"."""

    def __init__(self, name, data, now=False, policy=CREATE, parents=False):
        self.name, self.data, self.now, self.policy = name, data, now, policy
        self.flags = PARENTS if parents else 0
        self.id = new_upload_id()
        self.ended, self.receipt, self.code = "cut", None, None
        self.loses_name = False  # its other name may go only later, which is a change
        self.sent = 0      # bytes of content in the last try
        self.had = 0       # what the server said it had
        self.port = 0      # of the last try
        self.open = []     # connections that are left as they are

    def __str__(self):
        return "%s, %d bytes%s" % (self.name, len(self.data), " now" if self.now else "")

    def head(self):
        return [("UPLOAD_ID", self.id), ("POLICY", self.policy), ("MTIME", MTIME), ("MODE", BITS)]

    def attempt(self, address, until=None, leave=False, abort=False):
        """One try. until: so many bytes, and then the end; leave: and the connection stays."""
        self.ended, self.sent, self.had = "cut", 0, 0
        try:
            peer = Peer(address)
        except OSError:
            return self.ended
        self.port = peer.socket.getsockname()[1]
        try:
            self._talk(peer, until, abort)
            if leave:
                self.open.append(peer)
        except OSError:
            pass
        finally:
            if peer not in self.open:
                peer.close()
        return self.ended

    def _talk(self, peer, until, abort):
        if self.now:
            number = peer.new_id()
            peer.send(peer.put_frames(number, self.name, self.data, *self.head(), flags=self.flags))
            self.sent = len(self.data)
            return self._end(peer.answer(number))
        number = peer.request("PUT", ("NAME", self.name), ("SIZE", len(self.data)),
                              ("DIGEST_KIND", 2), *self.head(), flags=self.flags)
        message = peer.answer(number)
        if message.type == "HAVE":
            self.had = message.OFFSET
            assert 0 < self.had <= len(self.data) and (
                self.had == len(self.data) or self.had % 4096 == 0), message
            peer.send(frame("PREFIX", number, 0, encode([
                ("OFFSET", self.had), ("DIGEST", sha256(self.data[:self.had]))])))
            message = peer.answer(number)
        if message.type != "GO":
            return self._end(message)
        assert message.OFFSET in (0, self.had), message
        rest = self.data[message.OFFSET:until]
        self.sent = len(rest)
        peer.data(number, rest, 65536)
        if abort:
            peer.end(number, flags=ABORT)
        elif until is None:
            peer.end(number, self.data)
        else:  # it has read all of that
            peer.send(frame("PING", 0))
            while peer.next().type != "PONG":
                pass
            return None
        return self._end(peer.answer(number))

    def _end(self, message):
        self.code = message.code
        if message.type == "ERROR":
            self.ended = "refused"
            return
        assert message.type == "OK", message
        said = (message.NAME, message.SIZE, message.DIGEST)
        assert said == (self.name.encode(), len(self.data), sha256(self.data)), message
        before = self.receipt
        if before is not None:
            assert message.TIME == before.TIME, "published twice: %s, then %s" % (before, message)
            if message.flags & SUPERSEDED == 0:
                assert message.FILE_VERSION == before.FILE_VERSION, (before, message)
        self.ended, self.receipt = "acknowledged", message

    def let_go(self):
        for peer in self.open:
            peer.close()
        self.open = []

    # What must be true

    def look(self, place, old=None):
        """Whether it is published. Whole or not at all, with its time and mode."""
        path = place.path(self.name)
        if not os.path.lexists(path) or (old is not None and read_file(path) == old):
            return False
        assert read_file(path) == self.data, "%s has %d bytes, or wrong ones" % (
            self, os.path.getsize(path))
        st = os.lstat(path)
        assert stat.S_IMODE(st.st_mode) == BITS, "%s: mode %o" % (self, st.st_mode)
        assert st.st_mtime_ns == MTIME[0] * 10 ** 9 + MTIME[1], "%s: its time" % self
        try:
            stored = os.getxattr(path, "user.ftxferd.digest")
        except OSError:
            stored = b""
        assert not stored or stored.endswith(sha256(self.data)[1:]), stored
        return True

    def settle(self, place, old=None):
        """After a restart: the same again, until it has its receipt."""
        acknowledged = self.ended == "acknowledged"
        there = self.look(place, old)
        assert there or not acknowledged, "%s was acknowledged and is lost" % self
        inode = os.lstat(place.path(self.name)).st_ino if there else None
        assert self.attempt(place.address) == "acknowledged", "%s: tried again: %s %s\n%s" % (
            self, self.ended, self.code, place.log())
        assert self.look(place, old), "%s: a receipt, and no file" % self
        assert self.loses_name or self.receipt.flags & SUPERSEDED == 0, "%s: %s" % (self, self.receipt)
        if there:
            assert self.now or self.sent == 0, "%s was sent again" % self
            assert os.lstat(place.path(self.name)).st_ino == inode, "%s: published twice" % self

    def give_up(self, place, old=None):
        """After a restart: if it is not published, it is aborted, and nothing is left."""
        if self.look(place, old) or self.now:
            return self.settle(place, old)
        assert self.ended != "acknowledged", "%s was acknowledged and is lost" % self
        assert self.attempt(place.address, abort=True) == "refused" and self.code == "CANCELLED", \
            "%s: aborted: %s %s" % (self, self.ended, self.code)
        assert not self.look(place, old), "%s is there, and was aborted" % self
        return None


def check_clean(place, keep):
    """No upload is unfinished; the daemon has ended: there is what was kept, and the log at most."""
    there = set(place.files()) - {LOG, STATE_DIR}
    assert there == set(keep), "left behind: %s\n%s" % (
        sorted(there ^ set(keep)), place.log())


def start_and_sweep(place):
    """Starts it. Returns what waits until all is swept that the mark speaks of, if there is one."""
    marked = os.path.exists(place.path(MARK))
    assert place.start(), place.log()
    return lambda: wait_for(lambda: not marked or "stage files of an earlier run" in place.log(),
                            lambda: "the sweep: %s\n%s" % (place.files(), place.log()),
                            DEADLINE, 0.001)


LARGE = content(300 * 1024, 21)
CUT = 150 * 1024


class Plays:
    """What is uploaded, in one run of the daemon."""

    OLD = content(2000, 22)

    @staticmethod
    def now():
        """Small files, one after the other; one replaces, one makes its directory."""
        return [Keyed("small", content(3000, 23), now=True),
                Keyed("old", content(4000, 24), now=True, policy=REPLACE),
                Keyed("made/for/it", b"x", now=True, parents=True)]

    @staticmethod
    def large():
        """One that breaks off twice, the second time under the eyes of the third try."""
        return [Keyed("dir/large", LARGE)]

    @staticmethod
    def replaces():
        return [Keyed("old", LARGE, policy=REPLACE)]

    @staticmethod
    def run(which, address):
        uploads = getattr(Plays, which)()
        for up in uploads:
            if not up.now:
                up.attempt(address, CUT)
                up.attempt(address, CUT + 65536, leave=True)
            up.attempt(address)
            up.let_go()
        if all(up.ended == "acknowledged" for up in uploads):
            for up in uploads:  # the lost answer
                up.attempt(address)
        return uploads

