/* The server's half of an upload. */
#include "core/registry.h"
#include "net/conn.h"
#include "net/machine.h"
#include "net/pump.h"
#include "store/store.h"
#include "v1/server.h"
#include "v1/server_common.h"

enum upload_state {
	CLIENT_CONNECT,
	CHECK_UPLOAD,
	SEND_CHECK_UPLOAD,
	CHECK_FILE_UPLOAD_SIZE,
	PREPARE_FILE_UPLOAD_SIZE_RESPONSE,
	SEND_FILE_UPLOAD_SIZE_RESPONSE,
	UPLOADING,
	UPLOAD_COMPLETE
};

enum upload_event {
	ON_ALLOWED = MACHINE_EVENTS, /* the name may be uploaded to; the size is promised */
	ON_REFUSED,                  /* it may not, it is not: `refusal` */
	ON_CONTENT,                  /* all of it is written */
	ON_PUBLISHED,                /* and durable, under its name */
};

static const struct machine_state states[] = {
	[CLIENT_CONNECT] = { "client_connect", V1_REQUEST_SIZE, DEADLINE_REQUEST },
	[CHECK_UPLOAD] = { "check_upload", 0, DEADLINE_NONE },
	[SEND_CHECK_UPLOAD] = { "send_check_upload", 0, DEADLINE_REQUEST },
	[CHECK_FILE_UPLOAD_SIZE] = { "check_file_upload_size", V1_UPLOAD_SIZE_SIZE,
	    DEADLINE_REQUEST },
	[PREPARE_FILE_UPLOAD_SIZE_RESPONSE] = { "prepare_file_upload_size_response", 0,
	    DEADLINE_NONE },
	[SEND_FILE_UPLOAD_SIZE_RESPONSE] = { "send_file_upload_size_response", 0,
	    DEADLINE_REQUEST },
	[UPLOADING] = { "uploading", 1, DEADLINE_IDLE },
	[UPLOAD_COMPLETE] = { "upload_complete", 0, DEADLINE_NONE },
};

static enum ftx_rc take_request(void *ctx);
static enum ftx_rc allow_name(void *ctx);
static enum ftx_rc refuse(void *ctx);
static enum ftx_rc take_size(void *ctx);
static enum ftx_rc allow_size(void *ctx);
static enum ftx_rc receive_content(void *ctx);
static enum ftx_rc publish(void *ctx);
static enum ftx_rc too_much(void *ctx);
static enum ftx_rc stay_to_publish(void *ctx);
static enum ftx_rc finish(void *ctx);

/*
 * Order matters in one place: bytes beyond the announced size are looked for before publishing
 * begins (publish), and while it is under way (too_much, which may come too late). From UPLOADING
 * on the content is with a pump, and a peer that leaves after its last byte, even by a reset, has
 * its file published (stay_to_publish).
 */
/* clang-format off */
static const struct machine_rule rules[] = {
	/* state                             event         action           next */
	{ CLIENT_CONNECT,                    ON_MESSAGE,   take_request,    CHECK_UPLOAD },
	{ CHECK_UPLOAD,                      ON_ALLOWED,   allow_name,      SEND_CHECK_UPLOAD },
	{ CHECK_UPLOAD,                      ON_REFUSED,   refuse,          UPLOAD_COMPLETE },
	{ SEND_CHECK_UPLOAD,                 ON_SENT,      NULL,            CHECK_FILE_UPLOAD_SIZE },
	{ CHECK_FILE_UPLOAD_SIZE,            ON_MESSAGE,   take_size,       PREPARE_FILE_UPLOAD_SIZE_RESPONSE },
	{ PREPARE_FILE_UPLOAD_SIZE_RESPONSE, ON_ALLOWED,   allow_size,      SEND_FILE_UPLOAD_SIZE_RESPONSE },
	{ PREPARE_FILE_UPLOAD_SIZE_RESPONSE, ON_REFUSED,   refuse,          UPLOAD_COMPLETE },
	{ SEND_FILE_UPLOAD_SIZE_RESPONSE,    ON_SENT,      receive_content, UPLOADING },
	{ UPLOADING,                         ON_CONTENT,   publish,         MACHINE_STAY },
	{ UPLOADING,                         ON_MESSAGE,   too_much,        MACHINE_STAY },
	{ UPLOADING,                         ON_END,       stay_to_publish, MACHINE_STAY },
	{ UPLOADING,                         ON_PUBLISHED, finish,          UPLOAD_COMPLETE },
};
/* clang-format on */

static void
fail(void *ctx, enum ftx_rc why)
{
	struct v1_server_half *u = ctx;

	conn_close(u->conn, why);
}

static const struct machine_def upload = {
	.states = states,
	.state_count = sizeof(states) / sizeof(states[0]),
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.fail = fail,
};

static void
post_refusal(struct v1_server_half *u, enum ftx_rc why)
{
	u->refusal = why;
	machine_event(&u->machine, ON_REFUSED);
}

