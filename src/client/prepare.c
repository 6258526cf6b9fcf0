#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/session.h"
#include "store/root.h"

/* What may block before an item can stand in the queue: looking at its local file or directory. */

#define KEY_TRIES 2

static struct item *
item_of(struct pool_job *job)
{
	return (struct item *)((char *)job - offsetof(struct item, job));
}

const char *
name_base(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? slash + 1 : name;
}

bool
name_add(char **name, const char *component)
{
	char *made;

	if (asprintf(&made, "%s%s%s", *name, **name != '\0' ? "/" : "", component) < 0)
		return false;
	free(*name);
	*name = made;
	return true;
}

static bool
is_source(const struct item *item)
{
	return item->op == FTXFER_OP_PUT || item->op == FTXFER_OP_SYNC_UP ||
	       item->op == FTXFER_OP_VERIFY;
}

/* Its beginning is the same for all ids. */
static bool
begin_ids(struct ftxfer_session *s, const uint8_t key[SESSION_KEY])
{
	struct digest *d = &s->ids;

	if (digest_init(d, DIGEST_SHA256) != FTX_OK)
		return false;
	if (digest_update(d, key, SESSION_KEY) == FTX_OK &&
	    digest_update(d, &s->port, sizeof(s->port)) == FTX_OK &&
	    digest_update(d, s->host, strlen(s->host) + 1) == FTX_OK)
		return true;
	digest_clear(d);
	return false;
}

