"""Whether the recorder sees all: what our code calls is held against the list of recorded calls."""

import glob
import os
import re
import subprocess

from powercut_run import BUILD

HERE = os.path.dirname(os.path.abspath(__file__))

# What the store calls besides: nothing of this changes a file or a directory.
HARMLESS = re.compile(r"""
    (str|mem|pthread_|ev|log_|pool_|worker_|chunk_|__asan_|__ubsan_|__tsan_|__sanitizer_|__sancov_)\w*
    | _?_?(GLOBAL_OFFSET_TABLE_|errno_location|assert_fail|stack_chk_fail|tls_get_addr)
    | calloc|malloc|realloc|reallocarray|free|abort|\w*snprintf(_chk)?|\w*printf_chk
    | XXH\w+|EVP_\w+
    | __mem\w+_chk|__str\w+_chk|__p?readv?_chk|__fdelt_chk
    | posix_fadvise|access|faccessat|fstat|fstatat|lstat|stat|statx|fstatvfs|statvfs|readlink|readlinkat|realpath
    | pread|preadv|preadv2|read|fgetxattr|readv|lseek|dup|fcntl|flock|fts_\w+|opendir|fdopendir|readdir|closedir|dirfd
    | clock_\w+|\w*nanosleep|time|localtime_r|getpid|geteuid|getrandom|gettid|umask|qsort|random
    """, re.X)

# What changes files and would not be recorded, in any room; and where it may be, since no store's.
CHANGES = re.compile(r"""
    aio_\w+|io_uring\w+|io_submit|chmod|lchown|f?chown(at)?|fchmodat2?|creat|fdopen|fopen|freopen
    | fu?times\w*|utime\w*|link|mkdir|mkfifo(at)?|mknod(at)?|mko?s?temp\w*|mmap|msync
    | posix_fallocate|pwritev2|vmsplice|remove|rename|rmdir|symlink(at)?|sync|tmpfile|truncate
    | unlink|f?setxattr|lsetxattr|f?removexattr|__write_chk
    """, re.X)
ELSEWHERE = {"libdaemon.a": {"unlink"}}  # the file of pid_file


def recorded_calls():
    with open(os.path.join(HERE, "recorded")) as file:
        return set(re.findall(r"--wrap=(\w+)$", file.read(), re.M))


def symbols(path):
    """Two sets of names: what an archive wants, and what it has."""
    out = subprocess.run([os.environ.get("NM", "nm"), "-P", "-g", path], check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
    wanted, has = set(), set()
    for fields in (line.split() for line in out.splitlines()):
        if len(fields) > 1:
            name = re.sub(r"64$", "", fields[0])  # with _FILE_OFFSET_BITS=64
            (wanted if fields[1] in "Uw" else has).add(name)
    return wanted, has


def judge(archive, wanted, own, recorded):
    """Sentences on what one archive calls."""
    for name in sorted(wanted - own - recorded):
        if archive == "libstore.a" and not HARMLESS.fullmatch(name):
            yield "%s calls %s(): record it (tests/torture/recorded), or say in " \
                  "powercut_calls.py that it changes nothing" % (archive, name)
        elif CHANGES.fullmatch(name) and name not in ELSEWHERE.get(archive, ()):
            yield "%s calls %s(), which is not recorded" % (archive, name)


def unrecorded():
    archives = {os.path.basename(path): symbols(path)
                for path in sorted(glob.glob(os.path.join(BUILD, "src", "lib*.a")))}
    assert "fsync" in archives["libstore.a"][0]
    own = set().union(*(has for _, has in archives.values()))
    recorded = recorded_calls()
    for archive, (wanted, _) in archives.items():
        yield from judge(archive, wanted, own, recorded)
        # The proof that it would be noticed.
        for call in sorted(wanted & recorded if archive == "libstore.a" else ()):
            if not list(judge(archive, wanted, own, recorded - {call})):
                yield "%s() is called and might go unrecorded" % call
