/* store/digest: what comes out, however it was fed, and what happens when the libraries fail. */
#include "unit/unit.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <xxhash.h>

#include "store/digest.h"

#define CONTENT ((size_t)1000003)

/* What fails next; each stands before the library's own. */
static bool no_state, no_context, no_algorithm, no_copy, no_update, no_final;
static uint8_t *content;

/* The library's own (dlsym(3): a function's address comes as a void pointer). */
#define REAL(name) (*(void **)&real = dlsym(RTLD_NEXT, #name))

XXH3_state_t *
XXH3_createState(void)
{
	XXH3_state_t *(*real)(void);

	REAL(XXH3_createState);
	return no_state ? NULL : real();
}

EVP_MD_CTX *
EVP_MD_CTX_new(void)
{
	EVP_MD_CTX *(*real)(void);

	REAL(EVP_MD_CTX_new);
	return no_context ? NULL : real();
}

int
EVP_DigestInit_ex(EVP_MD_CTX *ctx, const EVP_MD *type, ENGINE *engine)
{
	int (*real)(EVP_MD_CTX *, const EVP_MD *, ENGINE *);

	REAL(EVP_DigestInit_ex);
	return no_algorithm ? 0 : real(ctx, type, engine);
}

int
EVP_MD_CTX_copy_ex(EVP_MD_CTX *out, const EVP_MD_CTX *in)
{
	int (*real)(EVP_MD_CTX *, const EVP_MD_CTX *);

	REAL(EVP_MD_CTX_copy_ex);
	return no_copy ? 0 : real(out, in);
}

int
EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *p, size_t len)
{
	int (*real)(EVP_MD_CTX *, const void *, size_t);

	REAL(EVP_DigestUpdate);
	return no_update ? 0 : real(ctx, p, len);
}

int
EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *out, unsigned *size)
{
	int (*real)(EVP_MD_CTX *, unsigned char *, unsigned *);

	REAL(EVP_DigestFinal_ex);
	return no_final ? 0 : real(ctx, out, size);
}

/* As the programs xxh128sum and sha256sum say of the first len bytes of content. */
static const struct {
	enum digest_kind kind;
	size_t len;
	const char *hex;
} vectors[] = {
	{ DIGEST_XXH128, 0, "99aa06d3014798d86001c324468d497f" },
	{ DIGEST_XXH128, 17, "263f67af63088041735fe434ded90c3c" },
	{ DIGEST_XXH128, 240, "17ffe035d71c1ec8e6bf81617aad6c4a" },
	{ DIGEST_XXH128, 241, "29bc1e9cffb6d79bc614c8c3575348c1" },
	{ DIGEST_XXH128, CONTENT, "93342ebc0516e396316dab04c07feac3" },
	{ DIGEST_SHA256, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ DIGEST_SHA256, 17, "e060fc0bb46619525f8ec49b48b5a6d6ceaa3157a887381212af57296d355d20" },
	{ DIGEST_SHA256, 240, "eef737eca27f3e5d58688a0be14282e452852e13da8adabfe1f7a35b2d0e3ce0" },
	{ DIGEST_SHA256, 241, "7e908b6808bea2ab2f8f1ce37de104df8aae239108acba757fd2efac0a421766" },
	{ DIGEST_SHA256, CONTENT,
	    "6e0aa3a3e4afdd717e6af8d151be7c532fce9607f2086e89d0136acffec3f3ae" },
};

static const size_t pieces[] = { CONTENT, 1, 63, 64, 4096, 65537 };

static void
set_up(void)
{
	content = malloc(CONTENT);
	ck_assert_ptr_nonnull(content);
	for (size_t i = 0; i < CONTENT; i++)
		content[i] = (uint8_t)(i * 7 % 251);
}

static void
tear_down(void)
{
	free(content);
}

static void
feed(struct digest *d, size_t from, size_t to, size_t piece)
{
	for (size_t at = from; at < to; at += piece)
		UNIT_CHECK(
		    digest_update(d, content + at, to - at < piece ? to - at : piece) == FTX_OK);
}

START_TEST(test_vectors)
{
	char hex[DIGEST_HEX_SIZE];

	for (int i = 0; i < COUNT(pieces); i++) {
		struct digest_value v, at_once;
		struct digest d;

		ck_assert_int_eq(digest_init(&d, vectors[_i].kind), FTX_OK);
		feed(&d, 0, vectors[_i].len, pieces[i]);
		ck_assert_int_eq(digest_update(&d, NULL, 0), FTX_OK);
		ck_assert_int_eq(digest_final(&d, &v), FTX_OK);
		ck_assert_str_eq(digest_hex(&v, hex), vectors[_i].hex);
		ck_assert_int_eq(v.kind, vectors[_i].kind);
		ck_assert_uint_eq(strlen(hex), 2 * digest_size(v.kind));
		ck_assert_int_eq(digest_of(v.kind, content, vectors[_i].len, &at_once), FTX_OK);
		ck_assert(digest_equal(&v, &at_once));
		ck_assert_ptr_null(d.state);
	}
}
END_TEST

static void
is_digest_of(struct digest *d, size_t len)
{
	struct digest_value got, want;
	enum digest_kind kind = d->kind;

	ck_assert_int_eq(digest_final(d, &got), FTX_OK);
	ck_assert_int_eq(digest_of(kind, content, len, &want), FTX_OK);
	ck_assert(digest_equal(&got, &want));
}

