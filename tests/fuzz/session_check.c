#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/session.h"
#include "store/path.h"
#include "v1/message.h"

#define CONTENTS       (CONTENT_LOCAL + 1)
#define CONTENT_PERIOD 2048 /* i * 31 >> 3, as a byte, comes again after so many */

#define UPLOAD_HEAD (V1_REQUEST_SIZE + V1_UPLOAD_SIZE_SIZE)

/* A file that was found in the root. */
struct found {
	char name[PATH_NAME_MAX];
	size_t len;
	uint8_t bytes[PLAY_BYTES];
};

/* Contents repeat themselves, so that they can be made and compared in large pieces. */
static const uint8_t *
content_period(unsigned content, uint64_t from)
{
	static uint8_t bytes[CONTENTS][2 * CONTENT_PERIOD];
	uint8_t *p = bytes[content];

	if (p[1] == p[0]) {
		for (size_t i = 0; i < sizeof(bytes[0]); i++)
			p[i] = (uint8_t)((i * 31 >> 3) + 101 * content);
	}
	return p + from % CONTENT_PERIOD;
}

void
content_fill(unsigned content, uint64_t from, uint8_t *p, size_t len)
{
	while (len > 0) {
		size_t n = len < CONTENT_PERIOD ? len : CONTENT_PERIOD;

		memcpy(p, content_period(content, from), n);
		from += n;
		p += n;
		len -= n;
	}
}

