/* loop/signal as it is where there is no signalfd(2). */
#undef HAVE_SYS_SIGNALFD_H
#include "loop/signal.c"
