/*
 * server_common.h - what the two halves of the server do alike: the request, the claim, the
 * refusal.
 * Layer: v1, private to its server library. Threads: the connection's worker.
 * Tests: tests/pair/
 */
#ifndef V1_SERVER_COMMON_H
#define V1_SERVER_COMMON_H

#include "base/rc.h"
#include "v1/message.h"
#include "v1/server.h"

struct conn;

/*
 * Takes the request from the input, brings the name to its one spelling (out, V1_NAME_MAX + 1
 * bytes) and describes the connection for its log line. FTX_BAD_NAME; FTX_PROTOCOL when it is no
 * request.
 */
enum ftx_rc v1_take_request(struct conn *c, const char *op, char *name) FTX_MUST_CHECK;

#endif
