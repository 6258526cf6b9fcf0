#include <stdlib.h>
#include <string.h>

#include "loop/worker.h"
#include "net/conn.h"
#include "net/machine.h"
#include "net/pump.h"
#include "store/store.h"
#include "v1/client.h"
#include "v1/message.h"

/* The client's half of an upload. */
struct client_upload {
	struct grave grave;
	struct machine machine;
	struct pump pump;
	struct conn *conn;         /* borrowed; outlives this half's running */
	struct v1_client *client;  /* borrowed */
	struct transfer *transfer; /* owned: the local file, being read */
	enum ftx_rc refusal;       /* what the server said, once ON_REFUSED is posted */
	enum v1_side side;
};

enum upload_state {
	INIT_UPLOAD,
	SEND_CHECK_FILE_UPLOAD,
	CHECK_UPLOAD,
	PREPARE_UPLOAD_FILE_SIZE,
	SEND_FILE_UPLOAD_SIZE_RESPONSE,
	PROCESS_UPLOAD_FILE_SIZE_RESPONSE,
	UPLOADING,
	UPLOAD_COMPLETE
};

enum upload_event {
	ON_READY = MACHINE_EVENTS, /* the local file is open */
	ON_ALLOWED,                /* the server said T */
	ON_REFUSED,                /* it said something else: `refusal` */
	ON_PREPARED,               /* the size is known (it always is: the file was opened first) */
	ON_CONTENT                 /* all of it is with the kernel */
};

static const struct machine_state states[] = {
	[INIT_UPLOAD] = { "init_upload", 0, DEADLINE_NONE },
	[SEND_CHECK_FILE_UPLOAD] = { "send_check_file_upload", 0, DEADLINE_IDLE },
	[CHECK_UPLOAD] = { "check_upload", V1_UPLOAD_ANSWER_SIZE, DEADLINE_IDLE },
	[PREPARE_UPLOAD_FILE_SIZE] = { "prepare_upload_file_size", 0, DEADLINE_NONE },
	[SEND_FILE_UPLOAD_SIZE_RESPONSE] = { "send_file_upload_size_response", 0, DEADLINE_IDLE },
	[PROCESS_UPLOAD_FILE_SIZE_RESPONSE] = { "process_upload_file_size_response",
	    V1_SIZE_ANSWER_SIZE, DEADLINE_IDLE },
	[UPLOADING] = { "uploading", 0, DEADLINE_IDLE },
	[UPLOAD_COMPLETE] = { "upload_complete", 1, DEADLINE_CLOSE },
};

static enum ftx_rc send_request(void *ctx);
static enum ftx_rc take_answer(void *ctx);
static enum ftx_rc prepare_size(void *ctx);
static enum ftx_rc send_size(void *ctx);
static enum ftx_rc take_size_answer(void *ctx);
static enum ftx_rc send_content(void *ctx);
static enum ftx_rc refused(void *ctx);
static enum ftx_rc confirmed(void *ctx);

/*
 * Nothing is sent before the answer to what was sent last (the original server wants each message
 * alone), and the client never closes first: the server's clean close is the only sign that the
 * file is safe (UPLOAD_COMPLETE waits for it; a byte instead is no protocol 1).
 */
/* clang-format off */
static const struct machine_rule rules[] = {
	/* state                             event        action            next */
	{ INIT_UPLOAD,                       ON_READY,    send_request,     SEND_CHECK_FILE_UPLOAD },
	{ SEND_CHECK_FILE_UPLOAD,            ON_SENT,     NULL,             CHECK_UPLOAD },
	{ CHECK_UPLOAD,                      ON_MESSAGE,  take_answer,      MACHINE_STAY },
	{ CHECK_UPLOAD,                      ON_ALLOWED,  prepare_size,     PREPARE_UPLOAD_FILE_SIZE },
	{ CHECK_UPLOAD,                      ON_REFUSED,  refused,          UPLOAD_COMPLETE },
	{ PREPARE_UPLOAD_FILE_SIZE,          ON_PREPARED, send_size,        SEND_FILE_UPLOAD_SIZE_RESPONSE },
	{ SEND_FILE_UPLOAD_SIZE_RESPONSE,    ON_SENT,     NULL,             PROCESS_UPLOAD_FILE_SIZE_RESPONSE },
	{ PROCESS_UPLOAD_FILE_SIZE_RESPONSE, ON_MESSAGE,  take_size_answer, MACHINE_STAY },
	{ PROCESS_UPLOAD_FILE_SIZE_RESPONSE, ON_ALLOWED,  send_content,     UPLOADING },
	{ PROCESS_UPLOAD_FILE_SIZE_RESPONSE, ON_REFUSED,  refused,          UPLOAD_COMPLETE },
	{ UPLOADING,                         ON_CONTENT,  NULL,             UPLOAD_COMPLETE },
	{ UPLOAD_COMPLETE,                   ON_END,      confirmed,        MACHINE_STAY },
};
/* clang-format on */

/*
 * Whatever went wrong on our side, the server must not take what it has for whole: its announced
 * size sees to that.
 */
