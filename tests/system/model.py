#!/usr/bin/env python3
"""A small model of the original programs (client, server, proxy) that protocol 1 comes from.

Our own code, written from the description in ftxfer-protocol(7). The originals cannot be run any
more; this models how they read and write, which is what a peer can see of them:

- a message must reach them alone and exact. Bytes are gathered until the message due is there; one
  byte beyond it and they never go on. Here that raises Broken, after `settle` seconds of looking;
- they ignore an end of file: they wait on (the originals spin). Here the deadline ends that: Stuck;
- they close at once after their last byte, and so does the model;
- every NUL of the name field is dropped, white space around the name is stripped;
- faults on purpose (tests are shown to go red on them): see Server and Client.

As scripts:

    model.py server [-l PORT] [-d] [--root DIR]
    model.py client [-m upload|download] [-s HOST:PORT] [-v NAME] [-l FILE] [-d]
    model.py proxy  [-l PORT] [-s HOST:PORT] [-d] [--delay SECONDS] [--buffer BYTES] [--seed N]
"""

import argparse
import os
import random
import select
import socket
import struct
import sys
import threading
import time

REQUEST = 256
BLOCK = 2048  # what they read of a file and of a socket at a time
LAST_BLOCK_PATIENCE = 2.0  # seconds that the last block may wait for the peer; then it is dropped


class Broken(Exception):
    """The peer sent what an original program cannot take."""


class Stuck(Exception):
    """The peer did not send what was due before the deadline, or closed instead."""


class Died(Exception):
    """An original server ends here."""


class Link:
    """A connection as the originals read it: bytes are gathered, the message due must be alone."""

    def __init__(self, sock, deadline, settle, say):
        self.sock = sock
        self.deadline = time.monotonic() + deadline
        self.settle = settle
        self.say = say
        self.eof = False
        self.stop = threading.Event()
        sock.setblocking(False)

    def status(self, name):
        self.say("changed status to: " + name)

    def _wait(self, reading):
        """Until the socket is ready; an end of file is no reason to stop."""
        left = self.deadline - time.monotonic()
        if left <= 0 or self.stop.is_set():
            raise Stuck("closed by its peer, still waiting" if self.eof else "deadline")
        step = min(left, 0.1)
        if reading and self.eof:  # the originals spin here
            self.stop.wait(step)
            return False
        sets = ([self.sock], [], []) if reading else ([], [self.sock], [])
        return any(select.select(*sets, step))

    def _recv(self, most):
        try:
            data = self.sock.recv(most)
        except BlockingIOError:
            return b""
        self.eof = self.eof or not data
        return data

    def message(self, size):
        """Exactly size bytes, in any pieces, and nothing behind them before our answer."""
        data = b""
        while len(data) < size:
            if self._wait(True):
                data += self._recv(BLOCK)
        until = time.monotonic() + self.settle
        while len(data) == size and not self.eof:
            left = until - time.monotonic()
            if left <= 0:
                break
            if select.select([self.sock], [], [], left)[0]:
                data += self._recv(BLOCK)
        if len(data) != size:
            raise Broken("a message of %d bytes was due, %d came together" % (size, len(data)))
        return data

    def content(self, size):
        """Blocks until size bytes are there; the last one holds what came beyond them, too."""
        got = 0
        while got < size:
            if self._wait(True):
                data = self._recv(BLOCK)
                if data:
                    got += len(data)
                    yield data

    def send(self, data, patience=None):
        """All of data; False when it waited longer than patience, and the rest is dropped."""
        view = memoryview(data)
        until = None if patience is None else time.monotonic() + patience
        while view:
            if until is not None and time.monotonic() > until:
                return False
            if self._wait(False):
                try:
                    view = view[self.sock.send(view):]
                except BlockingIOError:
                    pass
        return True

    def send_file(self, file, size):
        sent = 0
        while sent < size:
            block = file.read(min(BLOCK, size - sent))
            if not block:
                raise Died("the file became shorter")
            sent += len(block)
            if not self.send(block, LAST_BLOCK_PATIENCE if sent == size else None):
                return False
        return True


def hush(*_args):
    pass


def tell(text):
    print(text, file=sys.stderr, flush=True)


