/* Stubs: nothing can be called before v2_client_new() has succeeded. */
#include "v2/client.h"

enum ftx_rc
v2_client_new(struct v2_client **out, struct conn *c, const char *agent,
    const struct v2_client_callbacks *callbacks, void *arg)
{
	(void)out;
	(void)c;
	(void)agent;
	(void)callbacks;
	(void)arg;
	return FTX_UNSUPPORTED;
}

const struct v2_server_info *
v2_client_server(const struct v2_client *c)
{
	(void)c;
	return NULL;
}

bool
v2_client_ready(const struct v2_client *c)
{
	(void)c;
	return false;
}

void
v2_client_finish(struct v2_client *c)
{
	(void)c;
}

void
v2_client_abort(struct v2_client *c, enum ftx_rc why)
{
	(void)c;
	(void)why;
}

void
v2_client_cancel(struct v2_request *r)
{
	(void)r;
}

void
v2_client_stat(
    struct v2_client *c, struct v2_ask *ask, const char *name, enum digest_kind kind, uint8_t flags)
{
	(void)c;
	(void)ask;
	(void)name;
	(void)kind;
	(void)flags;
}

void
v2_client_list(struct v2_client *c, struct v2_ask *ask, const char *name, struct v2_slice cursor,
    enum digest_kind kind, uint8_t flags)
{
	(void)c;
	(void)ask;
	(void)name;
	(void)cursor;
	(void)kind;
	(void)flags;
}

bool
v2_ask_next_entry(struct v2_ask *ask, struct v2_entry *e)
{
	(void)ask;
	(void)e;
	return false;
}

void
v2_client_mkdir(struct v2_client *c, struct v2_ask *ask, const char *name, int mode, uint8_t flags)
{
	(void)c;
	(void)ask;
	(void)name;
	(void)mode;
	(void)flags;
}

void
v2_client_rename(struct v2_client *c, struct v2_ask *ask, const char *name, const char *to,
    struct v2_slice if_version, uint8_t flags)
{
	(void)c;
	(void)ask;
	(void)name;
	(void)to;
	(void)if_version;
	(void)flags;
}

void
v2_client_remove(struct v2_client *c, struct v2_ask *ask, const char *name,
    struct v2_slice if_version, uint8_t flags)
{
	(void)c;
	(void)ask;
	(void)name;
	(void)if_version;
	(void)flags;
}

void
v2_client_sum(struct v2_client *c, struct v2_ask *ask, const char *name, enum digest_kind kind,
    uint64_t offset, uint64_t length, uint8_t flags)
{
	(void)c;
	(void)ask;
	(void)name;
	(void)kind;
	(void)offset;
	(void)length;
	(void)flags;
}

void
v2_client_ping(struct v2_client *c, struct v2_ask *ask)
{
	(void)c;
	(void)ask;
}

void
v2_client_put(struct v2_client *c, struct v2_put_request *put)
{
	(void)c;
	(void)put;
}

void
v2_put_clear(struct v2_put_request *put)
{
	(void)put;
}

void
v2_client_get(struct v2_client *c, struct v2_get_request *get)
{
	(void)c;
	(void)get;
}

void
v2_get_clear(struct v2_get_request *get)
{
	(void)get;
}

void
v2_request_continue(struct v2_request *r)
{
	(void)r;
}
