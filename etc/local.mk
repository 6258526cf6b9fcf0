# The sample configuration. An edited one is kept: ours is then put beside it as ftxferd.conf.new.

confdir = $(sysconfdir)/ftxferd
EXTRA_DIST += etc/ftxferd.conf

install_data_hooks = install-conf
uninstall_hooks = uninstall-conf
.PHONY: install-conf uninstall-conf

install-conf:
	@$(MKDIR_P) '$(DESTDIR)$(confdir)'
	@conf='$(DESTDIR)$(confdir)/ftxferd.conf'; ours='$(srcdir)/etc/ftxferd.conf'; \
	if test ! -f "$$conf"; then \
		echo " $(INSTALL_DATA) $$ours $$conf"; \
		$(INSTALL_DATA) "$$ours" "$$conf" || exit 1; \
	elif cmp -s "$$ours" "$$conf"; then \
		rm -f "$$conf.new"; \
	else \
		echo " keeping $$conf, which differs; ours is $$conf.new"; \
		$(INSTALL_DATA) "$$ours" "$$conf.new" || exit 1; \
	fi

uninstall-conf:
	@conf='$(DESTDIR)$(confdir)/ftxferd.conf'; ours='$(srcdir)/etc/ftxferd.conf'; \
	rm -f "$$conf.new"; \
	if test ! -f "$$conf"; then :; \
	elif cmp -s "$$ours" "$$conf"; then rm -f "$$conf"; \
	else echo " keeping $$conf, which was edited"; fi; \
	rmdir '$(DESTDIR)$(confdir)' 2>/dev/null || :
