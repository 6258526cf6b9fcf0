"""What runs beside something else: probes (native/probe), downloads that are held (native/hold), and
what is ended before its time."""

import subprocess
import time

from measure import PATIENCE, Failure
from peers import native

RATE = 500  # probes a second


class Beside:
    """A program that runs while the block does; at its end it is told to end, or is killed."""

    def __init__(self, argv, patience=20.0):
        self.argv, self.patience, self.output = argv, patience, ""

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        return self

    def line(self):
        """The next one that it says; Failure when it ends instead."""
        line = self.process.stdout.readline()
        self.output += line
        if not line:
            raise Failure("%s ended with %s" % (" ".join(self.argv[:4]), self.process.wait()))
        return line

    def check_running(self):
        if self.process.poll() is not None:
            raise Failure("%s: exit status %d, too early\n%s" % (
                " ".join(self.argv[:4]), self.process.returncode, self.process.stdout.read()))

    def finish(self):
        """Waits for its end; it must be a good one."""
        try:
            self.output += self.process.communicate(timeout=PATIENCE)[0]
        except subprocess.TimeoutExpired:
            raise Failure("%s does not end" % " ".join(self.argv[:4]))
        if self.process.returncode != 0:
            raise Failure("%s: exit status %d\n%s" % (" ".join(self.argv[:4]),
                                                      self.process.returncode, self.output))
        return self.output

    def __exit__(self, *_why):
        self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(self.patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def figures_of(output):
    words = output.split()
    return {key: float(value) for key, value in zip(words[::2], words[1::2])}


def probing(peer, server, path, name, seconds):
    """The command line of probes for the file of that name, which holds what is at path."""
    name = getattr(peer, "directory", "") + name
    return [native("probe"), peer.load, str(server.port), str(RATE), "%g" % seconds, path, name]


def probe(peer, server, path, name, seconds, check=None):
    """(median, 99th percentile), in microseconds. check: called when the last one is due."""
    with Beside(probing(peer, server, path, name, seconds)) as probes:
        if check:
            pause(seconds)
            check()
        said = figures_of(probes.finish())
    return said["p50_us"], said["p99_us"]


def pause(seconds):
    """Until something is under way that nobody tells us of."""
    time.sleep(seconds)
