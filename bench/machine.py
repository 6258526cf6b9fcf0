"""The machine that the figures are of: what it is, and a network of its own where that is allowed."""

import contextlib
import ctypes
import fcntl
import os
import platform
import re
import socket
import struct
import subprocess

CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
SYSCTLS = ("tcp_congestion_control", "tcp_rmem", "tcp_wmem", "tcp_notsent_lowat", "tcp_tw_reuse")


def read_text(path, default="?"):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return default


def file_system(path):
    """Type and device of the mount that a path is on."""
    best = ("", "?", "?")
    for line in read_text("/proc/self/mounts", "").splitlines():
        device, where, kind = line.split()[:3]
        if (os.path.realpath(path) + "/").startswith(where.rstrip("/") + "/") and len(where) >= len(best[0]):
            best = (where, kind, device)
    return "%s (%s)" % best[1:]


def is_memory(path):
    return file_system(path).startswith(("tmpfs", "ramfs", "devtmpfs"))


def room(path):
    """Bytes that may be written there; what is kept in memory must find place in it, too."""
    v = os.statvfs(path)
    free = v.f_bavail * v.f_frsize
    memory = re.search(r"^MemAvailable:\s*(\d+)", read_text("/proc/meminfo", ""), re.M)
    return min(free, int(memory[1]) << 10) if memory and is_memory(path) else free


def git(top, *args):
    try:
        done = subprocess.run(["git", "-C", top, *args], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def describe(top):
    cpu = re.search(r"^model name\s*:\s*(.*)$", read_text("/proc/cpuinfo", ""), re.M)
    memory = re.search(r"^MemTotal:\s*(\d+)", read_text("/proc/meminfo", ""), re.M)
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory[1]) / (1 << 20), 1) if memory else None,
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
        "network": {name: read_text("/proc/sys/net/ipv4/" + name) for name in SYSCTLS},
        "commit": git(top, "rev-parse", "--short", "HEAD"),
        "changed": bool(git(top, "status", "--porcelain", "--untracked-files=no")),
    }


# A network of its own: only lo, nobody else's traffic, and its own congestion control

def congestion():
    return read_text("/proc/sys/net/ipv4/tcp_congestion_control")


def _loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


class Network:
    """A network namespace for this process and all that it starts; None of it changes the machine."""

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.own = False

    def enter(self):
        """A fresh one. False: this user may not, and stays in the machine's own."""
        if self.libc.unshare(CLONE_NEWNET) != 0:
            return False
        self.own = True
        _loopback_up()
        return True

    def set_congestion(self, name):
        """Whether TCP goes by that name here: the kernel lets a namespace have only some."""
        try:
            with open("/proc/sys/net/ipv4/tcp_congestion_control", "w") as file:
                file.write(name)
        except OSError:
            return False
        return congestion() == name

    def leave(self):
        if self.own:
            self.libc.setns(self.home, CLONE_NEWNET)
            self.own = False


@contextlib.contextmanager
def mounts_of(pid):
    """This process, and all that the block starts, sees the mounts that another one sees."""
    libc, cwd = ctypes.CDLL(None, use_errno=True), os.getcwd()
    spaces = [os.open("/proc/%s/ns/mnt" % who, os.O_RDONLY | os.O_CLOEXEC) for who in ("thread-self", pid)]

    def enter(space):
        if libc.setns(space, CLONE_NEWNS) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        os.chdir(cwd)

    try:
        enter(spaces[1])
        try:
            yield
        finally:
            enter(spaces[0])
    finally:
        for space in spaces:
            os.close(space)
