"""Receipts: what they say is so after a crash, and one that is lost is given again, without content.

FTXFER_TEST_RECEIPTS=1000 kills the server so often; it is a few times unless given.
"""

import os
import random
import re
import time
import unittest

import wire2
from harness import Listener, SystemTest, ftxfer, run, stammerproxy
from test_interrupt import daemon_again
from wire import content, read_file, wait_for, write_file

MIB = 1 << 20
KILLS = int(os.environ.get("FTXFER_TEST_RECEIPTS", "40"))
SEED = int(os.environ.get("FTXFER_TEST_SEED") or random.SystemRandom().getrandbits(32))
SIZES = (0, 1, 4096, 30000, 262144, 262145, MIB, MIB + 1, 3 * MIB + 77)
AGAIN = 2000  # bytes of a try that sends no content: HELLO, PUT, END


class Server:
    """One daemon after the other, on one root and one port."""

    def __init__(self, test, **options):
        self.test, self.options, self.serial, self.port = test, options, 0, 0
        self.root = test.root()
        self.daemon = None
        test.addCleanup(self.stop)

    def start(self):
        self.serial += 1
        self.daemon = daemon_again(self.test.dir, self.root, self.port,
                                   "server-%d" % (self.serial % 3), **self.options)
        self.port = self.daemon.port
        return self.daemon

    def kill(self):
        self.daemon.process.kill()
        self.daemon.process.wait()

    def stop(self):
        if self.daemon is not None and self.daemon.running():
            self.test.assertEqual(self.daemon.stop(), 0, self.daemon.err()[-2000:])


class TestKilled(SystemTest):
    """The server is killed right after a receipt: every acknowledged file is there, and whole."""

    weight = 60

    def put(self, client, files, keyed):
        """All of them one behind the other; the ids, in that order."""
        ids, large = [], []
        for name, data in files:
            key = [("UPLOAD_ID", wire2.new_upload_id())] if keyed else []
            number = client.new_id()
            ids.append(number)
            if len(data) <= MIB:
                client.send(client.put_frames(number, name, data, *key))
            else:
                client.send(wire2.frame("PUT", number, 0, wire2.encode(
                    [("NAME", name), ("SIZE", len(data)), ("DIGEST_KIND", 2)] + key)))
                large.append((number, data))
        for number, data in large:
            go = client.result(number)
            self.assertEqual((go.type, go.OFFSET), ("GO", 0))
            client.data(number, data)
            client.end(number, data)
        return ids

    def check(self, name, data, whole):
        path = os.path.join(self.server.root, name)
        if whole or os.path.exists(path):
            self.assertEqual(read_file(path), data, "seed %d: %s" % (SEED, name))

    def test_right_after_each_receipt(self):
        bits = random.Random(SEED)
        self.server = Server(self)
        kept, known, receipts, kills = {}, 0, 0, 0
        while kills < KILLS:
            daemon = self.server.start()
            client = wire2.Client(daemon.address)
            files = [("k%d-%d" % (kills, i), content(bits.choice(SIZES), bits.getrandbits(20)))
                     for i in range(bits.choice((1, 1, 1, 4)))]
            keyed = bits.random() < 0.5
            ids = self.put(client, files, keyed)
            waits_for = bits.randrange(len(files)) + 1
            acknowledged = set()
            while len(acknowledged) < waits_for:
                message = client.kept.pop(0) if client.kept else client.next()
                self.assertEqual((message.type, message.flags & wire2.SUPERSEDED), ("OK", 0), message)
                acknowledged.add(message.id)
            self.server.kill()
            kills += 1
            receipts += len(acknowledged)
            known += len(acknowledged) if keyed else 0
            client.close()
            for number, (name, data) in zip(ids, files):
                self.check(name, data, number in acknowledged)
                if number in acknowledged:
                    kept[name] = data
            if kills % 20 == 0 or kills == KILLS:  # also after all the starts since then
                daemon = self.server.start()
                for name, data in kept.items():
                    self.check(name, data, True)
                for name in os.listdir(self.server.root):
                    if not name.startswith("."):
                        os.remove(os.path.join(self.server.root, name))
                kept.clear()
                self.assertEqual(daemon.stop(), 0)
        print("seed %d: %d kills, %d receipts, %d of them with an UPLOAD_ID: all there" % (
            SEED, kills, receipts, known), flush=True)


