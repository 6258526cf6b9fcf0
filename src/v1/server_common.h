/*
 * server_common.h - what the two halves of the server do alike: the request, the claim, the
 * refusal.
 * Layer: v1, private to its server library. Threads: the connection's worker.
 * Tests: tests/pair/
 */
#ifndef V1_SERVER_COMMON_H
#define V1_SERVER_COMMON_H

#include "base/rc.h"
#include "core/registry.h"
#include "store/transfer.h"
#include "v1/message.h"
#include "v1/server.h"

struct conn;

/*
 * Takes the request from the input, brings the name to its one spelling (out, V1_NAME_MAX + 1
 * bytes) and describes the connection for its log line. FTX_BAD_NAME; FTX_PROTOCOL when it is no
 * request.
 */
enum ftx_rc v1_take_request(struct conn *c, const char *op, char *name) FTX_MUST_CHECK;

/* Claims the name and starts the transfer, which owns the claim. On failure nothing is held. */
enum ftx_rc v1_begin_transfer(const struct v1_server *server, const char *name,
    enum registry_use use, transfer_done_cb *on_done, void *owner,
    struct transfer **out) FTX_MUST_CHECK;

#endif
