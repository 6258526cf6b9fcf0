/* The server's half of a download. */
#include "core/registry.h"
#include "net/conn.h"
#include "net/machine.h"
#include "net/pump.h"
#include "store/store.h"
#include "v1/server.h"
#include "v1/server_common.h"

enum download_state {
	CLIENT_CONNECT,
	CHECK_DOWNLOAD,
	SEND_CHECK_DOWNLOAD,
	CHECK_DOWNLOAD_CONFIRMATION,
	DOWNLOADING,
	DOWNLOAD_COMPLETE
};

enum download_event {
	ON_FOUND = MACHINE_EVENTS, /* the file is open */
	ON_REFUSED,                /* it is not: `refusal` */
	ON_CONFIRMED,              /* the client wants it */
	ON_DECLINED,               /* or not */
	ON_CONTENT                 /* all of it is with the kernel */
};

static const struct machine_state states[] = {
	[CLIENT_CONNECT] = { "client_connect", V1_REQUEST_SIZE, DEADLINE_REQUEST },
	[CHECK_DOWNLOAD] = { "check_download", 0, DEADLINE_NONE },
	[SEND_CHECK_DOWNLOAD] = { "send_check_download", 0, DEADLINE_REQUEST },
	[CHECK_DOWNLOAD_CONFIRMATION] = { "check_download_confirmation", V1_CONFIRMATION_SIZE,
	    DEADLINE_REQUEST },
	[DOWNLOADING] = { "downloading", 0, DEADLINE_IDLE },
	[DOWNLOAD_COMPLETE] = { "download_complete", 0, DEADLINE_NONE },
};

static enum ftx_rc take_request(void *ctx);
static enum ftx_rc announce(void *ctx);
static enum ftx_rc refuse(void *ctx);
static enum ftx_rc take_confirmation(void *ctx);
static enum ftx_rc send_content(void *ctx);
static enum ftx_rc decline(void *ctx);
static enum ftx_rc finish(void *ctx);

/*
 * The descriptor that was opened for the announcement is what is served, whatever becomes of the
 * name meanwhile.
 */
/* clang-format off */
static const struct machine_rule rules[] = {
	/* state                       event         action             next */
	{ CLIENT_CONNECT,              ON_MESSAGE,   take_request,      CHECK_DOWNLOAD },
	{ CHECK_DOWNLOAD,              ON_FOUND,     announce,          SEND_CHECK_DOWNLOAD },
	{ CHECK_DOWNLOAD,              ON_REFUSED,   refuse,            DOWNLOAD_COMPLETE },
	{ SEND_CHECK_DOWNLOAD,         ON_SENT,      NULL,              CHECK_DOWNLOAD_CONFIRMATION },
	{ CHECK_DOWNLOAD_CONFIRMATION, ON_MESSAGE,   take_confirmation, MACHINE_STAY },
	{ CHECK_DOWNLOAD_CONFIRMATION, ON_CONFIRMED, send_content,      DOWNLOADING },
	{ CHECK_DOWNLOAD_CONFIRMATION, ON_DECLINED,  decline,           DOWNLOAD_COMPLETE },
	{ DOWNLOADING,                 ON_CONTENT,   finish,            DOWNLOAD_COMPLETE },
};
/* clang-format on */

/*
 * A download that breaks off after its announcement ends in a reset: what the client has is not the
 * file.
 */
static void
fail(void *ctx, enum ftx_rc why)
{
	struct v1_server_half *d = ctx;

	if (d->machine.state == DOWNLOADING)
		conn_reset(d->conn, why);
	else
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
post_refusal(struct v1_server_half *d, enum ftx_rc why)
{
	d->refusal = why;
	machine_event(&d->machine, ON_REFUSED);
}

/* The file is open. FTX_BUSY: an upload of the name is under way. */
static enum ftx_rc
claim_name(struct v1_server_half *d)
{
	struct registry_claim *claim;
	enum ftx_rc rc =
	    registry_claim(d->server->registry, d->transfer->name, REGISTRY_DOWNLOAD, &claim);

	if (rc == FTX_OK)
		transfer_set_claim(d->transfer, claim, registry_release);
	return rc;
}

static void
on_store_done(void *owner, struct transfer *t, enum transfer_op op, enum ftx_rc rc)
{
	struct v1_server_half *d = owner;

	(void)t;
	if (op == TRANSFER_READ) {
		pump_on_io(&d->pump, rc);
		return;
	}
	if (rc == FTX_OK)
		rc = op == TRANSFER_OPEN ? claim_name(d) : FTX_INTERNAL;
	if (rc == FTX_OK)
		machine_event(&d->machine, ON_FOUND);
	else
		post_refusal(d, rc);
}

static enum ftx_rc
take_request(void *ctx)
{
	struct v1_server_half *d = ctx;
	char name[V1_NAME_MAX + 1];
	enum ftx_rc rc = v1_take_request(d, "download", PATH_BYTES, name);

	if (rc == FTX_PROTOCOL)
		return rc;
	if (rc == FTX_OK)
		rc = store_get(d->server->store, name, on_store_done, d, &d->transfer);
	if (rc != FTX_OK)
		post_refusal(d, rc);
	return FTX_OK;
}

static enum ftx_rc
answer(struct v1_server_half *d, enum v1_letter letter, uint64_t size)
{
	uint8_t buf[V1_DOWNLOAD_ANSWER_SIZE];

	v1_download_answer_encode(letter, size, buf);
	return conn_write(d->conn, buf, sizeof(buf));
}

static enum ftx_rc
announce(void *ctx)
{
	struct v1_server_half *d = ctx;

	return answer(d, V1_YES, d->transfer->size);
}

static enum ftx_rc
refuse(void *ctx)
{
	struct v1_server_half *d = ctx;
	enum ftx_rc rc;

	v1_server_half_let_go(d);
	rc = answer(d, v1_refusal(d->refusal), 0);
	if (rc == FTX_OK)
		conn_finish(d->conn, d->refusal);
	return rc;
}

static enum ftx_rc
take_confirmation(void *ctx)
{
	struct v1_server_half *d = ctx;
	enum v1_letter letter;
	enum ftx_rc rc;
	uint8_t byte;

	if (!conn_take(d->conn, &byte, 1))
		return FTX_INTERNAL;
	rc = v1_letter_decode(byte, "TF", &letter);
	if (rc == FTX_OK)
		machine_event(&d->machine, letter == V1_YES ? ON_CONFIRMED : ON_DECLINED);
	return rc;
}

static enum ftx_rc
send_content(void *ctx)
{
	struct v1_server_half *d = ctx;

	pump_send(&d->pump, &(struct pump_ends){
				.conn = d->conn,
				.transfer = d->transfer,
				.machine = &d->machine,
				.event = ON_CONTENT,
				.way = d->server->send_way,
				.closes = true,
				.fail = fail,
				.arg = d,
			    });
	return FTX_OK;
}

static enum ftx_rc
decline(void *ctx)
{
	struct v1_server_half *d = ctx;

	v1_server_half_let_go(d);
	conn_finish(d->conn, FTX_DECLINED);
	return FTX_OK;
}

static enum ftx_rc
finish(void *ctx)
{
	struct v1_server_half *d = ctx;

	v1_server_half_let_go(d);
	conn_finish(d->conn, FTX_OK);
	return FTX_OK;
}

enum ftx_rc
v1_server_download_attach(struct conn *c, const struct v1_server *server)
{
	return v1_server_half_attach(c, server, &download, CLIENT_CONNECT);
}
