/* v2/server: how much of what one client asks for is done, and said in the log, at a time. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "fuzz/step_pool.h"
#include "loop/worker.h"
#include "unit/test_v2_server.h"

/*
 * Somebody else who has work to do, of a millisecond each time: so that is a turn of the loop.
 * Counts what the server says in each.
 */
static struct {
	struct work work;
	unsigned all, most, quiet;
	uint64_t now;
} other;

static uint64_t
others_clock(void)
{
	return other.now;
}

static void
count(struct work *work)
{
	unsigned n = 0;
	struct v2_frame f;

	holds_turns = true;
	while (next_message(&f))
		n++;
	holds_turns = false;
	other.all += n;
	other.most = n > other.most ? n : other.most;
	other.quiet = n > 0 ? 0 : other.quiet + 1;
	other.now++;
	ck_assert(worker_later(st.worker, work));
}

static unsigned
count_answers(void)
{
	other.all = other.most = other.quiet = 0;
	other.work.run = count;
	other.now = clock_now_ms();
	clock_set_hook(others_clock);
	ck_assert(worker_later(st.worker, &other.work));
	while (other.quiet < 8) {
		if (step_pool_run(st.pool))
			other.quiet = 0;
		worker_turn(st.worker, false);
	}
	worker_not_later(st.worker, &other.work);
	return other.all;
}

/* What is answered at once: others have their turn in between, however much there is of it. */
START_TEST(test_turns)
{
	enum { COUNT_OF = 4000, A_TURN = 64 };
	static uint8_t frames[COUNT_OF * V2_HEADER_SIZE];

	begin(true);
	for (unsigned i = 0; i < COUNT_OF; i++) {
		struct v2_frame f = { .type = _i == 0 ? V2_PUT : V2_MKDIR,
			.id = (uint16_t)(i + 1) };

		if (_i == 2)
			f = (struct v2_frame){ .type = V2_PING };
		v2_frame_encode(&f, frames + (size_t)i * V2_HEADER_SIZE);
	}
	ck_assert_int_eq(send(st.peer, frames, sizeof(frames), 0), sizeof(frames));
	ck_assert_uint_eq(count_answers(), COUNT_OF);
	ck_assert_uint_le(other.most, A_TURN);
}
END_TEST

/*
 * Small files that may go all at once, when what they stood behind is at its end. _i: they go out
 * as soon as they are asked for, since their digest is stored (where one can be).
 */
START_TEST(test_turns_of_files)
{
	enum { COUNT_OF = 200, A_TURN = 64, PLACES = 4, MESSAGES = 2 };
	const struct v2_end abort = { 0 };
	const struct v2_stat stat = { .has = V2_BIT(NAME), .name = { (const uint8_t *)"a", 1 } };
	const struct v2_get get = {
		.has = V2_BIT(NAME) | V2_BIT(DIGEST_KIND),
		.name = { (const uint8_t *)"a", 1 },
		.digest_kind = DIGEST_XXH128,
	};
	uint8_t frame[V2_FRAME_ROOM];
	char path[512];

	snprintf(path, sizeof(path), "%s/a", st.dir);
	begin(true);
	if (_i == 0)
		unit_write(path, "", 0);
	else {
		say_put(1, "a", 0);
		say_end(1, 0);
		expect(V2_OK, 1);
	}
	say_put(1, "b", 1);
	send_all(frame, v2_stat_encode(&stat, V2_BARRIER, 2, frame, sizeof(frame)));
	for (unsigned i = 0; i < COUNT_OF; i++)
		send_all(frame, v2_get_encode(&get, 0, (uint16_t)(i + 3), frame, sizeof(frame)));
	ck_assert_uint_eq(count_answers(), 0);
	ck_assert_int_gt(send(st.peer, frame,
			     v2_put_end_encode(&abort, V2_END_ABORT, 1, frame, sizeof(frame)), 0),
	    0);
	ck_assert_uint_eq(count_answers(), 2 + COUNT_OF * MESSAGES);
	/* With those of the others, and FILE of what is open and has its turn later. */
	ck_assert_uint_le(other.most, A_TURN * MESSAGES + 2 + PLACES);
}
END_TEST

static unsigned lines, notes;

static void
on_line(enum log_level level, const char *line)
{
	lines += level == LOG_LEVEL_INFO && strstr(line, "op=PUT") != NULL;
	notes += level == LOG_LEVEL_INFO && strstr(line, "is refused more") != NULL;
}

/* Refusals cost a client next to nothing, so there are not as many lines of them. */
START_TEST(test_lines_of_refusals)
{
	enum { COUNT_OF = 300, LINES = 100 };
	uint8_t frame[V2_HEADER_SIZE];

	begin(true);
	log_set_hook(on_line);
	for (unsigned minute = 1; minute <= 2; minute++) {
		for (unsigned i = 0; i < COUNT_OF; i++) {
			const struct v2_frame f = { .type = V2_PUT, .id = (uint16_t)(i + 1) };

			v2_frame_encode(&f, frame);
			send_all(frame, sizeof(frame));
			expect(V2_ERROR, f.id);
		}
		ck_assert_uint_eq(lines, LINES * minute);
		ck_assert_uint_eq(notes, minute);
		stage_elapse(&st, 30000);
		send_all(frame, sizeof(frame));
		expect(V2_ERROR, COUNT_OF);
		ck_assert_uint_eq(lines, LINES * minute);
		stage_elapse(&st, 30000);
	}
}
END_TEST

void
add_turn_cases(Suite *s)
{
	TCase *tc = unit_case(s, "turns");

	tcase_add_checked_fixture(tc, v2_server_set_up, v2_server_tear_down);
	tcase_add_loop_test(tc, test_turns, 0, 3);
	tcase_add_loop_test(tc, test_turns_of_files, 0, 2);
	tcase_add_test(tc, test_lines_of_refusals);
}