void
session_read_key(struct ftxfer_session *s)
{
	for (int i = 0; i < KEY_TRIES && s->key_file != NULL && !s->has_key; i++) {
		int fd = open(s->key_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		uint8_t key[SESSION_KEY];

		if (fd >= 0) {
			s->has_key = read(fd, key, SESSION_KEY) == SESSION_KEY && begin_ids(s, key);
			(void)close(fd);
			return;
		}
		if (errno != ENOENT || getrandom(key, sizeof(key), 0) != SESSION_KEY)
			return;
		/* One that is written in part, by a crash, is too short, and is not used. */
		fd = open(s->key_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			return;
		if (fd >= 0) {
			ssize_t n = write(fd, key, sizeof(key));

			if (close(fd) != 0 || n != SESSION_KEY)
				return;
		}
	}
}

static enum ftx_rc
find_source(struct item *item)
{
	enum ftx_rc rc;
	struct stat st;

	if (stat(item->local, &st) != 0)
		return ftx_rc_from_errno(errno);
	item->size = (uint64_t)st.st_size;
	item->mtime = st.st_mtim;
	item->mode = st.st_mode & 0777;
	item->local_is_dir = S_ISDIR(st.st_mode);
	if (item->local_is_dir)
		return root_open(&item->root, item->local, ROOT_MAY_WAIT, item->s->file_mode);
	if (item->op != FTXFER_OP_PUT)
		return FTX_NOT_DIRECTORY;
	rc = local_file_source(&item->file, item->local);
	if (rc == FTX_OK)
		rc = root_open(&item->root, item->file.dir, ROOT_MAY_WAIT, item->s->file_mode);
	return rc;
}

/* What is fetched goes into the directory `local`, and `local` becomes its whole name. */
static enum ftx_rc
find_in_directory(struct item *item, const char *leaf)
{
	enum ftx_rc rc;

	if (*leaf != '\0' && !path_component_is_allowed(PATH_BYTES, leaf, strlen(leaf)))
		return FTX_BAD_NAME;
	rc = root_open(&item->root, item->local, ROOT_MAY_WAIT, item->s->file_mode);
	item->leaf = strdup(leaf);
	if (strcmp(item->local, ".") == 0 && *leaf != '\0')
		item->local[0] = '\0'; /* people write a, not ./a */
	if (item->leaf == NULL || (*leaf != '\0' && !name_add(&item->local, leaf)))
		return FTX_NOMEM;
	return rc;
}

/* A link that stands where a file goes into a directory. With -r it may be a tree that comes. */
static bool
is_link(const struct item *item)
{
	struct stat st;

	return *item->leaf != '\0' && (item->flags & FTXFER_RECURSIVE) == 0 &&
	       fstatat(AT_FDCWD, item->local, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

static enum ftx_rc
find_target(struct item *item)
{
	bool tree = item->pattern != NULL || item->op == FTXFER_OP_SYNC_DOWN;
	struct stat st;
	enum ftx_rc rc;

	rc = stat(item->local, &st) == 0 ? FTX_OK : ftx_rc_from_errno(errno);
	item->local_is_dir = rc == FTX_OK && S_ISDIR(st.st_mode);
	if ((item->flags & FTXFER_MUST_INTO) != 0 && !item->local_is_dir)
		/* Where its last component is a file it ends with a slash. */
		return rc == FTX_OK || rc == FTX_NO_PARENT ? FTX_NOT_DIRECTORY : rc;
	if (item->op == FTXFER_OP_SYNC_DOWN && !item->local_is_dir) {
		if ((item->flags & FTXFER_DRY_RUN) != 0 && stat(item->local, &st) != 0 &&
		    errno == ENOENT) {
			item->local_is_dir = true; /* it would be; and there is no place */
			return FTX_OK;
		}
		if (mkdirat(AT_FDCWD, item->local, 0777) != 0)
			return ftx_rc_from_errno(errno);
		item->local_is_dir = true;
	}
	if (item->local_is_dir) {
		rc = find_in_directory(item, tree ? "" : name_base(item->remote));
		if (rc != FTX_OK || tree || !is_link(item))
			return rc;
		/* The user wrote that name, too, so what it leads to is meant. */
		root_close(item->root);
		item->root = NULL;
		free(item->leaf);
		item->leaf = NULL;
	} else if (tree)
		return FTX_NOT_DIRECTORY;
	rc = local_file_target(&item->file, item->local);
	if (rc != FTX_OK)
		return rc;
	rc = root_open(&item->root, item->file.dir, ROOT_MAY_WAIT, item->s->file_mode);
	return rc == FTX_NOT_FOUND || rc == FTX_NOT_REGULAR ? FTX_NO_PARENT : rc;
}

static void
run_prepare(struct pool_job *job)
{
	struct item *item = item_of(job);
	struct stat st;

	item->job_rc = is_source(item) ? find_source(item) : find_target(item);
	if (item->job_rc != FTX_OK || item->root == NULL)
		return;
	if (fstat(item->root->fd, &st) != 0)
		item->job_rc = ftx_rc_from_errno(errno);
	else {
		item->dev = st.st_dev;
		item->ino = st.st_ino;
	}
}

/* What was fetched would go into a directory that is not there; or something else is. */
static void
fail_into(struct item *item)
{
	size_t len = strlen(item->local);
	const char *why = item->pattern != NULL ? "what matches a pattern goes into one"
			  : len > 0 && item->local[len - 1] == '/'
			      ? "the slash at the end means one"
			      : "several files go into one";
	char text[128];

	snprintf(text, sizeof(text), "%s: %s that is there",
	    item->job_rc == FTX_NOT_DIRECTORY ? "it is not a directory here"
					      : "no such directory here",
	    why);
	item_fail(item, FTXFER_CANNOT_CREATE, text);
}

static void
fail_local(struct item *item, enum ftx_rc rc)
{
	bool into = !is_source(item) && (item->flags & FTXFER_MUST_INTO) != 0;
	enum ftxfer_status status = rc == FTX_NOMEM   ? FTXFER_INTERNAL
				    : is_source(item) ? FTXFER_NO_INPUT
						      : FTXFER_CANNOT_CREATE;

	if (into && !item->local_is_dir && (rc == FTX_NOT_FOUND || rc == FTX_NOT_DIRECTORY))
		fail_into(item);
	else
		item_fail_here(item, status, rc);
}

/*
 * A tree that is put keeps its name there, if it has one; else what is in it goes into the
 * directory, where other things may go, too. False: no memory.
 */
static bool
add_base(struct item *item)
{
	char *local = strdup(item->local);
	const char *base;
	bool ok;

	if (local == NULL)
		return false;
	for (char *p = local + strlen(local); p > local && p[-1] == '/';)
		*--p = '\0';
	base = name_base(local);
	item->covers = *base == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0;
	ok = item->covers || name_add(&item->remote, base);
	free(local);
	return ok;
}

static void
set_out_put(struct item *item)
{
	bool tree =
	    item->local != NULL && item->local_is_dir && (item->flags & FTXFER_RECURSIVE) != 0;
	bool into = !tree && item->local != NULL && (item->flags & FTXFER_MUST_INTO) != 0;
	bool asks = !tree && !into && (item->flags & FTXFER_INTO) != 0;

	if ((tree && !add_base(item)) ||
	    (into && !name_add(&item->remote, name_base(item->local)))) {
		item_fail(item, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
		return;
	}
	if (!asks && !(tree && item->covers) && !item_take_target(item))
		return;
	if (tree) {
		tree_begin(item);
		return;
	}
	if (asks)
		item->look = LOOK_INTO;
	item->counted = item->size;
	item->s->totals.bytes_known += item->size;
	item_queue(item);
}

/* What to do first, now that the local side is known. */
static void
set_out(struct item *item)
{
	bool recursive = (item->flags & FTXFER_RECURSIVE) != 0;

	switch (item->op) {
	case FTXFER_OP_PUT:
		set_out_put(item);
		return;
	case FTXFER_OP_SYNC_UP:
	case FTXFER_OP_SYNC_DOWN:
	case FTXFER_OP_VERIFY:
		tree_begin(item);
		return;
	case FTXFER_OP_GET:
		if (item->pattern != NULL) {
			tree_begin(item);
			return;
		}
		item->covers = item->leaf != NULL && *item->leaf == '\0';
		if (!item_take_target(item))
			return;
		if (recursive)
			item->look = LOOK_KIND;
		break;
	case FTXFER_OP_LIST:
	case FTXFER_OP_REMOVE:
		if (item->op == FTXFER_OP_LIST || recursive)
			item->look = LOOK_KIND;
		break;
	default:
		break;
	}
	item_queue(item);
}

static void
go_on(struct item *item)
{
	if (item->s->cancelled) {
		item_fail(item, FTXFER_CANCELLED, ftx_rc_text(FTX_CANCELLED));
		return;
	}
	if (item->job_rc != FTX_OK) {
		fail_local(item, item->job_rc);
		return;
	}
	if (item->op == FTXFER_OP_PUT && item->local_is_dir &&
	    (item->flags & FTXFER_RECURSIVE) == 0) {
		item_fail(
		    item, FTXFER_NO_INPUT, "it is a directory: -r takes it with all that is in it");
		return;
	}
	if (item->root != NULL) {
		item->place = place_new(item->s, item->root);
		if (item->place == NULL) {
			fail_local(item, FTX_NOMEM);
			return;
		}
		item->place->dev = item->dev;
		item->place->ino = item->ino;
		item->root = NULL;
	}
	if (item->leaf == NULL && item->file.leaf != NULL)
		item->leaf = strdup(item->file.leaf);
	if (item->leaf == NULL && (item->file.leaf != NULL || !item->local_is_dir)) {
		fail_local(item, FTX_NOMEM);
		return;
	}
	set_out(item);
}

/* In the order in which they were added: so it is always the same one that comes too late. */
static void
on_prepared(struct pool_job *job)
{
	struct ftxfer_session *s = item_of(job)->s;
	struct item *item;

	item_of(job)->prepared = true;
	while ((item = TAILQ_FIRST(&s->preparing)) != NULL && item->prepared) {
		TAILQ_REMOVE(&s->preparing, item, link);
		go_on(item);
	}
}

void
item_prepare(struct item *item)
{
	if (item->local == NULL) {
		set_out(item);
		return;
	}
	item->phase = ITEM_LOCAL;
	TAILQ_INSERT_TAIL(&item->s->preparing, item, link);
	item->job.run = run_prepare;
	item->job.done = on_prepared;
	pool_submit(item->s->pool, item->s->worker, POOL_OPEN, &item->job);
}

/*
 * Of the same file, the same place, and the same one before it. What replaces another one is there
 * to be like the file here is: with other attributes it is not the same.
 */
static bool
make_known_id(struct item *item)
{
	struct ftxfer_session *s = item->s;
	bool replaces = (item->flags & FTXFER_REPLACE) != 0;
	const uint64_t numbers[] = { item->size, (uint64_t)item->mtime.tv_sec,
		(uint64_t)item->mtime.tv_nsec, replaces, replaces ? item->mode : 0,
		replaces ? item->flags & FTXFER_NO_ATTRS : 0, (uint64_t)item->earlier.sec,
		item->earlier.nsec };
	struct digest_value v;
	struct digest d;
	bool ok;

	if (digest_copy(&d, &s->ids) != FTX_OK)
		return false;
	ok = digest_update(&d, numbers, sizeof(numbers)) == FTX_OK &&
	     digest_update(&d, item->remote, strlen(item->remote) + 1) == FTX_OK &&
	     digest_update(&d, item->local, strlen(item->local) + 1) == FTX_OK;
	ok = digest_final(&d, &v) == FTX_OK && ok;
	if (ok)
		memcpy(item->upload_id, v.bytes, sizeof(item->upload_id));
	return ok;
}

void
item_make_id(struct item *item)
{
	if (item->generation < ITEM_GENERATIONS && item->s->has_key && item->local != NULL &&
	    make_known_id(item))
		item->has_id = true;
	else
		item_draw_id(item);
}

void
item_draw_id(struct item *item)
{
	item->has_id = getrandom(item->upload_id, sizeof(item->upload_id), GRND_NONBLOCK) ==
		       (ssize_t)sizeof(item->upload_id);
}
