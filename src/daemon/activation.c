#include "daemon/activation.h"

#include <sys/socket.h>

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>

_Static_assert(ACTIVATION_FIRST == SD_LISTEN_FDS_START, "sd_listen_fds(3) has another number");

int
activation_take(void)
{
	return sd_listen_fds(1);
}

bool
activation_is_listener(int fd)
{
	return sd_is_socket_inet(fd, AF_UNSPEC, SOCK_STREAM, 1, 0) > 0;
}

#else
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Not to be passed over: we would open our own, on addresses that the manager has taken. */
int
activation_take(void)
{
	const char *pid = getenv("LISTEN_PID");

	return pid != NULL && strtol(pid, NULL, 10) == (long)getpid() ? -ENOSYS : 0;
}

bool
activation_is_listener(int fd)
{
	(void)fd;
	return false;
}

#endif
