#include <stdlib.h>
#include <string.h>

#include "loop/worker.h"
#include "net/conn.h"
#include "net/machine.h"
#include "net/pump.h"
#include "store/store.h"
#include "v1/client.h"
#include "v1/message.h"

/* The client's half of a download. */
struct client_download {
	struct grave grave;
	struct machine machine;
	struct pump pump;
	struct conn *conn;        /* borrowed; outlives this half's running */
	struct v1_client *client; /* borrowed */
	struct transfer
	    *transfer; /* owned: the local file, being written; NULL until the server has one */
	enum ftx_rc
	    refusal; /* once ON_REFUSED is posted: the server's, or our own reason to decline */
	enum v1_side side;
};

enum download_state {
	INIT_DOWNLOAD,
	SEND_CHECK_FILE_DOWNLOAD,
	CHECK_DOWNLOAD,
	PREPARE_DOWNLOAD_CONFIRMATION,
	CONFIRM_DOWNLOAD,
	DOWNLOADING,
	DOWNLOAD_COMPLETE
};

enum download_event {
	ON_READY = MACHINE_EVENTS, /* connected */
	ON_FOUND,                  /* the server has the file */
	ON_REFUSED,                /* it will not give it */
	ON_PREPARED,               /* there is a stage and room for it here */
	ON_UNABLE,                 /* there is not: `refusal` */
	ON_CONTENT,                /* all of it is written */
	ON_PUBLISHED               /* and durable, under its name */
};

static const struct machine_state states[] = {
	[INIT_DOWNLOAD] = { "init_download", 0, DEADLINE_NONE },
	[SEND_CHECK_FILE_DOWNLOAD] = { "send_check_file_download", 0, DEADLINE_IDLE },
	[CHECK_DOWNLOAD] = { "check_download", V1_DOWNLOAD_ANSWER_SIZE, DEADLINE_IDLE },
	[PREPARE_DOWNLOAD_CONFIRMATION] = { "prepare_download_confirmation", 0, DEADLINE_NONE },
	[CONFIRM_DOWNLOAD] = { "confirm_download", 0, DEADLINE_IDLE },
	[DOWNLOADING] = { "downloading", 0, DEADLINE_IDLE },
	[DOWNLOAD_COMPLETE] = { "download_complete", 0, DEADLINE_NONE },
};

static enum ftx_rc send_request(void *ctx);
static enum ftx_rc take_answer(void *ctx);
static enum ftx_rc prepare(void *ctx);
static enum ftx_rc refused(void *ctx);
static enum ftx_rc confirm(void *ctx);
static enum ftx_rc decline(void *ctx);
static enum ftx_rc receive_content(void *ctx);
static enum ftx_rc publish(void *ctx);
static enum ftx_rc stay_to_publish(void *ctx);
static enum ftx_rc finish(void *ctx);

/* Nothing local is touched before the server has said that it has the file, and how large it is. */
/* clang-format off */
static const struct machine_rule rules[] = {
	/* state                         event         action           next */
	{ INIT_DOWNLOAD,                 ON_READY,     send_request,    SEND_CHECK_FILE_DOWNLOAD },
	{ SEND_CHECK_FILE_DOWNLOAD,      ON_SENT,      NULL,            CHECK_DOWNLOAD },
	{ CHECK_DOWNLOAD,                ON_MESSAGE,   take_answer,     PREPARE_DOWNLOAD_CONFIRMATION },
	{ PREPARE_DOWNLOAD_CONFIRMATION, ON_FOUND,     prepare,         MACHINE_STAY },
	{ PREPARE_DOWNLOAD_CONFIRMATION, ON_REFUSED,   refused,         DOWNLOAD_COMPLETE },
	{ PREPARE_DOWNLOAD_CONFIRMATION, ON_PREPARED,  confirm,         CONFIRM_DOWNLOAD },
	{ PREPARE_DOWNLOAD_CONFIRMATION, ON_UNABLE,    decline,         DOWNLOAD_COMPLETE },
	{ CONFIRM_DOWNLOAD,              ON_SENT,      receive_content, DOWNLOADING },
	{ DOWNLOADING,                   ON_CONTENT,   publish,         MACHINE_STAY },
	{ DOWNLOADING,                   ON_END,       stay_to_publish, MACHINE_STAY },
	{ DOWNLOADING,                   ON_PUBLISHED, finish,          DOWNLOAD_COMPLETE },
};
/* clang-format on */

static void
fail(void *ctx, enum ftx_rc why)
{
	struct client_download *d = ctx;

	if (d->side == V1_SIDE_NONE)
		d->side = V1_SIDE_REMOTE;
	conn_close(d->conn, why);
}

static void
fail_locally(struct client_download *d, enum ftx_rc why)
{
	d->side = V1_SIDE_LOCAL;
	conn_close(d->conn, why);
}

static const struct machine_def download = {
	.states = states,
	.state_count = sizeof(states) / sizeof(states[0]),
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.fail = fail,
};

static void
on_prepared(struct client_download *d, enum transfer_op op, enum ftx_rc rc)
{
	if (rc != FTX_OK) {
		d->refusal = rc;
		machine_event(&d->machine, ON_UNABLE);
		return;
	}
	if (op == TRANSFER_RESERVE) {
		machine_event(&d->machine, ON_PREPARED);
		return;
	}
	if (d->transfer->replaces)
		d->client->on_notice(d->client->arg, V1_NOTICE_REPLACES);
	if (!d->machine.stopped) /* who hears a notice may end it all */
		store_reserve(d->transfer, d->client->size);
}

