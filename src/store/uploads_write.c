/* How what is known of uploads gets into the file. */
#include "base/log.h"
#include "store/root.h"
#include "store/uploads_private.h"

/* The file may be so much larger than twice what counts in it, before it is written anew. */
#define LOG_SLACK ((uint64_t)1024 * 1024)

/* All that is worth it, into one buffer. The lock is held. */
static bool
encode_all(const struct uploads *u, struct buf *all)
{
	const struct upload *up;

	TAILQ_FOREACH (up, &u->by_use, link) {
		/* cppcheck-suppress uninitvar; TAILQ_FOREACH sets it */
		if (up->logged && !upload_record_encode(&up->record, all))
			return false;
	}
	return true;
}

/* What was to be written is not in the file. */
static void
set_incomplete(struct uploads *u)
{
	pthread_mutex_lock(&u->lock);
	u->incomplete = true;
	pthread_mutex_unlock(&u->lock);
}

/* The log's lock is held. */
static enum ftx_rc
write_log(struct uploads *u, bool sync)
{
	struct buf pending, all = { 0 };
	enum ftx_rc rc = FTX_IO;
	bool must, anew, encoded, lost;

	pthread_mutex_lock(&u->lock);
	pending = u->pending;
	u->pending = (struct buf){ 0 };
	must = u->incomplete || u->log.damaged || u->log.fd < 0;
	anew = (must && (pending.len > 0 || sync)) || u->log.size > 2 * u->live + LOG_SLACK;
	encoded = anew && encode_all(u, &all);
	if (encoded)
		u->incomplete = false;
	lost = u->incomplete;
	pthread_mutex_unlock(&u->lock);
	if (must && !lost && pending.len == 0 && all.len == 0 && u->log.fd < 0) {
		rc = FTX_OK; /* no file, and nothing to be said */
		goto out;
	}
	if (encoded)
		rc = upload_log_rewrite(&u->log, buf_data(&all), all.len);
	if (rc == FTX_OK && encoded) {
		u->unsynced = false;
	} else if (must)
		set_incomplete(u);
	else {
		rc = FTX_OK;
		if (pending.len > 0 || (sync && u->unsynced)) {
			rc = upload_log_append(&u->log, buf_data(&pending), pending.len, sync);
			u->unsynced = !sync || rc != FTX_OK;
		}
	}
out:
	buf_clear(&pending);
	buf_clear(&all);
	return rc;
}

static enum ftx_rc
write_down(struct uploads *u, bool sync)
{
	enum ftx_rc rc;

	pthread_mutex_lock(&u->log_lock);
	rc = write_log(u, sync);
	pthread_mutex_unlock(&u->log_lock);
	return rc;
}

enum ftx_rc
uploads_sync(struct uploads *u)
{
	return write_down(u, true);
}

enum ftx_rc
uploads_settle(struct uploads *u)
{
	if (root_syncs(u->root))
		return uploads_sync(u);
	uploads_note(u);
	return FTX_OK;
}

enum ftx_rc
uploads_write(struct uploads *u)
{
	return write_down(u, false);
}

bool
uploads_are_durable(struct uploads *u, dev_t dev)
{
	bool durable;

	pthread_mutex_lock(&u->log_lock);
	durable = upload_log_is_synced(&u->log, dev);
	pthread_mutex_unlock(&u->log_lock);
	return durable;
}

/* A failure shows when it is to be made durable. */
void
uploads_note(struct uploads *u)
{
	if (uploads_write(u) != FTX_OK)
		log_debug("the record of uploads could not be written");
}
