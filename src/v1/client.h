/*
 * client.h - protocol 1, the client's halves.
 * Layer: v1. Threads: the connection's worker.
 * Tests: tests/pair/
 */
#ifndef V1_CLIENT_H
#define V1_CLIENT_H

#include <stdint.h>

#include "base/rc.h"
#include "net/pump.h"

struct conn;
struct store;

/* What a person may want to hear on the way. The connection may be closed within. */
enum v1_notice {
	V1_NOTICE_FOUND,    /* the server has the file; `size` is known */
	V1_NOTICE_REPLACES, /* a download will replace a local file */
	V1_NOTICE_ACCEPTED  /* the server takes the upload */
};

/* Whose the reason is when a transfer fails. */
enum v1_side { V1_SIDE_NONE, V1_SIDE_LOCAL, V1_SIDE_REMOTE };

/*
 * One transfer; the caller's, outlives the conversation. Why a conversation ended is told in one
 * pair: FTX_EXISTS, FTX_NOT_FOUND with V1_SIDE_REMOTE: 'F' to the name; FTX_REMOTE_REFUSED: 'F' to
 * the size; FTX_REMOTE_ERROR: 'E'; with V1_SIDE_LOCAL: the local file.
 */
struct v1_client {
	const char *remote_name; /* borrowed: as it goes into the request */
	struct store *store;     /* borrowed: where the local file is */
	const char *local_name;  /* borrowed: its name there */
	enum pump_way send_way, receive_way;
	void (*on_notice)(void *arg, enum v1_notice notice);
	/* Once, as the last call; the connection is closing. */
	void (*on_done)(void *arg, enum ftx_rc rc, enum v1_side side);
	void *arg; /* borrowed */

	/* Kept by the half, to be read at any time; bytes. */
	uint64_t size;
	uint64_t moved;
};

/*
 * Takes over a fresh connection. FTX_NOMEM, FTX_BAD_NAME (the remote name does not fit a request):
 * nothing was attached, no callback.
 */
enum ftx_rc v1_client_upload_attach(struct conn *c, struct v1_client *client) FTX_MUST_CHECK;
enum ftx_rc v1_client_download_attach(struct conn *c, struct v1_client *client) FTX_MUST_CHECK;

#endif