static void
on_store_done(void *owner, struct transfer *t, enum transfer_op op, enum ftx_rc rc)
{
	struct client_download *d = owner;

	(void)t;
	if (op == TRANSFER_OPEN || op == TRANSFER_RESERVE)
		on_prepared(d, op, rc);
	else if (rc != FTX_OK)
		fail_locally(d, rc);
	else if (op == TRANSFER_WRITE) {
		pump_on_io(&d->pump, rc);
		d->client->moved = pump_moved(&d->pump);
	} else if (op == TRANSFER_COMMIT)
		machine_event(&d->machine, ON_PUBLISHED);
	else
		fail_locally(d, FTX_INTERNAL);
}

static enum ftx_rc
send_request(void *ctx)
{
	struct client_download *d = ctx;
	const char *name = d->client->remote_name;
	uint8_t buf[V1_REQUEST_SIZE];
	enum ftx_rc rc = v1_request_encode(V1_DOWNLOAD, name, strlen(name), buf);

	return rc == FTX_OK ? conn_write(d->conn, buf, sizeof(buf)) : rc;
}

static enum ftx_rc
take_answer(void *ctx)
{
	struct client_download *d = ctx;
	uint8_t buf[V1_DOWNLOAD_ANSWER_SIZE];
	enum v1_letter letter;
	enum ftx_rc rc;
	uint64_t size;

	if (!conn_take(d->conn, buf, sizeof(buf)))
		return FTX_INTERNAL;
	rc = v1_download_answer_decode(buf, &letter, &size);
	if (rc != FTX_OK)
		return rc;
	if (letter == V1_YES) {
		d->client->size = size;
		machine_event(&d->machine, ON_FOUND);
		return FTX_OK;
	}
	d->refusal = letter == V1_NO ? FTX_NOT_FOUND : FTX_REMOTE_ERROR;
	machine_event(&d->machine, ON_REFUSED);
	return FTX_OK;
}

static enum ftx_rc
prepare(void *ctx)
{
	struct client_download *d = ctx;

	d->client->on_notice(d->client->arg, V1_NOTICE_FOUND);
	if (d->machine.stopped)
		return FTX_OK;
	return store_put(d->client->store, d->client->local_name, on_store_done, d, &d->transfer);
}

static enum ftx_rc
refused(void *ctx)
{
	struct client_download *d = ctx;

	d->side = V1_SIDE_REMOTE;
	conn_close(d->conn, d->refusal);
	return FTX_OK;
}

static enum ftx_rc
answer(struct client_download *d, enum v1_letter letter)
{
	uint8_t byte = (uint8_t)letter;

	return conn_write(d->conn, &byte, 1);
}

static enum ftx_rc
confirm(void *ctx)
{
	return answer(ctx, V1_YES);
}

static enum ftx_rc
decline(void *ctx)
{
	struct client_download *d = ctx;
	enum ftx_rc rc = answer(d, V1_NO);

	d->side = V1_SIDE_LOCAL;
	if (rc == FTX_OK)
		conn_finish(d->conn, d->refusal);
	return rc;
}

static enum ftx_rc
receive_content(void *ctx)
{
	struct client_download *d = ctx;

	pump_receive(&d->pump, d->conn, d->transfer, &d->machine, ON_CONTENT, fail, d);
	return FTX_OK;
}

static enum ftx_rc
publish(void *ctx)
{
	struct client_download *d = ctx;

	/* What stands behind the last byte already shows that the size was not the file's. */
	if (conn_input_length(d->conn) > 0)
		return FTX_EXCESS;
	conn_set_busy(d->conn, true);
	store_commit(d->transfer);
	return FTX_OK;
}

/* All has arrived: how the server leaves matters no more. */
static enum ftx_rc
stay_to_publish(void *ctx)
{
	(void)ctx;
	return FTX_OK;
}

static enum ftx_rc
finish(void *ctx)
{
	struct client_download *d = ctx;

	conn_close(d->conn, FTX_OK);
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
	struct client_download *d = arg;

	machine_stop(&d->machine);
	pump_stop(&d->pump);
	/* A commit that has not published yet shall not: the user hears that nothing is written. */
	if (why != FTX_OK && d->transfer != NULL)
		store_cancel(d->transfer);
	store_close(d->transfer);
	d->transfer = NULL;
	d->client->on_done(d->client->arg, why, d->side);
	d->grave.reap = reap;
	worker_bury(conn_worker(d->conn), &d->grave);
}

enum ftx_rc
v1_client_download_attach(struct conn *c, struct v1_client *client)
{
	struct client_download *d = calloc(1, sizeof(*d));
	enum ftx_rc rc;

	if (d == NULL)
		return FTX_NOMEM;
	d->conn = c;
	d->client = client;
	rc = machine_start(&d->machine, &download, c, d, INIT_DOWNLOAD);
	if (rc != FTX_OK) {
		free(d);
		return rc;
	}
	conn_describe(c, "download", client->remote_name);
	conn_set_conversation(c, on_close, d);
	machine_event(&d->machine, ON_READY);
	return FTX_OK;
}
