#include "v1/server_common.h"

#include <stdlib.h>

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
	struct v1_server_half *h = arg;

	(void)why;
	machine_stop(&h->machine);
	pump_stop(&h->pump);
	v1_server_half_let_go(h);
	h->grave.reap = half_reap;
	worker_bury(conn_worker(h->conn), &h->grave);
}

enum ftx_rc
v1_server_half_attach(
    struct conn *c, const struct v1_server *server, const struct machine_def *def, uint8_t first)
{
	struct v1_server_half *h = calloc(1, sizeof(*h));
	enum ftx_rc rc;

	if (h == NULL)
		return FTX_NOMEM;
	h->conn = c;
	h->server = server;
	rc = machine_start(&h->machine, def, c, h, first);
	if (rc != FTX_OK) {
		free(h);
		return rc;
	}
	conn_set_conversation(c, half_on_close, h);
	machine_resume(&h->machine);
	return FTX_OK;
}

void
v1_server_half_let_go(struct v1_server_half *h)
{
	if (h->transfer != NULL) {
		conn_hold(h->conn);
		transfer_set_share(h->transfer, h->conn, conn_release);
	}
	store_close(h->transfer);
	h->transfer = NULL;
}

enum ftx_rc
v1_take_request(struct v1_server_half *h, const char *op, enum path_alphabet alphabet, char *name)
{
	struct path_rules rules = h->server->names;
	uint8_t buf[V1_REQUEST_SIZE];
	struct v1_request req;
	enum ftx_rc rc;

	if (!conn_take(h->conn, buf, sizeof(buf)))
		return FTX_INTERNAL;
	rc = v1_request_decode(buf, &req);
	conn_describe(h->conn, op, req.name);
	if (rc != FTX_OK)
		return rc;
	rules.alphabet = alphabet;
	return path_normalize(&rules, req.name, req.name_len, name, V1_NAME_MAX + 1);
}
