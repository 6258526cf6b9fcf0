#include "v1/server_common.h"

#include "net/conn.h"
#include "store/path.h"

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
