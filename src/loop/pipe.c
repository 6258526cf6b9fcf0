#include "loop/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Fewer pages than asked for, and it would cost more calls than it saves copies. */
static bool
is_large_enough(int fd)
{
#ifdef F_SETPIPE_SZ
	return fcntl(fd, F_SETPIPE_SZ, (int)PIPE_SIZE) >= (int)PIPE_SIZE;
#else
	(void)fd;
	return false;
#endif
}

bool
pipe_open(struct content_pipe *p)
{
	int ends[2];

	if (p->open || p->unable)
		return p->open;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
		p->unable = errno != EMFILE && errno != ENFILE;
		return false;
	}
	*p = (struct content_pipe){ .open = true, .out = ends[0], .in = ends[1] };
	if (is_large_enough(p->in))
		return true;
	pipe_close(p);
	p->unable = true;
	return false;
}

bool
pipe_take(struct content_pipe *p, void *buf, size_t len)
{
	char *to = buf;

	while (len > 0) {
		ssize_t n = read(p->out, to, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		to += n;
		len -= (size_t)n;
	}
	return true;
}

void
pipe_close(struct content_pipe *p)
{
	if (!p->open)
		return;
	close(p->out);
	close(p->in);
	p->open = false;
}
