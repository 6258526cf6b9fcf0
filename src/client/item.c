#include <string.h>

#include "client/session.h"
#include "store/store.h"

/* What goes over the wire for one item, and what its answer means. */

/* The link has one less. */
void
item_leave(struct item *item)
{
	item->on->running--;
	item->on = NULL;
	session_kick(item->s);
}

/* Goes on with the next step, before others that wait. */
void
item_go_on(struct item *item)
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

void
item_retry_or_fail(struct item *item, const struct v2_outcome *o)
{
	if (o->sent && !o->answered)
		item->unsure = true;
	if (item->unsure && (item->op == FTXFER_OP_REMOVE || item->op == FTXFER_OP_RENAME))
		item->look = LOOK_CHANGED;
	if (o->retryable && !o->breach) {
		if (item->lists != NULL) {
			item->cursor_len = 0;
			tree_list_again(item->lists);
		}
		item_retry(item, o);
	} else if (!item_ask_why(item, o))
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
		item_go_on(item);
}

static void
on_looked(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct item *item = arg;
	enum item_look look = item->look;
	bool there = o->rc == FTX_OK;

	(void)r;
	item_leave(item);
	if (!there && o->rc != FTX_NOT_FOUND) {
		item_retry_or_fail(item, o);
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
	    item->local == NULL) {
		item_fail(item, FTXFER_CANNOT_CREATE,
		    "it is a directory on the server, and what is sent has no name to go into it "
		    "by");
		return;
	}
	if (look == LOOK_INTO && there && item->req.ask.got.stat.kind == V2_DIRECTORY &&
	    !name_add(&item->remote, name_base(item->local))) {
		item_fail(item, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
		return;
	}
	if (look == LOOK_INTO && !item_take_target(item))
		return;
	item->unsure = false;
	item_go_on(item);
}

/* --- Without content --- */

static void
on_asked(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct item *item = arg;
	struct v2_ask *ask = (struct v2_ask *)r;
	char hex[DIGEST_HEX_SIZE];
	struct ftxfer_event e = { .bytes = 0 };

	item_leave(item);
	if (o->rc != FTX_OK) {
		item_retry_or_fail(item, o);
		return;
	}
	if (item->behind != NULL) { /* what is in it is listed when there is a place for it */
		struct way *way = item->behind;

		item_drop(item);
		tree_way_source(way, FTXFER_OK, NULL);
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
	struct visit *visit = item->lists;
	struct link *on = item->on;
	bool more;

	item_leave(item);
	if (o->rc == FTX_CURSOR_EXPIRED && !item->asked_anew) {
		/* By listings beside it, which have ended by now. */
		item->asked_anew = true;
		item->cursor_len = 0;
		tree_list_again(visit);
		item_go_on(item);
		return;
	}
	if (o->rc == FTX_NOT_FOUND && tree_may_lack(visit)) {
		item_drop(item);
		tree_listed(visit, FTXFER_OK, NULL);
		return;
	}
	if (o->rc != FTX_OK) {
		item_retry_or_fail(item, o);
		return;
	}
	/* To come further than ever before is to move: see item_retry(). */
	item->moved = item->cursor_len > 0 ? item->moved + 1 : 1;
	if (!tree_take_page(visit, ask)) {
		item_fail(item, FTXFER_INTERNAL, "a directory has more entries than memory is for");
		return;
	}
	more = V2_HAS(&ask->got.list, CURSOR) && ask->got.list.cursor.len <= sizeof(item->cursor);
	if (!more) {
		item_drop(item);
		tree_listed(visit, FTXFER_OK, NULL);
		return;
	}
	if (!tree_wants_more(visit)) {
		item_drop(item);
		return;
	}
	item->cursor_len = ask->got.list.cursor.len;
	memcpy(item->cursor, ask->got.list.cursor.p, item->cursor_len);
	item->cursor_on = on;
	item_go_on(item);
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
		item_go_on(item);
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
		item_fail_here(item, rc == FTX_CANCELLED ? FTXFER_CANCELLED : FTXFER_NO_INPUT, rc);
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

	item_leave(item);
	if (o->rc != FTX_OK) {
		item_retry_or_fail(item, o);
		return;
	}
	item->digest = ((struct v2_ask *)r)->got.sum.digest;
	if (store_sum(item->place->store, &spec, on_summed_here, item, &item->request) != FTX_OK)
		item_fail(item, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
}

/* --- All of them --- */

static void
run_ask(struct item *item, struct v2_client *c)
{
	static const struct v2_slice none = { NULL, 0 };
	struct v2_ask *ask = &item->req.ask;
	enum digest_kind kind = item->s->kind;

	if (item->cursor_len == 0) /* else the same one asks for the next page */
		memset(ask, 0, sizeof(*ask));
	ask->r.on_done = item->lists != NULL ? on_listed : on_asked;
	ask->r.arg = item;
	if (item->look == LOOK_WHY) {
		item_run_why(item, c);
		return;
	}
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
		v2_client_remove(
		    c, ask, item->remote, none, item->local_is_dir ? V2_REMOVE_DIRECTORY : 0);
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
	bool moves;

	item->phase = ITEM_RUNNING;
	item->on = l;
	l->running++;
	if (!item->started && item->lists == NULL && !item_only_asks(item)) {
		item->started = true;
		session_event(item, &e);
	}
	moves = item->look == LOOK_NONE && !item->compare &&
		(item->op == FTXFER_OP_PUT || item->op == FTXFER_OP_GET);
	if (!moves) {
		run_ask(item, l->client);
		return;
	}
	if (!item->moving)
		memset(&item->req, 0, sizeof(item->req));
	item->moving = true;
	if (item->op == FTXFER_OP_PUT)
		item_run_put(item, l->client);
	else
		item_run_get(item, l->client);
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
