#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define JSON_PROGRESS_MS 1000
#define SAME_MOST        3 /* failures of the connection that are told one by one */

void
report_init(struct report *r, const struct command *command, const struct command_options *options,
    const struct ftxfer_remote *server, bool full_names, bool stdout_taken)
{
	bool is_v6 = strchr(server->host, ':') != NULL;

	memset(r, 0, sizeof(*r));
	snprintf(r->server, sizeof(r->server), "%s%s%s:%u: ", is_v6 ? "[" : "", server->host,
	    is_v6 ? "]" : "", (unsigned)server->port);
	r->command = command;
	r->options = options;
	r->full_names = full_names;
	r->to_terminal = isatty(STDOUT_FILENO) != 0;
	r->moves = command->word == COMMAND_PUT || command->word == COMMAND_GET ||
		   command->word == COMMAND_SYNC;
	r->takes_long = r->moves || command->word == COMMAND_VERIFY || command->word == COMMAND_SUM;
	progress_init(&r->bar, r->label, options->quiet || options->json || options->debug);
	if (stdout_taken && r->to_terminal)
		r->bar.enabled = false;
	r->started = r->said = clock_now_ms();
}

/* To a terminal no name goes as it stands. */
static void
print_name(const struct report *r, const char *name)
{
	char quoted[PATH_TEXT];

	if (!r->to_terminal) {
		fputs(name, stdout);
		return;
	}
	log_quote(quoted, sizeof(quoted), name, strlen(name));
	/* Quotes only where something was changed. */
	if (strlen(quoted) == strlen(name) + 2)
		fputs(name, stdout);
	else
		fputs(quoted, stdout);
}

static const char *
shown_name(const struct report *r, const char *name)
{
	const char *slash = strrchr(name, '/');

	return r->full_names || slash == NULL ? name : slash + 1;
}

