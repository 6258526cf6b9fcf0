#include "v1/client_common.h"

#include <stdlib.h>
#include <string.h>

#include "net/conn.h"
#include "store/store.h"

static void
half_reap(struct grave *g)
{
	free(g); /* its first member */
}

static void
half_on_close(void *arg, enum ftx_rc why)
{
	struct v1_client_half *h = arg;

	machine_stop(&h->machine);
	pump_stop(&h->pump);
	/* A commit that has not published yet shall not: the user hears that nothing is written. */
	if (why != FTX_OK && h->transfer != NULL)
		store_cancel(h->transfer);
	store_close(h->transfer);
	h->transfer = NULL;
	h->client->on_done(h->client->arg, why, h->side);
	h->grave.reap = half_reap;
	worker_bury(conn_worker(h->conn), &h->grave);
}

enum ftx_rc
v1_client_half_attach(struct conn *c, struct v1_client *client, const char *op,
    const struct machine_def *def, uint8_t first, uint8_t start)
{
	struct v1_client_half *h = calloc(1, sizeof(*h));
	enum ftx_rc rc;

	if (h == NULL)
		return FTX_NOMEM;
	h->conn = c;
	h->client = client;
	rc = machine_start(&h->machine, def, c, h, first);
	if (rc != FTX_OK) {
		free(h);
		return rc;
	}
	conn_describe(c, op, client->remote_name);
	conn_set_conversation(c, half_on_close, h);
	machine_event(&h->machine, start);
	return FTX_OK;
}

void
v1_client_half_fail(void *half, enum ftx_rc why)
{
	struct v1_client_half *h = half;

	if (h->side == V1_SIDE_NONE)
		h->side = V1_SIDE_REMOTE;
	conn_close(h->conn, why);
}

void
v1_client_half_fail_locally(struct v1_client_half *h, enum ftx_rc why)
{
	h->side = V1_SIDE_LOCAL;
	conn_reset(h->conn, why);
}

void
v1_client_half_pump_failed(void *half, enum ftx_rc why)
{
	struct v1_client_half *h = half;

	if (h->pump.failed_here)
		v1_client_half_fail_locally(h, why);
	else
		v1_client_half_fail(h, why);
}

enum ftx_rc
v1_client_refused(void *half)
{
	struct v1_client_half *h = half;

	h->side = V1_SIDE_REMOTE;
	conn_close(h->conn, h->refusal);
	return FTX_OK;
}

enum ftx_rc
v1_client_half_send_request(struct v1_client_half *h, enum v1_letter type)
{
	const char *name = h->client->remote_name;
	uint8_t buf[V1_REQUEST_SIZE];
	enum ftx_rc rc = v1_request_encode(type, name, strlen(name), buf);

	return rc == FTX_OK ? conn_write(h->conn, buf, sizeof(buf)) : rc;
}
