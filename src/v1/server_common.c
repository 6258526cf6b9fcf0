#include "v1/server_common.h"

#include "net/conn.h"
#include "store/path.h"
#include "store/store.h"

enum ftx_rc
v1_take_request(struct conn *c, const char *op, char *name)
{
	uint8_t buf[V1_REQUEST_SIZE];
	struct v1_request req;
	enum ftx_rc rc;

	if (!conn_take(c, buf, sizeof(buf)))
		return FTX_INTERNAL;
	rc = v1_request_decode(buf, &req);
	conn_describe(c, op, req.name);
	if (rc != FTX_OK)
		return rc;
	return path_normalize(req.name, req.name_len, name, V1_NAME_MAX + 1);
}

enum ftx_rc
v1_begin_transfer(const struct v1_server *server, const char *name, enum registry_use use,
    transfer_done_cb *on_done, void *owner, struct transfer **out)
{
	struct registry_claim *claim;
	enum ftx_rc rc = registry_claim(server->registry, name, use, &claim);

	if (rc != FTX_OK)
		return rc;
	rc = use == REGISTRY_UPLOAD ? store_put(server->store, name, on_done, owner, out)
				    : store_get(server->store, name, on_done, owner, out);
	if (rc != FTX_OK) {
		registry_release(claim);
		return rc;
	}
	transfer_set_claim(*out, claim, registry_release);
	return FTX_OK;
}
