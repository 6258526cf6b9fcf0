#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/session.h"
#include "store/store.h"

/* What goes over the wire for one item, and what its answer means. */

#define PIPE_SAFE 4096 /* bytes that a descriptor which poll(2) calls writable takes (PIPE_BUF) */

/* The link has one less. */
static void
leave(struct item *item)
{
	item->on->running--;
	item->on = NULL;
	session_kick(item->s);
}

/* Goes on with the next step, before others that wait. */
static void
go_on(struct item *item)
{
	item->phase = ITEM_READY;
	TAILQ_INSERT_HEAD(&item->s->ready, item, link);
	session_kick(item->s);
}

static void
describe_entry(struct ftxfer_event *e, const struct v2_entry *entry, char hex[DIGEST_HEX_SIZE])
{
	static const enum ftxfer_kind kinds[] = {
		[V2_REGULAR] = FTXFER_FILE,
		[V2_DIRECTORY] = FTXFER_DIRECTORY,
		[V2_SYMLINK] = FTXFER_LINK,
		[V2_OTHER] = FTXFER_OTHER,
	};

	e->type = FTXFER_EVENT_ENTRY;
	e->kind = kinds[entry->kind];
	e->bytes = V2_HAS(entry, SIZE) ? entry->size : 0;
	e->has_time = true;
	e->mtime = entry->mtime.sec;
	e->mtime_ns = entry->mtime.nsec;
	e->mode = entry->mode;
	if (V2_HAS(entry, DIGEST)) {
		e->digest = digest_hex(&entry->digest, hex);
		e->digest_kind = digest_name(entry->digest.kind);
	}
}

static void
end_ok(struct item *item)
{
	struct ftxfer_event e = { .type = FTXFER_EVENT_DONE };

	item_done(item, &e);
}

static void
retry_or_fail(struct item *item, const struct v2_outcome *o)
{
	if (o->sent && !o->answered)
		item->unsure = true;
	if (item->unsure && (item->op == FTXFER_OP_REMOVE || item->op == FTXFER_OP_RENAME))
		item->look = LOOK_CHANGED;
	if (o->retryable && !o->breach) {
		if (item->lists) {
			item->cursor_len = 0;
			tree_list_again(item->tree);
		}
		item_retry(item, o);
	} else
		item_fail_outcome(item, o);
}

/* --- Looking first --- */

static void
looked_kind(struct item *item, const struct v2_entry *entry)
{
	char hex[DIGEST_HEX_SIZE];
	struct ftxfer_event e = { 0 };

	item->look = LOOK_NONE;
	if (entry->kind == V2_DIRECTORY) {
		item->s->queued--;
		tree_begin(item);
	} else if (item->op == FTXFER_OP_LIST) {
		describe_entry(&e, entry, hex);
		session_event(item, &e);
		end_ok(item);
	} else
		go_on(item);
}

