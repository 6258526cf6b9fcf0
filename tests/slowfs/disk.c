#include "slowfs/disk.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)

struct request {
	STAILQ_ENTRY(request) link;
	fuse_req_t req; /* owned until it is answered */
	int fd;         /* borrowed: the open file's */
	off_t offset;
	size_t len;
	bool data_only;
	char data[]; /* of a write: what to write; of a read: room */
};

STAILQ_HEAD(request_list, request);

struct queue {
	enum disk_kind kind;
	uint64_t rate;    /* bytes a second, or 0 */
	uint64_t cost_ns; /* of each turn, besides */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct request_list waiting;
	bool held;
	unsigned count; /* waiting, or being served */
	uint64_t done;
	uint64_t bytes;
	uint64_t free_at; /* of the thread: when the disk is done with what it has taken */
};

struct disk {
	struct queue queues[DISK_KIND_COUNT];
};

static const char *const names[] = {
	[DISK_WRITE] = "write",
	[DISK_READ] = "read",
	[DISK_SYNC] = "sync",
};

enum disk_kind
disk_kind_of(const char *name)
{
	for (int kind = 0; kind < DISK_KIND_COUNT; kind++) {
		if (strcmp(names[kind], name) == 0)
			return (enum disk_kind)kind;
	}
	return DISK_KIND_COUNT;
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

/* Until a disk of that rate, which does one thing at a time, would have moved so much. */
static void
pace(struct queue *q, size_t len)
{
	uint64_t now = now_ns();
	struct timespec until;

	if (q->free_at < now)
		q->free_at = now;
	q->free_at += q->cost_ns;
	if (q->rate > 0)
		q->free_at += len * SECOND_NS / q->rate;
	if (q->free_at <= now)
		return;
	until.tv_sec = (time_t)(q->free_at / SECOND_NS);
	until.tv_nsec = (long)(q->free_at % SECOND_NS);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static void
serve_write(struct request *r)
{
	size_t at = 0;

	while (at < r->len) {
		ssize_t n = pwrite(r->fd, r->data + at, r->len - at, r->offset + (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	if (at == 0 && r->len > 0)
		fuse_reply_err(r->req, errno);
	else
		fuse_reply_write(r->req, at);
}

static void
serve_read(struct request *r)
{
	ssize_t n;

	do {
		n = pread(r->fd, r->data, r->len, r->offset);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		fuse_reply_err(r->req, errno);
	else
		fuse_reply_buf(r->req, r->data, (size_t)n);
}

static void
serve_sync(struct request *r)
{
	int failed = r->data_only ? fdatasync(r->fd) : fsync(r->fd);

	fuse_reply_err(r->req, failed != 0 ? errno : 0);
}

static void
serve(struct queue *q, struct request *r)
{
	switch (q->kind) {
	case DISK_WRITE:
		serve_write(r);
		break;
	case DISK_READ:
		serve_read(r);
		break;
	default:
		serve_sync(r);
	}
}

/* What the next turn is for: one request, or all syncs that wait, since a disk has one cache. */
static void
take(struct queue *q, struct request_list *turn)
{
	struct request *r;

	STAILQ_INIT(turn);
	pthread_mutex_lock(&q->lock);
	while (q->held || STAILQ_EMPTY(&q->waiting))
		pthread_cond_wait(&q->changed, &q->lock);
	do {
		r = STAILQ_FIRST(&q->waiting);
		STAILQ_REMOVE_HEAD(&q->waiting, link);
		STAILQ_INSERT_TAIL(turn, r, link);
	} while (q->kind == DISK_SYNC && !STAILQ_EMPTY(&q->waiting));
	pthread_mutex_unlock(&q->lock);
}

static void *
run(void *arg)
{
	struct queue *q = arg;
	struct request_list turn;
	struct request *r;

	prctl(PR_SET_TIMERSLACK, 1);
	for (;;) {
		take(q, &turn);
		pace(q, STAILQ_FIRST(&turn)->len);
		while ((r = STAILQ_FIRST(&turn)) != NULL) {
			STAILQ_REMOVE_HEAD(&turn, link);
			/* Counted first: who has the answer finds it counted. */
			pthread_mutex_lock(&q->lock);
			q->count--;
			q->done++;
			q->bytes += r->len;
			pthread_mutex_unlock(&q->lock);
			serve(q, r);
			free(r);
		}
	}
	return NULL;
}

static void
submit(struct queue *q, struct request *r)
{
	pthread_mutex_lock(&q->lock);
	STAILQ_INSERT_TAIL(&q->waiting, r, link);
	q->count++;
	pthread_cond_signal(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

static struct request *
request_new(fuse_req_t req, int fd, size_t room)
{
	struct request *r = malloc(sizeof(*r) + room);

	if (r == NULL) {
		fuse_reply_err(req, ENOMEM);
		return NULL;
	}
	*r = (struct request){ .req = req, .fd = fd, .len = room };
	return r;
}

void
disk_write(struct disk *d, fuse_req_t req, int fd, const char *data, size_t len, off_t offset)
{
	struct request *r = request_new(req, fd, len);

	if (r == NULL)
		return;
	r->offset = offset;
	memcpy(r->data, data, len);
	submit(&d->queues[DISK_WRITE], r);
}

void
disk_read(struct disk *d, fuse_req_t req, int fd, size_t len, off_t offset)
{
	struct request *r = request_new(req, fd, len);

	if (r == NULL)
		return;
	r->offset = offset;
	submit(&d->queues[DISK_READ], r);
}

void
disk_sync(struct disk *d, fuse_req_t req, int fd, bool data_only)
{
	struct request *r = request_new(req, fd, 0);

	if (r == NULL)
		return;
	r->data_only = data_only;
	submit(&d->queues[DISK_SYNC], r);
}

void
disk_set_held(struct disk *d, enum disk_kind kind, bool held)
{
	struct queue *q = &d->queues[kind];

	pthread_mutex_lock(&q->lock);
	q->held = held;
	pthread_cond_signal(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

void
disk_print(struct disk *d, FILE *out)
{
	for (int kind = 0; kind < DISK_KIND_COUNT; kind++) {
		struct queue *q = &d->queues[kind];

		pthread_mutex_lock(&q->lock);
		fprintf(out, "%s%s waiting=%u done=%llu bytes=%llu", kind > 0 ? " " : "",
		    names[kind], q->count, (unsigned long long)q->done,
		    (unsigned long long)q->bytes);
		pthread_mutex_unlock(&q->lock);
	}
	fputc('\n', out);
	fflush(out);
}

struct disk *
disk_new(const struct disk_speed *speed)
{
	struct disk *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->queues[DISK_WRITE].rate = speed->write_rate;
	d->queues[DISK_READ].rate = speed->read_rate;
	d->queues[DISK_SYNC].cost_ns = speed->sync_ns;
	for (int kind = 0; kind < DISK_KIND_COUNT; kind++) {
		struct queue *q = &d->queues[kind];
		pthread_t thread;

		q->kind = (enum disk_kind)kind;
		STAILQ_INIT(&q->waiting);
		pthread_mutex_init(&q->lock, NULL);
		pthread_cond_init(&q->changed, NULL);
		if (pthread_create(&thread, NULL, run, q) != 0)
			return NULL; /* the others wait for ever: the process ends */
	}
	return d;
}
