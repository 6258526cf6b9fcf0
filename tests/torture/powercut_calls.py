"""Whether the recorder sees all: what our code calls is held against the list of recorded calls."""

import glob
import os
import re
import subprocess

from powercut_run import BUILD

HERE = os.path.dirname(os.path.abspath(__file__))

# What the store calls besides: nothing of this changes a file or a directory.
HARMLESS = re.compile(r"""
    (str|mem|pthread_|ev|log_|pool_|worker_|__asan_|__ubsan_|__tsan_|__sanitizer_|__sancov_)\w*
    | _?_?(GLOBAL_OFFSET_TABLE_|errno_location|assert_fail|stack_chk_fail|tls_get_addr)
    | calloc|malloc|realloc|reallocarray|free|abort|\w*snprintf(_chk)?|\w*printf_chk
    | __mem\w+_chk|__str\w+_chk|__p?readv?_chk|__fdelt_chk
    | access|faccessat|fstat|fstatat|lstat|stat|statx|fstatvfs|statvfs|readlink|readlinkat|realpath
    | pread|preadv|read|readv|lseek|dup|fcntl|flock|fts_\w+|opendir|fdopendir|readdir|closedir
    | clock_\w+|\w*nanosleep|time|localtime_r|getpid|getrandom|gettid|umask|qsort|random
    """, re.X)

# What changes files and would not be recorded, in any room; and where it may be, since no store's.
CHANGES = re.compile(r"""
    aio_\w+|io_uring\w+|io_submit|chmod|lchown|f?chown(at)?|fchmodat2?|creat|fdopen|fopen|freopen
    | fu?times\w*|utime\w*|link|mkdir|mkfifo(at)?|mknod(at)?|mko?s?temp\w*|mmap|msync
    | posix_fallocate|pwritev2|vmsplice|remove|rename|rmdir|symlink(at)?|sync|tmpfile|truncate
    | unlink|f?setxattr|lsetxattr|f?removexattr|__write_chk
    """, re.X)
ELSEWHERE = {"libdaemon.a": {"fopen", "unlink"}}  # the file of pid_file


def recorded_calls():
    with open(os.path.join(HERE, "recorded")) as file:
        return set(re.findall(r"--wrap=(\w+)$", file.read(), re.M))


def symbols(path, which):
    """The names in an archive: which is "-u" (wanted) or "--defined-only"."""
    out = subprocess.run([os.environ.get("NM", "nm"), "-P", "-g", which, path], check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
    names = {line.split()[0] for line in out.splitlines() if " " in line}
    return {re.sub(r"64$", "", name) for name in names}  # with _FILE_OFFSET_BITS=64


def judge(archive, wanted, own, recorded):
    """Sentences on what one archive calls."""
    for name in sorted(wanted - own - recorded):
        if archive == "libstore.a" and not HARMLESS.fullmatch(name):
            yield "%s calls %s(): record it (tests/torture/recorded), or say in " \
                  "powercut_calls.py that it changes nothing" % (archive, name)
        elif CHANGES.fullmatch(name) and name not in ELSEWHERE.get(archive, ()):
            yield "%s calls %s(), which is not recorded" % (archive, name)


def unrecorded():
    paths = sorted(glob.glob(os.path.join(BUILD, "src", "lib*.a")))
    own = {name for path in paths for name in symbols(path, "--defined-only")}
    recorded = recorded_calls()
    wanted = {os.path.basename(path): symbols(path, "-u") for path in paths}
    assert "fsync" in wanted.get("libstore.a", ()), "where is libstore.a?"
    for archive, names in wanted.items():
        yield from judge(archive, names, own, recorded)
        # The proof that it would be noticed.
        for call in sorted(names & recorded if archive == "libstore.a" else ()):
            if not list(judge(archive, names, own, recorded - {call})):
                yield "%s() is called and might go unrecorded" % call
