"""Who is measured: how each is started on loopback, and what asks it for a file or brings it one.

A peer is an object with
    name      as the tables say it
    can       what it takes part in: "download", "upload", "connections"; of directories with small files "tree_up",
              "tree_down", "tree_durable"
    missing() why it cannot be measured here, or None
    serve()   a started measure.Server, with the files in `root` and what else it needs in `scratch`
    get(), put()   the client's command line; get_tree(), put_tree() for a directory, under its own name
    load      how bench/native/load speaks to it: "http" or "ftxfer"
Its configuration is what its manual recommends for large files, and nothing that trades safety for speed.
"""

import itertools
import os
import shlex
import shutil
import socket
import subprocess
import sys

from measure import Server

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
SYSTEM = os.path.join(TOP, "tests", "system")
WORKERS = os.cpu_count() or 1


def native(program):
    where = os.environ.get("BENCH_NATIVE", os.path.join(TOP, "build", "bench", "native"))
    return os.path.join(where, program)


def ours(variable, name, build=None):
    """A program of ours: of a build directory, of the environment, or of the one at the top."""
    given = os.environ.get(variable)
    if given and build is None:
        return shlex.split(given)
    return [os.path.join(build or os.path.join(TOP, "build"), name)]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def write_text(path, text):
    with open(path, "w") as file:
        file.write(text)
    return path


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def first_line(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True)
    return (done.stdout.splitlines() or ["?"])[0]


class Peer:
    name = "?"
    can = frozenset()
    programs = {}  # what it takes: the Debian package of each
    load = "http"

    def missing(self):
        for program, package in self.programs.items():
            if not find(program):
                return "there is no %s (Debian: %s)" % (program, package)
        return None

    def version(self):
        return ""

    def serve(self, root, scratch, kind):
        """kind: what it will be asked for, one of `can`."""
        raise NotImplementedError

    def get(self, server, name, path):
        raise NotImplementedError

    def put(self, server, path, name):
        raise NotImplementedError

    def get_tree(self, server, name, directory):
        """The directory of that name, into a local one."""
        raise NotImplementedError

    def put_tree(self, server, path):
        """The local directory, into the server's root."""
        raise NotImplementedError


# Ours

class Ftxferd(Peer):
    """From the build tree; a second build, to compare two, has its directory as `build`."""
    can = frozenset(("download", "upload", "connections", "first"))
    load = "ftxfer"
    limits = {"max_connections": 0, "max_connections_per_address": 0, "min_rate": 0}

    def __init__(self, options=(), client_args=(), build=None):
        self.name = "ftxferd" if build is None else "ftxferd@" + os.path.basename(build)
        self.options, self.client_args = dict(options), list(client_args)
        self.daemon = ours("FTXFERD", "ftxferd", build)
        self.client = ours("FTXFER", "ftxfer", build)

    def missing(self):
        for program in (self.daemon[-1], self.client[-1]):
            if not os.access(program, os.X_OK):
                return "%s is not built" % program
        return None

    def version(self):
        return first_line(*self.daemon, "--version")

    def serve(self, root, scratch, kind):
        settings = {"storage_root": '"%s"' % root, "listen_address": '["127.0.0.1"]',
                    "user": '"root"', "grace_time": 1, **self.limits, **self.options}
        conf = "".join("%s = %s;\n" % item for item in settings.items())
        conf = write_text(os.path.join(scratch, "ftxferd.conf"), conf)
        return Server(self.daemon + ["-f", conf, "-l", "0"], scratch)

    def _ask(self, server, *args):
        return self.client + self.client_args + ["-s", "127.0.0.1:%d" % server.port, *args]

    def get(self, server, name, path):
        return self._ask(server, "-m", "download", "-v", name, "-l", path)

    def put(self, server, path, name):
        return self._ask(server, "-m", "upload", "-v", name, "-l", path)


