#include "net/congestion.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int
congestion_set(int fd, const char *name)
{
#ifdef TCP_CONGESTION
	socklen_t len = (socklen_t)strlen(name);

	if (len == 0)
		return 0;
	return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, len) == 0 ? 0 : errno;
#else
	(void)fd;
	return name[0] == '\0' ? 0 : ENOPROTOOPT;
#endif
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
	err = congestion_set(fd, name);
	close(fd);
	return err;
}
