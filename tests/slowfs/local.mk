# A slow disk for the system suite and for benchmarks: what it does is said at the top of slowfs.c.

if HAVE_FUSE
noinst_PROGRAMS += tests/slowfs/slowfs
tests_slowfs_slowfs_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests $(FUSE_CFLAGS)
tests_slowfs_slowfs_SOURCES = \
	tests/slowfs/slowfs.c \
	tests/slowfs/disk.c tests/slowfs/disk.h \
	tests/slowfs/inode.c tests/slowfs/inode.h \
	tests/slowfs/passthrough.c tests/slowfs/passthrough.h
tests_slowfs_slowfs_LDADD = $(FUSE_LIBS)
slowfs_program = '$(abs_builddir)/tests/slowfs/slowfs'
endif

slowfs_environment = SLOWFS=$(slowfs_program)
