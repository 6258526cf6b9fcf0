#include "store/sum.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "store/names.h"
#include "store/stored_digest.h"

/* What is read at a time: small enough to be digested from the processor's cache. */
#define PIECE ((size_t)256 * 1024)

void
sum_init(struct sum *s)
{
	*s = (struct sum){ .digest = { .kind = DIGEST_NONE } };
	reader_init(&s->reader);
}

void
sum_clear(struct sum *s)
{
	digest_clear(&s->digest);
	reader_close(&s->reader);
}

/* The reader takes regular files only, and does not say what else it is. */
static enum ftx_rc
explain(struct root *r, const char *name, enum ftx_rc rc)
{
	struct meta m;

	if (rc == FTX_NO_PARENT)
		return FTX_NOT_FOUND;
	if (rc == FTX_NOT_REGULAR && names_stat(r, name, false, &m) == FTX_OK &&
	    m.kind == META_DIRECTORY)
		return FTX_IS_DIRECTORY;
	return rc;
}

enum ftx_rc
sum_open(struct sum *s, struct root *r, const char *name, enum digest_kind kind, bool fresh,
    uint64_t offset, uint64_t length, struct meta *m, struct digest_value *v)
{
	enum ftx_rc rc = reader_open(&s->reader, r, name);
	struct stat st;

	*v = (struct digest_value){ .kind = DIGEST_NONE };
	if (rc != FTX_OK)
		return explain(r, name, rc);
	if (fstat(s->reader.fd, &st) != 0)
		return FTX_IO;
	meta_of(&st, m);
	if (offset > s->reader.size)
		return FTX_BAD_RANGE;
	s->at = offset;
	s->end = length < s->reader.size - offset ? offset + length : s->reader.size;
	if (!fresh && s->end - s->at == s->reader.size &&
	    stored_digest_read(s->reader.fd, &st, v)) {
		m->digest = *v;
		if (v->kind == kind)
			return FTX_OK;
		v->kind = DIGEST_NONE;
	}
	return digest_init(&s->digest, kind);
}

/* Up to SUM_STEP bytes. */
static enum ftx_rc
read_step(struct sum *s, void *piece)
{
	uint64_t end = s->end - s->at < SUM_STEP ? s->end : s->at + SUM_STEP;

	while (s->at < end) {
		size_t len = end - s->at < PIECE ? (size_t)(end - s->at) : PIECE;
		struct iovec iov = { piece, len };
		enum ftx_rc rc = reader_read(&s->reader, &iov, 1, s->at);

		if (rc == FTX_OK)
			rc = digest_update(&s->digest, piece, len);
		if (rc != FTX_OK)
			return rc;
		s->at += len;
	}
	return FTX_OK;
}

enum ftx_rc
sum_step(struct sum *s, struct digest_value *v, bool *again)
{
	void *piece = malloc(PIECE);
	enum ftx_rc rc;

	*again = false;
	if (piece == NULL)
		return FTX_NOMEM;
	rc = read_step(s, piece);
	free(piece);
	if (rc != FTX_OK)
		return rc;
	*again = s->at < s->end;
	if (*again)
		return FTX_OK;
	/* The reader itself looks only where it comes to the end of the file. */
	rc = reader_check(&s->reader);
	return rc == FTX_OK ? digest_final(&s->digest, v) : rc;
}
