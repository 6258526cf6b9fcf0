# Programs started as a unit of systemd would, for the system suite. `allowed` needs systemd-analyze(1), `confine`
# libseccomp: without either, the list of system calls is empty, and the tests are skipped, saying so.

EXTRA_DIST += tests/confine/allowed
confine_lists = tests/confine/unit.calls tests/confine/own-sockets.calls tests/confine/low-port.calls
CLEANFILES += $(confine_lists)

if HAVE_SECCOMP
noinst_PROGRAMS += tests/confine/confine
tests_confine_confine_CPPFLAGS = $(AM_CPPFLAGS) $(SECCOMP_CFLAGS)
tests_confine_confine_SOURCES = tests/confine/confine.c
tests_confine_confine_LDADD = $(SECCOMP_LIBS)
confine_program = '$(abs_builddir)/tests/confine/confine'
endif

confine_environment = CONFINE=$(confine_program) UNIT_CALLS='$(abs_builddir)/tests/confine/unit.calls' \
	LOW_PORT_CALLS='$(abs_builddir)/tests/confine/low-port.calls'

unit_source = $(srcdir)/systemd/ftxferd.service.in
own_source = $(srcdir)/systemd/own-sockets.conf

tests/confine/unit.calls: $(unit_source) $(srcdir)/tests/confine/allowed
	$(AM_V_GEN)$(MKDIR_P) tests/confine && \
		{ $(PYTHON) '$(srcdir)/tests/confine/allowed' '$(unit_source)' >$@.tmp || : >$@.tmp; } && mv $@.tmp $@

# With what own-sockets.conf has for a port below 1024.
tests/confine/low-port.calls: $(unit_source) $(own_source) $(srcdir)/tests/confine/allowed
	$(AM_V_GEN)$(MKDIR_P) tests/confine && \
		{ $(PYTHON) '$(srcdir)/tests/confine/allowed' -c '$(unit_source)' '$(own_source)' >$@.tmp || \
			: >$@.tmp; } && mv $@.tmp $@

# And for what no unit does: setsid(2), for --daemonize, and capset(2), for a daemon that stays root.
tests/confine/own-sockets.calls: $(unit_source) $(own_source) $(srcdir)/tests/confine/allowed
	$(AM_V_GEN)$(MKDIR_P) tests/confine && \
		{ $(PYTHON) '$(srcdir)/tests/confine/allowed' '$(unit_source)' '$(own_source)' >$@.tmp && \
			printf 'setsid\ncapset\n' >>$@.tmp || : >$@.tmp; } && mv $@.tmp $@

# The system suite with a daemon that dies of a system call that its unit forbids.
.PHONY: check-unit
if HAVE_SECCOMP
check-unit: all $(native_programs) $(confine_lists)
	$(AM_V_at)if test -s tests/confine/own-sockets.calls; then \
		$(programs_environment) FTXFER_TEST_CONFINED=1 \
		FTXFERD="$(confine_program) -k -s '$(abs_builddir)/tests/confine/own-sockets.calls' $(abs_builddir)/ftxferd" \
			$(PYTHON) '$(srcdir)/tests/system/run' $(CHECK_SYSTEM_ARGS); \
	else echo 'check-unit: skipped, there is no systemd-analyze'; exit 77; fi
else
check-unit:
	@echo 'check-unit: skipped, there is no libseccomp'; exit 77
endif
