#include "store/implied.h"

#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"

void
implied_init(struct implied *i)
{
	memset(i, 0, sizeof(*i));
	pthread_mutex_init(&i->lock, NULL);
}

void
implied_destroy(struct implied *i)
{
	pthread_mutex_destroy(&i->lock);
}

void
implied_begin(struct implied *i)
{
	pthread_mutex_lock(&i->lock);
}

static void
note(struct implied *i, const struct stat *st)
{
	struct implied_dir *d = &i->dirs[i->next];

	if (d->ino == 0)
		i->count++;
	*d = (struct implied_dir){ st->st_dev, st->st_ino, st->st_mode,
		clock_now_ms() + IMPLIED_MS };
	i->next = (i->next + 1) % IMPLIED_MAX;
}

/* Under the lock; it is none of them any more. */
static bool
take(struct implied *i, const struct stat *st)
{
	for (unsigned n = 0; i->count > 0 && n < IMPLIED_MAX; n++) {
		struct implied_dir *d = &i->dirs[n];

		if (d->ino != st->st_ino || d->dev != st->st_dev)
			continue;
		d->ino = 0;
		i->count--;
		/* Otherwise somebody has changed it, or it is another one of the same number. */
		return d->mode == st->st_mode && clock_now_ms() <= d->until;
	}
	return false;
}

void
implied_end(struct implied *i, int fd)
{
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0) {
		(void)take(i, &st); /* of one that has had the same number */
		note(i, &st);
	}
	pthread_mutex_unlock(&i->lock);
}

bool
implied_take(struct implied *i, int fd)
{
	struct stat st;
	bool taken;

	pthread_mutex_lock(&i->lock);
	taken = i->count > 0 && fstat(fd, &st) == 0 && take(i, &st);
	pthread_mutex_unlock(&i->lock);
	return taken;
}
