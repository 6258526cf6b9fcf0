/*
 * server.h - protocol 2, the server's half.
 * Layer: v2, its server library. Threads: the connection's worker.
 * Tests: tests/pair/server_v2*.pair, tests/system/test_v2.py
 */
#ifndef V2_SERVER_H
#define V2_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"
#include "net/pump.h"
#include "store/path.h"

struct conn;
struct limits;
struct registry;
struct store;
struct v2s_conn;

/*
 * MAX_REQUESTS. A client may send as many as the least before it knows. Each may cost two names,
 * and one is told apart from all others of its connection: that is the reason for the most.
 */
#define V2_SERVER_REQUESTS_MIN     16
#define V2_SERVER_REQUESTS_MAX     4096
#define V2_SERVER_REQUESTS_DEFAULT 256

/* What all connections work with; one per worker, outlives them. */
struct v2_server {
	struct store *store;       /* borrowed */
	struct registry *registry; /* borrowed; shared by all workers */
	struct limits *limits;     /* likewise; NULL: there are as many descriptors as are needed */
	uint64_t max_file_size;    /* bytes; 0: no limit */
	uint16_t max_requests;     /* that are live, of a connection */
	enum pump_way send_way, receive_way;
	struct path_rules names; /* the alphabet: of names under which something is made */
	bool allow_replace, allow_rename, allow_remove;
	const char *agent; /* static */
};

/*
 * Takes over a connection whose first byte (not taken from the input yet) is that of the preface.
 * The conversation ends the connection by itself, and ends with it; *out is borrowed until then.
 * FTX_NOMEM: nothing was attached.
 */
enum ftx_rc v2_server_attach(
    struct v2s_conn **out, struct conn *c, const struct v2_server *server) FTX_MUST_CHECK;
/* The daemon stops: what is asked now is done, and nothing new. */
void v2_server_drain(struct v2s_conn *c);

#endif
