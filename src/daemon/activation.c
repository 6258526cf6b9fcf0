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
#include <event2/util.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* Or -1: nothing that is given is negative. */
static long
given_number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return end != text && *end == '\0' ? n : -1;
}

/* How many it says are ours. */
static long
read_environment(void)
{
	/* NOLINTBEGIN(concurrency-mt-unsafe): before there are threads */
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	/* NOLINTEND(concurrency-mt-unsafe) */

	if (pid == NULL || count == NULL)
		return 0;
	if (given_number(pid) < 1)
		return -EINVAL;
	if (given_number(pid) != (long)getpid())
		return 0;
	return given_number(count) < 1 ? -EINVAL : given_number(count);
}

int
activation_take(void)
{
	static const char *const names[] = { "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES" };
	long count = read_environment();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]); /* NOLINT(concurrency-mt-unsafe): before there are threads */
	if (count > INT_MAX - ACTIVATION_FIRST)
		return -EINVAL;
	for (int i = 0; i < count; i++) {
		if (evutil_make_socket_closeonexec(ACTIVATION_FIRST + i) != 0)
			return -EBADF;
	}
	return (int)count;
}

static bool
has_option(int fd, int option, int expected)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == expected;
}

bool
activation_is_listener(int fd)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(ss);

	return has_option(fd, SO_TYPE, SOCK_STREAM) && has_option(fd, SO_ACCEPTCONN, 1) &&
	       getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	       (ss.ss_family == AF_INET || ss.ss_family == AF_INET6);
}

#endif
