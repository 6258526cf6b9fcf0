/* Frames that come. Nothing is read ahead of what a request can take, and all is judged first. */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "v2/client_private.h"
#include "v2/result.h"

/* A breach, or nothing. */
static enum ftx_rc
fault_rc(struct v2_fault fault)
{
	return fault.reach == V2_REACH_NONE ? FTX_OK : fault.rc;
}

static enum ftx_rc
take_hello(struct v2_client *c, const struct v2_frame *f)
{
	struct v2_server_info *i = &c->info;
	struct v2_hello m;
	enum ftx_rc rc = fault_rc(v2_server_hello_decode(f, NULL, &m));

	if (rc != FTX_OK)
		return rc;
	c->greeted = true;
	c->limits = i->limits = (struct v2_limits){ m.max_data, m.max_now, m.max_requests };
	i->kinds = v2_digest_kinds(m.digests) & c->terms.kinds;
	c->terms = (struct v2_terms){ i->kinds, m.max_now };
	c->tells_progress = V2_HAS(&m, FEATURES) && (m.features & V2_FEATURE_PROGRESS) != 0;
	i->has_max_file = V2_HAS(&m, MAX_FILE);
	i->max_file = m.max_file;
	i->has_time = V2_HAS(&m, TIME);
	i->time = m.time;
	if (m.agent.len > 0 && m.agent.len < sizeof(i->agent))
		memcpy(i->agent, m.agent.p, m.agent.len);
	c->sent_at = worker_now(c->worker);
	v2_client_set_state(c, OPEN);
	c->callbacks->on_open(c->arg);
	return FTX_OK;
}

static enum ftx_rc
take_goodbye(struct v2_client *c, const struct v2_frame *f)
{
	const struct v2_outcome o = {
		.rc = FTX_SHUTDOWN, .whose = V2_WHOSE_SERVER, .retryable = true
	};
	struct v2_goodbye m;
	struct v2_request *r;
	enum ftx_rc rc = fault_rc(v2_goodbye_decode(f, &c->terms, &m));

	if (rc != FTX_OK)
		return rc;
	if (c->state == PARTING)
		return FTX_PROTOCOL;
	v2_client_set_state(c, PARTING);
	while ((r = TAILQ_FIRST(&c->queue)) != NULL) {
		v2_request_settle(r, &o);
		v2_request_drop(r);
	}
	c->callbacks->on_goodbye(c->arg, V2_HAS(&m, RETRY_AFTER) ? m.retry_after : 0);
	return FTX_OK;
}

/* ERROR with the id 0: the server ends the connection. */
static enum ftx_rc
take_connection_error(struct v2_client *c, const struct v2_frame *f)
{
	struct v2_error m;
	enum ftx_rc rc = fault_rc(v2_error_decode(f, &c->terms, &m));

	if (rc != FTX_OK)
		return rc;
	if ((v2_code_where(m.code) & V2_OF_CONNECTION) == 0)
		return FTX_PROTOCOL;
	v2_client_end(c, &(struct v2_outcome){
			     .rc = v2_code_rc(m.code),
			     .whose = V2_WHOSE_SERVER,
			     .retryable = v2_code_is_retryable(m.code),
			     .code = m.code,
			     .retry_after = V2_HAS(&m, RETRY_AFTER) ? m.retry_after : 0,
			     .text = m.text,
			 });
	return FTX_OK;
}

/* The answer to a CANCEL: the target tells what became of it. */
static enum ftx_rc
take_cancel_result(struct v2_client *c, const struct v2_frame *f, uint16_t target)
{
	struct v2_done done;
	struct v2_error error;
	struct v2_working working;
	enum ftx_rc rc = FTX_PROTOCOL;

	if (f->type == V2_WORKING)
		return fault_rc(v2_working_decode(f, &c->terms, &working));
	if (f->type == V2_OK)
		rc = fault_rc(v2_cancel_ok_decode(f, &c->terms, &done));
	else if (f->type == V2_ERROR)
		rc = fault_rc(v2_error_decode(f, &c->terms, &error));
	if (rc == FTX_OK)
		c->cancelling[target] = false;
	return rc;
}

