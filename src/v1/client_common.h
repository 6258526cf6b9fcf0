/*
 * client_common.h - what the two halves of the client have and do alike.
 * Layer: v1, private to its client library. Threads: the connection's worker.
 * Tests: tests/pair/
 */
#ifndef V1_CLIENT_COMMON_H
#define V1_CLIENT_COMMON_H

#include <stdint.h>

#include "base/rc.h"
#include "loop/worker.h"
#include "net/machine.h"
#include "net/pump.h"
#include "v1/client.h"
#include "v1/message.h"

struct conn;
struct transfer;

struct v1_client_half {
	struct grave grave; /* the first member */
	struct machine machine;
	struct pump pump;
	struct conn *conn;         /* borrowed; outlives this half's running */
	struct v1_client *client;  /* borrowed */
	struct transfer *transfer; /* owned: the local file; NULL while there is none */
	enum ftx_rc refusal;       /* why, once the table's event for it is posted */
	enum v1_side side;         /* whose the reason is */
};

/*
 * Makes a half that runs `def` on the connection, and posts `start` to it. FTX_NOMEM: nothing was
 * attached.
 */
enum ftx_rc v1_client_half_attach(struct conn *c, struct v1_client *client, const char *op,
    const struct machine_def *def, uint8_t first, uint8_t start) FTX_MUST_CHECK;

/* Ends it for a reason that is the server's or the connection's, unless one of ours was named. */
void v1_client_half_fail(void *half, enum ftx_rc why);
/* Ends it for a reason of our own, with a reset: the server must not wait for more. */
void v1_client_half_fail_locally(struct v1_client_half *h, enum ftx_rc why);
/* The pump's: either of the two. */
void v1_client_half_pump_failed(void *half, enum ftx_rc why);
/* The action of ON_REFUSED: ends it with `refusal`, which is the server's. */
enum ftx_rc v1_client_refused(void *half);

/* FTX_BAD_NAME: the remote name does not fit. */
enum ftx_rc v1_client_half_send_request(
    struct v1_client_half *h, enum v1_letter type) FTX_MUST_CHECK;

#endif