class Server:
    """Serves `root`, a thread for each connection.

    Its faults: an empty upload creates nothing; a half-received file stays under its name and the
    name stays locked; excess bytes are stored; a refused size is answered and then nothing; an
    upload into a missing directory, a download of a directory, a reset or a vanished peer ends it;
    names may climb out.
    """

    def __init__(self, root, port=0, deadline=20.0, settle=0.02, say=hush, space=None):
        self.root, self.deadline, self.settle, self.say = root, deadline, settle, say
        self.space = space
        self.lock = threading.Lock()
        self.uploading, self.downloading = set(), []
        self.outcomes = []  # a line per connection: "upload NAME ok"
        self.died = None
        self.links, self.threads = [], []
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            link = Link(sock, self.deadline, self.settle, self.say)
            thread = threading.Thread(target=self._serve, args=(link,), daemon=True)
            self.links.append(link)
            self.threads.append(thread)
            thread.start()

    def _serve(self, link):
        what = "?"
        try:
            link.status("client_connect")
            request = link.message(REQUEST)
            kind = request[:1]
            name = request[1:].replace(b"\0", b"").strip(b" \t\n\v\f\r")
            what = {b"D": "download ", b"U": "upload "}.get(kind, "? ") + os.fsdecode(name)
            outcome = {b"D": self._download, b"U": self._upload}[kind](link, name)
        except (Broken, Stuck) as e:
            outcome = "%s: %s" % (type(e).__name__, e)
        except (OSError, KeyError, Died) as e:
            outcome = "Died: %r" % e
            self.died = self.died or outcome
            self._shut_listener()
        finally:
            link.sock.close()
        self.say("%s: %s" % (what, outcome))
        self.outcomes.append("%s %s" % (what, outcome))

    def _path(self, name):
        return os.path.join(os.fsencode(self.root), name)

    def _download(self, link, name):
        link.status("check_download")
        with self.lock:
            found = os.path.exists(self._path(name)) and name not in self.uploading
            if found:
                self.downloading.append(name)
        if not found:
            link.send(b"F" + bytes(8))
            link.status("download_complete")
            return "not found"
        with open(self._path(name), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            link.send(b"T" + struct.pack(">Q", size))
            link.status("send_check_download")
            link.status("check_download_confirmation")
            if link.message(1) == b"T":
                link.status("downloading")
                outcome = "ok" if link.send_file(file, size) else "last block dropped"
            else:
                outcome = "declined"
        with self.lock:
            self.downloading.remove(name)
        link.status("download_complete")
        return outcome

    def _upload(self, link, name):
        link.status("check_upload")
        with self.lock:
            if (os.path.exists(self._path(name)) or name in self.uploading
                    or name in self.downloading):
                link.send(b"F")
                link.status("upload_complete")
                return "exists"
            self.uploading.add(name)  # removed only at the good end: its fault
        link.send(b"T")
        link.status("send_check_upload")
        link.status("check_file_upload_size")
        size = struct.unpack(">Q", link.message(8))[0]
        link.status("prepare_file_upload_size_response")
        fs = os.statvfs(self.root)
        if size > (fs.f_blocks * fs.f_frsize if self.space is None else self.space):
            link.send(b"F")
            link.status("upload_complete")
            link.message(1)  # nothing is due, and nothing closes it: its fault
        link.send(b"T")
        link.status("send_file_upload_size_response")
        link.status("uploading")
        for block in link.content(size):
            with open(self._path(name), "ab") as file:
                file.write(block)
        with self.lock:
            self.uploading.discard(name)
        link.status("upload_complete")
        return "ok"

    def _shut_listener(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def settled(self, count, deadline=10.0):
        """Waits until that many connections have ended; returns what became of them."""
        until = time.monotonic() + deadline
        while len(self.outcomes) < count and time.monotonic() < until:
            time.sleep(0.005)
        return list(self.outcomes)

    def close(self):
        self._shut_listener()
        self.thread.join()
        for link in self.links:
            link.stop.set()
        for thread in self.threads:
            thread.join()


class Client:
    """One transfer. run() returns "ok", or what the server refused; raises Broken, Stuck, OSError.

    Its faults: it does not know whether an upload arrived; a download of an empty file creates
    nothing; what comes beyond the announced size in the last block is stored; a refusal exits 0.
    """

    def __init__(self, server, local, name, deadline=20.0, settle=0.02, say=hush):
        self.server, self.local, self.name = server, local, name
        self.deadline, self.settle, self.say = deadline, settle, say

    def run(self, mode):
        link = Link(socket.create_connection(self.server, 10), self.deadline, self.settle, self.say)
        try:
            return {"download": self._download, "upload": self._upload}[mode](link)
        finally:
            link.sock.close()

    def _request(self, kind):
        return kind + os.fsencode(self.name)[:REQUEST - 1].ljust(REQUEST - 1, b"\0")

    def _download(self, link):
        link.status("init_download")
        link.send(self._request(b"D"))
        link.status("send_check_file_download")
        link.status("check_download")
        letter, size = struct.unpack(">cQ", link.message(9))
        link.status("prepare_download_confirmation")
        if letter != b"T":
            link.status("download_complete")
            return "not found" if letter == b"F" else "rejected"
        if os.path.exists(self.local):
            self.say("client file exists, will overwrite")
            os.unlink(self.local)
        link.send(b"T")
        link.status("confirm_download")
        link.status("downloading")
        for block in link.content(size):
            with open(self.local, "ab") as file:
                file.write(block)
        link.status("download_complete")
        return "ok"

    def _upload(self, link):
        link.status("init_upload")
        link.send(self._request(b"U"))
        link.status("send_check_file_upload")
        link.status("check_upload")
        letter = link.message(1)
        if letter != b"T":
            link.status("upload_complete")
            return "exists" if letter == b"F" else "rejected"
        link.status("prepare_upload_file_size")
        with open(self.local, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            link.send(struct.pack(">Q", size))
            link.status("send_upload_file_size")
            link.status("process_upload_file_size_response")
            if link.message(1) != b"T":
                link.status("upload_complete")
                return "no space"
            link.status("uploading")
            outcome = "ok" if link.send_file(file, size) else "last block dropped"
        link.status("upload_complete")
        return outcome


class Proxy:
    """Forwards both ways in random fragments out of small buffers; makes a reset an end of file."""

    def __init__(self, server, port=0, delay=0.1, capacity=1000, seed=None, say=hush):
        self.server, self.delay, self.capacity, self.say = server, delay, capacity, say
        self.random = random.Random(seed)
        self.socks, self.threads = [], []
        self.stop = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            try:
                far = socket.create_connection(self.server, 10)
            except OSError as e:
                self.say("cannot reach the server: %s" % e)
                near.close()
                continue
            far.settimeout(None)
            self.socks += [near, far]
            thread = threading.Thread(target=self._pair, args=(near, far), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _pair(self, near, far):
        ways = [threading.Thread(target=self._forward, args=pair, daemon=True)
                for pair in ((near, far), (far, near))]
        for way in ways:
            way.start()
        for way in ways:
            way.join()
        near.close()
        far.close()

    def _forward(self, source, sink):
        held, eof = b"", False
        try:
            while held or not eof:
                if not eof and len(held) < self.capacity:
                    wait = 0 if held else None
                    if select.select([source], [], [], wait)[0]:
                        data = source.recv(self.capacity - len(held))
                        eof = not data
                        held += data
                if held:
                    count = sink.send(held[:self.random.randint(1, len(held))])
                    held = held[count:]
                    if held:
                        self.stop.wait(self.delay)
            sink.shutdown(socket.SHUT_WR)
        except OSError as e:
            self.say("a side is gone: %s" % e)
            for sock in (source, sink):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.stop.set()
        for sock in [self.listener] + self.socks:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.listener.close()
        self.thread.join()
        for thread in self.threads:
            thread.join()


def endpoint(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def main(argv):
    parser = argparse.ArgumentParser(description="a model of the original programs")
    parser.add_argument("-d", "--debug", action="store_true")
    roles = parser.add_subparsers(dest="role", required=True)
    server = roles.add_parser("server")
    server.add_argument("-l", "--listen-port", type=int, default=50001)
    server.add_argument("--root", default=".")
    client = roles.add_parser("client")
    client.add_argument("-m", "--mode", choices=("upload", "download"), default="download")
    client.add_argument("-s", "--server", type=endpoint, default="127.0.0.1:50000")
    client.add_argument("-v", "--server-file-name", default="server.txt")
    client.add_argument("-l", "--client-file-name", default="client.txt")
    proxy = roles.add_parser("proxy")
    proxy.add_argument("-l", "--listenPort", "--listen-port", type=int, default=50000)
    proxy.add_argument("-s", "--server", type=endpoint, default="127.0.0.1:50001")
    proxy.add_argument("--delay", type=float, default=0.1)
    proxy.add_argument("--buffer", type=int, default=1000)
    proxy.add_argument("--seed", type=int)
    for role in (server, client):
        role.add_argument("--settle", type=float, default=0.02, metavar="SECONDS",
                          help="how long to look for a byte too much behind a message")
    for role in (server, client, proxy):
        role.add_argument("-d", "--debug", action="store_true")
        role.add_argument("--deadline", type=float, default=86400.0)
    args = parser.parse_args(argv)
    say = tell if args.debug else hush
    if args.role == "client":
        it = Client(args.server, args.client_file_name, args.server_file_name, args.deadline,
                    args.settle, say)
        print("file transfer: " + it.run(args.mode))
        return 0
    if args.role == "server":
        it = Server(args.root, args.listen_port, args.deadline, args.settle, say)
    else:
        it = Proxy(args.server, args.listenPort, args.delay, args.buffer, args.seed, say)
    print("listening on 127.0.0.1:%d" % it.port, flush=True)
    it.thread.join()
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
