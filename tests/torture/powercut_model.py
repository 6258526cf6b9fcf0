"""What may be on a disk after the power has failed.

The rules, of a file system that does what POSIX and fsync(2) promise and nothing more (see also
Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014):

 1. Content reaches the disk by sectors of 512 bytes, in any order. A sector is written whole, and
    holds any of the unsynced writes to it, or none; where two of them wrote the same byte, the later
    one covers the earlier.
 2. Size, mode, time of modification and extended attributes reach the disk independently of content
    and of each other: each is any that it ever was since the last sync. What is within the size but
    never arrived reads as zeroes. A time that nobody set is one that we do not know (None).
 3. Entries of directories reach the disk in any combination, whatever directory they are in and
    whatever they name, but changes of the same entry keep their order. A rename is one change.
 4. fsync(2) of a file makes its content, size and mode durable, not any entry that names it:
    "Calling fsync() does not necessarily ensure that the entry in the directory containing the file
    has also reached disk. For that an explicit fsync() on a file descriptor for the directory is
    also needed." fdatasync(2) leaves out mode, time
    and attributes. sync_file_range(2) does nothing.
 5. fsync(2) of a directory makes its entries durable: not what they name, and not its own entry.
 6. A file or directory that was never synced may be lost though an entry names it; the entry goes,
    too (fsck(8)).
 7. What no entry leads to from the root is gone.
"""

import itertools

SECTOR = 512
MOST = 1 << 16  # states at one point; more is a scenario that is too large


class TooLarge(Exception):
    pass


class Op:
    """A change that is not durable yet. number: its record's."""

    def __init__(self, number, text, **fields):
        self.number, self.text = number, text
        self.__dict__.update(fields)

    def __str__(self):
        return "#%d %s" % (self.number, self.text)


