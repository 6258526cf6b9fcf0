#include "store/upload_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/log.h"
#include "store/digest.h"
#include "store/path.h"
#include "store/root.h"

#define MAGIC "ftxferd uploads 1\n"

/* In front of each record: its whole length, and a checksum of all that is behind that. */
#define CHECK_SIZE  8
#define HEAD_SIZE   (4 + CHECK_SIZE)
#define RECORD_SIZE 512 /* the most, without the name */

bool
upload_key_set(struct upload_key *key, const char *user, const uint8_t id[UPLOAD_ID_SIZE])
{
	size_t len = strlen(user);

	memset(key, 0, sizeof(*key));
	if (len >= sizeof(key->user))
		return false;
	memcpy(key->user, user, len);
	memcpy(key->id, id, UPLOAD_ID_SIZE);
	return true;
}

void
upload_terms_mark(const struct upload_terms *terms, uint8_t mark[UPLOAD_MARK_SIZE])
{
	uint8_t mem[sizeof(terms->key) + 9];
	struct cursor_out c = cursor_out_init(mem, sizeof(mem));
	struct digest_value v = { 0 };

	cursor_put_bytes(&c, &terms->key, sizeof(terms->key));
	cursor_put_u64(&c, terms->size);
	cursor_put_u8(&c, terms->policy);
	(void)!digest_of(DIGEST_XXH128, mem, c.used, &v); /* of this kind it does not fail */
	memcpy(mark, v.bytes, UPLOAD_MARK_SIZE);
}

static bool
check_of(const void *p, size_t len, struct digest_value *v)
{
	return digest_of(DIGEST_XXH128, p, len, v) == FTX_OK;
}

static void
put_time(struct cursor_out *c, const struct timespec *t)
{
	cursor_put_u64(c, (uint64_t)t->tv_sec);
	cursor_put_u32(c, (uint32_t)t->tv_nsec);
}

static void
get_time(struct cursor *c, struct timespec *t)
{
	t->tv_sec = (time_t)cursor_get_u64(c);
	t->tv_nsec = (long)cursor_get_u32(c);
}

static void
put_meta(struct cursor_out *c, const struct meta *m)
{
	cursor_put_u64(c, m->size);
	cursor_put_u16(c, (uint16_t)m->mode);
	put_time(c, &m->mtime);
	cursor_put_u8(c, (uint8_t)m->version.len);
	cursor_put_bytes(c, m->version.bytes, m->version.len);
	cursor_put_u8(c, (uint8_t)m->digest.kind);
	cursor_put_bytes(c, m->digest.bytes, digest_size(m->digest.kind));
}

/* Copies n bytes, if there are as many and room for them. */
static bool
get_bytes(struct cursor *c, void *to, size_t n, size_t size)
{
	const uint8_t *p = n <= size ? cursor_get_bytes(c, n) : NULL;

	if (p == NULL)
		return false;
	memcpy(to, p, n);
	return true;
}

static bool
get_meta(struct cursor *c, struct meta *m)
{
	m->kind = META_FILE;
	m->size = cursor_get_u64(c);
	m->mode = cursor_get_u16(c);
	get_time(c, &m->mtime);
	m->version.len = cursor_get_u8(c);
	if (!get_bytes(c, m->version.bytes, m->version.len, sizeof(m->version.bytes)))
		return false;
	m->digest.kind = (enum digest_kind)cursor_get_u8(c);
	if (m->digest.kind >= DIGEST_KINDS)
		return false;
	return get_bytes(c, m->digest.bytes, digest_size(m->digest.kind), DIGEST_MAX);
}

bool
upload_record_encode(const struct upload_record *r, struct buf *b)
{
	uint8_t mem[RECORD_SIZE + PATH_NAME_MAX];
	struct cursor_out c = cursor_out_init(mem + HEAD_SIZE, sizeof(mem) - HEAD_SIZE);
	struct cursor_out head;
	struct digest_value check;

	cursor_put_u8(&c, (uint8_t)(r->state == UPLOAD_NAMED ? UPLOAD_READY : r->state));
	cursor_put_bytes(&c, r->key.id, sizeof(r->key.id));
	cursor_put_bytes(&c, r->key.user, sizeof(r->key.user));
	cursor_put_u8(&c, r->terms);
	cursor_put_u64(&c, r->announced);
	cursor_put_u64(&c, r->ino);
	put_meta(&c, &r->meta);
	put_time(&c, &r->time);
	cursor_put_u64(&c, r->used);
	cursor_put_u8(&c, r->unsynced ? 1 : 0);
	cursor_put_bytes(&c, r->stage, sizeof(r->stage));
	cursor_put_u16(&c, (uint16_t)r->name_len);
	cursor_put_bytes(&c, r->name, r->name_len);
	if (!cursor_out_ok(&c) || !check_of(mem + HEAD_SIZE, c.used, &check))
		return false;
	head = cursor_out_init(mem, HEAD_SIZE);
	cursor_put_u32(&head, (uint32_t)(HEAD_SIZE + c.used));
	cursor_put_bytes(&head, check.bytes, CHECK_SIZE);
	return buf_add(b, mem, HEAD_SIZE + c.used);
}

