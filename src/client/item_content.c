#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "client/session.h"
#include "v2/result.h"

/* Uploads and downloads: from and to files, and descriptors. */

#define PIPE_SAFE 4096 /* bytes that a descriptor which poll(2) calls writable takes (PIPE_BUF) */

/* --- Descriptors --- */

static bool
is_ready(int fd, short what)
{
	struct pollfd p = { .fd = fd, .events = what };

	return poll(&p, 1, 0) > 0;
}

static void
on_stream_event(evutil_socket_t fd, short what, void *arg)
{
	struct item *item = arg;

	(void)fd;
	(void)what;
	if (item->on != NULL)
		v2_request_continue(&item->req.ask.r);
}

/* Calls the owner when the descriptor is ready; a file always is. */
static enum ftx_rc
await(struct item *item, short what)
{
	if (item->stream_event == NULL) {
		item->stream_event =
		    event_new(worker_base(item->s->worker), item->fd, what, on_stream_event, item);
	}
	if (item->stream_event == NULL || event_add(item->stream_event, NULL) != 0)
		return FTX_NOMEM;
	return FTX_OK;
}

static enum ftx_rc
read_stream(void *arg, void *p, size_t len, size_t *n)
{
	struct item *item = arg;
	ssize_t got;

	*n = 0;
	if (!is_ready(item->fd, POLLIN))
		return await(item, EV_READ);
	item->stream_begun = true;
	got = read(item->fd, p, len);
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return await(item, EV_READ);
	if (got < 0)
		return ftx_rc_from_errno(errno);
	*n = (size_t)got;
	return got > 0 ? FTX_OK : FTX_TRUNCATED;
}

static enum ftx_rc
write_stream(void *arg, const void *p, size_t len, size_t *n)
{
	struct item *item = arg;

	*n = 0;
	while (*n < len) {
		size_t some = len - *n < PIPE_SAFE ? len - *n : PIPE_SAFE;
		ssize_t put;

		if (!is_ready(item->fd, POLLOUT))
			return await(item, EV_WRITE);
		item->stream_begun = true;
		put = write(item->fd, (const char *)p + *n, some);
		if (put < 0 && errno == EPIPE)
			item->is_unread = true;
		if (put < 0 && errno != EINTR && errno != EAGAIN)
			return errno == EPIPE ? FTX_IO : ftx_rc_from_errno(errno);
		if (put > 0)
			*n += (size_t)put;
	}
	return FTX_OK;
}

/* --- Uploads --- */

/*
 * The receipt is of an earlier command's upload. What was asked for once, on this connection, was
 * stored before that if nothing was sent, or if it was before the server's HELLO.
 */
static bool
was_stored_before(const struct item *item, const struct v2_put_request *put)
{
	const struct v2_server_info *server = v2_client_server(item->on->client);
	const struct v2_time *stored = &put->receipt.time;

	if (item->unsure)
		return session_when(item->s, stored) == SESSION_BEFORE;
	if (put->receipt.size > 0 && put->moved == 0)
		return true;
	return server != NULL && server->has_time &&
	       (stored->sec < server->time.sec ||
		   (stored->sec == server->time.sec && stored->nsec < server->time.nsec));
}

static void
put_ended_well(struct item *item, struct v2_put_request *put, bool earlier)
{
	struct ftxfer_totals *t = &item->s->totals;
	bool superseded = (put->receipt.flags & V2_OK_SUPERSEDED) != 0;
	char hex[DIGEST_HEX_SIZE];
	struct ftxfer_event e = {
		.type = FTXFER_EVENT_DONE,
		.bytes = put->receipt.size,
		.resumed = put->resumed,
		.digest = digest_hex(&put->receipt.digest, hex),
		.digest_kind = digest_name(put->receipt.digest.kind),
		.unsynced = (put->receipt.flags & V2_OK_UNSYNCED) != 0,
		.superseded = superseded,
		.existed = (put->receipt.flags & V2_OK_SAME) != 0 || (earlier && !superseded),
	};

	t->bytes_done += put->receipt.size;
	t->bytes_moved += put->moved - put->resumed;
	t->bytes_known += put->receipt.size - item->counted;
	v2_put_clear(put);
	item_done(item, &e);
}

