"""What is not known to be durable is not said to be: with sync off, and where the file stands."""

import json
import os
import subprocess
import unittest

from disks import Disk
from harness import SystemTest, file_system, ftxfer, run
from wire import read_file, write_file
from wire2 import (Client, CREATE_OR_SAME, EXISTED, PARENTS, SAME, SUPERSEDED, UNSYNCED,
                   new_upload_id, sha256)

ALL = {"allow_replace": True, "allow_rename": True, "allow_remove": True}


class TestUnsynced(SystemTest):
    def client(self, daemon):
        client = Client(daemon.address)
        self.addCleanup(client.close)
        return client

    def disk_root(self):
        root = self.root()
        if file_system(root) == "tmpfs":
            self.skipTest("the tests' directory is on no disk")
        return root

    def flags(self, message, but=0):
        self.assertEqual(message.type, "OK", message)
        self.assertEqual(message.flags & ~UNSYNCED, but, message)
        return message.flags & UNSYNCED

    def assert_all(self, client, at, unsynced):
        """Each kind of request that changes something, in that directory of the root."""
        def says(message, but=0):
            self.assertEqual(self.flags(message, but), unsynced, (at, message))

        key, data = new_upload_id(), b"some content"
        says(client.ask("MKDIR", ("NAME", at + "d/e"), flags=PARENTS))
        says(client.ask("MKDIR", ("NAME", at + "d/e"), flags=PARENTS), EXISTED)
        says(client.put_now(at + "d/small", data))
        says(client.put(at + "d/large", bytes(100000)))
        says(client.put(at + "d/known", data, ("UPLOAD_ID", key)))
        says(client.put(at + "d/known", data, ("UPLOAD_ID", key)))
        says(client.put_now(at + "d/small", data, ("POLICY", CREATE_OR_SAME),
                            ("DIGEST", sha256(data))), SAME)
        says(client.ask("RENAME", ("NAME", at + "d/small"), ("TO", at + "d/e/moved")))
        says(client.ask("REMOVE", ("NAME", at + "d/e/moved")))

    def test_on_a_disk(self):
        daemon = self.daemon(root=self.disk_root(), **ALL)
        self.assert_all(self.client(daemon), "", 0)
        self.assertNotIn("sync is off", daemon.err())

    def test_switched_off(self):
        daemon = self.daemon(root=self.disk_root(), sync=False, **ALL)
        self.assertIn("sync is off", daemon.err())
        self.assert_all(self.client(daemon), "", UNSYNCED)

    def test_switched_on_again(self):
        """A receipt that was none is none later, and one that was stays one."""
        root = self.disk_root()
        known = {}
        for sync in (False, True):
            daemon = self.daemon(root=root, sync=sync)
            key = known[sync] = new_upload_id()
            name = "synced" if sync else "unsynced"
            client = self.client(daemon)
            receipt = client.put(name, b"content", ("UPLOAD_ID", key))
            self.assertEqual(self.flags(receipt), 0 if sync else UNSYNCED)
            client.close()
            daemon.stop()
        for sync in (False, True):
            client = self.client(daemon := self.daemon(root=root, sync=sync, **ALL))
            for was, key in known.items():
                name = "synced" if was else "unsynced"
                receipt = client.put(name, b"content", ("UPLOAD_ID", key))
                self.assertEqual(self.flags(receipt), 0 if was and sync else UNSYNCED)
            client.close()
            daemon.stop()
        os.remove(os.path.join(root, "synced"))
        client = self.client(self.daemon(root=root))
        receipt = client.put("synced", b"content", ("UPLOAD_ID", known[True]))
        self.assertEqual(self.flags(receipt, SUPERSEDED), 0)

    def test_client_says_so(self):
        daemon = self.daemon(root=self.disk_root(), sync=False)
        local = write_file(self.scratch("local"), b"content")
        ran = run(ftxfer() + ["put", "-v", local, "ftx://%s/n" % daemon.where])
        self.assertEqual(ran.status, 0, ran)
        self.assertIn("not known to be on the server's disk", ran.err)
        ran = run(ftxfer() + ["put", "--json", local, "ftx://%s/m" % daemon.where])
        done = [event for event in map(json.loads, ran.out.splitlines())
                if event.get("event") == "done"]
        self.assertEqual([event["unsynced"] for event in done], [True])
        self.transferred("upload", daemon, "v1", local)
        self.assertEqual(read_file(daemon.path("v1")), b"content")

    def mounted(self, argv):
        done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
        if done.returncode != 0:
            self.skipTest("cannot mount it: %r" % done.stderr)

    def test_memory_below_a_disk(self):
        root = self.disk_root()
        disk = Disk(root, "tmpfs", 8192)
        self.addCleanup(disk.close)
        seen = "/proc/%d/root%s" % (disk.holder.pid, root)
        daemon = self.daemon(root=seen, storage_root=root, wrap=disk.enter, **ALL)
        client = self.client(daemon)
        self.assert_all(client, "disk/", UNSYNCED)
        self.assert_all(client, "", 0)

    def test_disk_below_memory(self):
        below = self.disk_root()
        disk = Disk(self.dir, "tmpfs", 8192)
        self.addCleanup(disk.close)
        os.mkdir(os.path.join(disk.path, "below"))
        self.mounted(disk.enter(["mount", "--bind", below, os.path.join(disk.inner, "below")]))
        daemon = self.daemon(root=disk.path, storage_root=disk.inner, wrap=disk.enter, **ALL)
        client = self.client(daemon)
        self.assert_all(client, "below/", 0)
        self.assert_all(client, "", UNSYNCED)


if __name__ == "__main__":
    unittest.main()
