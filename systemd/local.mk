# The units and their user. The service is made here and not by configure, so that $(sbindir) and $(docdir) are
# written out.

EXTRA_DIST += systemd/ftxferd.service.in systemd/ftxferd.socket systemd/ftxferd.sysusers
CLEANFILES += systemd/ftxferd.service

if INSTALL_UNIT
systemdsystemunit_DATA = systemd/ftxferd.service $(srcdir)/systemd/ftxferd.socket
# An example, to be copied to where systemd finds it.
dist_doc_DATA = systemd/own-sockets.conf

install_data_hooks += install-sysusers
uninstall_hooks += uninstall-sysusers
endif

sysusersdir = $(prefix)/lib/sysusers.d
.PHONY: install-sysusers uninstall-sysusers

systemd/ftxferd.service: $(srcdir)/systemd/ftxferd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) systemd && $(SED) \
		-e 's|@sbindir[@]|$(sbindir)|g' \
		-e 's|@docdir[@]|$(docdir)|g' \
		-e 's|@SERVICE_TYPE[@]|$(SERVICE_TYPE)|g' \
		'$(srcdir)/systemd/ftxferd.service.in' >$@.tmp && mv $@.tmp $@

# Installed as ftxferd.conf: sysusers.d(5) reads no other suffix.
install-sysusers:
	$(MKDIR_P) '$(DESTDIR)$(sysusersdir)'
	$(INSTALL_DATA) '$(srcdir)/systemd/ftxferd.sysusers' '$(DESTDIR)$(sysusersdir)/ftxferd.conf'

uninstall-sysusers:
	rm -f '$(DESTDIR)$(sysusersdir)/ftxferd.conf'
