/*
 * Fuzz target: whole sessions of protocol 1. A real half on one end of a socketpair(2), on the
 * other the input: three bytes that set the stage (play_half; two sets of bits, below), then a
 * script of operations, each one byte (its number) and what the operation takes. Every boundary
 * between messages, loop turns, jobs of the disk and moments of time is the script's to choose.
 * session_check.c says what must hold.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cursor.h"
#include "core/limits.h"
#include "daemon/session.h"
#include "fuzz/session.h"
#include "fuzz/step_pool.h"
#include "fuzz/target.h"
#include "loop/worker.h"
#include "store/root.h"
#include "store/store.h"
#include "unit/fake_sys.h"
#include "v1/message.h"

/* The second byte of an input. */
#define SET_SMALL_BUFFERS 0x01 /* of the sockets: writes are partial */
#define SET_SMALL_LIMITS  0x02 /* files of 1,000 bytes; one connection */
#define SET_TIME_ENDS_IT  0x04 /* in the end not the peers close, but time passes */
#define SET_NO_FALLOCATE  0x08
#define SET_CANCEL(b)     ((int)((b) >> 4 & 3) - 1) /* enum v1_notice, or none */
#define SET_REPLACES      0x40                      /* a client's local file is there before */
#define SET_SMALL_IO      0x80                      /* of files: 1,000 bytes a call */
/* And the third: root_flag's of tests, the size of a client's local file, names. */
#define SET_ROOT(b)       (((unsigned)(b)&0x0f) * ROOT_NAMED_STAGE)
#define SET_LOCAL_SIZE(b) ((b) >> 4 & 3)
#define SET_NAMES_BYTES   0x40
#define SET_NAMES_FLAT    0x80

enum op {
	OP_RAW,       /* n, n bytes: sent as they stand */
	OP_REQUEST,   /* k: a request, for name k >> 1; the lowest bit: a download */
	OP_SIZE,      /* k: a size, k below 128: itself, or one of sizes[] */
	OP_ANSWER,    /* k: T and a size: what a download's server says */
	OP_LETTER,    /* k: T, F, E or another one */
	OP_CONTENT,   /* k: content, see content_length() */
	OP_TURN,      /* one turn of the loop */
	OP_JOB,       /* one job of the disk */
	OP_SETTLE,    /* until nothing happens any more */
	OP_READ,      /* n: 64 n bytes, 0: all */
	OP_HALFCLOSE, /* no more is sent */
	OP_CLOSE,
	OP_TIME,    /* k: the clock moves by times_ms[k] */
	OP_DISK,    /* it stands still: OP_SETTLE runs no jobs; or goes on */
	OP_CONNECT, /* one more connection to the daemon */
	OP_SWITCH,  /* to the next peer */
	OP_FAULT,   /* k: a call of the store fails from here on; 0: none does */
	OP_FILE,    /* k: something happens to the file that is there */
	OP_OWNER,   /* k: the half's owner ends it */
	OPS
};

static const unsigned times_ms[] = { 1, 100, 1000, 1999, 2000, 2001, 9999, 10000, 10001, 30000,
	59999, 60000, 60001, 599999, 600000, 600001 };
static const uint64_t local_sizes[] = { 0, 1, 5000, 300000 };
#define PICK(table, k) ((table)[(k) % (sizeof(table) / sizeof((table)[0]))])

#define DESCRIPTORS 64 /* more than are ever open in a play */

static struct peer peers[PLAY_PEERS];
static struct session_group group;
static struct limits *limits;
static struct play play;
static unsigned at; /* the peer whose turn it is */
static bool disk_stalled;
static int peer_of_fd[DESCRIPTORS]; /* the half's descriptor -> its peer + 1 */

/* The last word on how a connection ends: see conn_set_abortive(). There is no TCP here. */
int
setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int (*real)(int, int, int, const void *, socklen_t);

	if (level == SOL_SOCKET && name == SO_LINGER) {
		const struct linger *l = value;
		int i = fd < DESCRIPTORS && play.half == PLAY_DAEMON ? peer_of_fd[fd] : 1;

		CHECK(len == sizeof(*l) && i > 0);
		peers[i - 1].abortive = l->l_onoff != 0;
		return 0;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "setsockopt");
	return real != NULL ? real(fd, level, name, value, len) : -1;
}

