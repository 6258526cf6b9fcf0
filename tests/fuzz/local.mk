# libFuzzer targets: tests/fuzz/NAME.c with the corpus tests/fuzz/corpus/NAME. `make fuzz` runs them
# all, in this build if it was configured for that, else in one of its own below it. The replay of a
# target is a test of every build: the same code, given the files of its corpus by replay.c.
FUZZER_FLAGS = -fsanitize=fuzzer
FUZZ_SECONDS = 60

fuzz_targets = \
	tests/fuzz/fuzz_conf \
	tests/fuzz/fuzz_forward \
	tests/fuzz/fuzz_path \
	tests/fuzz/fuzz_session \
	tests/fuzz/fuzz_v1_message \
	tests/fuzz/fuzz_v2_client \
	tests/fuzz/fuzz_v2_frame \
	tests/fuzz/fuzz_v2_message \
	tests/fuzz/fuzz_v2_session

.PHONY: fuzz
if FUZZING
noinst_PROGRAMS += $(fuzz_targets)

fuzz: $(fuzz_targets)
	$(AM_V_at)'$(srcdir)/tests/fuzz/run' --seconds='$(FUZZ_SECONDS)' $(fuzz_targets)
else
fuzz:
	$(AM_V_at)clang --version >/dev/null 2>&1 || \
		{ echo 'make fuzz: needs clang, with its compiler-rt (Debian: clang)' >&2; exit 1; }
	$(AM_V_at)test ! -f '$(srcdir)/config.status' || { echo 'make fuzz: builds in a directory' \
		'of its own, which a source tree that is configured itself does not allow' >&2; exit 1; }
	$(AM_V_at)$(MKDIR_P) fuzz
	$(AM_V_at)cd fuzz && { test -f Makefile || \
		'$(abs_top_srcdir)/configure' -q CC=clang --enable-fuzzing; }
	$(AM_V_at)$(MAKE) -s -C fuzz fuzz FUZZ_SECONDS='$(FUZZ_SECONDS)'
endif

distclean-local:
	rm -rf fuzz fuzz-results

fuzz_replays = \
	tests/fuzz/replay_conf \
	tests/fuzz/replay_forward \
	tests/fuzz/replay_path \
	tests/fuzz/replay_session \
	tests/fuzz/replay_v1_message \
	tests/fuzz/replay_v2_client \
	tests/fuzz/replay_v2_frame \
	tests/fuzz/replay_v2_message \
	tests/fuzz/replay_v2_session
check_PROGRAMS += $(fuzz_replays)
TESTS += $(fuzz_replays)
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/run

fuzz_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
fuzz_ldflags = $(AM_LDFLAGS) $(FUZZER_FLAGS)
replay_sources = tests/fuzz/replay.c

fuzz_conf_sources = tests/fuzz/fuzz_conf.c tests/fuzz/target.h tests/unit/conf_sample.h
fuzz_conf_ldadd = src/libconf.a src/libbase.a $(LIBCONFIG_LIBS)
tests_fuzz_fuzz_conf_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_fuzz_conf_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_conf_LDADD = $(fuzz_conf_ldadd)
tests_fuzz_fuzz_conf_SOURCES = $(fuzz_conf_sources)
tests_fuzz_replay_conf_CPPFLAGS = $(fuzz_cppflags) -DFUZZ_TARGET='"conf"'
tests_fuzz_replay_conf_LDADD = $(fuzz_conf_ldadd)
tests_fuzz_replay_conf_SOURCES = $(fuzz_conf_sources) $(replay_sources)

fuzz_forward_sources = tests/fuzz/fuzz_forward.c tests/fuzz/check.h tests/fuzz/target.h
fuzz_forward_ldadd = src/libstammer.a src/libbase.a
tests_fuzz_fuzz_forward_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_fuzz_forward_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_forward_LDADD = $(fuzz_forward_ldadd)
tests_fuzz_fuzz_forward_SOURCES = $(fuzz_forward_sources)
tests_fuzz_replay_forward_CPPFLAGS = $(fuzz_cppflags) -DFUZZ_TARGET='"forward"'
tests_fuzz_replay_forward_LDADD = $(fuzz_forward_ldadd)
tests_fuzz_replay_forward_SOURCES = $(fuzz_forward_sources) $(replay_sources)

fuzz_path_sources = tests/fuzz/fuzz_path.c tests/fuzz/target.h
fuzz_path_ldadd = src/libstore.a src/libbase.a $(DIGEST_LIBS)
tests_fuzz_fuzz_path_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_fuzz_path_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_path_LDADD = $(fuzz_path_ldadd)
tests_fuzz_fuzz_path_SOURCES = $(fuzz_path_sources)
tests_fuzz_replay_path_CPPFLAGS = $(fuzz_cppflags) -DFUZZ_TARGET='"path"'
tests_fuzz_replay_path_LDADD = $(fuzz_path_ldadd)
tests_fuzz_replay_path_SOURCES = $(fuzz_path_sources) $(replay_sources)

fuzz_v1_message_sources = tests/fuzz/fuzz_v1_message.c tests/fuzz/target.h
fuzz_v1_message_ldadd = src/libv1message.a src/libbase.a
tests_fuzz_fuzz_v1_message_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_fuzz_v1_message_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_v1_message_LDADD = $(fuzz_v1_message_ldadd)
tests_fuzz_fuzz_v1_message_SOURCES = $(fuzz_v1_message_sources)
tests_fuzz_replay_v1_message_CPPFLAGS = $(fuzz_cppflags) -DFUZZ_TARGET='"v1_message"'
tests_fuzz_replay_v1_message_LDADD = $(fuzz_v1_message_ldadd)
tests_fuzz_replay_v1_message_SOURCES = $(fuzz_v1_message_sources) $(replay_sources)

