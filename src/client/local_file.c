#include "client/local_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as the kernel follows (path_resolution(7)) */

void
local_file_clear(struct local_file *f)
{
	free(f->dir);
	free(f->leaf);
	f->dir = f->leaf = NULL;
}

/* Takes the path apart at its last slash. */
static enum ftx_rc
split(struct local_file *f, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *leaf = slash != NULL ? slash + 1 : path;

	if (*leaf == '\0' || strcmp(leaf, ".") == 0 || strcmp(leaf, "..") == 0)
		return FTX_NOT_REGULAR;
	f->leaf = strdup(leaf);
	if (slash == NULL)
		f->dir = strdup(".");
	else
		f->dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (f->leaf == NULL || f->dir == NULL) {
		local_file_clear(f);
		return FTX_NOMEM;
	}
	return FTX_OK;
}

enum ftx_rc
local_file_source(struct local_file *f, const char *path)
{
	enum ftx_rc rc;
	struct stat st;
	char *real;

	if (stat(path, &st) != 0)
		return ftx_rc_from_errno(errno);
	if (!S_ISREG(st.st_mode))
		return FTX_NOT_REGULAR;
	real = realpath(path, NULL);
	if (real == NULL)
		return ftx_rc_from_errno(errno);
	rc = split(f, real);
	free(real);
	return rc;
}

/*
 * As fs.protected_symlinks has it (proc(5)), which the kernel does not ask for a link that we
 * follow: in a directory like /tmp a link is followed if it is ours, or the directory's owner's.
 */
static bool
may_follow(const char *path, const struct stat *link)
{
	const char *slash = strrchr(path, '/');
	char *name = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	bool may = false;
	struct stat dir;

	if (name != NULL && stat(name, &dir) == 0)
		may = (dir.st_mode & (S_ISVTX | S_IWOTH)) != (S_ISVTX | S_IWOTH) ||
		      link->st_uid == geteuid() || link->st_uid == dir.st_uid;
	free(name);
	return may;
}

/* What the link at path says, of size bytes with its end; -1: it is none. One and the same link. */
static ssize_t
read_link(const char *path, char *target, size_t size, enum ftx_rc *rc)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	ssize_t n = -1;

	if (fd < 0)
		return -1; /* not there */
	if (fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
		if (may_follow(path, &st))
			n = readlinkat(fd, "", target, size - 1);
		else
			*rc = FTX_ACCESS;
	}
	close(fd);
	if (n >= 0)
		target[n] = '\0';
	return n;
}

/* One link further: *path is replaced by what it leads to. False: it is no link, or not to be. */
static bool
follow(char **path, enum ftx_rc *rc)
{
	char target[PATH_MAX], *next;
	const char *slash = strrchr(*path, '/');
	int len;

	*rc = FTX_OK;
	if (read_link(*path, target, sizeof(target), rc) < 0)
		return false;
	if (target[0] == '/' || slash == NULL)
		len = asprintf(&next, "%s", target);
	else
		len = asprintf(&next, "%.*s/%s", (int)(slash - *path), *path, target);
	if (len < 0) {
		*rc = FTX_NOMEM;
		return false;
	}
	free(*path);
	*path = next;
	return true;
}

enum ftx_rc
local_file_target(struct local_file *f, const char *path)
{
	enum ftx_rc rc = FTX_OK;
	struct stat st;
	char *at;
	int links = 0;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? FTX_NOT_REGULAR : split(f, path);
	at = strdup(path);
	if (at == NULL)
		return FTX_NOMEM;
	while (links < LINKS_MAX && follow(&at, &rc))
		links++;
	if (rc == FTX_OK)
		rc = links < LINKS_MAX ? split(f, at) : FTX_BAD_NAME;
	free(at);
	return rc;
}
