# One convenience library per room; a program or test links only the rooms it may know.

noinst_LIBRARIES += src/libbase.a
src_libbase_a_SOURCES = \
	src/base/clock.c src/base/clock.h \
	src/base/cursor.c src/base/cursor.h \
	src/base/log.c src/base/log.h \
	src/base/rc.c src/base/rc.h

noinst_LIBRARIES += src/libloop.a
src_libloop_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
src_libloop_a_SOURCES = \
	src/loop/pool.c src/loop/pool.h \
	src/loop/timer.c src/loop/timer.h \
	src/loop/worker.c src/loop/worker.h

noinst_LIBRARIES += src/libstore.a
src_libstore_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
src_libstore_a_SOURCES = \
	src/store/local.c src/store/local.h \
	src/store/path.c src/store/path.h \
	src/store/reader.c src/store/reader.h \
	src/store/root.c src/store/root.h \
	src/store/space.c src/store/space.h \
	src/store/stage.c src/store/stage.h \
	src/store/store.c src/store/store.h \
	src/store/transfer.c src/store/transfer.h

noinst_LIBRARIES += src/libnet.a
src_libnet_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
src_libnet_a_SOURCES = \
	src/net/addr.c src/net/addr.h \
	src/net/conn.c src/net/conn.h \
	src/net/dial.c src/net/dial.h \
	src/net/machine.c src/net/machine.h \
	src/net/pump.c src/net/pump.h

noinst_LIBRARIES += src/libcore.a
src_libcore_a_SOURCES = \
	src/core/limits.c src/core/limits.h \
	src/core/registry.c src/core/registry.h

# Protocol 1: the messages, and each half by itself, so that a client links no core/.

noinst_LIBRARIES += src/libv1message.a src/libv1server.a src/libv1client.a
src_libv1message_a_SOURCES = src/v1/message.c src/v1/message.h
src_libv1server_a_SOURCES = \
	src/v1/server.h \
	src/v1/server_common.c src/v1/server_common.h \
	src/v1/server_download.c \
	src/v1/server_upload.c
src_libv1client_a_SOURCES = \
	src/v1/client.h \
	src/v1/client_download.c \
	src/v1/client_upload.c