class Inode:
    def __init__(self, kind, label, mode, data=b"", synced=False, number=0):
        self.kind, self.label, self.number = kind, label, number
        self.mode, self.data, self.synced = mode, data, synced
        self.stamp = (None, b"")  # time of modification, and the stored digest
        self.pending = []  # of the content: write, truncate, grow; and chmod, times, setxattr
        self.cache = None

    def change(self, op):
        self.pending.append(op)
        self.cache = None

    def _apply(self, data, op):
        if op.kind == "write":
            data = data.ljust(op.offset, b"\0")
            return data[:op.offset] + op.data + data[op.offset + len(op.data):]
        if op.kind == "truncate":
            return data[:op.size].ljust(op.size, b"\0")
        if op.kind == "grow":
            return data.ljust(op.size, b"\0")
        return data

    @staticmethod
    def _time(mtime, op):
        if op.kind == "times":
            return op.mtime
        return None if op.kind in ("write", "truncate") else mtime

    def current(self):
        data, mode, (mtime, xattr) = self.data, self.mode, self.stamp
        for op in self.pending:
            data = self._apply(data, op)
            mode = op.mode if op.kind == "chmod" else mode
            mtime = self._time(mtime, op)
            xattr = op.data if op.kind == "setxattr" else xattr
        return data, mode, (mtime, xattr)

    def sync(self, with_mode=True):
        data, mode, stamp = self.current()
        self.data, self.synced = data, True
        if with_mode:
            self.mode, self.stamp, self.pending = mode, stamp, []
        else:
            self.pending = [op for op in self.pending if op.kind in ("chmod", "times", "setxattr")]
        self.cache = None

    def _stamps(self):
        mtime = self.stamp[0]
        times, xattrs = {mtime: None}, {self.stamp[1]: None}
        for op in self.pending:
            mtime = self._time(mtime, op)
            times.setdefault(mtime)
            if op.kind == "setxattr":
                xattrs.setdefault(op.data)
        return list(itertools.product(times, xattrs))

    def _sizes(self):
        sizes, data = {len(self.data): "as it was"}, self.data
        for op in self.pending:
            data = self._apply(data, op)
            sizes.setdefault(len(data), "after %s" % op)
        return sizes

    def _modes(self):
        modes = {self.mode: "as it was"}
        for op in self.pending:
            if op.kind == "chmod":
                modes.setdefault(op.mode, "after %s" % op)
        return modes

    def _sector(self, start):
        """What may be in one sector: content -> the changes that are missing from it."""
        end = start + SECTOR
        ops = [op for op in self.pending
               if (op.kind == "write" and op.offset < end and op.offset + len(op.data) > start)
               or (op.kind == "truncate" and op.size < end)]
        base = self.data[start:end].ljust(SECTOR, b"\0")
        found = {}
        for there in itertools.product((True, False), repeat=len(ops)):
            sector = base
            for op, applied in zip(ops, there):
                if applied and op.kind == "write":
                    at, skip = max(op.offset - start, 0), max(start - op.offset, 0)
                    part = op.data[skip:skip + SECTOR - at]
                    sector = sector[:at] + part + sector[at + len(part):]
                elif applied:
                    keep = max(op.size - start, 0)
                    sector = sector[:keep].ljust(SECTOR, b"\0")
            found.setdefault(sector, [op for op, applied in zip(ops, there) if not applied])
        return found

    def variants(self):
        """All that this file may be: {(content, mode, stamp): why}; None: lost."""
        if self.cache is not None:
            return self.cache
        found = {}
        sizes, modes, stamps = self._sizes(), self._modes(), self._stamps()
        sectors = [self._sector(at) for at in range(0, max(sizes), SECTOR)]
        count = len(sizes) * len(modes) * len(stamps)
        for sector in sectors:
            count *= len(sector)
        if count > MOST:
            raise TooLarge("%s: %d variants" % (self.label, count))
        for choice in itertools.product(*(sector.items() for sector in sectors)):
            content = b"".join(sector for sector, _ in choice)
            for (size, size_why), (mode, mode_why), stamp in itertools.product(
                    sizes.items(), modes.items(), stamps):
                found.setdefault((content[:size], mode, stamp), (choice, size, size_why, mode_why))
        if not self.synced:
            found.setdefault(None, None)
        self.cache = found
        return found

    def explain(self, variant):
        """In words, what was lost of this variant."""
        if variant is None:
            return ["%s: lost, it was never synced" % self.label]
        choice, size, size_why, mode_why = self.variants()[variant]
        lines = []
        for index, (_, missing) in enumerate(choice):
            for op in missing:
                if index * SECTOR < size:
                    lines.append("%s: sector %d is without %s" % (self.label, index, op))
        if len(self._sizes()) > 1:
            lines.append("%s: its size is %d, %s" % (self.label, size, size_why))
        if len(self._modes()) > 1:
            lines.append("%s: its mode is %04o, %s" % (self.label, variant[1], mode_why))
        if len(self._stamps()) > 1:
            lines.append("%s: its time is %s, its attribute %s" % ((self.label,) + variant[2]))
        return lines


class State:
    """One legal state: what a look at the disk would find."""

    def __init__(self, found, dirs, lost, chosen):
        """found: path -> (inode, (content, mode, stamp))"""
        self.files = {path: version[:2] for path, (_, version) in found.items()}  # (content, mode)
        self.stamps = {path: version[2] for path, (_, version) in found.items()}
        self.numbers = {path: inode.number for path, (inode, _) in found.items()}
        self.dirs = dirs      # paths
        self._lost = lost     # changes of entries that did not arrive
        self._chosen = chosen  # [(inode, variant)]

    def explain(self):
        lines = ["lost: %s" % op for op in self._lost]
        for inode, variant in self._chosen:
            if inode.kind == "dir":
                lines += ["%s: lost, it was never synced" % inode.label] if variant is None else []
            elif len(inode.variants()) > 1:
                lines += inode.explain(variant)
        return lines or ["nothing was lost"]