size_t
upload_record_decode(const void *p, size_t len, struct upload_record *r)
{
	struct cursor c = cursor_init(p, len);
	size_t size = cursor_get_u32(&c);
	const uint8_t *check = cursor_get_bytes(&c, CHECK_SIZE), *body;
	struct digest_value found;

	if (size < HEAD_SIZE || size > len || check == NULL)
		return 0;
	body = cursor_get_bytes(&c, size - HEAD_SIZE);
	if (body == NULL || !check_of(body, size - HEAD_SIZE, &found) ||
	    memcmp(found.bytes, check, CHECK_SIZE) != 0)
		return 0;
	*r = (struct upload_record){ .state = UPLOAD_FORGOTTEN };
	c = cursor_init(body, size - HEAD_SIZE);
	r->state = (enum upload_state)cursor_get_u8(&c);
	if (!get_bytes(&c, r->key.id, sizeof(r->key.id), sizeof(r->key.id)) ||
	    !get_bytes(&c, r->key.user, sizeof(r->key.user), sizeof(r->key.user)))
		return 0;
	r->terms = cursor_get_u8(&c);
	r->announced = cursor_get_u64(&c);
	r->ino = cursor_get_u64(&c);
	if (!get_meta(&c, &r->meta))
		return 0;
	get_time(&c, &r->time);
	r->used = cursor_get_u64(&c);
	r->unsynced = cursor_get_u8(&c) != 0;
	if (!get_bytes(&c, r->stage, sizeof(r->stage), sizeof(r->stage)) ||
	    r->stage[sizeof(r->stage) - 1] != '\0')
		return 0;
	r->name_len = cursor_get_u16(&c);
	r->name = (const char *)cursor_get_bytes(&c, r->name_len);
	if (!cursor_done(&c) || r->name == NULL || r->name_len > PATH_NAME_MAX)
		return 0;
	return r->state >= UPLOAD_UNFINISHED && r->state <= UPLOAD_FORGOTTEN ? size : 0;
}

void
upload_log_init(struct upload_log *log, struct root *root)
{
	*log = (struct upload_log){ .root = root, .dir = -1, .fd = -1 };
}

static void
close_dir(struct upload_log *log)
{
	if (log->dir >= 0)
		close(log->dir);
	log->dir = -1;
}