class Ftxferd2(Ftxferd):
    """The same daemon, asked by ftxfer's commands: protocol 2, with digests and receipts."""
    can = frozenset(("tree_up", "tree_down", "tree_durable", "digest"))
    states = itertools.count()

    def __init__(self, options=(), client_args=(), build=None):
        super().__init__(options, client_args, build)
        self.name += ", protocol 2"

    def serve(self, root, scratch, kind):
        self.home = scratch
        return super().serve(root, scratch, kind)

    def _ask(self, server, command, *args):
        """Without settings, and with a state of its own: not those of whoever measures.

        New each time: who brings the same files to the same place is known by their ids, and asked
        whether he has them still, which is not what is measured.
        """
        state = os.path.join(self.home, "state%d" % next(self.states))
        return ["env", "XDG_CONFIG_HOME=" + self.home, "XDG_STATE_HOME=" + state, *self.client,
                command, "-q", *self.client_args, *args]

    @staticmethod
    def _there(server, name=""):
        return "127.0.0.1:%d/%s" % (server.port, name)

    def get(self, server, name, path):
        return self._ask(server, "get", self._there(server, name), "-o", path)

    def put(self, server, path, name):
        return self._ask(server, "put", path, self._there(server, name))

    def get_tree(self, server, name, directory):
        return self._ask(server, "get", "-r", self._there(server, name), "-o", directory)

    def put_tree(self, server, path):
        return self._ask(server, "put", "-r", path, self._there(server))


# References of our own: what blocking calls reach

class Native(Peer):
    """bench/native/serve and fetch; each side in the way that it is told."""
    can = frozenset(("download", "upload"))

    def __init__(self, send, receive):
        self.send, self.receive = send, receive
        self.name = "native %s > %s" % (send, receive)

    def missing(self):
        built = os.access(native("serve"), os.X_OK)
        return None if built else "bench/native is not built: make bench"

    def serve(self, root, scratch, kind):
        how = self.send if kind == "download" else self.receive
        return Server([native("serve"), kind, how, root], scratch)

    def get(self, server, name, path):
        return [native("fetch"), "download", self.receive, str(server.port), name, path]

    def put(self, server, path, name):
        return [native("fetch"), "upload", self.send, str(server.port), name, path]


class Small(Peer):
    """bench/native/small; `load`: the protocol that it speaks."""
    can = frozenset(("connections",))
    missing = Native.missing

    def __init__(self, load):
        self.name = "native small, %s" % load
        self.load = load

    def serve(self, root, scratch, kind):
        return Server([native("small"), self.load, root], scratch)


class Tar(Peer):
    """tar's output is the connection, and tar's input is: bench/native/plug. What makes it durable comes then."""
    programs = {"tar": "tar", "sync": "coreutils"}
    send = staticmethod(lambda where, name: ["tar", "-c", "-C", where, name])
    receive = staticmethod(lambda where: ["tar", "-x", "-C", where])

    def __init__(self, name, durable=None):
        self.name = name
        self.durable = durable
        self.can = frozenset(("tree_up", "tree_down") if durable is None else ("tree_durable",))

    def missing(self):
        return super().missing() or Native.missing(self)

    def version(self):
        return first_line("tar", "--version")

    def serve(self, root, scratch, kind):
        argv = self.send(root, "tree") if kind == "tree_down" else self.receive(root)
        if self.durable:
            argv = ["sh", "-c", 'tar -x -C "$0" && exec "$@"', root] + [
                word % root if "%" in word else word for word in self.durable]
        return Server([native("plug"), "serve", *argv], scratch)

    def get_tree(self, server, name, directory):
        return [native("plug"), "receive", str(server.port), *self.receive(directory)]

    def put_tree(self, server, path):
        where, name = os.path.split(path)
        return [native("plug"), "send", str(server.port), *self.send(where, name)]


class Files(Tar):
    """The least for whole files: bench/native/files in tar's place."""
    programs = {}
    send = staticmethod(lambda where, name: [native("files"), "send", where, name])
    receive = staticmethod(lambda where: [native("files"), "receive", where])

    def version(self):
        return None


# Others

class Curl(Peer):
    """A server whose client is curl."""
    scheme = "http"
    directory = ""

    def _url(self, server, name):
        return "%s://127.0.0.1:%d/%s%s" % (self.scheme, server.port, self.directory, name)

    def get(self, server, name, path):
        return ["curl", "-q", "-sS", "-f", "-o", path, self._url(server, name)]

    def put(self, server, path, name):
        return ["curl", "-q", "-sS", "-f", "-T", path, self._url(server, name)]

    def version(self):
        return "%s; %s" % (self.server_version(), " ".join(first_line("curl", "--version").split()[:2]))

    def server_version(self):
        return first_line(find(self.name), "-v")