class Disk:
    """Follows a trace. Inodes are known by (device, number) as long as they live."""

    def __init__(self, root):
        self.root = root
        self.inodes = {}
        self.entries = {}   # durable: (directory, name) -> inode
        self.pending = []   # changes of entries, in order: op.changes [((directory, name), inode)]

    # How it came to be: all of this is durable.

    def add(self, key, kind, label, mode, data=b""):
        inode = self.inodes[key] = Inode(kind, label, mode, data, synced=True, number=key[1])
        return inode

    # What a record does to it

    def play(self, number, record):
        """True when the record was about something on this disk."""
        play = getattr(self, "_" + record["op"])
        inode = self.inodes.get(tuple(record["inode"][:2])) if "inode" in record else None
        return play(number, record, inode)

    def _directory(self, record, key="dir"):
        return self.inodes.get(tuple(record[key][:2])) if key in record else None

    def _made(self, number, record, kind):
        directory, name = self._directory(record), record.get("name")
        if name is not None and directory is None:
            return False
        label = name if directory in (None, self.root) else directory.label + "/" + name
        inode = Inode(kind, label or "unnamed file of #%d" % number, record["mode"],
                      number=record["inode"][1])
        self.inodes[tuple(record["inode"][:2])] = inode
        if name is not None:
            self._enter(number, "%s %s" % (record["op"], label), [((directory, name), inode)])
        return True

    def _create(self, number, record, _inode):
        return self._made(number, record, "file")

    def _mkdir(self, number, record, _inode):
        return self._made(number, record, "dir")

    def _enter(self, number, text, changes):
        self.pending.append(Op(number, text, changes=changes))

    def _label(self, directory, name):
        return name if directory is self.root else directory.label + "/" + name

    def _link(self, number, record, inode):
        directory, name = self._directory(record), record["name"]
        if directory is None or inode is None:
            return False
        label = self._label(directory, name)
        self._enter(number, "link %s -> %s" % (inode.label, label), [((directory, name), inode)])
        if inode.label.startswith("unnamed"):
            inode.label = label
        return True

    def _rename(self, number, record, inode):
        source, directory = self._directory(record, "from_dir"), self._directory(record)
        if source is None or directory is None or inode is None:
            return False
        label = self._label(directory, record["name"])
        self._enter(number, "rename %s -> %s" % (self._label(source, record["from"]), label),
                    [((source, record["from"]), None), ((directory, record["name"]), inode)])
        inode.label = label
        return True

    def _unlink(self, number, record, _inode):
        directory, name = self._directory(record), record["name"]
        if directory is None:
            return False
        self._enter(number, "unlink %s" % self._label(directory, name), [((directory, name), None)])
        return True

    def _change(self, number, record, inode, text, **fields):
        if inode is None:
            return False
        inode.change(Op(number, text, kind=record["op"], **fields))
        return True

    def _write(self, number, record, inode):
        data, at = bytes.fromhex(record["data"]), record["offset"]
        return self._change(number, record, inode, "write [%d, %d)" % (at, at + len(data)),
                            data=data, offset=at)

    def _truncate(self, number, record, inode):
        return self._change(number, record, inode, "truncate %d" % record["size"],
                            size=record["size"])

    def _grow(self, number, record, inode):
        return self._change(number, record, inode, "fallocate %d" % record["size"],
                            size=record["size"])

    def _chmod(self, number, record, inode):
        return self._change(number, record, inode, "chmod %04o" % record["mode"],
                            mode=record["mode"])

    def _times(self, number, record, inode):
        mtime = record["seconds"] * 10 ** 9 + record["nanoseconds"]
        return self._change(number, record, inode, "times", mtime=mtime)

    def _setxattr(self, number, record, inode):
        return self._change(number, record, inode, "setxattr", data=bytes.fromhex(record["data"]))

    def _fsync(self, _number, _record, inode, with_mode=True):
        if inode is None:
            return False
        if inode.kind == "file":
            inode.sync(with_mode)
            return True
        inode.synced = True
        # An earlier change of an entry that one of these changes, too, is durable with it.
        touched, durable = set(), []
        for op in reversed(self.pending):
            entries = {entry for entry, _ in op.changes}
            if entries & touched or any(directory is inode for directory, _ in entries):
                touched |= entries
                durable.insert(0, op)
        self.entries = self._with(durable)
        self.pending = [op for op in self.pending if op not in durable]
        return True

    def _fdatasync(self, number, record, inode):
        return self._fsync(number, record, inode, with_mode=False)

    def _syncfs(self, _number, _record, inode):
        if inode is None:
            return False
        for each in self.inodes.values():
            each.sync()
        self.entries, self.pending = self._with(self.pending), []
        return True

    def _syscall(self, _number, _record, _inode):
        return False

    def _end(self, _number, _record, _inode):
        return True

    def _send(self, _number, record, _inode):
        return record.get("receipt", False)

    # What may be found after a power cut now

    def _with(self, ops):
        entries = dict(self.entries)
        for op in ops:
            for entry, inode in op.changes:
                if inode is None:
                    entries.pop(entry, None)
                else:
                    entries[entry] = inode
        return entries

    def _choices(self):
        """All combinations of changes to entries that keep the order on each: [(there, lost)]."""
        choices = [([], [], frozenset())]
        for op in self.pending:
            entries = frozenset(entry for entry, _ in op.changes)
            choices = [choice for there, lost, stuck in choices for choice in (
                [] if entries & stuck else [(there + [op], lost, stuck)])
                + [(there, lost + [op], stuck | entries)]]
            if len(choices) > MOST:
                raise TooLarge("%d combinations of entries" % len(choices))
        return [(there, lost) for there, lost, _ in choices]

    def _tree(self, entries, gone):
        """{path: inode} of all that is reachable; `gone` are the directories that are lost."""
        below = {}
        for (directory, name), inode in entries.items():
            below.setdefault(directory, []).append((name, inode))
        found, todo = {}, [("", self.root)]
        while todo:
            path, directory = todo.pop()
            for name, inode in below.get(directory, ()):
                if inode in gone:
                    continue
                found[path + name] = inode
                if inode.kind == "dir":
                    todo.append((path + name + "/", inode))
        return found

    def trees(self):
        """Each tree that entries may make: ({path: inode}, lost changes, lost directories)."""
        seen = set()
        for there, lost in self._choices():
            entries = self._with(there)
            fresh = sorted({inode for inode in entries.values()
                            if inode.kind == "dir" and not inode.synced}, key=lambda i: i.label)
            for lots in itertools.product((False, True), repeat=len(fresh)):
                gone = [inode for inode, is_gone in zip(fresh, lots) if is_gone]
                tree = self._tree(entries, gone)
                key = frozenset((path, id(inode)) for path, inode in tree.items())
                if key not in seen:
                    seen.add(key)
                    yield tree, lost, gone

    def states(self):
        """All legal states at this point, each as one State."""
        for tree, lost, gone in self.trees():
            files = sorted({inode for inode in tree.values() if inode.kind == "file"},
                           key=lambda inode: inode.label)
            count = 1
            for inode in files:
                count *= len(inode.variants())
            if count > MOST:
                raise TooLarge("%d states of one tree" % count)
            dirs = [path for path, inode in tree.items() if inode.kind == "dir"]
            for choice in itertools.product(*(inode.variants() for inode in files)):
                of = dict(zip(files, choice))
                found = {path: (inode, of[inode]) for path, inode in tree.items()
                         if inode.kind == "file" and of[inode] is not None}
                yield State(found, dirs, lost,
                            [(inode, None) for inode in gone] + list(of.items()))

    def now(self):
        """The state without a power cut."""
        tree = self._tree(self._with(self.pending), ())
        return State({path: (inode, inode.current()) for path, inode in tree.items()
                      if inode.kind == "file"},
                     [path for path, inode in tree.items() if inode.kind == "dir"], [], [])