bool
content_is(unsigned content, const uint8_t *p, size_t len)
{
	while (len > 0) {
		size_t n = len < CONTENT_PERIOD ? len : CONTENT_PERIOD;

		if (memcmp(p, content_period(content, 0), n) != 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

/* The server's half that the peer has come to, or PLAY_DAEMON: to none. */
static enum play_half
half_of(const struct play *play, const struct peer *p)
{
	if (play->half != PLAY_DAEMON)
		return play->half;
	if (p->sent_len == 0)
		return PLAY_DAEMON;
	if (p->sent[0] == V1_UPLOAD)
		return PLAY_SERVER_UPLOAD;
	return p->sent[0] == V1_DOWNLOAD ? PLAY_SERVER_DOWNLOAD : PLAY_DAEMON;
}

/* The normalised name that a peer has asked the daemon for; false: none that is allowed. */
static bool
name_of(const struct play *play, const struct peer *p, char name[V1_NAME_MAX + 1])
{
	struct path_rules rules = play->st.server.names;
	struct v1_request req;

	if (half_of(play, p) == PLAY_SERVER_DOWNLOAD)
		rules.alphabet = PATH_BYTES; /* what stands there is served */
	return p->sent_len >= V1_REQUEST_SIZE && v1_request_decode(p->sent, &req) == FTX_OK &&
	       path_normalize(&rules, req.name, req.name_len, name, V1_NAME_MAX + 1) == FTX_OK;
}

bool
play_announced(const struct play *play, const struct peer *p, uint64_t *size, size_t *head)
{
	size_t at = half_of(play, p) == PLAY_SERVER_UPLOAD ? V1_REQUEST_SIZE : 1;

	*head = at + V1_UPLOAD_SIZE_SIZE;
	if (half_of(play, p) != PLAY_SERVER_UPLOAD && half_of(play, p) != PLAY_CLIENT_DOWNLOAD)
		return false;
	if (p->sent_len < *head)
		return false;
	*size = v1_upload_size_decode(p->sent + at);
	return true;
}

/*
 * The peer may have had its upload published: all was sent, no more together with the last of it
 * (more that comes later may come too late), and nothing was heard that refuses it.
 */
static bool
may_be_published(const struct play *play, const struct peer *p, uint64_t *size)
{
	size_t head;

	return half_of(play, p) == PLAY_SERVER_UPLOAD && play_announced(play, p, size, &head) &&
	       *size <= p->sent_len - head && !p->excess && p->got_len <= 2 &&
	       memcmp(p->got, "TT", p->got_len) == 0 && (p->left || p->got_len == 2);
}

static void
check_server_upload(const struct play *play, const struct peer *p)
{
	char name[V1_NAME_MAX + 1];

	CHECK(p->got_len <= 2);
	if (p->got_len >= 1) {
		CHECK(p->sent_len >= V1_REQUEST_SIZE && strchr("TFE", p->got[0]) != NULL);
		CHECK(p->got[0] != V1_YES || name_of(play, p, name));
	}
	if (p->got_len == 2) {
		CHECK(p->got[0] == V1_YES && p->sent_len >= UPLOAD_HEAD);
		CHECK(p->got[1] == V1_YES || p->got[1] == V1_NO);
	}
}

/* Content that a download may have, `len` of a file of `size` bytes. */
static bool
is_known_content(
    const struct play *play, const char *name, const uint8_t *p, size_t len, uint64_t size)
{
	char other[V1_NAME_MAX + 1];
	uint64_t theirs;

	if (content_is(CONTENT_FOUND, p, len) || content_is(CONTENT_REPLACED, p, len))
		return true;
	for (unsigned i = 0; i < play->count; i++) {
		const struct peer *q = &play->peers[i];

		if (may_be_published(play, q, &theirs) && theirs == size &&
		    name_of(play, q, other) && strcmp(other, name) == 0 &&
		    memcmp(q->sent + UPLOAD_HEAD, p, len) == 0)
			return true;
	}
	return false;
}

static void
check_server_download(const struct play *play, const struct peer *p)
{
	char name[V1_NAME_MAX + 1];
	uint64_t size;
	size_t content;

	if (p->got_len == 0)
		return;
	CHECK(p->sent_len >= V1_REQUEST_SIZE);
	CHECK(p->got_len >= V1_DOWNLOAD_ANSWER_SIZE);
	size = v1_upload_size_decode(p->got + 1);
	content = p->got_len - V1_DOWNLOAD_ANSWER_SIZE;
	if (p->got[0] != V1_YES) {
		CHECK(p->got[0] == V1_NO || p->got[0] == V1_ERROR);
		CHECK(size == 0 && content == 0);
		return;
	}
	CHECK(name_of(play, p, name));
	CHECK(content <= size);
	if (content == 0)
		return;
	CHECK(p->sent_len > V1_REQUEST_SIZE && p->sent[V1_REQUEST_SIZE] == V1_YES);
	CHECK(is_known_content(play, name, p->got + V1_DOWNLOAD_ANSWER_SIZE, content, size));
	/* Who stayed to the end has all of it, or was reset. */
	CHECK(content == size || p->left || p->abortive);
}

static void
check_client_upload(const struct play *play, const struct peer *p)
{
	uint8_t head[UPLOAD_HEAD];

	CHECK(v1_request_encode(V1_UPLOAD, PLAY_REMOTE, strlen(PLAY_REMOTE), head) == FTX_OK);
	v1_upload_size_encode(play->local_size, head + V1_REQUEST_SIZE);
	CHECK(p->got_len <= sizeof(head) + play->local_size);
	CHECK(memcmp(p->got, head, p->got_len < sizeof(head) ? p->got_len : sizeof(head)) == 0);
	if (p->got_len > V1_REQUEST_SIZE)
		CHECK(p->sent_len >= 1 && p->sent[0] == V1_YES);
	if (p->got_len > sizeof(head)) {
		CHECK(p->sent_len >= 2 && p->sent[1] == V1_YES);
		CHECK(content_is(CONTENT_LOCAL, p->got + sizeof(head), p->got_len - sizeof(head)));
	}
	if (play->st.done_rc != FTX_OK)
		return;
	/*
	 * It took the server's close for a receipt: that is all that the server may have said, and
	 * one that left before it had read everything was a reset (socketpairs do that, too).
	 */
	CHECK(p->sent_len == 2 && memcmp(p->sent, "TT", 2) == 0);
	CHECK(p->shut || p->got_len == sizeof(head) + play->local_size);
}

static void
check_client_download(const struct play *play, const struct peer *p)
{
	uint8_t head[V1_REQUEST_SIZE];
	uint64_t size;
	size_t at;

	CHECK(v1_request_encode(V1_DOWNLOAD, PLAY_REMOTE, strlen(PLAY_REMOTE), head) == FTX_OK);
	CHECK(p->got_len <= sizeof(head) + 1);
	CHECK(memcmp(p->got, head, p->got_len < sizeof(head) ? p->got_len : sizeof(head)) == 0);
	if (p->got_len > sizeof(head)) {
		CHECK(play_announced(play, p, &size, &at) && p->sent[0] == V1_YES);
		CHECK(p->got[sizeof(head)] == V1_YES || p->got[sizeof(head)] == V1_NO);
	}
	if (play->st.done_rc != FTX_OK)
		return;
	CHECK(play_announced(play, p, &size, &at) && size <= p->sent_len - at);
	CHECK(p->left || (p->got_len > sizeof(head) && p->got[sizeof(head)] == V1_YES));
}

/* A name in a server's root: of a file that was there, or of an upload that was accepted. */
static bool
is_served_file(const struct play *play, const struct found *f, unsigned *published)
{
	static const char *const before[] = { "old", "empty", "dir/old" };
	char name[V1_NAME_MAX + 1];
	bool known = false;
	uint64_t size;

	for (unsigned i = 0; i < play->count; i++) {
		const struct peer *p = &play->peers[i];

		if (may_be_published(play, p, &size) && name_of(play, p, name) &&
		    strcmp(name, f->name) == 0 && size == f->len &&
		    memcmp(p->sent + UPLOAD_HEAD, f->bytes, f->len) == 0) {
			known = true;
			*published |= 1U << i;
		}
	}
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		if (strcmp(f->name, before[i]) == 0 &&
		    (content_is(CONTENT_FOUND, f->bytes, f->len) ||
			content_is(CONTENT_REPLACED, f->bytes, f->len)))
			known = true;
	}
	return known;
}

/* The client's own file, as it was, or whole as the server has sent it. */
static bool
is_local_file(const struct play *play, const struct found *f, unsigned *published)
{
	const struct peer *p = &play->peers[0];
	uint64_t size;
	size_t at;

	if (strcmp(f->name, PLAY_LOCAL) != 0)
		return false;
	if (play->half == PLAY_CLIENT_DOWNLOAD && play_announced(play, p, &size, &at) &&
	    size == f->len && size <= p->sent_len - at &&
	    memcmp(p->sent + at, f->bytes, f->len) == 0) {
		*published |= 1;
		return true;
	}
	if (play->half == PLAY_CLIENT_DOWNLOAD && !play->replaces)
		return false;
	return f->len == play->local_size && content_is(CONTENT_LOCAL, f->bytes, f->len);
}

static void
check_file(
    const struct play *play, int dir_fd, const char *leaf, const char *dir, unsigned *published)
{
	static struct found f;
	int fd = openat(dir_fd, leaf, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, f.bytes, sizeof(f.bytes)) : -1;

	CHECK(n >= 0 && (size_t)n < sizeof(f.bytes));
	f.len = (size_t)n;
	close(fd);
	snprintf(f.name, sizeof(f.name), "%s%s", dir, leaf);
	if (play_is_client(play) ? !is_local_file(play, &f, published)
				 : !is_served_file(play, &f, published)) {
		fprintf(stderr, "%s, %zu bytes, is nobody's file\n", f.name, f.len);
		abort();
	}
}

/* Each name in the directory; *published gets a bit for each peer whose upload stands there. */
static void
check_dir(const struct play *play, const char *path, const char *dir, unsigned *published)
{
	struct dirent *e;
	struct stat st;
	DIR *d = opendir(path);

	CHECK(d != NULL);
	while ((e = readdir(d)) != NULL) {
		char below[PATH_NAME_MAX];

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    strcmp(e->d_name, "link") == 0)
			continue;
		CHECK(fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0);
		if (S_ISREG(st.st_mode)) {
			check_file(play, dirfd(d), e->d_name, dir, published);
			continue;
		}
		CHECK(S_ISDIR(st.st_mode) && dir[0] == '\0' && strcmp(e->d_name, "dir") == 0);
		snprintf(below, sizeof(below), "%s/dir", path);
		check_dir(play, below, "dir/", published);
	}
	closedir(d);
}

void
session_check(const struct play *play)
{
	unsigned published = 0;

	check_dir(play, play->st.dir, "", &published);
	for (unsigned i = 0; i < play->count; i++) {
		const struct peer *p = &play->peers[i];

		switch (half_of(play, p)) {
		case PLAY_SERVER_UPLOAD:
			check_server_upload(play, p);
			/* What ends in anything but a reset after T to the size is a receipt. */
			if (p->got_len == 2 && p->got[1] == V1_YES && !p->left && !p->abortive)
				CHECK((published & 1U << i) != 0);
			break;
		case PLAY_SERVER_DOWNLOAD:
			check_server_download(play, p);
			break;
		case PLAY_CLIENT_UPLOAD:
			check_client_upload(play, p);
			break;
		case PLAY_CLIENT_DOWNLOAD:
			check_client_download(play, p);
			CHECK(play->st.done_rc != FTX_OK || (published & 1) != 0);
			break;
		case PLAY_DAEMON:
		default:
			CHECK(p->got_len == 0);
		}
	}
}
