#include "torture/torture.h"

#include <errno.h>
#include <event2/event.h>
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#endif
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct torture_control *control; /* NULL: nothing is ordered */

extern void *__wrap_malloc(size_t size);
extern void *__wrap_realloc(void *p, size_t size);

/* Before main(), and so before libevent allocates anything. Our own calls are wrapped, too. */
__attribute__((constructor)) static void
torture_begin(void)
{
	const char *path = getenv("FTX_TORTURE");
	void *map;
	int fd;

	if (path == NULL)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || map == MAP_FAILED) {
		fprintf(stderr, "FTX_TORTURE=%s: %s\n", path, strerror(errno));
		abort();
	}
	close(fd);
	event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
	control = map;
}

/* Where the step was made, on standard error; addr2line(1) makes names of the addresses. */
static void
trace(unsigned action)
{
#if __has_include(<execinfo.h>)
	void *frames[32];

	if (getenv("FTX_TORTURE_TRACE") == NULL)
		return;
	atomic_store(&control->action, TORTURE_NONE); /* it allocates */
	backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
	atomic_store(&control->action, action);
#else
	(void)action;
#endif
}

static void
die(void)
{
	raise(SIGKILL);
}

bool
torture_enter(struct torture_step *s, const char *call, const char *group)
{
	unsigned action;

	s->call = call;
	s->hit = false;
	if (control == NULL || (action = atomic_load(&control->action)) == TORTURE_NONE)
		return true;
	if (strcmp(control->kind, call) != 0 && strcmp(control->kind, group) != 0)
		return true;
	if (atomic_fetch_add(&control->count, 1) + 1 != control->at)
		return true;
	s->hit = true;
	strncpy(control->call, call, sizeof(control->call) - 1);
	atomic_store(&control->hit, 1);
	trace(action);
	if (action == TORTURE_KILL_BEFORE)
		die();
	if (action != TORTURE_FAIL)
		return true;
	errno = (int)control->error;
	return false;
}

void
torture_leave(const struct torture_step *s)
{
	if (s->hit && atomic_load(&control->action) == TORTURE_KILL_AFTER)
		die();
}

bool
torture_is_short(const struct torture_step *s)
{
	return s->hit && control->error == TORTURE_SHORT;
}

void
torture_hold(void)
{
	while (control != NULL && atomic_load(&control->hold) != 0)
		usleep(1000);
}

bool
torture_lacks(enum torture_lack lack, int err)
{
	if (control == NULL || (control->lacks & lack) == 0)
		return false;
	errno = err;
	return true;
}