static enum ftx_rc
open_dir(struct upload_log *log, bool make)
{
	const struct root *r = log->root;
	enum ftx_rc rc = FTX_OK;

	if (log->dir >= 0)
		return FTX_OK;
	if (make && mkdirat(r->fd, PATH_STATE_DIR, 0700) != 0 && errno != EEXIST)
		return root_not_durable(errno);
	log->dir = openat(r->fd, PATH_STATE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (log->dir < 0)
		return ftx_rc_from_errno(errno);
	if (make)
		rc = root_sync_dir(r->fd);
	if (rc != FTX_OK)
		close_dir(log);
	return rc;
}

/* A new file. Others make the state directory, too, and remove it while it is empty. */
static enum ftx_rc
make_new(struct upload_log *log, int *fd)
{
	struct root *r = log->root;
	enum ftx_rc rc;

	pthread_mutex_lock(&r->lock);
	rc = open_dir(log, true);
	if (rc == FTX_OK && unlinkat(log->dir, UPLOAD_LOG_NEW_NAME, 0) != 0 && errno != ENOENT)
		rc = ftx_rc_from_errno(errno);
	if (rc == FTX_OK) {
		*fd = openat(log->dir, UPLOAD_LOG_NEW_NAME,
		    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (*fd < 0) {
			rc = root_not_durable(errno);
			if (log->fd < 0)
				close_dir(log); /* it may be one that is gone */
		}
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

static enum ftx_rc
read_all(int fd, uint8_t *p, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, p + done, len - done, (off_t)done);

		if (n == 0 || (n < 0 && errno != EINTR))
			return FTX_IO;
		done += n > 0 ? (size_t)n : 0;
	}
	return FTX_OK;
}

static enum ftx_rc
take_records(struct upload_log *log, const uint8_t *p, size_t len,
    enum ftx_rc (*take)(void *arg, const struct upload_record *r), void *arg)
{
	size_t at = strlen(MAGIC), size;
	enum ftx_rc rc = FTX_OK;
	struct upload_record r;

	if (len < at || memcmp(p, MAGIC, at) != 0) {
		log->damaged = true;
		return FTX_OK;
	}
	while (rc == FTX_OK && at < len) {
		size = upload_record_decode(p + at, len - at, &r);
		if (size == 0)
			break;
		rc = take(arg, &r);
		at += size;
	}
	log->size = at;
	log->damaged = at < len;
	return rc;
}

enum ftx_rc
upload_log_read(struct upload_log *log,
    enum ftx_rc (*take)(void *arg, const struct upload_record *r), void *arg)
{
	enum ftx_rc rc = open_dir(log, false);
	uint8_t *content = NULL;
	struct stat st;

	if (rc != FTX_OK)
		return rc == FTX_NOT_FOUND || rc == FTX_NO_PARENT ? FTX_OK : rc;
	/* A crash may have left it while it was written. */
	(void)unlinkat(log->dir, UPLOAD_LOG_NEW_NAME, 0);
	log->fd = openat(log->dir, UPLOAD_LOG_NAME, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (log->fd < 0) {
		rc = errno == ENOENT ? FTX_OK : ftx_rc_from_errno(errno);
		close_dir(log);
		return rc;
	}
	if (fstat(log->fd, &st) != 0 || !S_ISREG(st.st_mode))
		return FTX_IO;
	content = malloc((size_t)st.st_size + 1);
	if (content == NULL)
		return FTX_NOMEM;
	rc = read_all(log->fd, content, (size_t)st.st_size);
	if (rc == FTX_OK)
		rc = take_records(log, content, (size_t)st.st_size, take, arg);
	free(content);
	if (rc == FTX_OK && log->damaged)
		log_warn("the end of %s/%s is damaged and was left out", PATH_STATE_DIR,
		    UPLOAD_LOG_NAME);
	return rc;
}

static enum ftx_rc
write_all(int fd, const void *p, size_t len, uint64_t at)
{
	const char *from = p;

	while (len > 0) {
		ssize_t n = pwrite(fd, from, len, (off_t)at);

		if (n == 0)
			return FTX_IO;
		if (n < 0 && errno != EINTR)
			return root_not_durable(errno);
		if (n > 0) {
			from += n;
			at += (uint64_t)n;
			len -= (size_t)n;
		}
	}
	return FTX_OK;
}

enum ftx_rc
upload_log_append(struct upload_log *log, const void *p, size_t len, bool sync)
{
	enum ftx_rc rc;

	if (log->damaged || log->fd < 0)
		return FTX_IO;
	rc = write_all(log->fd, p, len, log->size);
	if (rc == FTX_OK && sync && fsync(log->fd) != 0)
		rc = root_not_durable(errno);
	if (rc == FTX_OK)
		log->size += len;
	else
		log->damaged = true; /* nobody can say what is on the disk */
	return rc;
}

bool
upload_log_is_synced(struct upload_log *log, dev_t dev)
{
	struct stat st;

	if (log->damaged || log->fd < 0 || fstat(log->fd, &st) != 0 || st.st_dev != dev)
		return false;
	/* syncfs(2) may have told somebody else of an error here, or, before Linux 5.8, nobody. */
	log->damaged = root_look_for_error(log->fd) != FTX_OK;
	return !log->damaged;
}

enum ftx_rc
upload_log_rewrite(struct upload_log *log, const void *p, size_t len)
{
	int fd = -1;
	enum ftx_rc rc = make_new(log, &fd);

	if (rc != FTX_OK)
		return rc;
	rc = write_all(fd, MAGIC, strlen(MAGIC), 0);
	if (rc == FTX_OK)
		rc = write_all(fd, p, len, strlen(MAGIC));
	if (rc == FTX_OK && fsync(fd) != 0)
		rc = root_not_durable(errno);
	if (rc == FTX_OK && renameat(log->dir, UPLOAD_LOG_NEW_NAME, log->dir, UPLOAD_LOG_NAME) != 0)
		rc = root_not_durable(errno);
	if (rc != FTX_OK) {
		(void)unlinkat(log->dir, UPLOAD_LOG_NEW_NAME, 0);
		close(fd);
		return rc;
	}
	if (log->fd >= 0)
		close(log->fd);
	log->fd = fd;
	log->size = strlen(MAGIC) + len;
	rc = root_sync_dir(log->dir);
	log->damaged = rc != FTX_OK; /* after a power cut it may be the old one */
	return rc;
}

void
upload_log_remove(struct upload_log *log)
{
	if (log->dir < 0)
		return;
	if (unlinkat(log->dir, UPLOAD_LOG_NAME, 0) == 0)
		(void)unlinkat(log->root->fd, PATH_STATE_DIR, AT_REMOVEDIR);
}

void
upload_log_close(struct upload_log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
	close_dir(log);
}