class TestLostAnswer(SystemTest):
    """The connection is cut behind the END, before the receipt: the retry is OK, without content."""

    weight = 30
    size = 5 * MIB + 333

    def setUp(self):
        super().setUp()
        self.environ = dict(os.environ, XDG_STATE_HOME=self.scratch("state"),
                            XDG_CONFIG_HOME=self.scratch("config"))
        self.server = Server(self, allow_replace=True)
        self.server.start()
        self.made = 0

    def proxy(self, *args, port=0):
        self.made += 1
        proxy = Listener(stammerproxy() + ["-d", "-l", str(port), "-s", self.server.daemon.where,
                                           "--delay", "0", "--buffer", "64k"] + list(args),
                         self.dir, "proxy-%d" % self.made)
        self.addCleanup(proxy.stop)
        return proxy

    @staticmethod
    def moved(proxy):
        """Bytes up, of each connection."""
        proxy.stop()
        found = re.findall(r"connection (\d+) closed: up=(\d+)", proxy.err())
        return [int(up) for _, up in sorted(found, key=lambda it: int(it[0]))]

    def put(self, proxy, source, name, *args):
        return run(ftxfer() + ["put", "--json", *args, source, "%s/%s" % (proxy.where, name)],
                   env=self.environ)

    def whole(self, size, *args):
        """Bytes up of an upload that goes well, of as long a name."""
        source = write_file(self.scratch("first"), content(size, 1))
        proxy = self.proxy()
        ran = self.put(proxy, source, "n0", *args)
        self.assertEqual(ran.status, 0, ran)
        up, = self.moved(proxy)
        os.remove(os.path.join(self.server.root, "n0"))
        return up

    def prepare(self, size, args):
        source = write_file(self.scratch("other"), content(size, 2))
        if args:
            write_file(os.path.join(self.server.root, "n1"), b"what is to be replaced")
        return source

    def check(self, ran, up, size):
        """Of the last connection."""
        self.assertEqual(ran.status, 0, ran)
        self.assertLess(up, AGAIN)
        self.assertEqual(read_file(os.path.join(self.server.root, "n1")), content(size, 2))
        self.assertNotIn("superseded\":true", ran.out)

    def test_the_same_client(self):
        """It asks again by itself; a small one, that went unasked at first, does so as well."""
        for size in (self.size, 30000):
            for args in ((), ("--replace",)):
                with self.subTest(size=size, args=args):
                    end = self.whole(size, *args)
                    source = self.prepare(size, args)
                    proxy = self.proxy("--cut-after", "up:%d" % end, "--faulty", "1")
                    ran = self.put(proxy, source, "n1", *args)
                    ups = self.moved(proxy)
                    self.assertEqual((len(ups), ups[0]), (2, end))
                    self.check(ran, ups[1], size)
                    os.remove(os.path.join(self.server.root, "n1"))

    def test_after_a_crash(self):
        """Client and server are others by then, and the server has been killed."""
        for args in ((), ("--replace",)):
            with self.subTest(args=args):
                end = self.whole(self.size, *args)
                source = self.prepare(self.size, args)
                proxy = self.proxy("--cut-after", "up:%d" % end)
                ran = self.put(proxy, source, "n1", "--retry-time", "0", *args)
                self.assertEqual(ran.status, 75, ran)
                there = os.path.join(self.server.root, "n1")
                wait_for(lambda: os.path.exists(there) and os.path.getsize(there) == self.size,
                         "the upload to be published")
                self.moved(proxy)
                self.server.kill()
                self.server.start()
                for _ in range(2):
                    proxy = self.proxy(port=proxy.port)  # it is part of what makes the id
                    started = time.monotonic()
                    ran = self.put(proxy, source, "n1", *args)
                    self.assertLess(time.monotonic() - started, 10)
                    up, = self.moved(proxy)
                    self.check(ran, up, self.size)
                os.remove(os.path.join(self.server.root, "n1"))


if __name__ == "__main__":
    unittest.main()
