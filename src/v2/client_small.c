/* A small download: kept in memory until it is whole, and one operation of the store then. */
#include <stdlib.h>

#include "store/store.h"
#include "v2/client_private.h"

void
v2_small_choose(struct v2_get_request *get)
{
	const struct v2_client *c = get->r.client;

	get->is_small = get->stream == NULL && get->transfer == NULL && get->size <= SMALL_MAX &&
			c->small_bytes + get->size <= SMALL_BYTES_MAX;
}

enum ftx_rc
v2_small_open(struct v2_get_request *get)
{
	if (get->size > 0) {
		get->small = malloc((size_t)get->size);
		if (get->small == NULL)
			return FTX_NOMEM;
	}
	get->r.client->small_bytes += get->size;
	get->opened = true;
	return FTX_OK;
}

static size_t
at_hand(const struct v2_get_request *get, size_t len)
{
	size_t n = conn_input_length(get->r.client->conn);

	return n < len ? n : len;
}

size_t
v2_small_receive(struct v2_get_request *get, size_t len)
{
	size_t n = at_hand(get, len);

	(void)conn_take(get->r.client->conn, get->small + get->moved, n);
	get->moved += n;
	get->left -= n;
	return n;
}

size_t
v2_small_skip(struct v2_get_request *get, size_t len)
{
	size_t n = at_hand(get, len);

	conn_skip(get->r.client->conn, n);
	get->left -= n;
	return n;
}

enum ftx_rc
v2_small_publish(struct v2_get_request *get, const struct put_spec *spec)
{
	struct put_content content = {
		.p = get->small,
		.len = (size_t)get->size,
		.digest = get->digest,
	};
	enum ftx_rc rc =
	    store_put_whole(get->store, spec, &content, v2_target_on_store, get, &get->transfer);

	if (rc == FTX_OK)
		get->small = NULL; /* the transfer's */
	return rc;
}

void
v2_small_drop(struct v2_get_request *get)
{
	if (!get->is_small)
		return;
	if (get->opened)
		get->r.client->small_bytes -= get->size;
	free(get->small);
	get->small = NULL;
	get->is_small = false;
}
