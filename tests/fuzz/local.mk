# libFuzzer targets: configure with CC=clang --enable-fuzzing, then run one with a directory for
# what it finds, and the one of tests/fuzz/corpus that has its name, to start from.
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
