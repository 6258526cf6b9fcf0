#include "store/transfer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "loop/chunk.h"
#include "loop/worker.h"
#include "store/store.h"

const char *
transfer_op_name(enum transfer_op op)
{
	static const char *const names[] = {
		[TRANSFER_IDLE] = "idle",
		[TRANSFER_OPEN] = "open",
		[TRANSFER_RESERVE] = "reserve",
		[TRANSFER_WRITE] = "write",
		[TRANSFER_READ] = "read",
		[TRANSFER_PREFIX] = "prefix",
		[TRANSFER_COMMIT] = "commit",
		[TRANSFER_DISCARD] = "discard",
	};

	return (size_t)op < sizeof(names) / sizeof(names[0]) ? names[op] : "unknown";
}

void
transfer_set_claim(struct transfer *t, void *claim, void (*release)(void *claim))
{
	t->claim = claim;
	t->release_claim = release;
}

enum ftx_rc
transfer_init(struct transfer *t, struct store *store, enum transfer_kind kind, const char *name,
    transfer_done_cb *on_done, void *owner)
{
	t->name = strdup(name);
	if (t->name == NULL)
		return FTX_NOMEM;
	t->store = store;
	t->kind = kind;
	t->on_done = on_done;
	t->owner = owner;
	t->op = TRANSFER_IDLE;
	atomic_init(&t->cancelled, false);
	store->transfers++;
	return FTX_OK;
}

void
transfer_set_share(struct transfer *t, void *share, void (*release)(void *share))
{
	assert(t->release_share == NULL);
	t->share = share;
	t->release_share = release;
}

/* Gives the claim back, if it still has it. */
void
transfer_release_claim(struct transfer *t)
{
	if (t->release_claim != NULL)
		t->release_claim(t->claim);
	t->release_claim = NULL;
}

void
transfer_clear(struct transfer *t)
{
	transfer_release_claim(t);
	chunk_put(worker_chunks(t->store->worker), transfer_take_chunk(t));
	if (t->release_share != NULL)
		t->release_share(t->share);
	t->release_share = NULL;
	free(t->name);
	t->name = NULL;
	t->store->transfers--;
}

struct chunk *
transfer_take_chunk(struct transfer *t)
{
	struct chunk *chunk = t->chunk;

	t->chunk = NULL;
	return chunk;
}

/* A commit whose peer has gone is known to nobody but the log. */
static void
log_orphan(const struct transfer *t, enum ftx_rc rc)
{
	char quoted[LOG_QUOTE_SIZE];

	log_quote(quoted, sizeof(quoted), t->name, strlen(t->name));
	if (rc == FTX_OK)
		log_info("published %s after its connection had gone", quoted);
	else
		log_warn("could not publish %s after its connection had gone: %s", quoted,
		    ftx_rc_text(rc));
}

void
transfer_discard(struct transfer *t)
{
	/* The name is free from here on: only we know of what is left to drop. */
	transfer_release_claim(t);
	t->op = TRANSFER_DISCARD;
	t->store->ops->discard(t);
}

void
transfer_op_done(struct transfer *t, enum ftx_rc rc)
{
	enum transfer_op op = t->op;

	t->op = TRANSFER_IDLE;
	if (op == TRANSFER_COMMIT && rc == FTX_OK)
		t->committed = true;
	if (t->owner != NULL) {
		t->on_done(t->owner, t, op, rc);
		return;
	}
	if (op == TRANSFER_COMMIT)
		log_orphan(t, rc);
	transfer_discard(t);
}
