"""Which calls fail, and how: for each kind errors that its manual page knows."""

from errno import (EACCES, EADDRINUSE, EAFNOSUPPORT, EAGAIN, ECONNABORTED, ECONNREFUSED, ECONNRESET,
                   EINTR, EINVAL, EIO, EMFILE, ENETUNREACH, ENOBUFS, ENOENT, ENOLCK, ENOMEM, ENOSPC,
                   ENOSYS, EOPNOTSUPP, EPERM, ENOTCONN)

from torture import SHORT

ERRORS = {
    "memory": [ENOMEM],
    # files
    "access": [EACCES],
    "close": [EIO],
    "fallocate": [ENOSPC, EIO, EINTR, EOPNOTSUPP],
    "fchmod": [EIO, EPERM],
    "fcntl": [EACCES, EAGAIN],
    "flock": [ENOLCK],
    "fstat": [EIO],
    "fstatat": [EIO, EACCES],
    "fstatfs": [EIO],
    "fstatvfs": [EIO],
    "fsync": [EIO, ENOSPC],
    "fsync-dir": [EIO, ENOSPC],
    "ftruncate": [EIO],
    "getrandom": [EAGAIN],
    "linkat": [EIO, ENOSPC, EPERM, ENOENT],
    "mkdirat": [EACCES, ENOSPC],
    "open": [EMFILE, EACCES, ENOMEM],
    "openat": [EMFILE, EACCES, ENOMEM, EIO],
    "openat2": [EMFILE, EACCES, EAGAIN, ENOSYS],
    "poll": [ENOMEM],
    "pread": [EIO, EINTR],
    "preadv": [EIO, EINTR],
    "preadv2": [EAGAIN, EOPNOTSUPP, EIO, EINTR],
    "pwrite": [ENOSPC, EIO, EINTR, SHORT],
    "pwritev": [ENOSPC, EIO, EINTR, SHORT],
    "read": [EIO],
    "readlinkat": [EACCES],
    "renameat": [EIO, ENOSPC],
    "renameat2": [EIO, ENOSPC, EINVAL],
    "stat": [EACCES],
    "sync_file_range": [EIO, ENOSPC],
    "syncfs": [EIO],
    "syscall": [ENOSYS, EPERM],
    "tmpfile": [EMFILE, ENOSPC, EIO, EOPNOTSUPP],
    "unlink": [EACCES],
    "unlinkat": [EIO],
    "write": [EIO, ENOSPC, SHORT],
    "writev": [ENOSPC, EIO, EINTR, SHORT],
    # sockets, and the rest
    "accept4": [EMFILE, ENOMEM, ECONNABORTED, EINTR],
    "bind": [EADDRINUSE, EACCES],
    "chdir": [EACCES],
    "connect": [ECONNREFUSED, ENETUNREACH],
    "dup2": [EMFILE],
    "eventfd": [EMFILE],
    "fork": [EAGAIN],
    "getrlimit": [EPERM],
    "getsockname": [ENOBUFS],
    "getsockopt": [ENOBUFS],
    "listen": [EADDRINUSE],
    "pipe2": [EMFILE],
    "prctl": [EPERM],
    "pthread_create": [EAGAIN],
    "recv": [ECONNRESET, EAGAIN, EINTR],
    "send": [ECONNRESET, EAGAIN, EINTR, ENOBUFS],
    "sendfile": [ECONNRESET, EAGAIN, EINVAL, EIO],
    "setrlimit": [EPERM],
    "setsockopt": [ENOBUFS],
    "shutdown": [ENOTCONN],
    "signalfd": [EMFILE],
    "splice": [EINVAL, EIO, ECONNRESET],
    "socket": [EMFILE, EACCES, EAFNOSUPPORT],
}

# The word for an error in a connection's reason=, where it has one of its own.
REASONS = {
    EACCES: "access", ECONNRESET: "peer-reset", EIO: "io-error", EMFILE: "descriptors",
    ENOBUFS: "no-memory", ENOMEM: "no-memory", ENOSPC: "no-space", EPERM: "access",
}
SYSEXITS = range(64, 79)


def error_name(error):
    from errno import errorcode
    return "SHORT" if error == SHORT else errorcode[error]
