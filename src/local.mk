# One convenience library per room; a program or test links only the rooms it may know.

noinst_LIBRARIES += src/libbase.a
src_libbase_a_SOURCES = \
	src/base/clock.c src/base/clock.h \
	src/base/cursor.c src/base/cursor.h \
	src/base/log.c src/base/log.h \
	src/base/rc.c src/base/rc.h

noinst_LIBRARIES += src/libconf.a
src_libconf_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBCONFIG_CFLAGS)
src_libconf_a_SOURCES = \
	src/conf/cmdline.c \
	src/conf/error.c src/conf/error.h \
	src/conf/literal.c src/conf/literal.h \
	src/conf/loader.c \
	src/conf/option.c src/conf/option.h \
	src/conf/print.c \
	src/conf/source.c src/conf/source.h \
	src/conf/value.c src/conf/value.h
