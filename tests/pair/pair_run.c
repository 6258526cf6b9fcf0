/*
 * pair_run - plays a script against a real half of protocol 1 (usage: pair_run SCRIPT...).
 *
 * A script is a list of cases; see tests/pair/README for the commands. PAIR_TRACE=1 shows the log
 * lines.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/registry.h"
#include "pair/pair_bytes.h"
#include "pair/pair_stage.h"
#include "store/root.h"
#include "store/space.h"

static struct {
	const char *file;
	unsigned line;
	char name[256];
	bool failed;
	unsigned cases, failures;
} at;

void
fail(const char *fmt, ...)
{
	va_list ap;

	if (at.failed)
		return; /* the first fault of a case is the one that tells */
	at.failed = true;
	fprintf(stderr, "%s:%u: case \"%s\": ", at.file, at.line, at.name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static void
do_send(struct pair_stage *st, size_t step)
{
	for (size_t sent = 0; sent < bytes_len;) {
		size_t n = bytes_len - sent < step ? bytes_len - sent : step;
		ssize_t put = send(st->peer, bytes + sent, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (put < 0 && errno != EAGAIN) {
			fail("cannot send: %s", strerror(errno));
			return;
		}
		sent += put > 0 ? (size_t)put : 0;
		if (step == 1 || put < 0)
			stage_settle(st);
		if (put < 0 && st->conn == NULL)
			return; /* it takes no more: the next line says what was expected */
	}
	stage_settle(st);
}

/* The peer's end is there before anybody has looked at what it said last. */
static void
do_last(struct pair_stage *st)
{
	ssize_t put = send(st->peer, bytes, bytes_len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (put != (ssize_t)bytes_len)
		fail("cannot send all at once: %zd of %zu bytes", put, bytes_len);
	shutdown(st->peer, SHUT_WR);
	stage_settle(st);
}

/* CANCEL found|accepted */
static void
do_cancel(struct pair_stage *st, char *p)
{
	static const char *const notices[] = {
		[V1_NOTICE_FOUND] = "found",
		[V1_NOTICE_ACCEPTED] = "accepted",
	};
	const char *name = name_of(&p);

	for (int i = 0; i < (int)(sizeof(notices) / sizeof(notices[0])); i++) {
		if (notices[i] != NULL && strcmp(name, notices[i]) == 0)
			st->cancel_at = i;
	}
	if (st->cancel_at < 0)
		fail("no such notice: %s", name);
}

static uint8_t got[PAIR_BYTES_MAX + 1];

/* Reads what comes, up to `most` bytes, until nothing does any more; how much. */
static size_t
receive(struct pair_stage *st, size_t most)
{
	size_t len = 0;

	for (int idle = 0; len < most && idle < 4;) {
		ssize_t n = recv(st->peer, got + len, most - len, MSG_DONTWAIT);

		if (n > 0)
			len += (size_t)n;
		else
			idle++;
		stage_settle(st);
	}
	return len;
}

/* TAKE N */
static void
do_take(struct pair_stage *st, char *p)
{
	size_t most = strtoull(name_of(&p), NULL, 0);

	if (most > sizeof(got) || receive(st, most) != most)
		fail("there are no %zu bytes to take", most);
}

static void
do_expect_bytes(struct pair_stage *st)
{
	size_t len = receive(st, bytes_len);

	if (len != bytes_len || memcmp(got, bytes, len) != 0)
		fail("expected %zu bytes, first %02x; got %zu, first %02x", bytes_len, bytes[0],
		    len, len > 0 ? got[0] : 0);
}

static void
do_expect_nothing(struct pair_stage *st)
{
	uint8_t byte;

	if (recv(st->peer, &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN)
		fail("expected nothing, but there is something, or the end");
}

static void
do_expect_eof(struct pair_stage *st)
{
	uint8_t byte;
	ssize_t n = recv(st->peer, &byte, 1, MSG_DONTWAIT);

	if (n != 0)
		fail(n > 0 ? "expected the end, got byte %02x" : "expected the end", byte);
}

/* EXPECT FILE name content, EXPECT NO FILE name */
static void
do_expect_file(struct pair_stage *st, char *p, bool wanted)
{
	const char *name = name_of(&p);
	char path[512];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", st->dir, name);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		if (wanted)
			fail("there is no file %s", name);
		return;
	}
	n = read(fd, got, sizeof(got));
	close(fd);
	if (!wanted) {
		fail("there is a file %s", name);
		return;
	}
	parse_bytes(p);
	if (n != (ssize_t)bytes_len || memcmp(got, bytes, bytes_len) != 0)
		fail("file %s has %zd bytes that are not the %zu expected", name, n, bytes_len);
}

static void
do_expect_close(struct pair_stage *st, const char *reason)
{
	if (!st->closed)
		fail("expected the close, but the connection is open in %s", stage_state());
	else if (strcmp(ftx_rc_name(st->why), reason) != 0)
		fail("expected reason %s, got %s", reason, ftx_rc_name(st->why));
}

static void
do_expect_done(struct pair_stage *st, char *p)
{
	static const char *const sides[] = { "none", "local", "remote" };
	const char *reason = name_of(&p), *side = name_of(&p);

	if (!st->done)
		fail("the client's half has not ended, but is in %s", stage_state());
	else if (strcmp(ftx_rc_name(st->done_rc), reason) != 0 ||
		 strcmp(sides[st->done_side], side) != 0)
		fail("expected %s %s, got %s %s", reason, side, ftx_rc_name(st->done_rc),
		    sides[st->done_side]);
}

static void
do_expect(struct pair_stage *st, char *p)
{
	char copy[4096], *rest = copy;
	const char *what;

	snprintf(copy, sizeof(copy), "%s", p);
	what = name_of(&rest);
	if (strcmp(what, "NOTHING") == 0)
		do_expect_nothing(st);
	else if (strcmp(what, "EOF") == 0)
		do_expect_eof(st);
	else if (strcmp(what, "CLOSE") == 0)
		do_expect_close(st, name_of(&rest));
	else if (strcmp(what, "OPEN") == 0) {
		if (st->conn == NULL)
			fail("expected an open connection; closed: %s", ftx_rc_name(st->why));
	} else if (strcmp(what, "STATE") == 0) {
		const char *state = name_of(&rest);

		if (strcmp(state, stage_state()) != 0)
			fail("expected state %s, got %s", state, stage_state());
	} else if (strcmp(what, "DONE") == 0)
		do_expect_done(st, rest);
	else if (strcmp(what, "FILE") == 0)
		do_expect_file(st, rest, true);
	else if (strcmp(what, "NO") == 0) {
		what = name_of(&rest);
		if (strcmp(what, "FILE") == 0)
			do_expect_file(st, rest, false);
		else if (stage_strays(st) != 0)
			fail("%u stage files are left", stage_strays(st));
	} else {
		parse_bytes(p);
		do_expect_bytes(st);
	}
}

static void
do_file(struct pair_stage *st, char *p, bool append)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", st->dir, name_of(&p));
	parse_bytes(p);
	fd = open(path, O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC) | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, bytes, bytes_len) != (ssize_t)bytes_len)
		fail("cannot write %s", path);
	if (fd >= 0)
		close(fd);
}