NGINX = """\
%(user)s
daemon off;
pid %(scratch)s/nginx.pid;
error_log stderr;
worker_processes %(workers)d;
worker_rlimit_nofile 65536;
events { worker_connections 16384; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	client_max_body_size 0;
	client_body_buffer_size 1m;
	client_body_temp_path %(root)s.nginx/body;
	proxy_temp_path %(scratch)s/proxy;
	fastcgi_temp_path %(scratch)s/fastcgi;
	uwsgi_temp_path %(scratch)s/uwsgi;
	scgi_temp_path %(scratch)s/scgi;
	server {
		listen 127.0.0.1:%(port)d reuseport;
		root %(root)s;
		%(dav)s
	}
}
"""


class Nginx(Curl):
    name = "nginx"
    can = frozenset(("download", "upload", "connections"))
    programs = {"nginx": "nginx-light", "curl": "curl"}

    def __init__(self):
        self._dav = None

    def has_dav(self):
        if self._dav is None:
            done = subprocess.run([find("nginx"), "-V"], stderr=subprocess.PIPE, text=True)
            self._dav = "http_dav_module" in done.stderr
        return self._dav

    def serve(self, root, scratch, kind):
        os.makedirs(root + ".nginx", exist_ok=True)  # beside the files: a body is renamed into place
        port = free_port()
        conf = write_text(os.path.join(scratch, "nginx.conf"), NGINX % {
            "user": "user root;" if os.geteuid() == 0 else "", "scratch": scratch, "root": root,
            "workers": WORKERS, "port": port,
            "dav": "dav_methods PUT;" if self.has_dav() else ""})
        return Server([find("nginx"), "-p", scratch, "-e", "stderr", "-c", conf], scratch, port)


LIGHTTPD = """\
server.modules = ("mod_webdav")
server.bind = "127.0.0.1"
server.port = %(port)d
server.document-root = "%(root)s"
server.upload-dirs = ("%(root)s.lighttpd")
server.max-worker = %(workers)d
server.max-fds = 32768
server.max-connections = 16384
server.max-request-size = 0
server.stream-request-body = 2
server.errorlog = "%(scratch)s/errors"
webdav.activate = "enable"
"""


class Lighttpd(Curl):
    name = "lighttpd"
    can = frozenset(("download", "upload", "connections"))
    programs = {"lighttpd": "lighttpd", "curl": "curl"}

    def missing(self):
        why = super().missing()
        modules = "/usr/lib/lighttpd"
        if why is None and os.path.isdir(modules) and "mod_webdav.so" not in os.listdir(modules):
            why = "there is no mod_webdav (Debian: lighttpd-mod-webdav)"
        return why

    def serve(self, root, scratch, kind):
        os.makedirs(root + ".lighttpd", exist_ok=True)
        port = free_port()
        # Its workers do not share the connections of one client: one, where there is one.
        conf = write_text(os.path.join(scratch, "lighttpd.conf"), LIGHTTPD % {
            "scratch": scratch, "root": root, "port": port, "workers": WORKERS})
        return Server([find("lighttpd"), "-D", "-f", conf], scratch, port)


VSFTPD = """\
listen=YES
listen_address=127.0.0.1
listen_port=%(port)d
background=NO
run_as_launching_user=NO
secure_chroot_dir=%(scratch)s/empty
ftp_username=ftp
anonymous_enable=YES
local_enable=NO
no_anon_password=YES
anon_root=%(chroot)s
write_enable=YES
anon_upload_enable=YES
anon_umask=022
seccomp_sandbox=NO
xferlog_enable=NO
max_per_ip=0
max_clients=0
use_sendfile=YES
"""


class Vsftpd(Curl):
    """Anonymous, as root only; files are in a directory of its root that the user ftp may write to."""
    name = "vsftpd"
    can = frozenset(("download", "upload"))
    programs = {"vsftpd": "vsftpd", "curl": "curl"}
    scheme = load = "ftp"

    def missing(self):
        why = super().missing()
        if why is None and os.geteuid() != 0:
            why = "only root can run it"
        return why or Native.missing(self)

    def server_version(self):
        return "vsftpd"

    def serve(self, root, scratch, kind):
        self.directory = os.path.basename(root) + "/"
        shutil.chown(root, "ftp")
        os.makedirs(os.path.join(scratch, "empty"), exist_ok=True)
        port = free_port()
        conf = write_text(os.path.join(scratch, "vsftpd.conf"), VSFTPD % {
            "scratch": scratch, "chroot": os.path.dirname(root), "port": port})
        # A session's first process may end before its second, which then is nobody's: see keep.
        return Server([native("keep"), find("vsftpd"), conf], scratch, port)


