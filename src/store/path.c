#include "store/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(HAVE_LINUX_OPENAT2_H) && HAVE_DECL_SYS_OPENAT2
#include <linux/openat2.h>
#include <sys/syscall.h>
#define WITH_OPENAT2 1
#else
#define WITH_OPENAT2 0
#endif

#include "base/utf8.h"

#define DIR_FLAGS (O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

/* How the directory is to be opened: to be fsynced it must be readable. */
static int
dir_flags(unsigned flags)
{
	return DIR_FLAGS | ((flags & PATH_SEARCH_ONLY) != 0 ? O_PATH : O_RDONLY);
}

/* Whatever the locale: `own` is of ASCII, in small letters. */
static bool
is_own_in_any_case(const char *s, const char *own, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c != own[i])
			return false;
	}
	return true;
}

bool
path_is_reserved(const char *component, size_t len)
{
	size_t prefix = sizeof(PATH_STAGE_PREFIX) - 1;

	if (len == sizeof(PATH_STATE_DIR) - 1 && is_own_in_any_case(component, PATH_STATE_DIR, len))
		return true;
	return len >= prefix && is_own_in_any_case(component, PATH_STAGE_PREFIX, prefix);
}

static enum path_fault
alphabet_fault(enum path_alphabet alphabet, const char *s, size_t len)
{
	if (memchr(s, '\0', len) != NULL)
		return PATH_CONTROL;
	while (alphabet == PATH_UTF8 && len > 0) {
		uint32_t cp;
		size_t n = utf8_decode(s, len, &cp);

		if (n == 0)
			return PATH_NO_UTF8;
		if (utf8_is_control(cp))
			return PATH_CONTROL;
		s += n;
		len -= n;
	}
	return PATH_GOOD;
}

enum path_fault
path_component_fault(enum path_alphabet alphabet, const char *s, size_t len)
{
	if (len == 0)
		return PATH_EMPTY;
	if (len > PATH_COMPONENT_MAX)
		return PATH_LONG_COMPONENT;
	if (path_is_reserved(s, len))
		return PATH_RESERVED;
	if (s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.')))
		return PATH_DOTS;
	return alphabet_fault(alphabet, s, len);
}

bool
path_component_is_allowed(enum path_alphabet alphabet, const char *s, size_t len)
{
	return path_component_fault(alphabet, s, len) == PATH_GOOD;
}

/* The component at *at, which moves behind it and its slash. False: it is one to be dropped. */
static bool
next_component(const char *s, size_t len, size_t *at, size_t *start, size_t *n)
{
	*start = *at;
	while (*at < len && s[*at] != '/')
		++*at;
	*n = *at - *start;
	++*at; /* the slash */
	return *n > 1 || (*n == 1 && s[*start] != '.');
}

enum path_fault
path_fault(enum path_alphabet alphabet, const char *s, size_t len)
{
	enum path_fault fault = PATH_EMPTY;
	size_t i = 0, start, n;

	if (len == 0)
		return PATH_EMPTY;
	if (len > PATH_NAME_MAX)
		return PATH_LONG;
	if (s[0] == '/' || s[len - 1] == '/')
		return PATH_SLASH;
	while (i < len && (fault == PATH_GOOD || fault == PATH_EMPTY)) {
		if (next_component(s, len, &i, &start, &n))
			fault = path_component_fault(alphabet, s + start, n);
	}
	return fault;
}

enum ftx_rc
path_normalize(const struct path_rules *rules, const void *name, size_t len, char *out, size_t size)
{
	uint64_t depth = 0;
	size_t used = 0, i = 0, start, n;

	if (len >= size || path_fault(rules->alphabet, name, len) != PATH_GOOD)
		return FTX_BAD_NAME;
	while (i < len) {
		if (!next_component(name, len, &i, &start, &n))
			continue;
		if (used > 0) {
			out[used++] = '/';
			depth++;
		}
		memcpy(out + used, (const char *)name + start, n);
		used += n;
	}
	out[used] = '\0';
	return rules->max_depth > 0 && depth > rules->max_depth ? FTX_TOO_DEEP : FTX_OK;
}

/*
 * Why the directory of a name cannot be opened. That one on the way to it is missing, is no
 * directory, or is a link, which we do not follow, is all the same to a peer.
 */
static enum ftx_rc
parent_rc(int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
	case ELOOP:
	case EXDEV:
		return FTX_NO_PARENT;
	default:
		return ftx_rc_from_errno(err);
	}
}

/*
 * One component at a time; `dir` has no `..`, so it cannot leave root_fd but by a link, and none is
 * followed.
 */