/* FILES N */
static void
do_files(const struct pair_stage *st, char *p)
{
	unsigned long count = strtoul(name_of(&p), NULL, 10);

	for (unsigned long i = 0; i < count; i++) {
		char path[512];
		int fd;

		snprintf(path, sizeof(path), "%s/f%04lu", st->dir, i);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			fail("cannot make %s", path);
		else
			close(fd);
	}
}

static void
do_hold(struct pair_stage *st, char *p)
{
	const char *name = name_of(&p);
	bool upload = strcmp(name_of(&p), "upload") == 0;

	if (registry_claim(st->registry, name, upload ? REGISTRY_UPLOAD : REGISTRY_DOWNLOAD,
		&st->held) != FTX_OK ||
	    (upload && registry_begin_upload(st->held) != FTX_OK))
		fail("cannot hold %s", name);
}

static void
do_limit(struct pair_stage *st, char *p)
{
	const char *name = name_of(&p), *text = name_of(&p);
	uint64_t value = strtoull(text, NULL, 0);

	if (strcmp(name, "max_file_size") == 0)
		st->server.max_file_size = value;
	else if (strcmp(name, "min_rate") == 0)
		st->limits.min_rate = value;
	else if (strcmp(name, "max_stage_bytes") == 0)
		space_set_max(st->root->space, value);
	else if (strcmp(name, "max_depth") == 0)
		st->server.names.max_depth = value;
	else if (strcmp(name, "names") == 0)
		st->server.names.alphabet = strcmp(text, "bytes") == 0 ? PATH_BYTES : PATH_UTF8;
	else
		fail("no limit %s", name);
}

static void
do_path(struct pair_stage *st, char *p, const char *what)
{
	char path[512], to[512];

	snprintf(path, sizeof(path), "%s/%s", st->dir, name_of(&p));
	if (strcmp(what, "DIR") == 0 && mkdir(path, 0755) != 0)
		fail("mkdir %s", path);
	else if (strcmp(what, "FIFO") == 0 && mkfifo(path, 0644) != 0)
		fail("mkfifo %s", path);
	else if (strcmp(what, "LINK") == 0 && symlink(name_of(&p), path) != 0)
		fail("symlink %s", path);
	else if (strcmp(what, "REMOVE") == 0 && unlink(path) != 0)
		fail("unlink %s", path);
	else if (strcmp(what, "RENAME") == 0) {
		snprintf(to, sizeof(to), "%s/%s", st->dir, name_of(&p));
		if (rename(path, to) != 0)
			fail("rename %s", path);
	}
}

