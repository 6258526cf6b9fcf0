#include "store/digest.h"

#include <string.h>

#include <openssl/evp.h>
#include <xxhash.h>
#if defined(HAVE_XXH_X86DISPATCH_H) && defined(HAVE_XXH3_128BITS_UPDATE_DISPATCH)
#include <xxh_x86dispatch.h> /* puts other functions in the place of those above */
#endif

static const struct {
	const char *name;
	size_t size;
} kinds[] = {
	[DIGEST_NONE] = { "none", 0 },
	[DIGEST_XXH128] = { "xxh128", sizeof(XXH128_canonical_t) },
	[DIGEST_SHA256] = { "sha256", 32 },
};

const char *
digest_name(enum digest_kind kind)
{
	return (unsigned)kind < DIGEST_KINDS ? kinds[kind].name : "unknown";
}

size_t
digest_size(enum digest_kind kind)
{
	return (unsigned)kind < DIGEST_KINDS ? kinds[kind].size : 0;
}

enum ftx_rc
digest_start(void)
{
	struct digest_value first;
	struct digest d;
	enum ftx_rc rc = digest_of(DIGEST_XXH128, "", 0, &first); /* chooses its code */

	if (rc == FTX_OK)
		rc = digest_init(&d, DIGEST_SHA256);
	if (rc == FTX_OK)
		digest_clear(&d);
	return rc;
}

static enum ftx_rc
xxh128_init(struct digest *d)
{
	d->state = XXH3_createState();
	if (d->state == NULL)
		return FTX_NOMEM;
	return XXH3_128bits_reset(d->state) == XXH_OK ? FTX_OK : FTX_INTERNAL;
}

static enum ftx_rc
sha256_init(struct digest *d)
{
	d->state = EVP_MD_CTX_new();
	if (d->state == NULL)
		return FTX_NOMEM;
	return EVP_DigestInit_ex(d->state, EVP_sha256(), NULL) == 1 ? FTX_OK : FTX_UNSUPPORTED;
}

enum ftx_rc
digest_init(struct digest *d, enum digest_kind kind)
{
	enum ftx_rc rc;

	*d = (struct digest){ .kind = kind };
	switch (kind) {
	case DIGEST_NONE:
		return FTX_OK;
	case DIGEST_XXH128:
		rc = xxh128_init(d);
		break;
	case DIGEST_SHA256:
		rc = sha256_init(d);
		break;
	case DIGEST_KINDS:
	default:
		d->kind = DIGEST_NONE;
		return FTX_UNSUPPORTED;
	}
	if (rc != FTX_OK)
		digest_clear(d);
	return rc;
}

enum ftx_rc
digest_update(struct digest *d, const void *p, size_t len)
{
	bool ok = true;

	if (len == 0)
		return FTX_OK;
	if (d->kind == DIGEST_XXH128)
		ok = XXH3_128bits_update(d->state, p, len) == XXH_OK;
	else if (d->kind == DIGEST_SHA256)
		ok = EVP_DigestUpdate(d->state, p, len) == 1;
	return ok ? FTX_OK : FTX_INTERNAL;
}

/* Memory for a state that is a copy from the start: to begin one takes as long as to copy it. */
static void *
new_state(enum digest_kind kind)
{
	return kind == DIGEST_XXH128 ? (void *)XXH3_createState() : (void *)EVP_MD_CTX_new();
}

enum ftx_rc
digest_copy(struct digest *to, const struct digest *from)
{
	*to = (struct digest){ .kind = from->kind };
	if (from->kind == DIGEST_NONE)
		return FTX_OK;
	to->state = new_state(from->kind);
	if (to->state == NULL) {
		to->kind = DIGEST_NONE;
		return FTX_NOMEM;
	}
	if (from->kind == DIGEST_XXH128)
		XXH3_copyState(to->state, from->state);
	else if (EVP_MD_CTX_copy_ex(to->state, from->state) != 1) {
		digest_clear(to);
		return FTX_NOMEM;
	}
	return FTX_OK;
}

static void
put_xxh128(struct digest_value *out, XXH128_hash_t hash)
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, hash);
	memcpy(out->bytes, canonical.digest, sizeof(canonical.digest));
}

enum ftx_rc
digest_final(struct digest *d, struct digest_value *out)
{
	enum ftx_rc rc = FTX_OK;

	*out = (struct digest_value){ .kind = d->kind };
	if (d->kind == DIGEST_XXH128)
		put_xxh128(out, XXH3_128bits_digest(d->state));
	else if (d->kind == DIGEST_SHA256 && EVP_DigestFinal_ex(d->state, out->bytes, NULL) != 1)
		rc = FTX_INTERNAL;
	digest_clear(d);
	return rc;
}

void
digest_clear(struct digest *d)
{
	if (d->kind == DIGEST_XXH128)
		(void)XXH3_freeState(d->state);
	else if (d->kind == DIGEST_SHA256)
		EVP_MD_CTX_free(d->state);
	*d = (struct digest){ .kind = DIGEST_NONE };
}

enum ftx_rc
digest_of(enum digest_kind kind, const void *p, size_t len, struct digest_value *out)
{
	struct digest d;
	enum ftx_rc rc;

	if (kind == DIGEST_XXH128) {
		*out = (struct digest_value){ .kind = kind };
		put_xxh128(out, XXH3_128bits(p, len));
		return FTX_OK;
	}
	rc = digest_init(&d, kind);
	if (rc == FTX_OK)
		rc = digest_update(&d, p, len);
	if (rc == FTX_OK)
		return digest_final(&d, out);
	digest_clear(&d);
	return rc;
}

bool
digest_equal(const struct digest_value *a, const struct digest_value *b)
{
	return a->kind != DIGEST_NONE && a->kind == b->kind &&
	       memcmp(a->bytes, b->bytes, digest_size(a->kind)) == 0;
}

const char *
digest_hex(const struct digest_value *v, char hex[DIGEST_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	size_t size = digest_size(v->kind);

	for (size_t i = 0; i < size; i++) {
		hex[2 * i] = digits[v->bytes[i] >> 4];
		hex[2 * i + 1] = digits[v->bytes[i] & 15];
	}
	hex[2 * size] = '\0';
	return hex;
}
