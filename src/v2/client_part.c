/* What has come of a file and outlives the process that asked for it. */
#include "store/store.h"
#include "v2/client_private.h"

static void
end_look(struct v2_get_request *get)
{
	get->looking = false;
	get->looked = true;
	v2_client_soon(get->r.client);
}

/* An earlier process may have left some of it, and its digest tells what that is. */
void
v2_part_on_looked(struct v2_get_request *get, enum transfer_op op, enum ftx_rc rc)
{
	struct transfer *t = get->transfer;

	if (rc == FTX_OK && op == TRANSFER_OPEN)
		rc = store_prefix(t, v2_get_kind(get), t->have);
	else if (rc == FTX_OK) { /* PREFIX */
		get->running = t->prefix;
		t->prefix = (struct digest){ .kind = DIGEST_NONE };
		get->moved = get->resume = t->have;
		get->resumes = t->have > 0;
		end_look(get);
	}
	if (rc == FTX_OK)
		return;
	store_close(t); /* then it comes from the beginning */
	get->transfer = NULL;
	end_look(get);
}

void
v2_part_look(struct v2_get_request *get)
{
	struct put_spec spec = get->spec;

	spec.keep = PUT_KEEP_FOUND;
	get->looking = true;
	if (store_put(get->store, &spec, v2_target_on_store, get, &get->transfer) != FTX_OK)
		end_look(get);
}

bool
v2_part_is_of_use(const struct v2_outcome *o)
{
	return o->rc == FTX_CANCELLED ||
	       (o->retryable && o->rc != FTX_CHANGED && o->rc != FTX_DIGEST_MISMATCH);
}
