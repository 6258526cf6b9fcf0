"""A line on which both sides take turns: how many round trips a conversation takes, whatever time.

What the client says is held until it has no more to say, then all of it goes to the server; so with
the answers. Each such exchange is one round trip of a line that is infinitely wide and so long that
all that both ends do takes no time beside it. So a loaded machine changes nothing: who has no more
to say is found out by what the kernel says of its threads, and not by waiting.

Connecting is not counted (it takes one more on a real line). The end is: the client's FIN, and
the server's behind it.
"""

import array
import fcntl
import os
import select
import socket
import threading

from harness import switches

SIOCOUTQNSD = 0x894B  # linux/sockios.h: bytes that the kernel has not sent yet
LOOK = 0.003  # s between two looks: only who has not moved meanwhile is at rest
PIECE = 1 << 20


def is_at_rest(pid):
    """All of its threads wait. One that is gone has nothing more to say."""
    try:
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/stat" % (pid, task)) as file:
                if file.read().rsplit(")", 1)[1].split()[0] not in "SZX":
                    return False
    except (FileNotFoundError, ProcessLookupError):
        pass
    return True


def moves(pid):
    try:
        return switches(pid)
    except (FileNotFoundError, ProcessLookupError, AttributeError):
        return -1


class End:
    """One side of a connection: what it has said, and what it is to hear."""

    def __init__(self, sock):
        self.sock = sock
        sock.setblocking(False)
        self.said, self.ended = bytearray(), False
        self.to_hear, self.to_end = bytearray(), False
        self.told = False  # the other one has heard of its end

    def read(self):
        try:
            while not self.ended:
                data = self.sock.recv(PIECE)
                self.said += data
                self.ended = not data
        except BlockingIOError:
            pass
        except ConnectionError:
            self.ended = True

    def write(self):
        try:
            while self.to_hear:
                del self.to_hear[:self.sock.send(self.to_hear)]
            if self.to_end:
                self.to_end = False
                self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            self.to_hear.clear()

    def on_the_way(self):
        """Bytes that it has no room for yet."""
        count = array.array("i", [0])
        fcntl.ioctl(self.sock, SIOCOUTQNSD, count)
        return len(self.to_hear) + count[0]


class Turns:
    """Stands between a client and a server. `client` is set once that has been started."""

    def __init__(self, server):
        self.server = server
        self.client = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.where = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.pairs = []
        self.rounds = 0
        self.turns = []  # bytes up and down, of each
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self):
        self.stopping = True
        self.thread.join()
        for end in [self.listener] + [it.sock for pair in self.pairs for it in pair]:
            end.close()

    def _accept(self):
        try:
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.server.address)
                for end in client, server:
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.pairs.append((End(client), End(server)))
        except BlockingIOError:
            pass

    def _ends(self):
        return [end for pair in self.pairs for end in pair]

    def _exchange(self):
        """Moves what can be moved; waits a moment if there is nothing. Whether there was any."""
        ends = self._ends()
        ready, free, _ = select.select(
            [self.listener] + [it.sock for it in ends if not it.ended],
            [it.sock for it in ends if it.to_hear], [], LOOK)
        self._accept()
        for it in ends:
            it.write()
            it.read()
        return bool(ready or free)

    def _hear_out(self, side, pid):
        """Reads what that side says until it rests."""
        before = None
        while not self.stopping:
            moved = self._exchange()
            now = None if moved or pid() is None else moves(pid())
            if (now is not None and now == before and is_at_rest(pid())
                    and not any(pair[side].on_the_way() for pair in self.pairs)):
                return
            before = now

    def _hand_over(self, side):
        """What it has said goes to the other one. How many bytes, ends counted as one."""
        count = 0
        for pair in self.pairs:
            one, other = pair[side], pair[1 - side]
            other.to_hear += one.said
            count += len(one.said)
            one.said.clear()
            if one.ended and not one.told:
                one.told = other.to_end = True
                count += 1
            other.write()
        return count

    def _run(self):
        while not self.stopping:
            self._hear_out(0, lambda: self.client)
            up = self._hand_over(0)
            self._hear_out(1, lambda: self.server.pid)
            down = self._hand_over(1)
            if up or down:
                self.rounds += 1
                self.turns.append((up, down))
