# One convenience library per room; a program or test links only the rooms it may know.

noinst_LIBRARIES += src/libbase.a
src_libbase_a_SOURCES = \
	src/base/clock.c src/base/clock.h \
	src/base/cursor.c src/base/cursor.h \
	src/base/log.c src/base/log.h \
	src/base/rc.c src/base/rc.h

noinst_LIBRARIES += src/libnet.a
src_libnet_a_SOURCES = \
	src/net/addr.c src/net/addr.h