static enum ftx_rc
take_request_error(struct v2_client *c, const struct v2_frame *f, struct v2_request *r)
{
	struct v2_error m;
	enum ftx_rc rc = fault_rc(v2_error_decode(f, &c->terms, &m));

	if (rc != FTX_OK)
		return rc;
	if ((v2_code_where(m.code) & V2_OF_REQUEST) == 0)
		return FTX_PROTOCOL;
	if (c->receiving != NULL && r == &c->receiving->r)
		c->receiving = NULL;
	v2_request_error(r, &m);
	return FTX_OK;
}

static enum ftx_rc
take_working(struct v2_client *c, const struct v2_frame *f, struct v2_request *r)
{
	struct v2_working m;
	enum ftx_rc rc = fault_rc(v2_working_decode(f, &c->terms, &m));

	if (rc != FTX_OK || !V2_HAS(&m, DONE))
		return rc;
	r->worked = m.done;
	if (r->type == V2_PUT)
		rc = v2_put_progress((struct v2_put_request *)r, m.done);
	return rc;
}

static enum ftx_rc
take_for_request(struct v2_client *c, const struct v2_frame *f)
{
	static const struct {
		uint8_t type, event;
	} events[] = {
		{ V2_OK, V2_ON_OK },
		{ V2_PAGE, V2_ON_PAGE },
		{ V2_GO, V2_ON_GO },
		{ V2_HAVE, V2_ON_HAVE },
		{ V2_FILE, V2_ON_FILE },
		{ V2_END, V2_ON_END },
	};
	struct v2_request *r;

	if (f->id > CANCEL_ID && f->id <= CANCEL_ID + LIVE_MAX && c->cancelling[f->id - CANCEL_ID])
		return take_cancel_result(c, f, (uint16_t)(f->id - CANCEL_ID));
	r = f->id <= LIVE_MAX ? c->slots[f->id] : NULL;
	if (r == NULL)
		return FTX_PROTOCOL;
	if (f->type == V2_WORKING)
		return take_working(c, f, r);
	if (f->type == V2_ERROR)
		return take_request_error(c, f, r);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (events[i].type == f->type) {
			v2_request_event(r, (enum v2_request_event)events[i].event, f);
			return FTX_OK;
		}
	}
	return FTX_PROTOCOL;
}

static enum ftx_rc
take_message(struct v2_client *c, const struct v2_frame *f)
{
	if (log_is_debug())
		log_debug("conn=%" PRIu64 " id=%u received %s, %" PRIu32 " bytes", conn_id(c->conn),
		    f->id, v2_type_name(f->type), f->length);
	switch (f->type) {
	case V2_HELLO:
		return c->greeted ? FTX_PROTOCOL : take_hello(c, f);
	case V2_PONG:
		return v2_client_take_pong(c, f);
	case V2_GOODBYE:
		return take_goodbye(c, f);
	default:
		return f->id == 0 ? take_connection_error(c, f) : take_for_request(c, f);
	}
}

/* The header of DATA: whose content is under way, and how much of it is in this frame. */
static enum ftx_rc
take_data_header(struct v2_client *c, const struct v2_frame *f)
{
	struct v2_request *r = f->id <= LIVE_MAX ? c->slots[f->id] : NULL;
	struct v2_get_request *get = (struct v2_get_request *)r;
	enum ftx_rc rc;

	if (r == NULL || r->ops != &v2_get_ops || (c->receiving != NULL && c->receiving != get))
		return FTX_PROTOCOL;
	rc = v2_get_data(get, f);
	if (rc != FTX_OK)
		return rc;
	c->receiving = get;
	c->data_left = f->length;
	/* What is small comes by the input, as the messages around it do. */
	c->bulk = !get->is_small;
	if (c->bulk)
		conn_set_bulk_input(c->conn, true);
	return FTX_OK;
}

