#include "net/conn.h"
#include "net/machine.h"
#include "net/pump.h"
#include "store/store.h"
#include "v1/client_common.h"

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
static enum ftx_rc confirm(void *ctx);
static enum ftx_rc decline(void *ctx);
static enum ftx_rc receive_content(void *ctx);
static enum ftx_rc publish(void *ctx);
static enum ftx_rc stay_to_publish(void *ctx);
static enum ftx_rc finish(void *ctx);

/* Nothing local is touched before the server has said that it has the file, and how large it is. */
/* clang-format off */
static const struct machine_rule rules[] = {
	/* state                         event         action             next */
	{ INIT_DOWNLOAD,                 ON_READY,     send_request,      SEND_CHECK_FILE_DOWNLOAD },
	{ SEND_CHECK_FILE_DOWNLOAD,      ON_SENT,      NULL,              CHECK_DOWNLOAD },
	{ CHECK_DOWNLOAD,                ON_MESSAGE,   take_answer,       PREPARE_DOWNLOAD_CONFIRMATION },
	{ PREPARE_DOWNLOAD_CONFIRMATION, ON_FOUND,     prepare,           MACHINE_STAY },
	{ PREPARE_DOWNLOAD_CONFIRMATION, ON_REFUSED,   v1_client_refused, DOWNLOAD_COMPLETE },
	{ PREPARE_DOWNLOAD_CONFIRMATION, ON_PREPARED,  confirm,           CONFIRM_DOWNLOAD },
	{ PREPARE_DOWNLOAD_CONFIRMATION, ON_UNABLE,    decline,           DOWNLOAD_COMPLETE },
	{ CONFIRM_DOWNLOAD,              ON_SENT,      receive_content,   DOWNLOADING },
	{ DOWNLOADING,                   ON_CONTENT,   publish,           MACHINE_STAY },
	{ DOWNLOADING,                   ON_END,       stay_to_publish,   MACHINE_STAY },
	{ DOWNLOADING,                   ON_PUBLISHED, finish,            DOWNLOAD_COMPLETE },
};

static const struct machine_def download = {
	.states = states,
	.state_count = sizeof(states) / sizeof(states[0]),
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.fail = v1_client_half_fail,
};

static void
on_prepared(struct v1_client_half *h, enum transfer_op op, enum ftx_rc rc)
{
	if (rc != FTX_OK) {
		h->refusal = rc;
		machine_event(&h->machine, ON_UNABLE);
		return;
	}
	if (op == TRANSFER_RESERVE) {
		machine_event(&h->machine, ON_PREPARED);
		return;
	}
	if (h->transfer->replaces)
		h->client->on_notice(h->client->arg, V1_NOTICE_REPLACES);
	if (!h->machine.stopped) /* who hears a notice may end it all */
		store_reserve(h->transfer, h->client->size);
}

static void
on_store_done(void *owner, struct transfer *t, enum transfer_op op, enum ftx_rc rc)
{
	struct v1_client_half *h = owner;

	(void)t;
	if (op == TRANSFER_OPEN || op == TRANSFER_RESERVE)
		on_prepared(h, op, rc);
	else if (rc != FTX_OK)
		v1_client_half_fail_locally(h, rc);
	else if (op == TRANSFER_WRITE)
		pump_on_io(&h->pump, rc);
	else if (op == TRANSFER_COMMIT)
		machine_event(&h->machine, ON_PUBLISHED);
	else
		v1_client_half_fail_locally(h, FTX_INTERNAL);
}

static enum ftx_rc
send_request(void *ctx)
{
	return v1_client_half_send_request(ctx, V1_DOWNLOAD);
}

static enum ftx_rc
take_answer(void *ctx)
{
	struct v1_client_half *h = ctx;
	uint8_t buf[V1_DOWNLOAD_ANSWER_SIZE];
	enum v1_letter letter;
	enum ftx_rc rc;
	uint64_t size;

	if (!conn_take(h->conn, buf, sizeof(buf)))
		return FTX_INTERNAL;
	rc = v1_download_answer_decode(buf, &letter, &size);
	if (rc != FTX_OK)
		return rc;
	if (letter == V1_YES) {
		h->client->size = size;
		machine_event(&h->machine, ON_FOUND);
		return FTX_OK;
	}
	h->refusal = letter == V1_NO ? FTX_NOT_FOUND : FTX_REMOTE_ERROR;
	machine_event(&h->machine, ON_REFUSED);
	return FTX_OK;
}

static enum ftx_rc
prepare(void *ctx)
{
	struct v1_client_half *h = ctx;
	const struct put_spec spec = { .name = h->client->local_name, .policy = PUT_REPLACE, .through = true };

	h->client->on_notice(h->client->arg, V1_NOTICE_FOUND);
	if (h->machine.stopped)
		return FTX_OK;
	return store_put(h->client->store, &spec, on_store_done, h, &h->transfer);
}

static enum ftx_rc
answer(struct v1_client_half *h, enum v1_letter letter)
{
	uint8_t byte = (uint8_t)letter;

	return conn_write(h->conn, &byte, 1);
}

static enum ftx_rc
confirm(void *ctx)
{
	return answer(ctx, V1_YES);
}

static enum ftx_rc
decline(void *ctx)
{
	struct v1_client_half *h = ctx;
	enum ftx_rc rc = answer(h, V1_NO);

	h->side = V1_SIDE_LOCAL;
	if (rc == FTX_OK)
		conn_finish(h->conn, h->refusal);
	return rc;
}

static enum ftx_rc
receive_content(void *ctx)
{
	struct v1_client_half *h = ctx;

	pump_receive(&h->pump, &(struct pump_ends){
				   .conn = h->conn,
				   .transfer = h->transfer,
				   .machine = &h->machine,
				   .event = ON_CONTENT,
				   .way = h->client->receive_way,
				   .moved = &h->client->moved,
				   .fail = v1_client_half_pump_failed,
				   .arg = h,
			       });
	return FTX_OK;
}

static enum ftx_rc
publish(void *ctx)
{
	struct v1_client_half *h = ctx;

	/* What stands behind the last byte already shows that the size was not the file's. */
	if (conn_input_length(h->conn) > 0)
		return FTX_EXCESS;
	machine_set_busy(&h->machine, true);
	store_commit(h->transfer);
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
	struct v1_client_half *h = ctx;

	conn_close(h->conn, FTX_OK);
	return FTX_OK;
}

enum ftx_rc
v1_client_download_attach(struct conn *c, struct v1_client *client)
{
	return v1_client_half_attach(c, client, "download", &download, INIT_DOWNLOAD, ON_READY);
}