static void
do_allow(struct pair_stage *st, const char *what)
{
	st->server2.allow_replace |= strcmp(what, "replace") == 0;
	st->server2.allow_rename |= strcmp(what, "rename") == 0;
	st->server2.allow_remove |= strcmp(what, "remove") == 0;
}

static void
do_command(struct pair_stage *st, const char *cmd, char *p)
{
	bool upload;

	if (strcmp(cmd, "SERVER") == 0) {
		const char *half = name_of(&p);

		if (strcmp(half, "v2") == 0)
			stage_serve_v2(st);
		else
			stage_serve(st, strcmp(half, "upload") == 0);
	} else if (strcmp(cmd, "ALLOW") == 0)
		do_allow(st, name_of(&p));
	else if (strcmp(cmd, "DRAIN") == 0) {
		v2_server_drain(st->v2);
		stage_settle(st);
	} else if (strcmp(cmd, "SWITCH") == 0)
		stage_switch(st);
	else if (strcmp(cmd, "CLIENT") == 0) {
		const char *remote, *local;

		upload = strcmp(name_of(&p), "upload") == 0;
		remote = name_of(&p);
		local = name_of(&p);
		stage_client(st, upload, remote, local);
	} else if (strcmp(cmd, "SEND") == 0 || strcmp(cmd, "DRIP") == 0) {
		parse_bytes(p);
		do_send(st, cmd[0] == 'D' ? 1 : SIZE_MAX);
	} else if (strcmp(cmd, "LAST") == 0) {
		parse_bytes(p);
		do_last(st);
	} else if (strcmp(cmd, "TAKE") == 0)
		do_take(st, p);
	else if (strcmp(cmd, "EXPECT") == 0)
		do_expect(st, p);
	else if (strcmp(cmd, "ELAPSE") == 0)
		stage_elapse(st, strtoull(name_of(&p), NULL, 10) * 1000); /* seconds */
	else if (strcmp(cmd, "HALFCLOSE") == 0) {
		shutdown(st->peer, SHUT_WR);
		stage_settle(st);
	} else if (strcmp(cmd, "VANISH") == 0) {
		close(st->peer);
		st->peer = -1;
		stage_settle(st);
	} else if (strcmp(cmd, "FILE") == 0 || strcmp(cmd, "APPEND") == 0)
		do_file(st, p, cmd[0] == 'A');
	else if (strcmp(cmd, "FILES") == 0)
		do_files(st, p);
	else if (strcmp(cmd, "HOLD") == 0)
		do_hold(st, p);
	else if (strcmp(cmd, "RELEASE") == 0) {
		registry_release(st->held);
		st->held = NULL;
	} else if (strcmp(cmd, "LIMIT") == 0)
		do_limit(st, p);
	else if (strcmp(cmd, "CANCEL") == 0)
		do_cancel(st, p);
	else
		do_path(st, p, cmd);
}

static void
end_case(struct pair_stage *st, bool running)
{
	if (!running)
		return;
	stage_down(st);
	at.cases++;
	at.failures += at.failed;
}

static int
run_script(const char *file)
{
	char line[4096];
	struct pair_stage st;
	bool running = false;
	FILE *f = fopen(file, "r");

	if (f == NULL) {
		perror(file);
		return 1;
	}
	at.file = file;
	for (at.line = 1; fgets(line, sizeof(line), f) != NULL; at.line++) {
		char *p = line;
		size_t len;
		const char *cmd;

		line[strcspn(line, "\n")] = '\0';
		cmd = word(&p, &len);
		if (cmd == NULL)
			continue;
		if (strcmp(cmd, "CASE") == 0) {
			end_case(&st, running);
			running = true;
			at.failed = false;
			snprintf(at.name, sizeof(at.name), "%s", p);
			stage_up(&st);
		} else if (running && !at.failed)
			do_command(&st, cmd, p);
	}
	end_case(&st, running);
	fclose(f);
	return 0;
}

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN); /* as the programs do */
	for (int i = 1; i < argc; i++) {
		if (run_script(argv[i]) != 0)
			return 1;
	}
	printf("%u%%: Checks: %u, Failures: %u, Errors: 0\n",
	    at.cases > 0 ? 100 * (at.cases - at.failures) / at.cases : 0, at.cases, at.failures);
	return at.failures == 0 && at.cases > 0 ? 0 : 1;
}
