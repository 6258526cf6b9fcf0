#include "net/congestion.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/addr.h"

#ifdef TCP_CONGESTION

static int
set_by_name(int fd, const char *name)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0
		   ? 0
		   : errno;
}

/* bbr, and those that came after it. */
static bool
paces(int fd)
{
	char now[16] = "";
	socklen_t len = sizeof(now);

	return getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, now, &len) == 0 &&
	       strncmp(now, "bbr", 3) == 0;
}

#else

static int
set_by_name(int fd, const char *name)
{
	(void)fd;
	(void)name;
	return ENOPROTOOPT;
}

static bool
paces(int fd)
{
	(void)fd;
	return false;
}

#endif

int
congestion_set(int fd, const char *name, const struct addr *at)
{
	if (name[0] != '\0')
		return set_by_name(fd, name);
	if (addr_is_loopback(at) && paces(fd))
		(void)set_by_name(fd, "reno"); /* else it costs more */
	return 0;
}

int
congestion_check(const char *name)
{
	int fd, err;

	if (name[0] == '\0')
		return 0;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EAFNOSUPPORT)
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	err = set_by_name(fd, name);
	close(fd);
	return err;
}