/* It was published by this session, which did not hear of it. */
static bool
is_ours(const struct item *item, const struct v2_put_request *put)
{
	return item->unsure && session_when(item->s, &put->receipt.time) == SESSION_SINCE;
}

/*
 * What was published by that id is gone by now, or was other content. If that was before we began,
 * or this is the first answer to the first question, it was another upload, of long ago: this one
 * has an id of its own, which follows from that. False: it was this one, or nobody knows.
 */
static bool
goes_by_a_new_id(struct item *item, struct v2_put_request *put)
{
	struct v2_time published = put->receipt.time;

	if (item->generation > ITEM_GENERATIONS || is_ours(item, put) ||
	    (item->unsure && session_when(item->s, &published) == SESSION_UNKNOWN))
		return false;
	item->earlier = published;
	item->generation++;
	item->unsure = false;
	v2_put_again(put);
	v2_put_clear(put);
	item_make_id(item);
	return true;
}

static void
on_put(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct item *item = arg;
	struct v2_put_request *put = (struct v2_put_request *)r;
	struct v2_outcome again = *o;
	bool ok = o->rc == FTX_OK;
	bool superseded = ok && (put->receipt.flags & V2_OK_SUPERSEDED) != 0;
	bool another = o->rc == FTX_DIGEST_MISMATCH && o->answered && o->code == 0;
	bool spoilt = !ok && !o->breach &&
		      (o->rc == FTX_CHANGED || o->rc == FTX_DIGEST_MISMATCH ||
			  o->rc == FTX_SIZE_MISMATCH || o->rc == FTX_TAKEN_OVER);
	bool earlier = ok && was_stored_before(item, put);

	item->moved = put->moved;
	if (!ok)
		item->s->totals.bytes_moved += put->moved - put->resumed;
	item_leave(item);
	if ((superseded || another) && goes_by_a_new_id(item, put)) {
		item_go_on(item);
		return;
	}
	if (superseded && !is_ours(item, put)) {
		v2_put_clear(put);
		item_fail(item, FTXFER_TRY_AGAIN,
		    "it was stored once, and is gone by now; nobody knows whether that was this "
		    "time");
		return;
	}
	if (ok) {
		put_ended_well(item, put, earlier);
		return;
	}
	again.breach |= another && item->asked_anew; /* by that id nothing was published before */
	v2_put_again(put);
	/* Once more, from the start: it was damaged on the way, or changed while it was read. */
	if (spoilt && !item->asked_anew) {
		item->asked_anew = true;
		v2_put_clear(put);
		item_draw_id(item);
		again.retryable = true;
	}
	item_retry_or_fail(item, &again);
}

void
item_run_put(struct item *item, struct v2_client *c)
{
	struct v2_put_request *put = &item->req.put;
	bool attrs = (item->flags & FTXFER_NO_ATTRS) == 0 && item->local != NULL;

	if (!item->has_id)
		item_make_id(item);
	put->r.on_done = on_put;
	put->r.arg = item;
	put->name = item->remote;
	put->flags = (item->flags & FTXFER_PARENTS) != 0 ? V2_PUT_PARENTS : 0;
	put->policy = (item->flags & FTXFER_REPLACE) != 0 ? V2_REPLACE : V2_CREATE;
	put->has_mtime = put->has_mode = attrs;
	put->mtime = (struct v2_time){ item->mtime.tv_sec, (uint32_t)item->mtime.tv_nsec };
	put->mode = (uint16_t)item->mode;
	put->has_upload_id = item->has_id;
	memcpy(put->upload_id, item->upload_id, sizeof(put->upload_id));
	put->kind = item->s->kind;
	put->ask_first = item->unsure;
	if (item->local != NULL) {
		put->store = item->place->store;
		put->local_name = item->leaf;
	} else {
		item->stream = (struct v2_stream){ .read = read_stream, .arg = item };
		put->stream = &item->stream;
	}
	v2_client_put(c, put);
}

/* --- Downloads --- */