/* The store has done what an action asked of it. */
static void
on_store_done(void *owner, struct transfer *t, enum transfer_op op, enum ftx_rc rc)
{
	struct v1_server_half *u = owner;

	switch (op) {
	case TRANSFER_OPEN:
		if (rc == FTX_OK)
			rc = registry_begin_upload(t->claim);
		/* fall through */
	case TRANSFER_RESERVE:
		if (rc == FTX_OK)
			machine_event(&u->machine, ON_ALLOWED);
		else
			post_refusal(u, rc);
		break;
	case TRANSFER_WRITE:
		pump_on_io(&u->pump, rc);
		break;
	case TRANSFER_COMMIT:
		if (rc == FTX_OK)
			machine_event(&u->machine, ON_PUBLISHED);
		else
			fail(u, rc == FTX_CANCELLED ? FTX_EXCESS : rc);
		break;
	case TRANSFER_IDLE:
	case TRANSFER_READ:
	case TRANSFER_DISCARD:
	default:
		fail(u, FTX_INTERNAL);
	}
}

/* Claims the name and opens the transfer, which owns the claim. On failure nothing is held. */
static enum ftx_rc
begin(struct v1_server_half *u, const char *name)
{
	const struct put_spec spec = { .name = name, .policy = PUT_CREATE };
	struct registry_claim *claim;
	enum ftx_rc rc = registry_claim(u->server->registry, name, REGISTRY_UPLOAD, &claim);

	if (rc != FTX_OK)
		return rc;
	rc = store_put(u->server->store, &spec, on_store_done, u, &u->transfer);
	if (rc != FTX_OK) {
		registry_release(claim);
		return rc;
	}
	transfer_set_claim(u->transfer, claim, registry_release);
	return FTX_OK;
}

static enum ftx_rc
take_request(void *ctx)
{
	struct v1_server_half *u = ctx;
	char name[V1_NAME_MAX + 1];
	enum ftx_rc rc = v1_take_request(u, "upload", u->server->names.alphabet, name);

	if (rc == FTX_PROTOCOL)
		return rc;
	if (rc == FTX_OK)
		rc = begin(u, name);
	if (rc != FTX_OK)
		post_refusal(u, rc);
	return FTX_OK;
}

static enum ftx_rc
answer(struct v1_server_half *u, enum v1_letter letter)
{
	uint8_t byte = (uint8_t)letter;

	return conn_write(u->conn, &byte, 1);
}

static enum ftx_rc
allow_name(void *ctx)
{
	return answer(ctx, V1_YES);
}

static enum ftx_rc
refuse(void *ctx)
{
	struct v1_server_half *u = ctx;
	bool to_size = u->machine.state == PREPARE_FILE_UPLOAD_SIZE_RESPONSE;
	enum ftx_rc rc;

	v1_server_half_let_go(u);
	rc = answer(u, to_size ? V1_NO : v1_refusal(u->refusal));
	if (rc == FTX_OK)
		conn_finish(u->conn, u->refusal);
	return rc;
}

static enum ftx_rc
take_size(void *ctx)
{
	struct v1_server_half *u = ctx;
	uint8_t buf[V1_UPLOAD_SIZE_SIZE];
	uint64_t size;

	if (!conn_take(u->conn, buf, sizeof(buf)))
		return FTX_INTERNAL;
	size = v1_upload_size_decode(buf);
	if (u->server->max_file_size > 0 && size > u->server->max_file_size)
		post_refusal(u, FTX_TOO_LARGE);
	else
		store_reserve(u->transfer, size);
	return FTX_OK;
}

static enum ftx_rc
allow_size(void *ctx)
{
	struct v1_server_half *u = ctx;

	/*
	 * From here until the file is published the connection can end only in a reset: protocol 1
	 * has no other receipt.
	 */
	conn_set_abortive(u->conn, true);
	return answer(u, V1_YES);
}

static enum ftx_rc
receive_content(void *ctx)
{
	struct v1_server_half *u = ctx;

	pump_receive(&u->pump, &(struct pump_ends){
				   .conn = u->conn,
				   .transfer = u->transfer,
				   .machine = &u->machine,
				   .event = ON_CONTENT,
				   .way = u->server->receive_way,
				   .fail = fail,
				   .arg = u,
			       });
	return FTX_OK;
}

static enum ftx_rc
publish(void *ctx)
{
	struct v1_server_half *u = ctx;

	conn_read_now(u->conn);
	if (conn_input_length(u->conn) > 0)
		return FTX_EXCESS;
	/* It is our time now: the idle clock must not end what the peer has finished. */
	machine_set_busy(&u->machine, true);
	store_commit(u->transfer);
	return FTX_OK;
}

static enum ftx_rc
too_much(void *ctx)
{
	struct v1_server_half *u = ctx;

	/* What is cancelled in time ends as FTX_CANCELLED, and that in a reset. */
	store_cancel(u->transfer);
	conn_drop_input(u->conn);
	return FTX_OK;
}

static enum ftx_rc
stay_to_publish(void *ctx)
{
	(void)ctx;
	return FTX_OK;
}

static enum ftx_rc
finish(void *ctx)
{
	struct v1_server_half *u = ctx;

	v1_server_half_let_go(u);
	conn_set_abortive(u->conn, false);
	conn_finish(u->conn, FTX_OK);
	return FTX_OK;
}

enum ftx_rc
v1_server_upload_attach(struct conn *c, const struct v1_server *server)
{
	return v1_server_half_attach(c, server, &upload, CLIENT_CONNECT);
}