static void
print_time(const struct ftxfer_event *e)
{
	time_t when = (time_t)e->mtime;
	struct tm tm;
	char text[40] = "?";

	if (localtime_r(&when, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s", text);
}

static void
print_long(const struct ftxfer_event *e)
{
	static const char letters[] = "rwxrwxrwx", kinds[] = "-dl?";

	putchar(kinds[e->kind]);
	for (unsigned i = 0; i < 9; i++)
		putchar((e->mode & 0400U >> i) != 0 ? letters[i] : '-');
	printf(" %12" PRIu64 " ", e->bytes);
	print_time(e);
	putchar(' ');
}

/* As sha256sum(1) does: where the name is escaped the line begins with a backslash. */
static void
print_sum(const struct report *r, const struct ftxfer_event *e)
{
	const char *digest = e->digest != NULL ? e->digest : "";

	if (e->remote[strcspn(e->remote, "\\\n")] == '\0') {
		printf("%s  ", digest);
		print_name(r, e->remote);
		return;
	}
	printf("\\%s  ", digest);
	for (const char *p = e->remote; *p != '\0';) {
		size_t n = strcspn(p, "\\\n");
		char piece[PATH_TEXT * 2];

		snprintf(piece, sizeof(piece), "%.*s", (int)n, p);
		print_name(r, piece);
		p += n;
		if (*p != '\0')
			fputs(*p++ == '\n' ? "\\n" : "\\\\", stdout);
	}
}

static void
print_entry(struct report *r, const struct ftxfer_event *e)
{
	progress_hide(&r->bar);
	switch (r->command->word) {
	case COMMAND_SUM:
		print_sum(r, e);
		break;
	case COMMAND_STAT:
		print_name(r, *e->remote != '\0' ? e->remote : "/");
		printf(": %s, %" PRIu64 " bytes, mode %04o, ", ftxfer_kind_name(e->kind), e->bytes,
		    e->mode);
		print_time(e);
		if (e->digest != NULL)
			printf(", %s %s", e->digest_kind, e->digest);
		break;
	default:
		if (r->options->long_form)
			print_long(e);
		print_name(r, shown_name(r, e->remote));
		if (e->kind == FTXFER_DIRECTORY)
			putchar('/');
		break;
	}
	putchar('\n');
}

/* Of an item with two names: whether it is the one here that a person knows it by. */
static bool
is_known_here(const struct ftxfer_event *e)
{
	bool failed = e->type == FTXFER_EVENT_FAILED;
	bool refused = failed && (e->status == FTXFER_REFUSED || e->status == FTXFER_FORBIDDEN);

	switch (e->op) {
	case FTXFER_OP_PUT:
		return true;
	case FTXFER_OP_SYNC_UP:
	case FTXFER_OP_VERIFY:
		return !refused; /* it is the server's directory that cannot be listed */
	case FTXFER_OP_MKDIR:
	case FTXFER_OP_REMOVE:
		return false; /* what is done here has no name there */
	default:
		return failed &&
		       (e->status == FTXFER_CANNOT_CREATE || e->status == FTXFER_LOCAL_ERROR ||
			   e->status == FTXFER_NO_INPUT);
	}
}

static void
name_of(const struct ftxfer_event *e, char *buf, size_t size)
{
	bool local = e->local != NULL && (e->remote == NULL || is_known_here(e));
	const char *name = local ? e->local : e->remote;

	if (name == NULL || (*name == '\0' && !local))
		name = "/";
	log_quote(buf, size, name, strlen(name));
	if (e->to != NULL && strlen(buf) + 8 < size) {
		size_t used = strlen(buf);

		used += (size_t)snprintf(buf + used, size - used, " to ");
		log_quote(buf + used, size - used, e->to, strlen(e->to));
	}
}

static void
say_line(struct report *r, const struct ftxfer_event *e, const char *what)
{
	char name[PATH_TEXT], bytes[16];

	name_of(e, name, sizeof(name));
	progress_hide(&r->bar);
	fprintf(stderr, "%s %s", what, name);
	if (e->type == FTXFER_EVENT_DONE && (e->op == FTXFER_OP_PUT || e->op == FTXFER_OP_GET))
		fprintf(stderr, " %s", progress_bytes(bytes, sizeof(bytes), e->bytes));
	if (e->resumed > 0)
		fprintf(
		    stderr, ", %s of it resumed", progress_bytes(bytes, sizeof(bytes), e->resumed));
	if (e->existed && e->op == FTXFER_OP_PUT)
		fputs(", which was there already", stderr);
	if (e->unsynced && e->op == FTXFER_OP_PUT)
		fputs(", not known to be on the server's disk", stderr);
	if (e->text != NULL)
		fprintf(stderr, ": %s", e->text);
	if (e->type == FTXFER_EVENT_RETRYING && e->delay > 0)
		fprintf(stderr, ": again in %.1f s", (double)e->delay / 1000);
	fputc('\n', stderr);
}

/* A directory that was there already, unless that is what was asked for. */
static bool
is_no_news(const struct report *r, const struct ftxfer_event *e)
{
	return e->op == FTXFER_OP_MKDIR && e->existed && r->command->word != COMMAND_MKDIR;
}

static void
say_done(struct report *r, const struct ftxfer_event *e)
{
	char what[32];

	if (e->superseded)
		log_warn("%s has been replaced or removed on the server since it was stored",
		    e->remote != NULL ? e->remote : "a file");
	if (e->sums_up || is_no_news(r, e))
		return;
	if (e->op == FTXFER_OP_PUT || e->op == FTXFER_OP_GET) {
		r->files++;
		r->bytes += e->bytes;
		r->resumed += e->resumed;
		r->existed += e->existed;
	}
	if (r->options->quiet || (!r->options->verbose && !e->dry))
		return;
	snprintf(what, sizeof(what), "%s%s", e->dry ? "would " : "", ftxfer_op_name(e->op));
	say_line(r, e, what);
}

/* That somebody has to wait, and for what, he hears once, and then that it is over. */
static void
say_connection(struct report *r, const struct ftxfer_event *e)
{
	bool waiting = e->type == FTXFER_EVENT_WAITING;

	if (r->options->quiet || (waiting && r->waiting && !r->options->verbose))
		return;
	progress_hide(&r->bar);
	if (waiting && r->waiting)
		log_warn("%s; again in %.1f s", e->text, (double)e->delay / 1000);
	else if (waiting)
		log_warn("%s; trying again for up to %" PRIu64 " s", e->text,
		    (r->options->retry_time + 999) / 1000);
	else
		log_warn("%s", e->text);
	r->waiting = waiting;
}

/* Those that were not told. */
static void
end_same(struct report *r)
{
	if (r->same_count > SAME_MOST) {
		progress_hide(&r->bar);
		log_error("and %" PRIu64 " more: %s", r->same_count - SAME_MOST, r->same);
	}
	r->same_count = 0;
}

/* One connection fails for many files, for the same reason. */
static bool
is_told_already(struct report *r, const struct ftxfer_event *e)
{
	bool connection = strncmp(e->text, r->server, strlen(r->server)) == 0;

	if (!connection || strcmp(e->text, r->same) != 0)
		end_same(r);
	if (!connection)
		return false;
	snprintf(r->same, sizeof(r->same), "%s", e->text);
	return ++r->same_count > SAME_MOST;
}

static void
say_cancelled(struct report *r, const struct ftxfer_event *e)
{
	bool goes_on = r->moves && e->local != NULL && !r->options->dry_run;

	if (!r->cancelled)
		log_error("cancelled%s",
		    goes_on ? "; what has come is kept, and the same command goes on with it" : "");
	r->cancelled = true;
}

static void
say_failed(struct report *r, const struct ftxfer_event *e)
{
	char name[LOG_QUOTE_SIZE]; /* a line is cut at its end, where the reason stands */

	if (e->sums_up)
		return;                      /* its parts have said why */
	if (e->status == FTXFER_CANCELLED) { /* as is all that was left */
		say_cancelled(r, e);
		return;
	}
	if (is_told_already(r, e))
		return;
	name_of(e, name, sizeof(name));
	progress_hide(&r->bar);
	log_error("%s: %s", name, e->text);
}

void
report_event(struct report *r, const struct ftxfer_event *e)
{
	if (e->type == FTXFER_EVENT_FAILED && r->status == FTXFER_OK)
		r->status = e->status;
	if (r->options->json) {
		report_json_event(e);
		return;
	}
	switch (e->type) {
	case FTXFER_EVENT_ENTRY:
		print_entry(r, e);
		break;
	case FTXFER_EVENT_DONE:
		say_done(r, e);
		break;
	case FTXFER_EVENT_SKIPPED:
		/* What is the same is no news. */
		if (!r->options->quiet && (r->options->verbose || strcmp(e->text, "the same") != 0))
			say_line(r, e, "skipped");
		break;
	case FTXFER_EVENT_FAILED:
		say_failed(r, e);
		break;
	case FTXFER_EVENT_RETRYING:
		if (r->options->verbose)
			say_line(r, e, "retrying");
		break;
	case FTXFER_EVENT_WAITING:
	case FTXFER_EVENT_CONNECTED:
		say_connection(r, e);
		break;
	default:
		break;
	}
}

bool
report_shows_progress(const struct report *r)
{
	if (r->options->json)
		return r->takes_long && clock_now_ms() - r->said >= JSON_PROGRESS_MS;
	return r->takes_long && r->bar.enabled;
}

/* What is under way, what is being done with it, and how far that is. */
static void
describe_current(const struct ftxfer_totals *t, char *buf, size_t size)
{
	bool digesting = t->current_stage == FTXFER_STAGE_DIGESTING;
	uint64_t done = digesting ? t->current_digested : t->current_moved;
	uint64_t of = digesting ? t->current_to_digest : t->current_size;
	char name[48], share[24] = "";
	const char *slash, *leaf;

	buf[0] = '\0';
	if (t->current == NULL)
		return;
	slash = strrchr(t->current, '/');
	leaf = slash != NULL ? slash + 1 : t->current;
	log_quote(name, sizeof(name), leaf, strlen(leaf));
	if (of > 0 && t->current_stage != FTXFER_STAGE_STORING)
		snprintf(share, sizeof(share), " %u%%",
		    done < of ? (unsigned)(100.0 * (double)done / (double)of) : 100);
	else if (digesting && done > 0) {
		share[0] = ' ';
		progress_bytes(share + 1, sizeof(share) - 1, done);
	}
	/* The line may be cut: first comes what it is looked at for. */
	if (t->current_stage == FTXFER_STAGE_MOVING)
		snprintf(buf, size, "%s%s", name, share);
	else
		snprintf(buf, size, "%s%s %s", ftxfer_stage_name(t->current_stage), share, name);
}

void
report_progress(struct report *r, const struct ftxfer_totals *t)
{
	char current[LABEL_SIZE - 24];

	if (!report_shows_progress(r))
		return;
	if (r->options->json) {
		r->said = clock_now_ms();
		report_json_progress(t);
		return;
	}
	describe_current(t, current, sizeof(current));
	snprintf(r->label, sizeof(r->label), "%" PRIu64 "%s %s",
	    r->moves ? r->files : t->items_done, t->counting ? "+" : "", current);
	if (t->bytes_known > 0 && r->moves)
		progress_show(&r->bar, t->bytes_done, t->bytes_known);
	else if (t->current != NULL)
		progress_say(&r->bar, r->label);
}

/* What was moved, or would be. */
static void
say_moved(const struct report *r, const struct ftxfer_totals *t, uint64_t ms)
{
	bool dry = r->options->dry_run;
	bool all = !dry && r->files > 0 &&
		   (r->existed == r->files || (t->bytes_moved == 0 && r->bytes > 0));
	char bytes[16];

	fprintf(stderr, "%" PRIu64 " file%s, %s", r->files, r->files == 1 ? "" : "s",
	    progress_bytes(bytes, sizeof(bytes), r->bytes));
	if (dry)
		fputs(" would be moved", stderr);
	else
		fprintf(stderr, " in %" PRIu64 ".%03u s", ms / 1000, (unsigned)(ms % 1000));
	/* Of what was there there is no speed. */
	if (t->bytes_moved > 0 && r->bytes > 0 && !all &&
	    (r->existed == 0 || t->bytes_moved >= r->bytes / 2))
		fprintf(stderr, ", %s/s",
		    progress_bytes(
			bytes, sizeof(bytes), t->bytes_moved * 1000 / (ms > 0 ? ms : 1)));
	if (all)
		fprintf(stderr, ", which %s there already", r->files == 1 ? "was" : "were");
	else if (r->existed > 0)
		fprintf(stderr, "; %" PRIu64 " of them %s there already", r->existed,
		    r->existed == 1 ? "was" : "were");
	if (!all && r->resumed > 0)
		fprintf(stderr, "; %s of it was there already",
		    progress_bytes(bytes, sizeof(bytes), r->resumed));
}

void
report_end(struct report *r, const struct ftxfer_totals *t)
{
	uint64_t ms = clock_now_ms() - r->started;

	progress_hide(&r->bar);
	end_same(r);
	if (r->options->json) {
		report_json_end(t, r->status, ms);
		return;
	}
	if (r->options->quiet || (!r->moves && r->command->word != COMMAND_VERIFY))
		return;
	fprintf(stderr, "ftxfer: ");
	if (r->moves)
		say_moved(r, t, ms);
	else
		fprintf(stderr, "%" PRIu64 " compared and equal", t->items_done);
	if (t->items_removed > 0)
		fprintf(stderr, "; %" PRIu64 " %sremoved", t->items_removed,
		    r->options->dry_run ? "would be " : "");
	if (t->items_skipped > 0)
		fprintf(stderr, "; %" PRIu64 " skipped", t->items_skipped);
	if (t->items_failed > 0)
		fprintf(stderr, "; %" PRIu64 " failed", t->items_failed);
	fputc('\n', stderr);
}