/* A chain of events without a job between is some turns long: the script may ask again. */
static void
settle(struct pair_stage *st)
{
	for (int quiet = 0; quiet < 3; quiet++) {
		while (!disk_stalled && step_pool_run(st->pool))
			quiet = 0;
		worker_turn(st->worker, false);
	}
}

static void
on_session_end(void *arg)
{
	(void)arg;
}

static void
add_peer(int fd)
{
	struct peer *p = &peers[play.count];

	at = play.count++;
	p->fd = fd;
	p->shut = p->left = p->excess = p->abortive = false;
	p->sent_len = p->got_len = 0;
}

static void
connect_to_daemon(void)
{
	struct addr from;
	int fds[2];

	if (play.half != PLAY_DAEMON || play.count == PLAY_PEERS)
		return;
	CHECK(addr_parse(&from, "127.0.0.1", 1) == FTX_OK);
	stage_socketpair(&play.st, fds);
	add_peer(fds[0]);
	CHECK(fds[1] < DESCRIPTORS);
	peer_of_fd[fds[1]] = (int)play.count;
	session_start(&group, fds[1], &from);
}

static void
leave(struct peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	if (p->fd == play.st.peer)
		play.st.peer = -1;
	p->fd = -1;
}

static void
owner_ends(uint8_t k)
{
	struct session *s = TAILQ_FIRST(&group.list);

	if (play.st.conn != NULL)
		conn_reset(play.st.conn, FTX_CANCELLED);
	else if (s != NULL && (k & 1) != 0)
		session_abort(s);
	else if (s != NULL)
		session_end_idle(s);
}

static void
do_raw(struct peer *p, struct cursor *in)
{
	size_t n = cursor_get_u8(in);

	if (n > in->left)
		n = in->left;
	peer_send(&play, p, cursor_get_bytes(in, n), n);
}

static void
do_to_peer(struct peer *p, enum op op, struct cursor *in)
{
	switch (op) {
	case OP_RAW:
		do_raw(p, in);
		break;
	case OP_REQUEST:
		peer_send_request(&play, p, cursor_get_u8(in));
		break;
	case OP_SIZE:
	case OP_ANSWER:
		peer_send_size(&play, p, cursor_get_u8(in), op == OP_ANSWER);
		break;
	case OP_LETTER:
		peer_send_letter(&play, p, cursor_get_u8(in));
		break;
	case OP_CONTENT:
		peer_send_content(&play, p, cursor_get_u8(in));
		break;
	case OP_HALFCLOSE:
		if (p->fd >= 0)
			shutdown(p->fd, SHUT_WR);
		p->shut = true;
		break;
	default:
		p->left = true;
		leave(p);
	}
}

static void
do_op(enum op op, struct cursor *in)
{
	struct peer *p = &peers[at];
	uint8_t n;

	switch (op) {
	case OP_TURN:
		worker_turn(play.st.worker, false);
		break;
	case OP_JOB:
		(void)step_pool_run(play.st.pool);
		break;
	case OP_SETTLE:
		settle(&play.st);
		break;
	case OP_READ:
		n = cursor_get_u8(in);
		if (n > 0)
			peer_get(p, (size_t)n * 64);
		else
			peer_get_all(&play, p);
		break;
	case OP_TIME:
		stage_elapse(&play.st, PICK(times_ms, cursor_get_u8(in)));
		break;
	case OP_DISK:
		disk_stalled = !disk_stalled;
		break;
	case OP_CONNECT:
		connect_to_daemon();
		break;
	case OP_SWITCH:
		at = (at + 1) % play.count;
		break;
	case OP_FAULT:
		play_let_fail(&play, cursor_get_u8(in));
		break;
	case OP_FILE:
		play_change_file(&play, cursor_get_u8(in));
		break;
	case OP_OWNER:
		owner_ends(cursor_get_u8(in));
		break;
	default:
		do_to_peer(p, op, in);
	}
}

