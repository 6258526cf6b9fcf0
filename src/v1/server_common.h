/*
 * server_common.h - what the two halves of the server have in common: what they keep of a
 * conversation, how it begins and ends, the request.
 * Layer: v1, private to its server library. Threads: the connection's worker.
 * Tests: tests/pair/
 */
#ifndef V1_SERVER_COMMON_H
#define V1_SERVER_COMMON_H

#include <stdint.h>

#include "base/rc.h"
#include "loop/worker.h"
#include "net/machine.h"
#include "net/pump.h"
#include "store/path.h"
#include "v1/message.h"
#include "v1/server.h"

struct conn;
struct transfer;

/* One half of a conversation; its actions get it as their ctx. It ends with its connection. */
struct v1_server_half {
	struct grave grave; /* the first member */
	struct machine machine;
	struct pump pump;
	struct conn *conn;              /* borrowed; outlives this half's running */
	const struct v1_server *server; /* borrowed */
	struct transfer *transfer;      /* owned; NULL while there is none */
	enum ftx_rc refusal;            /* why, once the table's ON_REFUSED is posted */
};

/* Makes a half that runs `def` on the connection. FTX_NOMEM: nothing was attached. */
enum ftx_rc v1_server_half_attach(struct conn *c, const struct v1_server *server,
    const struct machine_def *def, uint8_t first) FTX_MUST_CHECK;
/*
 * Closes the transfer, if there is one. Before the last bytes are sent, so that a client which has
 * seen them finds the name free.
 */
void v1_server_half_let_go(struct v1_server_half *h);

/*
 * Takes the request from the input, brings the name to its one spelling (out, V1_NAME_MAX + 1
 * bytes) and describes the connection for its log line. FTX_BAD_NAME, FTX_TOO_DEEP; FTX_PROTOCOL
 * when it is no request.
 */
enum ftx_rc v1_take_request(struct v1_server_half *h, const char *op, enum path_alphabet alphabet,
    char *name) FTX_MUST_CHECK;

#endif
