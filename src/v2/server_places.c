/* Protocol 2, the server: of what there is only so much at a time. */
#include "core/limits.h"
#include "net/conn.h"
#include "v2/server_private.h"

#define NOW_MIN 64

static unsigned
most_places(const struct v2s_conn *c, enum v2s_class class)
{
	static const unsigned most[V2S_CLASSES] = {
		[V2S_NOW] = V2S_NOW_MAX,
		[V2S_HEADS] = 4,
		[V2S_PUBLISHING] = 16,
		[V2S_GETS] = 4,
		[V2S_SUMS] = 2,
		[V2S_LISTS] = 2,
	};

	const struct limits *l = c->server->limits;

	/* Where shares are few one client does not have them all. */
	if (class == V2S_NOW && l != NULL && limits_shares(l) / 4 < V2S_NOW_MAX)
		return limits_shares(l) / 4 > NOW_MIN ? (unsigned)(limits_shares(l) / 4) : NOW_MIN;
	return most[class];
}

/*
 * A page is large, so there are none while the client does not read. A small file goes out as soon
 * as it has its place.
 */
static bool
has_place(const struct v2s_conn *c, enum v2s_class class)
{
	return c->places[class] < most_places(c, class) &&
	       (class != V2S_LISTS || !v2s_is_stalled(c)) && (class != V2S_GETS || v2s_may_send(c));
}

static bool
is_now(const struct v2s_request *r)
{
	return v2_is_put_now(r->type, r->flags);
}

/*
 * Its end takes something of the client's, which may stand behind what we do not read. Not that of
 * an upload of which all has come.
 */
static bool
needs_client(const struct v2s_request *r)
{
	return (r->type == V2_PUT && !is_now(r) && r->place != V2S_PUBLISHING) ||
	       (r->type == V2_GET && V2_HAS(&r->m.get, RESUME));
}

static bool
borrow(struct v2s_request *r)
{
	struct limits *l = r->c->server->limits;

	if (l != NULL && !limits_take_share(l))
		return false;
	r->share = V2S_BORROWED_SHARE;
	return true;
}

/* The connection's own is for what ends by itself, as long as there are others. */
static bool
take_share(struct v2s_request *r)
{
	struct v2s_conn *c = r->c;

	if (needs_client(r) && borrow(r))
		return true;
	if (c->own_share != NULL || c->own_lent)
		return !needs_client(r) && borrow(r);
	c->own_share = r;
	r->share = V2S_OWN_SHARE;
	return true;
}

/*
 * While PUTs with NOW wait, a large one or so many small ones that there is no more memory for
 * them, we read no further. So none of them may wait for what comes about by something that stands
 * there.
 */
static bool
may_wait(const struct v2s_request *r)
{
	const struct v2s_request *other = r->c->own_share;

	return !is_now(r) || other == NULL || !needs_client(other);
}

/* True: the place is its own. */
static bool
take_place(struct v2s_request *r)
{
	if (!has_place(r->c, r->place) || !take_share(r))
		return false;
	r->has_place = true;
	r->c->places[r->place]++;
	return true;
}

void
v2s_want_place(struct v2s_request *r, enum v2s_class place, void (*on_place)(struct v2s_request *r))
{
	struct v2s_conn *c = r->c;

	r->place = place;
	r->on_place = on_place;
	if (TAILQ_EMPTY(&c->waiting[place]) && take_place(r)) {
		on_place(r);
		return;
	}
	r->is_waiting = true;
	TAILQ_INSERT_TAIL(&c->waiting[place], r, waiting);
	c->again = true; /* whether it may is looked at then */
}

void
v2s_move_place(struct v2s_request *r, enum v2s_class place)
{
	struct v2s_conn *c = r->c;

	if (!r->has_place || !has_place(c, place))
		return;
	c->places[r->place]--;
	c->places[place]++;
	r->place = place;
	c->again = true;
}

void
v2s_leave_place(struct v2s_request *r)
{
	struct v2s_conn *c = r->c;

	if (r->is_waiting)
		TAILQ_REMOVE(&c->waiting[r->place], r, waiting);
	if (r->has_place)
		c->places[r->place]--;
	if (r->share == V2S_OWN_SHARE)
		c->own_share = NULL;
	else if (r->share == V2S_BORROWED_SHARE && c->server->limits != NULL)
		limits_give_share(c->server->limits);
	r->share = V2S_NO_SHARE;
	r->is_waiting = r->has_place = false;
}

void
v2s_give_places(struct v2s_conn *c)
{
	for (int i = 0; i < V2S_CLASSES; i++) {
		struct v2s_request *r;

		while ((r = TAILQ_FIRST(&c->waiting[i])) != NULL && !c->closed) {
			if (take_place(r)) {
				TAILQ_REMOVE(&c->waiting[i], r, waiting);
				r->is_waiting = false;
				r->on_place(r);
			} else if (has_place(c, (enum v2s_class)i) && !may_wait(r))
				v2s_refuse(r, FTX_LIMIT);
			else
				break;
		}
	}
}

/* What had a share is closed, perhaps long after its request, and after the connection. */
static void
take_back(struct v2s_conn *c)
{
	c->lent--;
	conn_release(c->conn);
	if (c->closed)
		v2s_conn_let_go(c);
}

static void
give_own_share(void *arg)
{
	struct v2s_conn *c = arg;

	c->own_lent = false;
	/* Who waits for it is looked at then, and not within whatever this is. */
	if (!c->closed) {
		c->again = true;
		v2s_flush_soon(c);
	}
	take_back(c);
}

static void
give_borrowed_share(void *arg)
{
	struct v2s_conn *c = arg;

	if (c->server->limits != NULL)
		limits_give_share(c->server->limits);
	take_back(c);
}

void
v2s_lend_share(struct v2s_request *r)
{
	struct v2s_conn *c = r->c;
	void (*give)(void *share) = give_own_share;

	if (r->share == V2S_NO_SHARE)
		return;
	if (r->share == V2S_OWN_SHARE)
		c->own_lent = true;
	else {
		r->share = V2S_NO_SHARE;
		give = give_borrowed_share;
	}
	c->lent++;
	conn_hold(c->conn);
	if (r->transfer != NULL)
		transfer_set_share(r->transfer, c, give);
	else
		request_set_share(r->asked, c, give);
}