/* The half that the first byte asks for, on a stage as the next two describe it. */
static void
begin(struct cursor *in)
{
	uint8_t half = cursor_get_u8(in), set = cursor_get_u8(in), more = cursor_get_u8(in);
	bool small = (set & SET_SMALL_LIMITS) != 0;

	play.half = half % PLAY_HALVES;
	play.peers = peers;
	play.count = 0;
	play.replaces = (set & SET_REPLACES) != 0;
	play.local_size = local_sizes[SET_LOCAL_SIZE(more)];
	play.unsynced = false;
	disk_stalled = play.removed[0] = play.removed[1] = false;
	fake_orders = (struct fake_orders){
		.io_max = (set & SET_SMALL_IO) != 0 ? 1000 : 0,
		.no_fallocate = (set & SET_NO_FALLOCATE) != 0,
		.free_bytes = PLAY_FREE_BYTES,
	};
	stage_up_with(&play.st, SET_ROOT(more) | (play_is_client(&play) ? 0 : ROOT_EXCLUSIVE));
	play.st.settle = settle;
	play.st.socket_buffer = (set & SET_SMALL_BUFFERS) != 0 ? 1 : 0; /* the least there is */
	play.st.cancel_at = SET_CANCEL(set);
	play.st.server.max_file_size = small ? 1000 : 0;
	play.st.server.names = (struct path_rules){
		.alphabet = (more & SET_NAMES_BYTES) != 0 ? PATH_BYTES : PATH_UTF8,
		.max_depth = (more & SET_NAMES_FLAT) != 0 ? 1 : 0,
	};
	play_make_files(&play);
	CHECK(limits_new(&limits, small ? 1 : 0, 2) == FTX_OK);
	group = (struct session_group){
		.worker = play.st.worker,
		.limits = limits,
		.timeouts = play.st.limits,
		.v1 = play.st.server,
		.on_end = on_session_end,
	};
	TAILQ_INIT(&group.list);
	disk_stalled = true; /* the script says when the half goes on */
	if (play_is_client(&play))
		stage_client(&play.st, play.half == PLAY_CLIENT_UPLOAD, PLAY_REMOTE, PLAY_LOCAL);
	else if (play.half != PLAY_DAEMON)
		stage_serve(&play.st, play.half == PLAY_SERVER_UPLOAD);
	if (play.half != PLAY_DAEMON)
		add_peer(play.st.peer);
	connect_to_daemon();
	disk_stalled = false;
}

static void
settle_down(void)
{
	for (int i = 0; i < 8; i++)
		settle(&play.st);
}

/* No peer and no disk can keep a connection for ever. */
static void
end(bool by_time)
{
	disk_stalled = false;
	settle_down();
	if (by_time) {
		for (int i = 0; i < 3; i++)
			stage_elapse(&play.st, 600 * 1000 + 1);
		CHECK(play.st.conn == NULL && group.count == 0);
	}
	for (unsigned i = 0; i < play.count; i++) {
		peer_get_all(&play, &peers[i]);
		settle_down();
		peer_get_all(&play, &peers[i]);
	}
	for (unsigned i = 0; i < play.count; i++)
		leave(&peers[i]);
	settle_down();
	CHECK(play.st.conn == NULL && group.count == 0);
	CHECK(worker_held(play.st.worker) == 0 && play.st.server.store->transfers == 0);
	CHECK(play.st.done == play_is_client(&play));
	stage_stop(&play.st); /* the registry must be empty */
	limits_free(limits);  /* and so must this */
	if (play.unsynced && !play_is_client(&play))
		play_sweep(&play);
	session_check(&play);
	stage_remove_dir(&play.st);
}

/* However much a peer says, and however little it reads. */
static void
check_memory(void)
{
	if (play.st.conn == NULL)
		return;
	CHECK(conn_input_length(play.st.conn) <= 4 * CONN_INPUT_SMALL);
	CHECK(conn_output_length(play.st.conn) <= V1_REQUEST_SIZE);
}

/* Not by poll(2), which does not know those of O_PATH. */
static unsigned
open_descriptors(void)
{
	unsigned open = 0;

	for (int fd = 0; fd < DESCRIPTORS; fd++)
		open += fcntl(fd, F_GETFD) >= 0;
	return open;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN); /* as the programs do */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_init(data, size);
	unsigned before = open_descriptors();

	if (size < 4)
		return 0;
	begin(&in);
	while (in.left > 0) {
		do_op(cursor_get_u8(&in) % OPS, &in);
		check_memory();
	}
	end((data[1] & SET_TIME_ENDS_IT) != 0);
	CHECK(open_descriptors() == before);
	return 0;
}