static void
fail(void *ctx, enum ftx_rc why)
{
	struct client_upload *u = ctx;

	if (u->side == V1_SIDE_NONE)
		u->side = V1_SIDE_REMOTE;
	conn_close(u->conn, why);
}

static void
fail_locally(struct client_upload *u, enum ftx_rc why)
{
	u->side = V1_SIDE_LOCAL;
	conn_reset(u->conn, why);
}

static const struct machine_def upload = {
	.states = states,
	.state_count = sizeof(states) / sizeof(states[0]),
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.fail = fail,
};

static void
on_store_done(void *owner, struct transfer *t, enum transfer_op op, enum ftx_rc rc)
{
	struct client_upload *u = owner;

	if (rc != FTX_OK) {
		fail_locally(u, rc);
	} else if (op == TRANSFER_OPEN) {
		u->client->size = t->size;
		machine_event(&u->machine, ON_READY);
	} else if (op == TRANSFER_READ) {
		pump_on_io(&u->pump, rc);
		u->client->moved = pump_moved(&u->pump);
	} else
		fail_locally(u, FTX_INTERNAL);
}

static enum ftx_rc
send_request(void *ctx)
{
	struct client_upload *u = ctx;
	const char *name = u->client->remote_name;
	uint8_t buf[V1_REQUEST_SIZE];
	enum ftx_rc rc = v1_request_encode(V1_UPLOAD, name, strlen(name), buf);

	return rc == FTX_OK ? conn_write(u->conn, buf, sizeof(buf)) : rc;
}

/* One letter from the server: T goes on, another one is `no` or an error. */
static enum ftx_rc
take_letter(struct client_upload *u, enum ftx_rc no)
{
	enum v1_letter letter;
	enum ftx_rc rc;
	uint8_t byte;

	if (!conn_take(u->conn, &byte, 1))
		return FTX_INTERNAL;
	rc = v1_letter_decode(byte, "TFE", &letter);
	if (rc != FTX_OK)
		return rc;
	u->refusal = letter == V1_NO ? no : FTX_REMOTE_ERROR;
	machine_event(&u->machine, letter == V1_YES ? ON_ALLOWED : ON_REFUSED);
	return FTX_OK;
}

static enum ftx_rc
take_answer(void *ctx)
{
	return take_letter(ctx, FTX_EXISTS);
}

static enum ftx_rc
take_size_answer(void *ctx)
{
	return take_letter(ctx, FTX_REMOTE_REFUSED);
}

static enum ftx_rc
prepare_size(void *ctx)
{
	struct client_upload *u = ctx;

	machine_event(&u->machine, ON_PREPARED);
	return FTX_OK;
}

static enum ftx_rc
send_size(void *ctx)
{
	struct client_upload *u = ctx;
	uint8_t buf[V1_UPLOAD_SIZE_SIZE];

	v1_upload_size_encode(u->transfer->size, buf);
	return conn_write(u->conn, buf, sizeof(buf));
}

static enum ftx_rc
send_content(void *ctx)
{
	struct client_upload *u = ctx;

	u->client->on_notice(u->client->arg, V1_NOTICE_ACCEPTED);
	if (u->machine.stopped) /* who hears a notice may end it all */
		return FTX_OK;
	pump_send(&u->pump, u->conn, u->transfer, &u->machine, ON_CONTENT, true, fail, u);
	return FTX_OK;
}

static enum ftx_rc
refused(void *ctx)
{
	struct client_upload *u = ctx;

	u->side = V1_SIDE_REMOTE;
	conn_close(u->conn, u->refusal);
	return FTX_OK;
}

static enum ftx_rc
confirmed(void *ctx)
{
	struct client_upload *u = ctx;
	enum ftx_rc end = conn_peer_end(u->conn);

	if (end != FTX_TRUNCATED) /* no clean close: a reset, say */
		return end;
	conn_close(u->conn, FTX_OK);
	return FTX_OK;
}

static void
reap(struct grave *g)
{
	free(g); /* its first member */
}

static void
on_close(void *arg, enum ftx_rc why)
{
	struct client_upload *u = arg;

	machine_stop(&u->machine);
	pump_stop(&u->pump);
	store_close(u->transfer);
	u->transfer = NULL;
	u->client->on_done(u->client->arg, why, u->side);
	u->grave.reap = reap;
	worker_bury(conn_worker(u->conn), &u->grave);
}

enum ftx_rc
v1_client_upload_attach(struct conn *c, struct v1_client *client)
{
	struct client_upload *u = calloc(1, sizeof(*u));
	enum ftx_rc rc;

	if (u == NULL)
		return FTX_NOMEM;
	u->conn = c;
	u->client = client;
	rc = machine_start(&u->machine, &upload, c, u, INIT_UPLOAD);
	if (rc != FTX_OK) {
		free(u);
		return rc;
	}
	rc = store_get(client->store, client->local_name, on_store_done, u, &u->transfer);
	if (rc != FTX_OK) {
		machine_stop(&u->machine);
		free(u);
		return rc;
	}
	conn_describe(c, "upload", client->remote_name);
	conn_set_conversation(c, on_close, u);
	return FTX_OK;
}