static void
on_whole(void *arg, struct v2_get_request *get)
{
	struct item *item = arg;

	(void)get;
	item->is_whole = true;
	tree_way_source(item->behind, FTXFER_OK, NULL);
}

static void
on_found(void *arg, struct v2_get_request *get)
{
	struct item *item = arg;

	item->s->totals.bytes_known += get->file.size - item->counted;
	item->counted = get->file.size;
}

static void
fail_blocked(struct item *item)
{
	item_fail(item, FTXFER_CANNOT_CREATE, WAY_TEXT_STAYED);
}

static void
on_got(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct item *item = arg;
	struct v2_get_request *get = (struct v2_get_request *)r;
	struct v2_outcome again = *o;
	char hex[DIGEST_HEX_SIZE];
	struct ftxfer_event e = { .type = FTXFER_EVENT_DONE };

	item->is_whole = false;
	item->moved = get->moved;
	if (o->rc != FTX_OK)
		item->s->totals.bytes_moved += get->moved - get->resumed;
	item_leave(item);
	if (o->rc == FTX_OK) {
		e.bytes = get->moved;
		e.resumed = get->resumed;
		e.digest = digest_hex(&get->digest, hex);
		e.digest_kind = digest_name(get->digest.kind);
		item->s->totals.bytes_done += get->moved;
		item->s->totals.bytes_moved += get->moved - get->resumed;
		v2_get_clear(get);
		item_done(item, &e);
		return;
	}
	if (o->rc == FTX_DIGEST_MISMATCH) {
		again.retryable = !item->asked_anew;
		again.breach = false;
		again.whose = V2_WHOSE_SERVER; /* it is not the connection's fault, either */
		again.code = V2_CODE_DIGEST_MISMATCH;
		item->asked_anew = true;
	}
	if (item->is_blocked) {
		fail_blocked(item);
		return;
	}
	if (!again.retryable || again.rc == FTX_DIGEST_MISMATCH) {
		v2_get_clear(get);
		memset(get, 0, sizeof(*get));
	}
	if (o->whose == V2_WHOSE_LOCAL && !again.retryable) {
		bool written = item->local == NULL || o->rc == FTX_NO_SPACE || o->rc == FTX_IO;

		if (item->is_unread)
			item_fail(item, FTXFER_LOCAL_ERROR, "nobody reads what it is written to");
		else
			item_fail_here(
			    item, written ? FTXFER_LOCAL_ERROR : FTXFER_CANNOT_CREATE, o->rc);
		return;
	}
	item_retry_or_fail(item, &again);
}

void
item_come_behind(struct item *item, bool removed)
{
	item->behind = NULL;
	item->req.get.on_whole = NULL;
	if (removed && item->is_whole)
		v2_get_publish(&item->req.get);
	else if (!removed && item->on != NULL) {
		item->is_blocked = true;
		v2_client_cancel(&item->req.get.r);
	} else if (!removed)
		fail_blocked(item);
}

void
item_run_get(struct item *item, struct v2_client *c)
{
	struct v2_get_request *get = &item->req.get;
	bool attrs = (item->flags & FTXFER_NO_ATTRS) == 0;

	get->r.on_done = on_got;
	get->r.arg = item;
	get->name = item->remote;
	get->kind = item->s->kind;
	get->on_found = on_found;
	if (item->local != NULL) {
		get->store = item->place->store;
		get->spec.name = item->leaf;
		get->spec.policy = PUT_REPLACE;
		/* Only the name that the user gave: no device is meant by one in a directory. */
		get->spec.through = item->tree == NULL && !item->local_is_dir;
		get->keep_mode = get->keep_mtime = attrs;
		get->spec.unlooked = item->behind != NULL;
		get->on_whole = item->behind != NULL ? on_whole : NULL;
		/* A tree knows how large it is, and may have thousands that need no look. */
		get->keeps_part = item->tree == NULL || item->size > V2_PART_MIN;
	} else {
		item->stream = (struct v2_stream){ .write = write_stream, .arg = item };
		get->stream = &item->stream;
	}
	v2_client_get(c, get);
}