fuzz_v2_frame_sources = tests/fuzz/fuzz_v2_frame.c tests/fuzz/target.h
fuzz_v2_frame_ldadd = src/libv2message.a src/libbase.a
tests_fuzz_fuzz_v2_frame_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_fuzz_v2_frame_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_v2_frame_LDADD = $(fuzz_v2_frame_ldadd)
tests_fuzz_fuzz_v2_frame_SOURCES = $(fuzz_v2_frame_sources)
tests_fuzz_replay_v2_frame_CPPFLAGS = $(fuzz_cppflags) -DFUZZ_TARGET='"v2_frame"'
tests_fuzz_replay_v2_frame_LDADD = $(fuzz_v2_frame_ldadd)
tests_fuzz_replay_v2_frame_SOURCES = $(fuzz_v2_frame_sources) $(replay_sources)

fuzz_v2_message_sources = tests/fuzz/fuzz_v2_message.c tests/fuzz/target.h
fuzz_v2_message_ldadd = src/libv2message.a src/libbase.a
tests_fuzz_fuzz_v2_message_CPPFLAGS = $(fuzz_cppflags)
tests_fuzz_fuzz_v2_message_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_v2_message_LDADD = $(fuzz_v2_message_ldadd)
tests_fuzz_fuzz_v2_message_SOURCES = $(fuzz_v2_message_sources)
tests_fuzz_replay_v2_message_CPPFLAGS = $(fuzz_cppflags) -DFUZZ_TARGET='"v2_message"'
tests_fuzz_replay_v2_message_LDADD = $(fuzz_v2_message_ldadd)
tests_fuzz_replay_v2_message_SOURCES = $(fuzz_v2_message_sources) $(replay_sources)

fuzz_session_cppflags = $(fuzz_cppflags) $(LIBEVENT_CFLAGS)
fuzz_session_ldadd = \
	src/libdaemon.a src/libv2server.a src/libv2message.a \
	src/libv1server.a src/libv1client.a src/libv1message.a src/libnet.a \
	src/libcore.a src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS)
fuzz_session_sources = \
	tests/fuzz/fuzz_session.c tests/fuzz/target.h \
	tests/fuzz/check.h tests/fuzz/session.h tests/fuzz/session_check.c \
	tests/fuzz/session_files.c tests/fuzz/session_peer.c \
	tests/fuzz/step_pool.c tests/fuzz/step_pool.h \
	tests/pair/pair_stage.c tests/pair/pair_stage.h \
	tests/unit/fake_sys.c tests/unit/fake_sys.h
tests_fuzz_fuzz_session_CPPFLAGS = $(fuzz_session_cppflags)
tests_fuzz_fuzz_session_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_session_LDADD = $(fuzz_session_ldadd)
tests_fuzz_fuzz_session_SOURCES = $(fuzz_session_sources)
tests_fuzz_replay_session_CPPFLAGS = $(fuzz_session_cppflags) -DFUZZ_TARGET='"session"'
tests_fuzz_replay_session_LDADD = $(fuzz_session_ldadd)
tests_fuzz_replay_session_SOURCES = $(fuzz_session_sources) $(replay_sources)

fuzz_v2_session_sources = \
	tests/fuzz/fuzz_v2_session.c tests/fuzz/target.h \
	tests/fuzz/check.h tests/fuzz/v2_oracle.c tests/fuzz/v2_oracle.h \
	tests/fuzz/step_pool.c tests/fuzz/step_pool.h \
	tests/pair/pair_stage.c tests/pair/pair_stage.h
tests_fuzz_fuzz_v2_session_CPPFLAGS = $(fuzz_session_cppflags)
tests_fuzz_fuzz_v2_session_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_v2_session_LDADD = $(fuzz_session_ldadd)
tests_fuzz_fuzz_v2_session_SOURCES = $(fuzz_v2_session_sources)
tests_fuzz_replay_v2_session_CPPFLAGS = $(fuzz_session_cppflags) -DFUZZ_TARGET='"v2_session"'
tests_fuzz_replay_v2_session_LDADD = $(fuzz_session_ldadd)
tests_fuzz_replay_v2_session_SOURCES = $(fuzz_v2_session_sources) $(replay_sources)

fuzz_v2_client_sources = \
	tests/fuzz/fuzz_v2_client.c tests/fuzz/target.h \
	tests/fuzz/check.h tests/fuzz/v2_server.c tests/fuzz/v2_server.h \
	tests/fuzz/step_pool.c tests/fuzz/step_pool.h
fuzz_v2_client_ldadd = \
	src/libv2client.a src/libv2message.a src/libnet.a src/libstore.a src/libloop.a src/libbase.a \
	$(DIGEST_LIBS) $(LIBEVENT_LIBS)
tests_fuzz_fuzz_v2_client_CPPFLAGS = $(fuzz_session_cppflags)
tests_fuzz_fuzz_v2_client_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_v2_client_LDADD = $(fuzz_v2_client_ldadd)
tests_fuzz_fuzz_v2_client_SOURCES = $(fuzz_v2_client_sources)
tests_fuzz_replay_v2_client_CPPFLAGS = $(fuzz_session_cppflags) -DFUZZ_TARGET='"v2_client"'
tests_fuzz_replay_v2_client_LDADD = $(fuzz_v2_client_ldadd)
tests_fuzz_replay_v2_client_SOURCES = $(fuzz_v2_client_sources) $(replay_sources)