static void
on_looked(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct item *item = arg;
	enum item_look look = item->look;
	bool there = o->rc == FTX_OK;

	(void)r;
	leave(item);
	if (!there && o->rc != FTX_NOT_FOUND) {
		retry_or_fail(item, o);
		return;
	}
	if (look == LOOK_KIND) {
		if (there)
			looked_kind(item, &item->req.ask.got.stat);
		else
			item_fail_outcome(item, o);
		return;
	}
	item->look = LOOK_NONE;
	if (look == LOOK_CHANGED && !there) {
		end_ok(item); /* by the try whose answer was lost */
		return;
	}
	if (look == LOOK_INTO && there && item->req.ask.got.stat.kind == V2_DIRECTORY &&
	    !name_add(&item->remote, name_base(item->local))) {
		item_fail(item, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
		return;
	}
	item->unsure = false;
	go_on(item);
}

/* --- Without content --- */

static void
on_asked(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct item *item = arg;
	struct v2_ask *ask = (struct v2_ask *)r;
	char hex[DIGEST_HEX_SIZE];
	struct ftxfer_event e = { .bytes = 0 };

	leave(item);
	if (o->rc != FTX_OK) {
		retry_or_fail(item, o);
		return;
	}
	if (item->op == FTXFER_OP_STAT) {
		describe_entry(&e, &ask->got.stat, hex);
		session_event(item, &e);
	} else if (item->op == FTXFER_OP_SUM) {
		e.type = FTXFER_EVENT_ENTRY;
		e.kind = FTXFER_FILE;
		e.bytes = ask->got.sum.size;
		e.digest = digest_hex(&ask->got.sum.digest, hex);
		e.digest_kind = digest_name(ask->got.sum.digest.kind);
		session_event(item, &e);
	}
	memset(&e, 0, sizeof(e));
	e.type = FTXFER_EVENT_DONE;
	e.existed = item->op == FTXFER_OP_MKDIR && (ask->ok_flags & V2_OK_EXISTED) != 0;
	e.unsynced = (ask->ok_flags & V2_OK_UNSYNCED) != 0;
	item_done(item, &e);
}

static void
on_listed(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct item *item = arg;
	struct v2_ask *ask = (struct v2_ask *)r;
	struct tree *tree = item->tree;
	bool more;

	leave(item);
	if (o->rc != FTX_OK) {
		retry_or_fail(item, o);
		return;
	}
	if (!tree_take_page(tree, ask)) {
		item_fail(item, FTXFER_INTERNAL, "a directory has more entries than memory is for");
		return;
	}
	more = V2_HAS(&ask->got.list, CURSOR) && ask->got.list.cursor.len <= sizeof(item->cursor);
	if (!more) {
		item_drop(item);
		tree_listed(tree, FTXFER_OK, NULL);
		return;
	}
	item->cursor_len = ask->got.list.cursor.len;
	memcpy(item->cursor, ask->got.list.cursor.p, item->cursor_len);
	go_on(item);
}

/* --- Comparing --- */

static void
compared(struct item *item, bool same)
{
	item->compare = false;
	if (item->op == FTXFER_OP_VERIFY) {
		if (same)
			end_ok(item);
		else
			item_fail(item, FTXFER_BAD_DATA, "the content differs");
	} else if (same)
		item_skip(item, FTXFER_OK, "the same");
	else if ((item->flags & FTXFER_DRY_RUN) != 0) {
		struct ftxfer_event e = { .type = FTXFER_EVENT_DONE, .dry = true };

		e.bytes = item->size;
		item_done(item, &e);
	} else
		go_on(item);
}

static void
on_summed_here(void *owner, struct store_request *r, enum ftx_rc rc)
{
	struct item *item = owner;
	struct digest_value v = r->digest;

	store_request_close(r);
	item->request = NULL;
	if (rc == FTX_OK)
		compared(item, digest_equal(&v, &item->digest));
	else
		item_fail(item, rc == FTX_CANCELLED ? FTXFER_CANCELLED : FTXFER_NO_INPUT,
		    ftx_rc_text(rc));
}

static void
on_summed_there(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct item *item = arg;
	const struct request_spec spec = {
		.name = item->leaf,
		.kind = item->s->kind,
		.length = UINT64_MAX,
	};

	leave(item);
	if (o->rc != FTX_OK) {
		retry_or_fail(item, o);
		return;
	}
	item->digest = ((struct v2_ask *)r)->got.sum.digest;
	if (store_sum(item->place->store, &spec, on_summed_here, item, &item->request) != FTX_OK)
		item_fail(item, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
}

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
		item->stream_event = event_new(
		    worker_base(item->s->worker), item->fd, what, on_stream_event, item);
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
		if (put < 0 && errno != EINTR && errno != EAGAIN)
			return ftx_rc_from_errno(errno);
		if (put > 0)
			*n += (size_t)put;
	}
	return FTX_OK;
}

/* --- Uploads --- */

static void
put_ended_well(struct item *item, const struct v2_put_request *put)
{
	struct ftxfer_totals *t = &item->s->totals;
	char hex[DIGEST_HEX_SIZE];
	struct ftxfer_event e = {
		.type = FTXFER_EVENT_DONE,
		.bytes = put->receipt.size,
		.resumed = put->resumed,
		.digest = digest_hex(&put->receipt.digest, hex),
		.digest_kind = digest_name(put->receipt.digest.kind),
		.unsynced = (put->receipt.flags & V2_OK_UNSYNCED) != 0,
		.superseded = (put->receipt.flags & V2_OK_SUPERSEDED) != 0,
		.existed = (put->receipt.flags & V2_OK_SAME) != 0,
	};

	t->bytes_done += put->receipt.size;
	t->bytes_moved += put->moved - put->resumed;
	t->bytes_known += put->receipt.size - item->counted;
	item_done(item, &e);
}

static void
on_put(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct item *item = arg;
	struct v2_put_request *put = (struct v2_put_request *)r;
	struct v2_outcome again = *o;
	bool ok = o->rc == FTX_OK;
	bool stale = ok && (put->receipt.flags & V2_OK_SUPERSEDED) != 0 && !item->unsure &&
		     !item->asked_anew;
	bool spoilt = !ok && !o->breach &&
		      (o->rc == FTX_CHANGED || o->rc == FTX_DIGEST_MISMATCH ||
			  o->rc == FTX_SIZE_MISMATCH || o->rc == FTX_TAKEN_OVER);

	item->moved = put->moved;
	leave(item);
	if (ok && !stale)
		put_ended_well(item, put);
	v2_put_clear(put);
	if (ok && !stale)
		return;
	/*
	 * An upload of long ago is known by the same id, and what it published is gone: this one is
	 * asked for anew. So is, once, what was damaged on the way or changed while it was read.
	 */
	if (stale || (spoilt && !item->asked_anew)) {
		item->asked_anew = true;
		item_make_id(item, true);
		again.retryable = true;
		if (ok) {
			go_on(item);
			return;
		}
	}
	retry_or_fail(item, &again);
}