/* The digest of a prefix, which then goes on. */
START_TEST(test_copy)
{
	static const size_t at[] = { 0, 1, 64, 255, 256, 70000 };

	for (int i = 0; i < COUNT(at); i++) {
		struct digest d, prefix, other;

		ck_assert_int_eq(digest_init(&d, (enum digest_kind)_i), FTX_OK);
		feed(&d, 0, at[i], 100);
		ck_assert_int_eq(digest_copy(&prefix, &d), FTX_OK);
		ck_assert_int_eq(digest_copy(&other, &d), FTX_OK);
		feed(&d, at[i], 100000, 4096);
		feed(&other, at[i], 90000, 1000);
		is_digest_of(&prefix, at[i]);
		is_digest_of(&d, 100000);
		is_digest_of(&other, 90000);
	}
}
END_TEST

START_TEST(test_none)
{
	struct digest d = { 0 }, copy;
	struct digest_value v, empty = { 0 };
	char hex[DIGEST_HEX_SIZE];

	digest_clear(&d);
	ck_assert_int_eq(digest_init(&d, DIGEST_NONE), FTX_OK);
	ck_assert_int_eq(digest_update(&d, "x", 1), FTX_OK);
	ck_assert_int_eq(digest_copy(&copy, &d), FTX_OK);
	ck_assert_int_eq(digest_final(&d, &v), FTX_OK);
	ck_assert_int_eq(digest_of(DIGEST_NONE, "x", 1, &v), FTX_OK);
	ck_assert_int_eq(v.kind, DIGEST_NONE);
	ck_assert_str_eq(digest_hex(&v, hex), "");
	ck_assert(!digest_equal(&v, &empty));
	ck_assert_int_eq(digest_init(&d, DIGEST_KINDS), FTX_UNSUPPORTED);
	ck_assert_int_eq(d.kind, DIGEST_NONE);
	digest_clear(&d);
}
END_TEST

START_TEST(test_values)
{
	struct digest_value a, b;

	ck_assert_str_eq(digest_name(DIGEST_NONE), "none");
	ck_assert_str_eq(digest_name(DIGEST_XXH128), "xxh128");
	ck_assert_str_eq(digest_name(DIGEST_SHA256), "sha256");
	ck_assert_str_eq(digest_name(DIGEST_KINDS), "unknown");
	ck_assert_uint_eq(digest_size(DIGEST_XXH128), 16);
	ck_assert_uint_eq(digest_size(DIGEST_SHA256), 32);
	ck_assert_uint_eq(digest_size(DIGEST_NONE) + digest_size(DIGEST_KINDS), 0);
	ck_assert_int_eq(digest_start(), FTX_OK);
	ck_assert_int_eq(digest_of(DIGEST_SHA256, "x", 1, &a), FTX_OK);
	b = a;
	ck_assert(digest_equal(&a, &b));
	b.bytes[31] ^= 1;
	ck_assert(!digest_equal(&a, &b));
	b = a;
	b.kind = DIGEST_XXH128;
	ck_assert(!digest_equal(&a, &b));
	ck_assert_int_eq(digest_of(DIGEST_XXH128, "x", 1, &a), FTX_OK);
	b = a;
	b.bytes[20] ^= 1; /* not one of its own */
	ck_assert(digest_equal(&a, &b));
}
END_TEST

/* Whatever fails is said, and leaves nothing behind (the sanitizers look). */
START_TEST(test_failures)
{
	enum digest_kind kind = (enum digest_kind)_i;
	struct digest d, copy;

	ck_assert_int_eq(digest_init(&d, kind), FTX_OK);
	no_state = no_context = true;
	ck_assert_int_eq(digest_copy(&copy, &d), FTX_NOMEM);
	ck_assert(copy.kind == DIGEST_NONE && copy.state == NULL);
	digest_clear(&d);
	digest_clear(&d);
	ck_assert_int_eq(digest_init(&d, kind), FTX_NOMEM);
	ck_assert(d.kind == DIGEST_NONE && d.state == NULL);
	digest_clear(&d);
}
END_TEST

START_TEST(test_libcrypto_fails)
{
	struct digest d, copy;
	struct digest_value v;

	ck_assert_int_eq(digest_init(&d, DIGEST_SHA256), FTX_OK);
	no_copy = true;
	ck_assert_int_eq(digest_copy(&copy, &d), FTX_NOMEM);
	ck_assert_int_eq(copy.kind, DIGEST_NONE);
	no_update = true;
	ck_assert_int_eq(digest_update(&d, "x", 1), FTX_INTERNAL);
	ck_assert_int_eq(digest_of(DIGEST_SHA256, "x", 1, &v), FTX_INTERNAL);
	no_update = false;
	no_final = true;
	ck_assert_int_eq(digest_final(&d, &v), FTX_INTERNAL);
	ck_assert_int_eq(d.kind, DIGEST_NONE);
	no_algorithm = true;
	ck_assert_int_eq(digest_init(&d, DIGEST_SHA256), FTX_UNSUPPORTED);
	ck_assert_int_eq(d.kind, DIGEST_NONE);
	ck_assert_int_eq(digest_start(), FTX_UNSUPPORTED);
	ck_assert_int_eq(digest_of(DIGEST_SHA256, "x", 1, &v), FTX_UNSUPPORTED);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "digest");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_vectors, 0, COUNT(vectors));
	tcase_add_loop_test(tc, test_copy, DIGEST_XXH128, DIGEST_KINDS);
	tcase_add_test(tc, test_none);
	tcase_add_test(tc, test_values);
	tcase_add_loop_test(tc, test_failures, DIGEST_XXH128, DIGEST_KINDS);
	tcase_add_test(tc, test_libcrypto_fails);
}

int
main(void)
{
	return unit_run("digest", add_cases);
}
