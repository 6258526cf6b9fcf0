"""Many small files, and a server that goes away in the middle: whose content is sent again.

A relay between client and server knows the protocol, and notes whose content passes it, by
connection.
"""

import json
import os
import socket
import struct
import threading
import time
import unittest

from harness import SystemTest
from test_interrupt import Place
from wire import close_at_once, content, write_file
from wire2 import NAMES, NOW, PREFACE, Message

FILES, SIZE = 2000, 4096
LIVE = 256  # requests without an answer that a client has at most: what may have to come again


class Connection:
    """One pair of sockets. sent: of each name, bytes of content; asked: names that came without."""

    def __init__(self, relay, client, server):
        self.relay, self.client, self.server = relay, client, server
        self.sent, self.asked, self.answered, self.names = {}, set(), set(), {}
        self.waiting, self.together = set(), 0  # asks without an answer, and at most
        for source, target, note in ((client, server, self.note_up), (server, client, self.note_down)):
            threading.Thread(target=self.forward, args=(source, target, note), daemon=True).start()

    def forward(self, source, target, note):
        left = b""
        try:
            while data := source.recv(16384):
                if self.relay.pause:
                    time.sleep(self.relay.pause)
                left = self.frames(left + data, note)
                target.sendall(data)
        except OSError:
            pass
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @staticmethod
    def frames(data, note):
        if data.startswith(PREFACE):
            data = data[len(PREFACE):]
        while len(data) >= 8:
            length, kind, flags, number = struct.unpack(">IBBH", data[:8])
            if len(data) < 8 + length:
                break
            note(NAMES.get(kind), flags, number, data[8:8 + length])
            data = data[8 + length:]
        return data

    def note_up(self, kind, flags, number, payload):
        if kind == "PUT":
            self.names[number] = os.fsdecode(dict(Message.split(payload))["NAME"])
            if flags & NOW == 0:
                self.asked.add(self.names[number])
                self.waiting.add(number)
                self.together = max(self.together, len(self.waiting))
        elif kind == "DATA":
            name = self.names[number]
            self.sent[name] = self.sent.get(name, 0) + len(payload)

    def note_down(self, kind, flags, number, payload):
        self.waiting.discard(number)
        if kind == "OK" and number in self.names:
            self.answered.add(self.names[number])

    def reset(self):
        for each in (self.client, self.server):
            close_at_once(each, reset=True)


class Relay:
    """To where(), which may change: connections, in the order in which they came."""

    def __init__(self, where):
        self.where, self.connections, self.pause = where, [], 0.001
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.name = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection(self.where())
            except OSError:
                client.close()
                continue
            self.connections.append(Connection(self, client, server))

    def close(self):
        self.listener.close()


class TestAgain(SystemTest):
    weight = 20

    def setUp(self):
        super().setUp()
        self.tree = self.scratch("tree")
        for number in range(FILES):
            where = os.path.join(self.tree, "d%d" % (number % 10))
            os.makedirs(where, exist_ok=True)
            write_file(os.path.join(where, "f%d" % number), content(SIZE, number))

    def published(self, place):
        return {os.path.relpath(os.path.join(at, name), place.root)
                for at, _, names in os.walk(os.path.join(place.root, "tree")) for name in names
                if not name.startswith(".ftxferd-")}

    def interrupted(self, break_it):
        """Of a put that is interrupted once: what was there by then, and both connections."""
        place = Place(self, "place")
        relay = Relay(lambda: place.server.address)
        self.addCleanup(relay.close)
        client = place.start_client("put", "-r", self.tree, relay.name + "/")
        while len(self.published(place)) < FILES // 3:
            self.assertTrue(client.running(), client.err())
            time.sleep(0.005)
        there = break_it(place, relay)
        self.assertTrue(client.running(), "it had ended before")
        relay.pause = 0
        self.assertEqual(client.wait(60), 0, client.err())
        self.assertEqual(len(self.published(place)), FILES)
        first, second = [each for each in relay.connections if each.sent]
        return there, first, second

    def test_killed(self):
        def kill(place, relay):
            port = place.server.port
            place.server.process.kill()
            place.server.process.wait()
            there = self.published(place)
            place.server = place.start_server(port)
            return there
        self.check(*self.interrupted(kill))

    def test_reset(self):
        def reset(place, relay):
            relay.connections[0].reset()
            time.sleep(0.05)
            return self.published(place)
        self.check(*self.interrupted(reset))

    def test_stored_before_and_removed(self):
        """What an earlier run has stored, and somebody took away, is no receipt for this one."""
        place = Place(self, "place")
        relay = Relay(lambda: place.server.address)
        self.addCleanup(relay.close)
        relay.pause = 0
        put = ("put", "--json", "-r", self.tree, relay.name + "/")
        for turn in range(2):
            self.run_to_end(place, *put)
            self.run_to_end(place, "rm", "-r", relay.name + "/tree")
        relay.pause = 0.001
        client = place.start_client(*put)
        while len(self.published(place)) < FILES // 3:
            self.assertTrue(client.running(), client.err())
            time.sleep(0.005)
        relay.connections[-1].reset()
        relay.pause = 0
        self.assertEqual(client.wait(60), 0, client.err())
        self.assertEqual(len(self.published(place)), FILES)
        self.assertNotIn("superseded\":true", client.out())
        # And once more, a while later: it is known, whatever was there before it.
        time.sleep(0.2)
        events = [json.loads(line) for line in self.run_to_end(place, *put).out().splitlines()]
        self.assertEqual(sum(each.get("op") == "put" and each.get("existed", False)
                             for each in events), FILES)

    def run_to_end(self, place, *args):
        client = place.start_client(*args)
        self.assertEqual(client.wait(60), 0, client.err())
        return client

    def check(self, there, first, second):
        """Nothing that was stored comes again; what may have been is asked for, side by side."""
        again = set(first.sent) & set(second.sent)
        print("%d files passed, %d are there, %d answered; %d asked for, %d together; %d bytes again" % (
            len(first.sent), len(there), len(first.answered), len(second.asked), second.together,
            sum(second.sent[name] for name in again)), flush=True)
        self.assertEqual(first.asked, set())
        self.assertEqual(there & set(second.sent), set())
        self.assertEqual(set(first.sent) - first.answered - second.asked, set())
        self.assertLessEqual(len(second.asked), LIVE)
        self.assertGreater(second.together, 4)


if __name__ == "__main__":
    unittest.main()
