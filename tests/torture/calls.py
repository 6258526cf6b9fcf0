"""Holds the calls that the rooms make against those that tests/torture/wrapped names.

A call that is not wrapped would be tried by no suite, and nobody would notice. So the storage room
may call only what is wrapped or named here as harmless, and no room may call unwrapped what can
fail for want of something.
"""

import glob
import os
import re
import subprocess
import sys

from torture import BUILD, HERE

# Of the storage room: what neither fails nor changes anything outside of the process.
HARMLESS = set("""
    __assert_fail __errno_location __memcpy_chk __memset_chk __snprintf_chk __stack_chk_fail
    clock_gettime closedir dirfd free fts_close geteuid getpid lseek memchr memcmp memcpy memmove memset nanosleep
    posix_fadvise posix_fadvise64 pthread_cond_broadcast pthread_cond_destroy pthread_cond_init
    pthread_cond_timedwait pthread_cond_wait pthread_condattr_destroy
    pthread_condattr_init pthread_condattr_setclock pthread_mutex_destroy pthread_mutex_init pthread_mutex_lock
    pthread_mutex_unlock snprintf strchr strcmp strcspn strerror strlen strncmp strrchr time _GLOBAL_OFFSET_TABLE_
""".split())
# libevent reports through its memory, the sanitizers to us.
# Of a digest only its beginning takes memory; that is wrapped.
HARMLESS_LIKE = re.compile(r"evbuffer_|XXH|EVP_|__(asan|tsan|ubsan|sanitizer|gcov|llvm)_")

# Of any room: what takes memory, descriptors, threads or space, or writes.
FALLIBLE = set("""
    accept accept4 aligned_alloc asprintf bind calloc chmod chown close connect copy_file_range
    creat dprintf dup dup2 dup3 epoll_create epoll_create1 epoll_ctl eventfd fallocate fchmod
    fchmodat fchown fchownat fcntl fgetxattr fsetxattr fdatasync fdopen fdopendir flock fopen fork freopen fstat
    fstatat fstatfs fstatvfs fsync ftruncate fts_open fts_read futimens getaddrinfo getdelim
    getline getnameinfo getrandom getrlimit getsockname getsockopt inotify_init1 link linkat listen
    lstat malloc memfd_create mkdir mkdirat mkdtemp mkostemp mkstemp mmap mremap open
    open_memstream openat opendir pipe pipe2 poll posix_fallocate posix_memalign posix_spawn pread
    preadv preadv2 prlimit pthread_create pwrite pwritev pwritev2 read readdir readlink readlinkat
    readv realloc reallocarray realpath recv recvfrom recvmsg rename renameat renameat2 rmdir scandir send sendfile
    sendmsg sendto setrlimit setsockopt shutdown signalfd socket socketpair splice stat statfs
    statvfs statx strdup strndup symlink symlinkat sync sync_file_range syncfs syscall tee
    timerfd_create tmpfile truncate unlink unlinkat utimensat vasprintf vfork vmsplice write writev
""".split())
# Reasons to leave one of them alone, by the room that calls it.
LEFT_ALONE = {}


def symbols(*argv):
    """library -> names, as nm(1) lists them."""
    found = {}
    out = subprocess.run(["nm", "-A", *argv], stdout=subprocess.PIPE, text=True, check=True).stdout
    for library, name in re.findall(r"([^/:\n]+\.a):.* [A-Za-z] (\S+)$", out, re.M):
        found.setdefault(library, set()).add(name)
    return found


def plain(name):
    """The call's own name, where _FORTIFY_SOURCE or large files gave it another one."""
    name = re.sub(r"^__(\w+?)_(chk|2)$", r"\1", name)
    return re.sub(r"64$", "", name)


def faults():
    with open(os.path.join(HERE, "wrapped")) as file:
        wrapped = set(re.findall(r"--wrap=(\w+)", file.read()))
    libraries = [path for path in glob.glob(os.path.join(BUILD, "src", "lib*.a"))
                 if not path.endswith("libstammer.a")]
    if not libraries:
        return ["there are no libraries in %s/src" % BUILD]
    ours = set().union(*symbols("--defined-only", *libraries).values())
    wrong = []
    for library, names in sorted(symbols("-u", *libraries).items()):
        for name in sorted(names - ours - wrapped):
            if plain(name) in FALLIBLE and name not in LEFT_ALONE.get(library, ()):
                wrong.append("%s calls %s, which is not wrapped" % (library, name))
            elif (library == "libstore.a" and name not in HARMLESS
                  and not HARMLESS_LIKE.match(name)):
                wrong.append("%s calls %s, which is neither wrapped nor known as harmless" % (
                    library, name))
    return wrong


def check():
    """Ends the suite when there is a call that it would not see."""
    wrong = faults()
    if wrong:
        print("\n".join(wrong))
        print("See \"A new call\" in tests/torture/README.")
        sys.exit(1)
