#include "net/conn.h"
#include "net/machine.h"
#include "net/pump.h"
#include "store/store.h"
#include "v1/client_common.h"

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
	ON_START = MACHINE_EVENTS, /* connected */
	ON_READY,                  /* the local file is open */
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

static enum ftx_rc open_file(void *ctx);
static enum ftx_rc send_request(void *ctx);
static enum ftx_rc take_answer(void *ctx);
static enum ftx_rc prepare_size(void *ctx);
static enum ftx_rc send_size(void *ctx);
static enum ftx_rc take_size_answer(void *ctx);
static enum ftx_rc send_content(void *ctx);
static enum ftx_rc confirmed(void *ctx);

/*
 * Nothing is sent before the answer to what was sent last (the original server wants each message
 * alone), and the client never closes first: the server's clean close is the only sign that the
 * file is safe (UPLOAD_COMPLETE waits for it; a byte instead is no protocol 1).
 */
/* clang-format off */
static const struct machine_rule rules[] = {
	/* state                             event        action             next */
	{ INIT_UPLOAD,                       ON_START,    open_file,         MACHINE_STAY },
	{ INIT_UPLOAD,                       ON_READY,    send_request,      SEND_CHECK_FILE_UPLOAD },
	{ SEND_CHECK_FILE_UPLOAD,            ON_SENT,     NULL,              CHECK_UPLOAD },
	{ CHECK_UPLOAD,                      ON_MESSAGE,  take_answer,       MACHINE_STAY },
	{ CHECK_UPLOAD,                      ON_ALLOWED,  prepare_size,      PREPARE_UPLOAD_FILE_SIZE },
	{ CHECK_UPLOAD,                      ON_REFUSED,  v1_client_refused, UPLOAD_COMPLETE },
	{ PREPARE_UPLOAD_FILE_SIZE,          ON_PREPARED, send_size,         SEND_FILE_UPLOAD_SIZE_RESPONSE },
	{ SEND_FILE_UPLOAD_SIZE_RESPONSE,    ON_SENT,     NULL,              PROCESS_UPLOAD_FILE_SIZE_RESPONSE },
	{ PROCESS_UPLOAD_FILE_SIZE_RESPONSE, ON_MESSAGE,  take_size_answer,  MACHINE_STAY },
	{ PROCESS_UPLOAD_FILE_SIZE_RESPONSE, ON_ALLOWED,  send_content,      UPLOADING },
	{ PROCESS_UPLOAD_FILE_SIZE_RESPONSE, ON_REFUSED,  v1_client_refused, UPLOAD_COMPLETE },
	{ UPLOADING,                         ON_CONTENT,  NULL,              UPLOAD_COMPLETE },
	{ UPLOAD_COMPLETE,                   ON_END,      confirmed,         MACHINE_STAY },
};

static const struct machine_def upload = {
	.states = states,
	.state_count = sizeof(states) / sizeof(states[0]),
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.fail = v1_client_half_fail,
};

static void
on_store_done(void *owner, struct transfer *t, enum transfer_op op, enum ftx_rc rc)
{
	struct v1_client_half *h = owner;

	if (rc != FTX_OK) {
		v1_client_half_fail_locally(h, rc);
	} else if (op == TRANSFER_OPEN) {
		h->client->size = t->size;
		machine_event(&h->machine, ON_READY);
	} else if (op == TRANSFER_READ)
		pump_on_io(&h->pump, rc);
	else
		v1_client_half_fail_locally(h, FTX_INTERNAL);
}

static enum ftx_rc
open_file(void *ctx)
{
	struct v1_client_half *h = ctx;

	return store_get(
	    h->client->store, h->client->local_name, on_store_done, h, &h->transfer);
}

static enum ftx_rc
send_request(void *ctx)
{
	return v1_client_half_send_request(ctx, V1_UPLOAD);
}

/* One letter from the server: T goes on, another one is `no` or an error. */
static enum ftx_rc
take_letter(struct v1_client_half *h, enum ftx_rc no)
{
	enum v1_letter letter;
	enum ftx_rc rc;
	uint8_t byte;

	if (!conn_take(h->conn, &byte, 1))
		return FTX_INTERNAL;
	rc = v1_letter_decode(byte, "TFE", &letter);
	if (rc != FTX_OK)
		return rc;
	h->refusal = letter == V1_NO ? no : FTX_REMOTE_ERROR;
	machine_event(&h->machine, letter == V1_YES ? ON_ALLOWED : ON_REFUSED);
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
	struct v1_client_half *h = ctx;

	machine_event(&h->machine, ON_PREPARED);
	return FTX_OK;
}

static enum ftx_rc
send_size(void *ctx)
{
	struct v1_client_half *h = ctx;
	uint8_t buf[V1_UPLOAD_SIZE_SIZE];

	v1_upload_size_encode(h->transfer->size, buf);
	return conn_write(h->conn, buf, sizeof(buf));
}

static enum ftx_rc
send_content(void *ctx)
{
	struct v1_client_half *h = ctx;

	h->client->on_notice(h->client->arg, V1_NOTICE_ACCEPTED);
	if (h->machine.stopped) /* who hears a notice may end it all */
		return FTX_OK;
	pump_send(&h->pump, &(struct pump_ends){
				.conn = h->conn,
				.transfer = h->transfer,
				.machine = &h->machine,
				.event = ON_CONTENT,
				.needs_peer = true,
				.way = h->client->send_way,
				.moved = &h->client->moved,
				.fail = v1_client_half_pump_failed,
				.arg = h,
			    });
	return FTX_OK;
}

static enum ftx_rc
confirmed(void *ctx)
{
	struct v1_client_half *h = ctx;
	enum ftx_rc end = conn_peer_end(h->conn);

	if (end != FTX_TRUNCATED) /* no clean close: a reset, say */
		return end;
	conn_close(h->conn, FTX_OK);
	return FTX_OK;
}

enum ftx_rc
v1_client_upload_attach(struct conn *c, struct v1_client *client)
{
	return v1_client_half_attach(c, client, "upload", &upload, INIT_UPLOAD, ON_START);
}