static void
run_put(struct item *item, struct v2_client *c)
{
	struct v2_put_request *put = &item->req.put;
	bool attrs = (item->flags & FTXFER_NO_ATTRS) == 0 && item->local != NULL;

	if (!item->has_id)
		item_make_id(item, false);
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
on_found(void *arg, struct v2_get_request *get)
{
	struct item *item = arg;

	item->s->totals.bytes_known += get->file.size - item->counted;
	item->counted = get->file.size;
}

static void
on_got(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct item *item = arg;
	struct v2_get_request *get = (struct v2_get_request *)r;
	struct v2_outcome again = *o;
	char hex[DIGEST_HEX_SIZE];
	struct ftxfer_event e = { .type = FTXFER_EVENT_DONE };

	item->moved = get->moved;
	leave(item);
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
	if (o->rc == FTX_DIGEST_MISMATCH && !item->asked_anew) {
		item->asked_anew = true;
		again.retryable = true;
		again.breach = false;
	}
	if (!again.retryable || again.rc == FTX_DIGEST_MISMATCH) {
		v2_get_clear(get);
		memset(get, 0, sizeof(*get));
	}
	if (o->whose == V2_WHOSE_LOCAL && !again.retryable) {
		item_fail(item,
		    o->rc == FTX_NO_SPACE || o->rc == FTX_IO ? FTXFER_LOCAL_ERROR
							      : FTXFER_CANNOT_CREATE,
		    ftx_rc_text(o->rc));
		return;
	}
	retry_or_fail(item, &again);
}

static void
run_get(struct item *item, struct v2_client *c)
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
		get->keep_mode = get->keep_mtime = attrs;
	} else {
		item->stream = (struct v2_stream){ .write = write_stream, .arg = item };
		get->stream = &item->stream;
	}
	v2_client_get(c, get);
}

/* --- All of them --- */

static void
run_ask(struct item *item, struct v2_client *c)
{
	static const struct v2_slice none = { NULL, 0 };
	struct v2_ask *ask = &item->req.ask;
	enum digest_kind kind = item->s->kind;

	memset(ask, 0, sizeof(*ask));
	ask->r.on_done = item->lists ? on_listed : on_asked;
	ask->r.arg = item;
	if (item->look != LOOK_NONE) {
		ask->r.on_done = on_looked;
		v2_client_stat(c, ask, item->remote, DIGEST_NONE, 0);
		return;
	}
	if (item->compare) {
		ask->r.on_done = on_summed_there;
		v2_client_sum(c, ask, item->remote, kind, 0, UINT64_MAX,
		    item->op == FTXFER_OP_VERIFY ? V2_DIGEST_FRESH : 0);
		return;
	}
	switch (item->op) {
	case FTXFER_OP_LIST:
		v2_client_list(c, ask, item->remote,
		    (struct v2_slice){ item->cursor, item->cursor_len }, DIGEST_NONE, 0);
		break;
	case FTXFER_OP_MKDIR:
		v2_client_mkdir(c, ask, item->remote, item->mode != 0 ? (int)item->mode : -1,
		    (item->flags & FTXFER_PARENTS) != 0 ? V2_MKDIR_PARENTS : 0);
		break;
	case FTXFER_OP_REMOVE:
		v2_client_remove(c, ask, item->remote, none,
		    item->local_is_dir ? V2_REMOVE_DIRECTORY : 0);
		break;
	case FTXFER_OP_RENAME:
		v2_client_rename(c, ask, item->remote, item->to, none,
		    (item->flags & FTXFER_REPLACE) != 0 ? V2_RENAME_REPLACE : 0);
		break;
	case FTXFER_OP_SUM:
		v2_client_sum(c, ask, item->remote, kind, 0, UINT64_MAX, 0);
		break;
	default:
		v2_client_stat(c, ask, item->remote, DIGEST_NONE, 0);
		break;
	}
}

void
item_run(struct item *item, struct link *l)
{
	struct ftxfer_event e = { .type = FTXFER_EVENT_STARTED };

	item->phase = ITEM_RUNNING;
	item->on = l;
	l->running++;
	if (!item->started && !item->lists) {
		item->started = true;
		session_event(item, &e);
	}
	if (item->look == LOOK_NONE && !item->compare && item->op == FTXFER_OP_PUT) {
		memset(&item->req, 0, sizeof(item->req));
		run_put(item, l->client);
	} else if (item->look == LOOK_NONE && !item->compare && item->op == FTXFER_OP_GET) {
		if (!item->fetching)
			memset(&item->req, 0, sizeof(item->req));
		item->fetching = true;
		run_get(item, l->client);
	} else
		run_ask(item, l->client);
}

uint64_t
item_moved(const struct item *item, uint64_t *resumed)
{
	*resumed = 0;
	if (item->on == NULL || item->look != LOOK_NONE || item->compare)
		return 0;
	if (item->op == FTXFER_OP_PUT) {
		*resumed = item->req.put.resumed;
		return item->req.put.moved;
	}
	if (item->op == FTXFER_OP_GET) {
		*resumed = item->req.get.resumed;
		return item->req.get.moved;
	}
	return 0;
}

void
item_cancel(struct item *item)
{
	if (item->request != NULL)
		store_request_cancel(item->request);
}
