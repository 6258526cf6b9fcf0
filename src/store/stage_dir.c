#include "store/stage_dir.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/path.h"
#include "store/root.h"

/* Bytes of a name that are of its directory. */
static size_t
dir_length(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? (size_t)(slash - name) : 0;
}

static bool
is_of(const struct stage_dir *d, const char *name, size_t len)
{
	return d->len == len && memcmp(d->name, name, len) == 0;
}

static enum ftx_rc
open_dir(struct root *r, const char *name, size_t len, struct stage_dir **out)
{
	struct stage_dir *d = malloc(sizeof(*d) + len);
	const char *leaf;
	struct stat st;
	enum ftx_rc rc;

	if (d == NULL)
		return FTX_NOMEM;
	*d = (struct stage_dir){ .fd = -1, .len = len };
	memcpy(d->name, name, len);
	atomic_init(&d->holds, 1);
	rc = path_open_parent(r->fd, root_path_flags(r), name, &d->fd, &leaf);
	if (rc != FTX_OK) {
		free(d);
		return rc;
	}
	if (fstat(d->fd, &st) == 0) {
		d->dev = st.st_dev;
		d->ino = st.st_ino;
	}
	*out = d;
	return FTX_OK;
}

enum ftx_rc
stage_dir_open(struct root *r, const char *name, struct stage_dir **last, struct stage_dir **out,
    const char **leaf)
{
	size_t len = dir_length(name);
	enum ftx_rc rc = FTX_OK;

	if (*last == NULL || !is_of(*last, name, len)) {
		stage_dir_release(*last);
		*last = NULL;
		rc = open_dir(r, name, len, last);
	}
	if (rc != FTX_OK)
		return rc;
	*out = stage_dir_hold(*last);
	*leaf = name + len + (len > 0 ? 1 : 0);
	return FTX_OK;
}

struct stage_dir *
stage_dir_hold(struct stage_dir *d)
{
	atomic_fetch_add(&d->holds, 1);
	return d;
}

void
stage_dir_release(struct stage_dir *d)
{
	if (d == NULL || atomic_fetch_sub(&d->holds, 1) > 1)
		return;
	close(d->fd);
	free(d);
}
