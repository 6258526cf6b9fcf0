/*
 * Fuzz target for conf: the input up to the first byte 0x01 is a configuration file, the rest is
 * inc.conf beside it. What loads must print, and what is printed must load again and print the
 * same.
 * Build: configure with CC=clang --enable-fuzzing. Run: tests/fuzz/fuzz_conf CORPUS_DIR
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/option.h"
#include "fuzz/target.h"
#include "unit/conf_sample.h"

static char dir[] = "/tmp/fuzz_conf.XXXXXX";
static char main_file[64], include_file[64]; /* in it */

const char *__lsan_default_suppressions(void);

/*
 * libconfig 1.5 forgets a string that stands where none may (its parser has no destructors): once
 * per refused file, and not ours to mend. By the library's name, since its functions have none
 * where no symbolizer is installed. That we give back what it made for us is for the unit tests to
 * see, which have sanitizers as well.
 */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}

static void
remove_dir(void)
{
	unlink(main_file);
	unlink(include_file);
	rmdir(dir);
}

/* A directory of its own: a relative @include finds what the input brings, or nothing. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (mkdtemp(dir) == NULL)
		abort();
	snprintf(main_file, sizeof(main_file), "%s/main.conf", dir);
	snprintf(include_file, sizeof(include_file), "%s/inc.conf", dir);
	atexit(remove_dir);
	return 0;
}

static void
write_file(const char *name, const void *p, size_t len)
{
	FILE *f = fopen(name, "w");

	if (f == NULL || fwrite(p, 1, len, f) != len || fclose(f) != 0)
		abort();
}

/* What the set prints, or NULL when main_file was refused. To be freed. */
static char *
load_and_print(size_t *len)
{
	struct sample values;
	struct option_set set;
	struct option_error err;
	char *text = NULL;
	bool missing;
	FILE *out;

	if (!option_set_init(&set, sample_defs, SAMPLE_COUNT, &values, &err))
		abort();
	if (conf_load(&set, main_file, &missing, &err)) {
		out = open_memstream(&text, len);
		if (out == NULL)
			abort();
		option_print(&set, out);
		if (fclose(out) != 0)
			abort();
	} else if (err.text[0] == '\0' || missing) {
		abort();
	}
	option_set_clear(&set);
	return text;
}

/* What was a default is said by the file when it is read back. */
static void
drop_remarks(char *text)
{
	static const char remark[] = " # default\n";
	char *p = text;

	while ((p = strstr(p, remark)) != NULL)
		memmove(p, p + sizeof(remark) - 2, strlen(p + sizeof(remark) - 2) + 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *split = size > 0 ? memchr(data, 0x01, size) : NULL;
	size_t main_size = split != NULL ? (size_t)(split - data) : size, len, again_len;
	char *text, *again;

	write_file(main_file, data, main_size);
	if (split != NULL)
		write_file(include_file, split + 1, size - main_size - 1);
	else
		unlink(include_file);
	text = load_and_print(&len);
	if (text == NULL)
		return 0;
	write_file(main_file, text, len);
	again = load_and_print(&again_len);
	if (again == NULL)
		abort();
	drop_remarks(text);
	drop_remarks(again);
	if (strcmp(text, again) != 0)
		abort();
	free(text);
	free(again);
	return 0;
}
