"""What is kept of unfinished uploads of version 2: for how long, how much, and who sees it."""

import os
import time
import unittest

from harness import SystemTest
from wire import content, wait_for
from wire2 import PARENTS, Client, encode, frame, new_upload_id, sha256

SIZE, SENT = 100000, 65536


class TestKept(SystemTest):
    def setUp(self):
        super().setUp()
        self.data = content(SIZE)
        self.keys = {}

    def client(self, daemon):
        client = Client(daemon.address)
        self.addCleanup(client.close)
        return client

    def asked(self, daemon, name):
        """A client that has begun with it, or asked to go on; its id, and the answer."""
        client = self.client(daemon)
        key = self.keys.setdefault(name, new_upload_id())
        number = client.request("PUT", ("NAME", name), ("SIZE", SIZE), ("DIGEST_KIND", 2),
                                ("UPLOAD_ID", key), flags=PARENTS)
        return client, number, client.result(number)

    def leave(self, daemon, name):
        """It is begun, and breaks off."""
        client, number, answer = self.asked(daemon, name)
        self.assertEqual((answer.type, answer.OFFSET), ("GO", 0), answer)
        client.data(number, self.data[:SENT])
        client.send(frame("PING", 0))
        while client.next().type != "PONG":
            pass
        client.close()
        daemon.ended(len(self.keys))

    def finish(self, daemon, name, have):
        client, number, answer = self.asked(daemon, name)
        offset = 0
        if have:
            self.assertEqual(answer.type, "HAVE", answer)
            offset = answer.OFFSET  # what was not written when its client went is sent again
            self.assertIn(offset, range(4096, SENT + 1))
            client.send(frame("PREFIX", number, 0, encode([
                ("OFFSET", offset), ("DIGEST", sha256(self.data[:offset]))])))
            answer = client.result(number)
        self.assertEqual((answer.type, answer.OFFSET), ("GO", offset), answer)
        client.data(number, self.data[answer.OFFSET:])
        client.end(number, self.data)
        self.assertEqual(client.result(number).type, "OK")
        client.close()

    @staticmethod
    def stages(daemon):
        return sorted(name for name in daemon.files() if ".ftxferd-" in name)

    def test_nobody_sees_it(self):
        daemon = self.daemon()
        self.leave(daemon, "d/f")
        stage, = self.stages(daemon)
        client = self.client(daemon)
        self.assertEqual(client.ask("LIST", ("NAME", "d")).entries, [])
        self.assertEqual([entry["NAME"] for entry in client.ask("LIST", ("NAME", "")).entries], [b"d"])
        for name in (stage, ".ftxferd/uploads"):
            for kind in ("STAT", "GET", "DIGEST", "LIST"):
                self.assertEqual(client.ask(kind, ("NAME", name)).code, "BAD_NAME")
        self.assertEqual(client.ask("STAT", ("NAME", "d/f")).code, "NOT_FOUND")

    def test_budget_and_time(self):
        """The oldest goes when there is too much, and each when its time is over."""
        root = self.root()
        daemon = self.daemon(root=root)
        for name in "abc":
            self.leave(daemon, name)
        self.assertEqual(len(self.stages(daemon)), 3)
        kept = sum(os.path.getsize(daemon.path(name)) for name in self.stages(daemon))
        daemon.stop()
        daemon = self.daemon(root=root, partials_keep_bytes=kept - 1)
        wait_for(lambda: len(self.stages(daemon)) == 2, "one to go")
        self.finish(daemon, "a", False)
        self.finish(daemon, "b", True)
        daemon.stop()
        time.sleep(1.2)
        daemon = self.daemon(root=root, partials_keep_time="1s")
        wait_for(lambda: self.stages(daemon) == [], "the last one to go")
        self.finish(daemon, "c", False)

    def test_what_is_published_takes_none_of_the_room(self):
        """Of max_stage_bytes; the record of it is kept for a day."""
        daemon = self.daemon(max_stage_bytes=SIZE + SIZE // 2)
        for name in "abc":
            self.keys[name] = new_upload_id()
            self.finish(daemon, name, False)

    def test_it_makes_room(self):
        """For any upload that is under way, as small as it may be."""
        for size in (40000, SIZE):
            daemon = self.daemon(root=self.root("root%d" % size), max_stage_bytes=SIZE)
            self.keys = {}
            self.leave(daemon, "part")
            client = self.client(daemon)
            # Until its client's end is dealt with it is one that is under way.
            wait_for(lambda: client.put_now("now", bytes(size)).type == "OK", "room")
            self.assertEqual(self.stages(daemon), [])

    def test_its_directory_can_be_removed(self):
        """Not with anything else in it; and what is kept elsewhere stays."""
        daemon = self.daemon(allow_remove=True)
        for name in ("d/f", "d/g", "dd/f", "e/f", "e/sub/f"):
            self.leave(daemon, name)
        client = self.client(daemon)

        def remove(name):
            return client.ask("REMOVE", ("NAME", name), flags=0x01)
        self.assertEqual(remove("e").code, "NOT_EMPTY")
        self.assertEqual(client.put_now("dd/there", b"x").type, "OK")
        self.assertEqual(remove("dd").code, "NOT_EMPTY")
        self.assertEqual(remove("d").type, "OK")
        self.assertFalse(os.path.exists(daemon.path("d")))
        for name in ("dd/f", "e/f", "e/sub/f"):
            self.finish(daemon, name, True)
        self.finish(daemon, "d/f", False)
        other, number, _ = self.asked(daemon, "busy/f")
        self.assertEqual(remove("busy").code, "BUSY")
        other.close()
        daemon.ended(10)
        self.assertEqual(remove("busy").type, "OK")


if __name__ == "__main__":
    unittest.main()
