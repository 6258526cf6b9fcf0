# Completion for shells. The directories are those that bash-completion and zsh look into.

bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = completion/_ftxfer
EXTRA_DIST += completion/ftxfer.bash

# bash-completion looks for a file that is named as the program.
install_data_hooks += install-bash-completion
uninstall_hooks += uninstall-bash-completion
.PHONY: install-bash-completion uninstall-bash-completion

install-bash-completion:
	@$(MKDIR_P) '$(DESTDIR)$(bashcompletiondir)'
	$(INSTALL_DATA) '$(srcdir)/completion/ftxfer.bash' '$(DESTDIR)$(bashcompletiondir)/ftxfer'

uninstall-bash-completion:
	rm -f '$(DESTDIR)$(bashcompletiondir)/ftxfer'