static int
open_dir_by_components(int root_fd, unsigned flags, const char *dir)
{
	char component[PATH_COMPONENT_MAX + 1];
	int fd = openat(root_fd, ".", dir_flags(PATH_SEARCH_ONLY));

	while (fd >= 0 && *dir != '\0') {
		size_t n = strcspn(dir, "/");
		int next, saved;

		if (n >= sizeof(component)) {
			close(fd);
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(component, dir, n);
		component[n] = '\0';
		/* On the way through, searching is enough, as it is for openat2(2). */
		next = openat(fd, component, dir_flags(dir[n] == '/' ? PATH_SEARCH_ONLY : flags));
		saved = errno;
		close(fd);
		errno = saved;
		fd = next;
		dir += dir[n] == '/' ? n + 1 : n;
	}
	return fd;
}

static int
open_dir_beneath(int root_fd, unsigned flags, const char *dir)
{
#if WITH_OPENAT2
	struct open_how how = {
		.flags = (uint64_t)dir_flags(flags),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	/*
	 * EAGAIN: a rename raced with the look-up (openat2(2)). ENOSYS, EPERM: no such call, or a
	 * filter forbids it.
	 */
	for (int tries = 0; (flags & PATH_NO_OPENAT2) == 0 && tries < 8; tries++) {
		int fd = (int)syscall(SYS_openat2, root_fd, dir, &how, sizeof(how));

		if (fd >= 0 || (errno != EAGAIN && errno != ENOSYS && errno != EPERM))
			return fd;
		if (errno != EAGAIN)
			break;
	}
#endif
	return open_dir_by_components(root_fd, flags, dir);
}

enum ftx_rc
path_open_parent(int root_fd, unsigned flags, const char *name, int *dir_fd, const char **leaf)
{
	char dir[PATH_NAME_MAX + 1];
	const char *slash = strrchr(name, '/');
	size_t len;

	if (slash == NULL) {
		*leaf = name;
		*dir_fd = openat(root_fd, ".", dir_flags(flags));
	} else {
		len = (size_t)(slash - name);
		if (len >= sizeof(dir))
			return FTX_BAD_NAME;
		memcpy(dir, name, len);
		dir[len] = '\0';
		*leaf = slash + 1;
		*dir_fd = open_dir_beneath(root_fd, flags, dir);
	}
	return *dir_fd >= 0 ? FTX_OK : parent_rc(errno);
}

enum ftx_rc
path_open_dir(int root_fd, unsigned flags, const char *name, int *fd)
{
	*fd = *name == '\0' ? openat(root_fd, ".", dir_flags(flags))
			    : open_dir_beneath(root_fd, flags, name);
	if (*fd >= 0)
		return FTX_OK;
	if (errno == ENOTDIR || errno == ELOOP || errno == EXDEV)
		return FTX_NOT_DIRECTORY;
	return ftx_rc_from_errno(errno);
}

enum ftx_rc
path_open_file(int dir_fd, const char *leaf, int *fd)
{
	enum ftx_rc rc = FTX_NOT_REGULAR;
	struct stat st;

	if (fstatat(dir_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return ftx_rc_from_errno(errno);
	if (!S_ISREG(st.st_mode))
		return rc;
	*fd = openat(dir_fd, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0)
		return ftx_rc_from_errno(errno);
	if (fstat(*fd, &st) != 0)
		rc = ftx_rc_from_errno(errno);
	else if (S_ISREG(st.st_mode))
		return FTX_OK;
	close(*fd);
	*fd = -1;
	return rc;
}

#if WITH_OPENAT2 && defined(RESOLVE_CACHED)
static int
open_cached(int root_fd, const char *name, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC),
		.resolve =
		    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED,
	};

	return (int)syscall(SYS_openat2, root_fd, name, &how, sizeof(how));
}

static bool
is_regular(int fd, struct stat *st)
{
	return fstat(fd, st) == 0 && S_ISREG(st->st_mode);
}

/* Looked at before it is opened, as in path_open_file(). */
static bool
is_regular_now(int root_fd, const char *name, struct stat *st)
{
	int at = open_cached(root_fd, name, O_PATH);
	bool regular;

	if (at < 0)
		return false;
	regular = is_regular(at, st);
	close(at);
	return regular;
}

bool
path_open_file_now(int root_fd, unsigned flags, const char *name, int *fd, struct stat *st)
{
	if ((flags & PATH_NO_OPENAT2) != 0)
		return false;
	if ((flags & PATH_SEEN) == 0 && !is_regular_now(root_fd, name, st))
		return false;
	*fd = open_cached(root_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0)
		return false;
	if (is_regular(*fd, st))
		return true;
	close(*fd);
	*fd = -1;
	return false;
}
#else
bool
path_open_file_now(int root_fd, unsigned flags, const char *name, int *fd, struct stat *st)
{
	(void)root_fd;
	(void)flags;
	(void)name;
	(void)fd;
	(void)st;
	return false;
}
#endif
