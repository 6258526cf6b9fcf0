# The manual pages. ftxfer-protocol(7) is the specification; the codecs follow it.

dist_man_MANS = \
	man/ftxfer.1 \
	man/stammerproxy.1 \
	man/ftxferd.conf.5 \
	man/ftxfer-protocol.7 \
	man/ftxferd.8
