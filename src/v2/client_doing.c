/* What is being done for a request: for people, who wait. */
#include "v2/client_private.h"

/* Either side reads what it has, and the server says how far it is (WORKING). */
static void
look_at_put(const struct v2_put_request *put, struct v2_doing *d)
{
	if (put->digesting)
		d->done = put->offset;
	d->of = put->digesting && put->digest_to < put->size ? put->digest_to : put->have;
	if (d->of == 0 && put->size != UINT64_MAX)
		d->of = put->size;
}

static void
look_at_get(const struct v2_get_request *get, struct v2_doing *d)
{
	if (get->looking && get->transfer != NULL) {
		d->what = V2_DOING_DIGEST;
		d->done = atomic_load(&get->transfer->prefix_done);
		d->of = get->transfer->have;
	} else
		d->of = get->resume;
}

struct v2_doing
v2_request_doing(const struct v2_request *r)
{
	struct v2_doing d = { .done = r->worked };

	if (r->client == NULL)
		return d;
	d.what = r->ops->states[r->state].what;
	/* It has been said of what is being read; or there is nothing else to be done. */
	if (d.what == V2_DOING_WAIT && (r->worked > 0 || (r->type == V2_DIGEST && r->sent)))
		d.what = V2_DOING_DIGEST;
	if (r->ops == &v2_put_ops)
		look_at_put((const struct v2_put_request *)r, &d);
	else if (r->ops == &v2_get_ops)
		look_at_get((const struct v2_get_request *)r, &d);
	if (d.what != V2_DOING_DIGEST)
		d.done = d.of = 0;
	return d;
}
