/*
 * server.h - protocol 1, the server's halves.
 * Layer: v1. Threads: the connection's worker.
 * Tests: tests/pair/
 */
#ifndef V1_SERVER_H
#define V1_SERVER_H

#include <stdint.h>

#include "base/rc.h"
#include "net/pump.h"
#include "store/path.h"

struct conn;
struct registry;
struct store;

/* What both halves work with; one per worker, outlives its connections. */
struct v1_server {
	struct store *store;       /* borrowed */
	struct registry *registry; /* borrowed; shared by all workers */
	uint64_t max_file_size;    /* bytes; 0: no limit */
	enum pump_way send_way, receive_way;
	struct path_rules names; /* of the alphabet uploads only: what stands there is served */
};

/*
 * Takes over a connection whose first byte (not taken from the input yet) is 'U', or 'D'. The
 * conversation ends the connection by itself, and ends with it. FTX_NOMEM: nothing was attached.
 */
enum ftx_rc v1_server_upload_attach(struct conn *c, const struct v1_server *server) FTX_MUST_CHECK;
enum ftx_rc v1_server_download_attach(
    struct conn *c, const struct v1_server *server) FTX_MUST_CHECK;

#endif
