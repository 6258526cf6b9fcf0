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
		found = space_keep(u->root->space, r->announced, &up->hold) == FTX_OK;
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
	pthread_cond_destroy(&u->left);
	pthread_mutex_destroy(&u->lock);
	pthread_mutex_destroy(&u->log_lock);
	free(u);
}

enum ftx_rc
uploads_open(struct uploads **out, struct root *r)
{
	struct uploads *u = calloc(1, sizeof(*u));
	enum ftx_rc rc;

	if (u == NULL)
		return FTX_NOMEM;
	u->root = r;
	u->keep_seconds = u->keep_bytes = UINT64_MAX;
	TAILQ_INIT(&u->by_use);
	TAILQ_INIT(&u->trails);
	pthread_mutex_init(&u->lock, NULL);
	pthread_mutex_init(&u->log_lock, NULL);
	pthread_cond_init(&u->left, NULL);
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

/* The lock is held. */
static bool
is_over(const struct uploads *u, const struct upload *up, uint64_t now)
{
	/* A time that has not come yet is one of a clock that was set back since. */
	if (now > up->record.used && now - up->record.used >= u->keep_seconds)
		return true;
	return u->count > UPLOADS_MAX || (u->kept > u->keep_bytes && up->record.stage[0] != '\0');
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

	pthread_mutex_lock(&u->lock);
	for (up = TAILQ_FIRST(&u->by_use); up != NULL; up = next) {
		next = TAILQ_NEXT(up, link);
		if (up->owner == NULL && is_over(u, up, now))
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

bool
uploads_make_room(struct uploads *u, uint64_t bytes)
{
	struct upload_list gone = TAILQ_HEAD_INITIALIZER(gone);
	struct upload *up, *next;
	uint64_t freed = 0;

	pthread_mutex_lock(&u->lock);
	for (up = TAILQ_FIRST(&u->by_use); up != NULL && freed < bytes; up = next) {
		next = TAILQ_NEXT(up, link);
		if (up->owner != NULL || up->record.stage[0] == '\0')
			continue;
		freed += up->record.announced;
		set_aside(u, up, &gone);
	}
	pthread_mutex_unlock(&u->lock);
	drop(u, &gone);
	return freed > 0;
}
