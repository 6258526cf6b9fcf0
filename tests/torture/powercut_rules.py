"""Each rule of powercut_model.py held against a trace that needs nothing else: a model that knew fewer
states would find fewer faults, and nobody would notice."""

import stat

from powercut_model import SECTOR, Disk

ROOT, SUB, FILE, OTHER, NEW = (1, 1), (1, 2), (1, 3), (1, 4), (1, 5)
A, B, ZERO = b"a" * SECTOR, b"b" * SECTOR, bytes(SECTOR)
HEX = {"data": lambda data: data.hex()}


def disk():
    """A root with a directory d, and a file f of one sector in it; all of it durable."""
    made = Disk(None)
    made.root = made.add(ROOT, "dir", "", 0o755)
    sub = made.add(SUB, "dir", "d", 0o755)
    file = made.add(FILE, "file", "f", 0o600, A)
    made.entries = {(made.root, "d"): sub, (made.root, "f"): file}
    return made


def rec(op, inode=None, **fields):
    fields = {key: HEX.get(key, lambda value: value)(value) for key, value in fields.items()}
    return dict(fields, op=op, **({"inode": inode} if inode else {}))


def states(*records):
    """All that may be found after those: a set of sets of (path, content, mode)."""
    made = disk()
    for number, record in enumerate(records):
        assert made.play(number, record)
    return {frozenset((path, data, mode) for path, (data, mode) in state.files.items())
            for state in made.states()}


def contents(*records):
    """What f may hold."""
    return {data for state in states(*records) for path, data, _ in state if path == "f"}


def names(*records):
    """Which names there may be."""
    return {" ".join(sorted(path for path, _, _ in state)) for state in states(*records)}


def modes(*records):
    return {stat.S_IMODE(mode) for state in states(*records) for _, _, mode in state}


def stamps(*records):
    """Time and attribute of f."""
    made = disk()
    for number, record in enumerate(records):
        assert made.play(number, record)
    return {state.stamps["f"] for state in made.states() if "f" in state.stamps}


def write(offset, data):
    return rec("write", FILE, offset=offset, data=data)


def rename(source, name, directory, to):
    return rec("rename", FILE, from_dir=source, dir=directory, name=to, **{"from": name})


def link(directory, name):
    return rec("link", FILE, dir=directory, name=name)


TIME = rec("times", FILE, seconds=1, nanoseconds=2)
XATTR = rec("setxattr", FILE, name="user.x", data=b"x")
SET = (1000000002, b"x")
SYNC, SYNC_ROOT = rec("fsync", FILE), rec("fsync", ROOT)
TWO = write(0, B + B)
CREATE = rec("create", NEW, mode=0o600, dir=ROOT, name="n")
UNLINK = rec("unlink", dir=ROOT, name="f")
MOVE = rename(ROOT, "f", SUB, "g")
MIX = A[:100] + B[100:200] + A[200:]

# (the rule, what the model says, what it is to say)
RULES = [
    ("1: sectors in any order, torn between", contents(TWO),
     {A, B, A + ZERO, B + ZERO, A + B, B + B}),
    ("1: any of the writes to a sector", contents(write(0, b"b"), write(9, b"c")),
     {A, b"b" + A[1:], A[:9] + b"c" + A[10:], b"b" + A[1:9] + b"c" + A[10:]}),
    ("1: the later covers the earlier", contents(write(0, B), write(100, A[:100])),
     {A, B, B[:100] + A[:100] + B[200:]}),
    ("1: a sector is written whole", contents(write(100, B[:100])), {A, MIX}),
    ("2: size by itself", contents(rec("grow", FILE, size=600), rec("truncate", FILE, size=3)),
     {A, A + bytes(88), b"aaa"} | {b"aaa" + bytes(509), b"aaa" + bytes(597)}),
    ("2: mode by itself", modes(rec("chmod", FILE, mode=0o640), rec("chmod", FILE, mode=0o644)),
     {0o600, 0o640, 0o644}),
    ("2: mode without content", {(data, mode) for state in states(
        rec("chmod", FILE, mode=0o640), write(0, B)) for _, data, mode in state},
     {(A, 0o600), (A, 0o640), (B, 0o600), (B, 0o640)}),
    ("2: time and attribute by themselves", stamps(TIME, XATTR),
     {(None, b""), (None, b"x"), (SET[0], b""), SET}),
    ("2: a write sets another time", stamps(TIME, SYNC, write(0, B)),
     {(None, b""), (SET[0], b"")}),
    ("3: entries in any combination", names(UNLINK, CREATE), {"f", "", "f n", "n"}),
    ("3: the same entry in order", names(CREATE, rec("unlink", dir=ROOT, name="n")), {"f", "f n"}),
    ("3: a rename is one change", names(MOVE), {"f", "d/g"}),
    ("3: and comes after what it moves", names(link(ROOT, "t"), rename(ROOT, "t", ROOT, "u")),
     {"f", "f t", "f u"}),
    ("3: one after the other", names(rename(ROOT, "f", ROOT, "t"), rename(ROOT, "t", ROOT, "u")),
     {"f", "t", "u"}),
    ("4: fsync of a file", contents(TWO, SYNC), {B + B}),
    ("4: and its mode", modes(rec("chmod", FILE, mode=0o640), SYNC), {0o640}),
    ("4: not its entry", names(CREATE, rec("fsync", NEW)), {"f", "f n"}),
    ("4: fdatasync leaves out the mode", modes(rec("chmod", FILE, mode=0o640), rec(
        "fdatasync", FILE)), {0o600, 0o640}),
    ("4: and time and attribute", stamps(TIME, XATTR, SYNC), {SET}),
    ("4: which fdatasync leaves out", stamps(TIME, XATTR, rec("fdatasync", FILE)),
     stamps(TIME, XATTR)),
    ("5: fsync of a directory", names(UNLINK, SYNC_ROOT), {""}),
    ("5: not of another", names(UNLINK, rec("fsync", SUB)), {"f", ""}),
    ("5: not of what it names", contents(TWO, SYNC_ROOT), contents(TWO)),
    ("5: of a rename, on either side", names(MOVE, rec("fsync", SUB)), {"d/g"}),
    ("5: and of what came before", names(link(SUB, "g"), rename(SUB, "g", ROOT, "u"), SYNC_ROOT),
     {"f u"}),
    ("6: what was never synced may be lost", names(CREATE, SYNC_ROOT), {"f", "f n"}),
    ("6: with all beneath", names(rec("mkdir", NEW, mode=0o700, dir=ROOT, name="e"),
                                     rename(ROOT, "f", NEW, "f"), SYNC_ROOT),
     {"e/f", ""}),
    ("7: no name, no file", names(rec("create", NEW, mode=0o600)), {"f"}),
    ("syncfs", states(TWO, UNLINK, CREATE, rec("syncfs", ROOT)), {frozenset({("n", b"", 0o600)})}),
]


def broken_rules():
    """Sentences on rules that the model does not keep."""
    for rule, said, wanted in RULES:
        if said != wanted:
            yield "rule %s: too many: %s; too few: %s" % (
                rule, [short(one) for one in said - wanted], [short(one) for one in wanted - said])


def short(one):
    return repr(one)[:60]