/* Of the DATA under way; false: there is no more for now, or no room for it. */
static bool
take_data(struct v2_client *c)
{
	struct v2_get_request *get = c->receiving;
	size_t n = v2_target_receive(get, c->data_left);

	if (c->conn == NULL)
		return false;
	c->data_left -= n;
	conn_add_content(c->conn, n);
	if (c->data_left == 0) {
		if (c->bulk)
			conn_set_bulk_input(c->conn, false);
	} else if (get->stalled)
		conn_set_receiving(c->conn, false);
	return !get->stalled && (n > 0 || c->data_left == 0);
}

static enum ftx_rc
take_preface(struct v2_client *c)
{
	size_t len = conn_input_length(c->conn);

	if (!v2_preface_begins(conn_input(c->conn), len))
		return FTX_PROTOCOL;
	if (len >= V2_PREFACE_SIZE) {
		conn_skip(c->conn, V2_PREFACE_SIZE);
		c->prefaced = true;
	}
	return FTX_OK;
}

/* The next frame. False: it is not there yet, or it was the last. */
static bool
take_frame(struct v2_client *c)
{
	const struct v2_gate gate = { V2_SERVER, c->greeted, OUR_MAX_DATA };
	struct v2_frame f = { 0 };
	struct v2_fault fault;
	enum ftx_rc rc = FTX_OK;
	size_t size;
	enum v2_next next = v2_frame_next(
	    conn_input(c->conn), conn_input_length(c->conn), &gate, &f, &size, &fault);

	if (next == V2_NEXT_MORE)
		return false;
	if (f.type != V2_PONG)
		v2_client_told(c);
	if (fault.reach != V2_REACH_NONE)
		rc = fault.rc;
	else if (next == V2_NEXT_DATA) {
		conn_skip(c->conn, size);
		rc = take_data_header(c, &f);
	} else {
		rc = take_message(c, &f);
		if (c->conn != NULL)
			conn_skip(c->conn, size);
	}
	if (rc != FTX_OK)
		v2_client_fail(c, rc, V2_WHOSE_CONNECTION, true);
	return c->conn != NULL;
}

/* While large content comes, what is read with its next header would be copied once more. */
static void
choose_input(struct v2_client *c)
{
	size_t have = conn_input_length(c->conn);
	bool large = c->receiving != NULL && c->bulk && c->data_left == 0;

	conn_set_header(c->conn, large && have < V2_HEADER_SIZE ? V2_HEADER_SIZE - have : 0);
}

void
v2_client_soon_input(struct v2_client *c)
{
	if (v2_client_is_stalled(c)) {
		c->receiving->stalled = false;
		v2_client_told(c);
	}
	c->input_soon = true;
	v2_client_soon(c);
}

void
v2_client_resume_input(struct v2_client *c)
{
	enum ftx_rc rc = FTX_OK;

	c->input_soon = false;
	if (c->data_left > 0)
		conn_set_receiving(c->conn, true);
	while (c->conn != NULL && c->state != HALF_CLOSED) {
		if (!c->prefaced) {
			rc = conn_input_length(c->conn) > 0 ? take_preface(c) : FTX_OK;
			if (rc != FTX_OK || !c->prefaced)
				break;
		} else if (!(c->data_left > 0 ? take_data(c) : take_frame(c)))
			break;
	}
	if (c->conn == NULL || c->state == HALF_CLOSED)
		return;
	if (rc != FTX_OK)
		v2_client_fail(c, rc, V2_WHOSE_CONNECTION, true);
	else if (conn_peer_end(c->conn) != FTX_OK && !v2_client_is_stalled(c))
		v2_client_fail(c, conn_peer_end(c->conn), V2_WHOSE_CONNECTION, false);
	else {
		choose_input(c);
		v2_client_soon(c);
	}
}

void
v2_client_on_input(void *arg)
{
	struct v2_client *c = arg;

	if (c->data_left > 0)
		v2_client_told(c);
	else
		v2_client_heard(c);
	v2_client_resume_input(c);
}
