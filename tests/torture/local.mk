# Crash safety: tests/torture/README. The real programs, with each of their calls to the system wrapped.

check_PROGRAMS += tests/torture/ftxferd tests/torture/ftxfer
torture_wrapped = tests/torture/wrapped
torture_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/tests $(LIBEVENT_CFLAGS) $(LIBCONFIG_CFLAGS)
torture_ldflags = $(AM_LDFLAGS) @$(top_srcdir)/$(torture_wrapped)
torture_sources = \
	tests/torture/torture.c tests/torture/torture.h \
	tests/torture/wrap_storage.c \
	tests/torture/wrap_other.c

tests_torture_ftxferd_CPPFLAGS = $(torture_cppflags)
tests_torture_ftxferd_LDFLAGS = $(torture_ldflags)
tests_torture_ftxferd_SOURCES = $(ftxferd_SOURCES) $(torture_sources)
tests_torture_ftxferd_LDADD = $(ftxferd_LDADD)
EXTRA_tests_torture_ftxferd_DEPENDENCIES = $(top_srcdir)/$(torture_wrapped)

tests_torture_ftxfer_CPPFLAGS = $(torture_cppflags)
tests_torture_ftxfer_LDFLAGS = $(torture_ldflags)
tests_torture_ftxfer_SOURCES = $(ftxfer_SOURCES) $(torture_sources)
tests_torture_ftxfer_LDADD = $(ftxfer_LDADD)
EXTRA_tests_torture_ftxfer_DEPENDENCIES = $(top_srcdir)/$(torture_wrapped)

# What no protocol asks the store for yet.
check_PROGRAMS += tests/torture/names
tests_torture_names_CPPFLAGS = $(torture_cppflags)
tests_torture_names_LDFLAGS = $(torture_ldflags)
tests_torture_names_SOURCES = tests/torture/names.c $(torture_sources)
tests_torture_names_LDADD = src/libstore.a src/libloop.a src/libbase.a $(DIGEST_LIBS) $(LIBEVENT_LIBS)
EXTRA_tests_torture_names_DEPENDENCIES = $(top_srcdir)/$(torture_wrapped)

torture_suites = tests/torture/kill tests/torture/fail
TESTS += $(torture_suites)
dist_check_SCRIPTS += $(torture_suites)
EXTRA_DIST += \
	tests/torture/README \
	tests/torture/calls.py \
	tests/torture/errors.py \
	tests/torture/fail_client.py \
	tests/torture/fail_daemon.py \
	tests/torture/fail_keyed.py \
	tests/torture/fail_names.py \
	tests/torture/keyed.py \
	tests/torture/torture.py \
	$(torture_wrapped)

# The same programs, which write down what they do to their files.
check_PROGRAMS += tests/torture/ftxferd_record tests/torture/ftxfer_record
torture_recorded = tests/torture/recorded
record_ldflags = $(AM_LDFLAGS) @$(top_srcdir)/$(torture_recorded)
record_sources = \
	tests/torture/record.c tests/torture/record.h \
	tests/torture/record_content.c \
	tests/torture/record_names.c

tests_torture_ftxferd_record_CPPFLAGS = $(torture_cppflags)
tests_torture_ftxferd_record_LDFLAGS = $(record_ldflags)
tests_torture_ftxferd_record_SOURCES = $(ftxferd_SOURCES) $(record_sources)
tests_torture_ftxferd_record_LDADD = $(ftxferd_LDADD)
EXTRA_tests_torture_ftxferd_record_DEPENDENCIES = $(top_srcdir)/$(torture_recorded)

tests_torture_ftxfer_record_CPPFLAGS = $(torture_cppflags)
tests_torture_ftxfer_record_LDFLAGS = $(record_ldflags)
tests_torture_ftxfer_record_SOURCES = $(ftxfer_SOURCES) $(record_sources)
tests_torture_ftxfer_record_LDADD = $(ftxfer_LDADD)
EXTRA_tests_torture_ftxfer_record_DEPENDENCIES = $(top_srcdir)/$(torture_recorded)

check_PROGRAMS += tests/torture/names_record
tests_torture_names_record_CPPFLAGS = $(torture_cppflags)
tests_torture_names_record_LDFLAGS = $(record_ldflags)
tests_torture_names_record_SOURCES = tests/torture/names.c $(record_sources)
tests_torture_names_record_LDADD = $(tests_torture_names_LDADD)
EXTRA_tests_torture_names_record_DEPENDENCIES = $(top_srcdir)/$(torture_recorded)

# And each of the recorded calls.
check_PROGRAMS += tests/torture/record_probe
tests_torture_record_probe_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_torture_record_probe_LDFLAGS = $(record_ldflags)
tests_torture_record_probe_SOURCES = tests/torture/record_probe.c $(record_sources)
EXTRA_tests_torture_record_probe_DEPENDENCIES = $(top_srcdir)/$(torture_recorded)

# Any user, no root, well under 20 s: part of make check.
TESTS += tests/torture/powercut
dist_check_SCRIPTS += tests/torture/powercut
EXTRA_DIST += \
	$(torture_recorded) \
	tests/torture/powercut_calls.py \
	tests/torture/powercut_check.py \
	tests/torture/powercut_keyed.py \
	tests/torture/powercut_model.py \
	tests/torture/powercut_names.py \
	tests/torture/powercut_rules.py \
	tests/torture/powercut_run.py
