# Scripted conversations with the real halves of protocol 1: tests/pair/README.
pair_files = \
	tests/pair/client_download.pair \
	tests/pair/client_upload.pair \
	tests/pair/server_halfclose.pair \
	tests/pair/server_names.pair \
	tests/pair/server_v2.pair \
	tests/pair/server_v2_resume.pair \
	tests/pair/server_download.pair \
	tests/pair/server_upload.pair

check_PROGRAMS += tests/pair/pair_run
tests_pair_pair_run_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_pair_pair_run_SOURCES = \
	tests/pair/pair_bytes.c tests/pair/pair_bytes.h \
	tests/pair/pair_run.c \
	tests/pair/pair_stage.c tests/pair/pair_stage.h
tests_pair_pair_run_LDADD = \
	src/libv2server.a src/libv2message.a \
	src/libv1server.a src/libv1client.a src/libv1message.a src/libnet.a src/libcore.a \
	src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS)

TEST_EXTENSIONS = .pair
PAIR_LOG_COMPILER = $(builddir)/tests/pair/pair_run
TESTS += $(pair_files)
EXTRA_DIST += $(pair_files) tests/pair/README
