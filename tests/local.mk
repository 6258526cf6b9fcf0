# `make check`. A test links its room and the rooms below, so that an upward call fails at link time.
# A new unit test: its name in unit_tests, its _SOURCES, _CPPFLAGS and _LDADD below.

TEST_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests $(CHECK_CFLAGS)

if HAVE_CHECK
unit_tests = \
	tests/unit/test_conf \
	tests/unit/test_net \
	tests/unit/test_stammer

check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif

tests_unit_test_conf_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_conf_LDADD = src/libconf.a src/libbase.a $(LIBCONFIG_LIBS) $(CHECK_LIBS)
tests_unit_test_conf_SOURCES = \
	tests/unit/conf_sample.h \
	tests/unit/test_conf.c tests/unit/test_conf.h \
	tests/unit/test_conf_cmdline.c \
	tests/unit/test_conf_file.c \
	tests/unit/test_conf_include.c

tests_unit_test_net_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_net_LDADD = src/libnet.a src/libbase.a $(CHECK_LIBS)
tests_unit_test_net_SOURCES = tests/unit/test_net.c

tests_unit_test_stammer_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_stammer_LDADD = src/libstammer.a src/libconf.a src/libnet.a src/libbase.a \
	$(LIBEVENT_LIBS) $(LIBCONFIG_LIBS) $(CHECK_LIBS)
tests_unit_test_stammer_SOURCES = tests/unit/test_stammer.c

# libFuzzer targets: configure with CC=clang --enable-fuzzing, then run one with a directory for its corpus.
FUZZER_FLAGS = -fsanitize=fuzzer

if FUZZING
noinst_PROGRAMS += \
	tests/fuzz/fuzz_conf \
	tests/fuzz/fuzz_path \
	tests/fuzz/fuzz_v1_message
endif

tests_fuzz_fuzz_conf_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_fuzz_fuzz_conf_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_FLAGS)
tests_fuzz_fuzz_conf_LDADD = src/libconf.a src/libbase.a $(LIBCONFIG_LIBS)
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c tests/unit/conf_sample.h

EXTRA_DIST += \
	tests/fuzz/corpus/conf/cut \
	tests/fuzz/corpus/conf/groups \
	tests/fuzz/corpus/conf/include \
	tests/fuzz/corpus/conf/loop \
	tests/fuzz/corpus/conf/types

tests_fuzz_fuzz_path_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_FLAGS)
tests_fuzz_fuzz_path_LDADD = src/libstore.a src/libbase.a
tests_fuzz_fuzz_path_SOURCES = tests/fuzz/fuzz_path.c

tests_fuzz_fuzz_v1_message_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_FLAGS)
tests_fuzz_fuzz_v1_message_LDADD = src/libv1message.a src/libbase.a
tests_fuzz_fuzz_v1_message_SOURCES = tests/fuzz/fuzz_v1_message.c
