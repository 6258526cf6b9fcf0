/* How long uploads are known: from one run to the next, and no longer than the limits say. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "store/path.h"
#include "store/root.h"
#include "store/uploads_private.h"

/* A record of an earlier run. */
static enum ftx_rc
take_record(void *arg, const struct upload_record *r)
{
	struct uploads *u = arg;
	struct upload *up = uploads_find(u, &r->key);

	if (up != NULL) {
		uploads_take_out(u, up);
		free(up);
	}
	if (r->state == UPLOAD_FORGOTTEN)
		return FTX_OK;
	up = uploads_add(u, r);
	if (up == NULL)
		return FTX_NOMEM;
	up->logged = true;
	return uploads_set_stage(u, up, r->stage) ? FTX_OK : FTX_NOMEM;
}

/* What was allocated for more than has come goes: who goes on with it gets it again. */
static void
cut_behind(int dir_fd, const char *stage, off_t size)
{
	int fd = openat(dir_fd, stage, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	if (ftruncate(fd, size) != 0)
		log_debug("cannot cut stage file %s: %s", stage, ftx_errno_text(errno));
	close(fd);
}

/*
 * False: there is nothing of it. Of what was published and not durable, a crash may be the reason
 * why it is not there any more: its client is to send it again.
 */
static bool
find_out(struct uploads *u, struct upload *up)
{
	struct upload_record *r = &up->record;
	bool found = false;
	const char *leaf;
	enum ftx_rc rc;
	struct stat st;
	int dir_fd;

	if (r->state == UPLOAD_PUBLISHED && !r->unsynced)
		return true;
	if (path_open_parent(u->root->fd, root_path_flags(u->root), up->name, &dir_fd, &leaf) !=
	    FTX_OK)
		return false;
	rc = r->state == UPLOAD_READY ? uploads_settle_name(u->root, r, dir_fd, leaf)
				      : FTX_NOT_FOUND;
	if (r->state == UPLOAD_PUBLISHED) {
		found = fstatat(dir_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			uploads_is_that_file(r, &st);
	} else if (rc == FTX_OK || rc == FTX_NOT_DURABLE) {
		(void)uploads_set_stage(u, up, "");
		r->state = rc == FTX_OK ? UPLOAD_PUBLISHED : UPLOAD_NAMED;
		uploads_write_down(u, up);
		found = true;
	} else if (r->stage[0] != '\0' &&
		   fstatat(dir_fd, r->stage, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		   S_ISREG(st.st_mode)) {
		r->state = UPLOAD_UNFINISHED;
		up->bytes = (uint64_t)st.st_size;
		up->dev = st.st_dev;
		if (st.st_nlink == 1)
			cut_behind(dir_fd, r->stage, st.st_size);
		found = space_keep(u->root->space, up->bytes, &up->hold) == FTX_OK;
	}
	close(dir_fd);
	return found;
}

/* What has become of what earlier runs left. A stage that is forgotten here is the sweep's. */
static void
find_out_all(struct uploads *u)
{
	struct upload *up = TAILQ_FIRST(&u->by_use), *next;

	for (; up != NULL; up = next) {
		next = TAILQ_NEXT(up, link);
		if (find_out(u, up))
			continue;
		if (up->record.stage[0] != '\0')
			u->root->unswept = true;
		up->record.state = UPLOAD_FORGOTTEN;
		uploads_write_down(u, up);
		uploads_take_out(u, up);
		free(up);
	}
}

static void
free_all(struct uploads *u)
{
	struct upload *up;

	while ((up = TAILQ_FIRST(&u->by_use)) != NULL) {
		uploads_take_out(u, up);
		space_release(&up->hold);
		free(up);
	}
	upload_log_close(&u->log);
	buf_clear(&u->pending);
	pthread_mutex_destroy(&u->lock);
	pthread_mutex_destroy(&u->log_lock);
	free(u);
}

enum ftx_rc
uploads_open(struct uploads **out, struct root *r)
{
	struct uploads *u;
	enum ftx_rc rc = hash_start();

	if (rc != FTX_OK)
		return rc;
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return FTX_NOMEM;
	u->root = r;
	u->keep_seconds = u->keep_bytes = UINT64_MAX;
	TAILQ_INIT(&u->by_use);
	TAILQ_INIT(&u->trails);
	pthread_mutex_init(&u->lock, NULL);
	pthread_mutex_init(&u->log_lock, NULL);
	upload_log_init(&u->log, r);
	rc = upload_log_read(&u->log, take_record, u);
	if (rc == FTX_OK) {
		if (u->log.damaged)
			r->unswept = true; /* of some stage nothing may be known */
		find_out_all(u);
		/* Those that were kept may go in this run, and come back by a power cut. */
		if (u->by_stage != NULL && root_mark(r) != FTX_OK)
			log_warn("unfinished uploads that go may leave stage files");
		u->unsynced = u->log.fd >= 0; /* who wrote it may have been killed since */
		rc = uploads_sync(u);
	}
	if (rc != FTX_OK) {
		free_all(u);
		return rc;
	}
	*out = u;
	return FTX_OK;
}

bool
uploads_close(struct uploads *u)
{
	bool durable;

	if (u == NULL)
		return true;
	durable = uploads_sync(u) == FTX_OK;
	if (u->count == 0)
		upload_log_remove(&u->log);
	free_all(u);
	return durable;
}

void
uploads_set_limits(struct uploads *u, uint64_t seconds, uint64_t bytes)
{
	u->keep_seconds = seconds;
	u->keep_bytes = bytes;
}

unsigned
uploads_count(struct uploads *u)
{
	unsigned count;

	pthread_mutex_lock(&u->lock);
	count = u->count;
	pthread_mutex_unlock(&u->lock);
	return count;
}

static void
deliver_some(struct mail *m)
{
	const struct uploads_watch *w = (struct uploads_watch *)m; /* its first member */

	w->on_some(w->arg);
}

void
uploads_tell_watch(struct uploads *u)
{
	struct worker *w = u->watch.worker;

	u->watch.worker = NULL;
	if (w != NULL)
		worker_post(w, &u->watch.mail);
}

void
uploads_watch(struct uploads *u, struct worker *w, void (*on_some)(void *), void *arg)
{
	pthread_mutex_lock(&u->lock);
	u->watch = (struct uploads_watch){
		.mail.deliver = deliver_some, .worker = w, .on_some = on_some, .arg = arg
	};
	if (u->count > 0)
		uploads_tell_watch(u);
	pthread_mutex_unlock(&u->lock);
}

/* Of what is known a file may say anything. */
static uint64_t
add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

void
uploads_parked(struct upload_claim *c, const struct stat *st)
{
	struct upload *up;

	pthread_mutex_lock(&c->uploads->lock);
	up = c->upload;
	if (up != NULL) {
		up->bytes = (uint64_t)st->st_size;
		up->dev = st->st_dev;
		space_keep_only(&up->hold, up->bytes);
	}
	pthread_mutex_unlock(&c->uploads->lock);
}

/*
 * The lock is held. What all of those have together that nobody works on, but for such as are too
 * much by themselves: they go, and nothing else on their account.
 */
static uint64_t
count_kept(const struct uploads *u)
{
	const struct upload *up;
	uint64_t kept = 0;

	TAILQ_FOREACH (up, &u->by_use, link) {
		/* cppcheck-suppress uninitvar; TAILQ_FOREACH sets it */
		if (up->owner == NULL && up->bytes <= u->keep_bytes)
			kept = add(kept, up->bytes);
	}
	return kept;
}

/* The lock is held. kept: what there is still. */
static bool
is_over(const struct uploads *u, const struct upload *up, uint64_t now, uint64_t kept)
{
	/* A time that has not come yet is one of a clock that was set back since. */
	if (now > up->record.used && now - up->record.used >= u->keep_seconds)
		return true;
	return u->count > UPLOADS_MAX || up->bytes > u->keep_bytes ||
	       (kept > u->keep_bytes && up->bytes > 0);
}

void
uploads_remove_stage(struct root *root, const char *name, const char *stage)
{
	const char *leaf;
	int dir_fd;

	if (path_open_parent(root->fd, root_path_flags(root), name, &dir_fd, &leaf) != FTX_OK) {
		root_set_left(root);
		return;
	}
	if (unlinkat(dir_fd, stage, 0) != 0 && errno != ENOENT) {
		log_warn("cannot remove stage file %s: %s", stage, ftx_errno_text(errno));
		root_set_left(root);
	} else if (root_sync_dir(dir_fd) != FTX_OK)
		root_set_left(root);
	close(dir_fd);
}

/* The lock is held. It goes from the table, to be dropped without it. */
static void
set_aside(struct uploads *u, struct upload *up, struct upload_list *gone)
{
	struct upload_record r = up->record;

	r.state = UPLOAD_FORGOTTEN;
	uploads_take_out(u, up);
	if (!upload_record_encode(&r, &u->pending))
		u->incomplete = true;
	TAILQ_INSERT_TAIL(gone, up, link);
}

static void
drop(struct uploads *u, struct upload_list *gone)
{
	struct upload *up;

	if (TAILQ_EMPTY(gone))
		return;
	uploads_note(u);
	while ((up = TAILQ_FIRST(gone)) != NULL) {
		TAILQ_REMOVE(gone, up, link);
		if (up->record.stage[0] != '\0') /* the record has gone before it */
			uploads_remove_stage(u->root, up->name, up->record.stage);
		space_release(&up->hold);
		free(up);
	}
}

void
uploads_expire(struct uploads *u, uint64_t now)
{
	struct upload_list gone = TAILQ_HEAD_INITIALIZER(gone);
	struct upload *up, *next;
	uint64_t kept;

	pthread_mutex_lock(&u->lock);
	kept = count_kept(u);
	for (up = TAILQ_FIRST(&u->by_use); up != NULL; up = next) {
		next = TAILQ_NEXT(up, link);
		if (up->owner != NULL || !is_over(u, up, now, kept))
			continue;
		if (up->bytes <= u->keep_bytes)
			kept -= up->bytes < kept ? up->bytes : kept;
		set_aside(u, up, &gone);
	}
	pthread_mutex_unlock(&u->lock);
	drop(u, &gone);
}

static bool
is_in(const char *name, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(name, dir, len) == 0 && name[len] == '/';
}

bool
uploads_empty_directory(struct uploads *u, const char *dir)
{
	struct upload_list gone = TAILQ_HEAD_INITIALIZER(gone);
	struct upload *up, *next;
	bool any = false;

	pthread_mutex_lock(&u->lock);
	HASH_ITER (hh_stage, u->by_stage, up, next) {
		/* cppcheck-suppress uninitvar; HASH_ITER sets it */
		if (up->owner != NULL || !is_in(up->name, dir))
			continue;
		set_aside(u, up, &gone);
		any = true;
	}
	pthread_mutex_unlock(&u->lock);
	drop(u, &gone);
	return any;
}

static bool
is_parked(const struct upload *up)
{
	return up->owner == NULL && up->record.stage[0] != '\0';
}

/* What some would give back. */
struct room {
	uint64_t bytes; /* all of them */
	uint64_t there; /* those on the file system where something is lacking */
};

static void
add_room(struct room *room, const struct upload *up, const struct space_lack *lack)
{
	room->bytes = add(room->bytes, up->bytes);
	if (up->dev == lack->dev)
		room->there = add(room->there, up->bytes);
}

static bool
is_enough(const struct room *room, const struct space_lack *lack)
{
	return room->bytes >= lack->share && room->there >= lack->bytes;
}

static bool
helps(const struct upload *up, const struct space_lack *lack, const struct room *so_far)
{
	return up->bytes > 0 && (so_far->bytes < lack->share ||
				    (so_far->there < lack->bytes && up->dev == lack->dev));
}

bool
uploads_make_room(struct uploads *u, const struct space_lack *lack)
{
	struct upload_list gone = TAILQ_HEAD_INITIALIZER(gone);
	struct room all = { 0 }, freed = { 0 };
	struct upload *up, *next;

	pthread_mutex_lock(&u->lock);
	TAILQ_FOREACH (up, &u->by_use, link) {
		/* cppcheck-suppress uninitvar; TAILQ_FOREACH sets it */
		if (is_parked(up))
			add_room(&all, up, lack);
	}
	up = is_enough(&all, lack) ? TAILQ_FIRST(&u->by_use) : NULL;
	for (; up != NULL && !is_enough(&freed, lack); up = next) {
		next = TAILQ_NEXT(up, link);
		if (!is_parked(up) || !helps(up, lack, &freed))
			continue;
		add_room(&freed, up, lack);
		set_aside(u, up, &gone);
	}
	pthread_mutex_unlock(&u->lock);
	drop(u, &gone);
	return freed.bytes > 0;
}
