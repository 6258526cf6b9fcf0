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

noinst_LIBRARIES += src/libnet.a
src_libnet_a_SOURCES = \
	src/net/addr.c src/net/addr.h

noinst_LIBRARIES += src/libstammer.a
src_libstammer_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
src_libstammer_a_SOURCES = \
	src/stammer/connection.c src/stammer/connection.h \
	src/stammer/fault.c src/stammer/fault.h \
	src/stammer/forward.c src/stammer/forward.h \
	src/stammer/options.c src/stammer/options.h \
	src/stammer/random.c src/stammer/random.h \
	src/stammer/relay.c src/stammer/relay.h \
	src/stammer/sock.c src/stammer/sock.h

bin_PROGRAMS += stammerproxy
stammerproxy_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
stammerproxy_SOURCES = src/stammer/main.c
stammerproxy_LDADD = src/libstammer.a src/libconf.a src/libnet.a src/libbase.a \
	$(LIBEVENT_LIBS) $(LIBCONFIG_LIBS)
