/*
 * replay - gives files to a fuzz target one after the other, without libFuzzer, so that what was
 * found once is tested by every build (usage: replay_TARGET [FILE|DIRECTORY]...). Without
 * arguments: the target's corpus in the source tree.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"

/* Not every target has it. */
#pragma weak LLVMFuzzerInitialize

#define INPUT_MAX (1024 * 1024)

static unsigned replayed;

static int
replay_file(const char *path)
{
	static uint8_t buf[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	size_t len;

	if (f == NULL) {
		perror(path);
		return 1;
	}
	len = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	/* Of just this size, so that a sanitizer sees what is read beyond it. */
	data = malloc(len > 0 ? len : 1);
	if (data == NULL)
		abort();
	memcpy(data, buf, len);
	/* The last line before a crash says which file it was. */
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, len);
	free(data);
	replayed++;
	return 0;
}

static int
replay(const char *path)
{
	struct dirent **found;
	int n = scandir(path, &found, NULL, alphasort), status = 0;

	if (n < 0)
		return replay_file(path);
	for (int i = 0; i < n; i++) {
		char below[4096];

		snprintf(below, sizeof(below), "%s/%s", path, found[i]->d_name);
		if (found[i]->d_name[0] != '.')
			status |= replay_file(below);
		free(found[i]);
	}
	free(found);
	return status;
}

int
main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir");
	char corpus[4096];
	int status = 0;

	if (LLVMFuzzerInitialize != NULL)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		status |= replay(argv[i]);
	if (argc == 1) {
		snprintf(corpus, sizeof(corpus), "%s/tests/fuzz/corpus/%s",
		    srcdir != NULL ? srcdir : ".", FUZZ_TARGET);
		status = replay(corpus);
	}
	printf("100%%: Checks: %u, Failures: 0, Errors: 0\n", replayed);
	return replayed > 0 ? status : 1;
}
