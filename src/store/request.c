#include "store/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/store.h"

const char *
request_op_name(enum request_op op)
{
	static const char *const names[] = {
		[REQUEST_STAT] = "stat",
		[REQUEST_LIST] = "list",
		[REQUEST_MKDIR] = "mkdir",
		[REQUEST_RENAME] = "rename",
		[REQUEST_REMOVE] = "remove",
		[REQUEST_SUM] = "sum",
		[REQUEST_SETTLE] = "settle",
	};

	return (size_t)op < sizeof(names) / sizeof(names[0]) ? names[op] : "unknown";
}

void
request_add_claim(struct store_request *r, void *claim, void (*release)(void *claim))
{
	assert(r->claim_count < sizeof(r->claims) / sizeof(r->claims[0]));
	r->claims[r->claim_count++] = claim;
	r->release_claim = release;
}

void
request_set_share(struct store_request *r, void *share, void (*release)(void *share))
{
	assert(r->release_share == NULL);
	r->share = share;
	r->release_share = release;
}

static void
free_strings(struct store_request *r)
{
	free((void *)(uintptr_t)r->spec.name);
	free((void *)(uintptr_t)r->spec.to);
	free((void *)(uintptr_t)r->spec.after);
	r->spec.name = r->spec.to = r->spec.after = NULL;
}

/* Replaces a string of somebody else's by our own copy. False: no memory; it is NULL then. */
static bool
own(const char **s)
{
	if (*s == NULL)
		return true;
	*s = strdup(*s);
	return *s != NULL;
}

enum ftx_rc
request_init(struct store_request *r, struct store *store, enum request_op op,
    const struct request_spec *spec, request_done_cb *on_done, void *owner)
{
	bool ok;

	r->spec = *spec;
	ok = own(&r->spec.name);
	ok = own(&r->spec.to) && ok;
	ok = own(&r->spec.after) && ok;
	if (!ok) {
		free_strings(r);
		return FTX_NOMEM;
	}
	r->store = store;
	r->op = op;
	r->on_done = on_done;
	r->owner = owner;
	atomic_init(&r->cancelled, false);
	atomic_init(&r->done, 0);
	store->requests++;
	return FTX_OK;
}

void
request_clear(struct store_request *r)
{
	while (r->claim_count > 0)
		r->release_claim(r->claims[--r->claim_count]);
	if (r->release_share != NULL)
		r->release_share(r->share);
	r->release_share = NULL;
	listing_page_clear(&r->page);
	free_strings(r);
	r->store->requests--;
}

/* A change that nobody waits for any more is known to nobody but the log. */
static void
log_orphan(const struct store_request *r, enum ftx_rc rc)
{
	char quoted[LOG_QUOTE_SIZE];

	log_quote(quoted, sizeof(quoted), r->spec.name, strlen(r->spec.name));
	log_info("%s of %s after its connection had gone: %s", request_op_name(r->op), quoted,
	    ftx_rc_text(rc));
}

void
request_op_done(struct store_request *r, enum ftx_rc rc)
{
	r->busy = false;
	if (r->owner != NULL) {
		r->on_done(r->owner, r, rc);
		return;
	}
	if (r->op == REQUEST_MKDIR || r->op == REQUEST_RENAME || r->op == REQUEST_REMOVE)
		log_orphan(r, rc);
	r->store->ops->request_free(r);
}

void
store_list_next(struct store_request *r)
{
	assert(!r->busy && r->op == REQUEST_LIST && r->page.more);
	r->busy = true;
	listing_page_clear(&r->page);
	r->store->ops->request_start(r);
}

void
store_list_rest(struct store_request *r)
{
	bool more = r->page.more;

	assert(!r->busy && r->op == REQUEST_LIST);
	listing_page_clear(&r->page);
	r->page.more = more;
}

void
store_request_cancel(struct store_request *r)
{
	atomic_store(&r->cancelled, true);
}

void
store_request_close(struct store_request *r)
{
	if (r == NULL)
		return;
	assert(r->owner != NULL);
	r->owner = NULL;
	store_request_cancel(r);
	if (!r->busy)
		r->store->ops->request_free(r);
}

static enum ftx_rc
begin(struct store *s, enum request_op op, const struct request_spec *spec,
    request_done_cb *on_done, void *owner, struct store_request **out)
{
	enum ftx_rc rc = s->ops->request_new(s, op, spec, on_done, owner, out);

	if (rc != FTX_OK)
		return rc;
	(*out)->busy = true;
	s->ops->request_start(*out);
	return FTX_OK;
}

enum ftx_rc
store_stat(struct store *s, const struct request_spec *spec, request_done_cb *on_done, void *owner,
    struct store_request **out)
{
	return begin(s, REQUEST_STAT, spec, on_done, owner, out);
}

enum ftx_rc
store_list(struct store *s, const struct request_spec *spec, request_done_cb *on_done, void *owner,
    struct store_request **out)
{
	return begin(s, REQUEST_LIST, spec, on_done, owner, out);
}

enum ftx_rc
store_mkdir(struct store *s, const struct request_spec *spec, request_done_cb *on_done, void *owner,
    struct store_request **out)
{
	return begin(s, REQUEST_MKDIR, spec, on_done, owner, out);
}

enum ftx_rc
store_rename(struct store *s, const struct request_spec *spec, request_done_cb *on_done,
    void *owner, struct store_request **out)
{
	return begin(s, REQUEST_RENAME, spec, on_done, owner, out);
}

enum ftx_rc
store_remove(struct store *s, const struct request_spec *spec, request_done_cb *on_done,
    void *owner, struct store_request **out)
{
	return begin(s, REQUEST_REMOVE, spec, on_done, owner, out);
}

enum ftx_rc
store_sum(struct store *s, const struct request_spec *spec, request_done_cb *on_done, void *owner,
    struct store_request **out)
{
	return begin(s, REQUEST_SUM, spec, on_done, owner, out);
}

enum ftx_rc
store_settle(struct store *s, const struct request_spec *spec, request_done_cb *on_done,
    void *owner, struct store_request **out)
{
	return begin(s, REQUEST_SETTLE, spec, on_done, owner, out);
}