RSYNCD = """\
use chroot = no
address = 127.0.0.1
port = %(port)d
lock file = %(scratch)s/lock
log file = /dev/null
max connections = 0
[files]
	path = %(root)s
	read only = no
	%(user)s
"""


class Rsync(Peer):
    """Its daemon, without a program for the line in between; times and modes are kept, as we do."""
    name = "rsync"
    can = frozenset(("tree_up", "tree_down", "tree_durable"))
    programs = {"rsync": "rsync"}

    def version(self):
        return first_line("rsync", "--version")

    def serve(self, root, scratch, kind):
        self.durable = ["--fsync"] if kind == "tree_durable" else []
        port = free_port()
        conf = write_text(os.path.join(scratch, "rsyncd.conf"), RSYNCD % {
            "port": port, "scratch": scratch, "root": root,
            "user": "uid = root\n\tgid = root" if os.geteuid() == 0 else ""})
        return Server([native("keep"), find("rsync"), "--daemon", "--no-detach", "--config=" + conf],
                      scratch, port)

    @staticmethod
    def _there(server, name=""):
        return "rsync://127.0.0.1:%d/files/%s" % (server.port, name)

    def get_tree(self, server, name, directory):
        return ["rsync", "-rtp", self._there(server, name), directory + "/"]

    def put_tree(self, server, path):
        return ["rsync", "-rtp", *self.durable, path, self._there(server)]


class First(Peer):
    """A model of the programs that protocol 1 comes from. It does not wait, as it does in tests, whether a byte
    too much comes behind a message."""
    name = "first programs (model)"
    can = frozenset(("first",))
    load = "ftxfer"
    model = [sys.executable, "-B", os.path.join(SYSTEM, "model.py")]

    def version(self):
        return "Python " + sys.version.split()[0]

    def serve(self, root, scratch, kind):
        return Server(self.model + ["server", "-l", "0", "--root", root, "--settle", "0"], scratch)

    def _ask(self, mode, server, name, path):
        return self.model + ["client", "--settle", "0", "-m", mode, "-s", "127.0.0.1:%d" % server.port,
                             "-v", name, "-l", path]

    def get(self, server, name, path):
        return self._ask("download", server, name, path)

    def put(self, server, path, name):
        return self._ask("upload", server, name, path)


class Dd(Peer):
    """What the disk itself takes: no server, no network, no cache."""
    name = "dd oflag=direct conv=fsync"
    can = frozenset(("disk",))
    programs = {"dd": "coreutils"}

    def serve(self, root, scratch, kind):
        self.root = root
        return None

    def put(self, server, path, name):
        return ["dd", "if=" + path, "of=" + os.path.join(self.root, name), "bs=1M", "oflag=direct",
                "conv=fsync", "status=none"]


def all_peers(options=(), client_args=(), builds=()):
    builds = [None] + [os.path.abspath(build) for build in builds]
    found = [kind(options, client_args, build) for kind in (Ftxferd, Ftxferd2) for build in builds]
    return found + [Nginx(), Lighttpd(), Vsftpd(), Rsync(),
                   Native("read+send", "recv+write"), Native("sendfile", "recv+write"),
                   Native("sendfile", "splice"), Small("http"), Small("ftxfer"),
                   Tar("native tar"), Files("native files"), Tar("native tar, syncfs", ["sync", "-f", "%s"]),
                   Tar("native tar, fsync by 16", [native("flush"), "%s", "16"]), First(), Dd()]


def packages():
    found = {"gnuplot": "gnuplot-nox", "mod_webdav": "lighttpd-mod-webdav", "ss": "iproute2",
             "slowfs": "fuse3 libfuse3-dev"}
    for peer in all_peers():
        found.update(peer.programs)
    return sorted(set(found.values()))


if __name__ == "__main__":
    sys.exit("the program is bench/run")
