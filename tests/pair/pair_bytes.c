#include "pair/pair_bytes.h"

#include <stdlib.h>
#include <string.h>

#include "store/digest.h"
#include "v1/message.h"
#include "v2/frame.h"

uint8_t bytes[PAIR_BYTES_MAX];
size_t bytes_len;

char *
word(char **p, size_t *len)
{
	char *s = *p + strspn(*p, " \t"), *out, *w;

	*len = 0;
	if (*s == '\0' || *s == '#')
		return NULL;
	if (*s != '"') {
		*len = strcspn(s, " \t");
		*p = s + *len + (s[*len] != '\0');
		s[*len] = '\0';
		return s;
	}
	for (w = out = ++s; *s != '"' && *s != '\0'; s++) {
		if (*s != '\\')
			*out++ = *s;
		else if (*++s == 'n')
			*out++ = '\n';
		else if (*s == '0')
			*out++ = '\0';
		else if (*s == 'x') {
			char hex[3] = { s[1], s[2], '\0' };

			*out++ = (char)strtoul(hex, NULL, 16);
			s += 2;
		} else
			*out++ = *s;
	}
	*p = *s == '"' ? s + 1 : s;
	*len = (size_t)(out - w);
	*out = '\0';
	return w;
}

const char *
name_of(char **p)
{
	size_t len;
	const char *w = word(p, &len);

	return w != NULL ? w : "";
}

static void
add_bytes(const void *p, size_t len)
{
	if (bytes_len + len > sizeof(bytes)) {
		fail("too many bytes in one line");
		return;
	}
	memcpy(bytes + bytes_len, p, len);
	bytes_len += len;
}

static void
add_repeated(unsigned long long n)
{
	for (unsigned long long i = 0; i < n && bytes_len < sizeof(bytes); i++)
		bytes[bytes_len++] = (uint8_t)(i * 31 >> 3);
}

static void
add_number(unsigned long long n, size_t size)
{
	for (size_t i = size; i > 0; i--) {
		uint8_t byte = (uint8_t)(n >> 8 * (i - 1));

		add_bytes(&byte, 1);
	}
}

static unsigned
type_of(const char *name)
{
	unsigned type = 0;

	while (type < 255 && strcmp(v2_type_name((uint8_t)type), name) != 0)
		type++;
	return type < 255 ? type : (unsigned)strtoul(name, NULL, 16);
}

/* frame TYPE ID FLAGS: its length is known at the word `end`. */
static void
begin_frame(char **p, size_t *frame)
{
	unsigned type = type_of(name_of(p));
	unsigned long long id = strtoull(name_of(p), NULL, 10);
	unsigned long long flags = strtoull(name_of(p), NULL, 16);

	*frame = bytes_len;
	add_number(0, 4);
	add_number(type, 1);
	add_number(flags, 1);
	add_number(id, 2);
}

static void
end_frame(size_t frame)
{
	size_t len = bytes_len;

	bytes_len = frame;
	add_number(len - frame - V2_HEADER_SIZE, 4);
	bytes_len = len;
}

/* XXH3-128 of what `fill N` is, as an attribute's length and value. */
static void
add_sum(unsigned long long n)
{
	struct digest_value sum = { 0 };
	size_t at = bytes_len;

	add_repeated(n);
	if (digest_of(DIGEST_XXH128, bytes + at, bytes_len - at, &sum) != FTX_OK)
		fail("there is no digest");
	bytes_len = at;
	add_number(1 + digest_size(sum.kind), 2);
	add_number(sum.kind, 1);
	add_bytes(sum.bytes, digest_size(sum.kind));
}

/* attr NUMBER VALUE, or attr NUMBER u8|u16|u32|u64 N, or attr NUMBER sum N */
static void
add_attr(char **p)
{
	static const char *const sizes[] = { "u8", "u16", "u32", "u64" };
	unsigned long long number = strtoull(name_of(p), NULL, 16);
	size_t len;
	char *value = word(p, &len);

	if (value == NULL) {
		fail("an attribute has no value");
		return;
	}
	add_number(number, 2);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (strcmp(value, sizes[i]) == 0) {
			add_number((size_t)1 << i, 2);
			add_number(strtoull(name_of(p), NULL, 0), (size_t)1 << i);
			return;
		}
	}
	if (strcmp(value, "sum") == 0) {
		add_sum(strtoull(name_of(p), NULL, 0));
		return;
	}
	add_number(len, 2);
	add_bytes(value, len);
}

void
parse_bytes(char *p)
{
	char *w;
	size_t len, frame = 0;

	bytes_len = 0;
	while ((w = word(&p, &len)) != NULL) {
		if (strcmp(w, "request") == 0) {
			uint8_t req[V1_REQUEST_SIZE] = { 0 };

			req[0] = (uint8_t)name_of(&p)[0];
			w = word(&p, &len);
			if (w != NULL)
				memcpy(req + 1, w, len < V1_NAME_MAX ? len : V1_NAME_MAX);
			add_bytes(req, sizeof(req));
		} else if (strcmp(w, "u64") == 0) {
			uint8_t size[8];

			v1_upload_size_encode(strtoull(name_of(&p), NULL, 0), size);
			add_bytes(size, sizeof(size));
		} else if (strcmp(w, "preface") == 0) {
			uint8_t preface[V2_PREFACE_SIZE];

			v2_preface_encode(preface);
			add_bytes(preface, sizeof(preface));
		} else if (strcmp(w, "frame") == 0) {
			begin_frame(&p, &frame);
		} else if (strcmp(w, "end") == 0) {
			end_frame(frame);
		} else if (strcmp(w, "attr") == 0) {
			add_attr(&p);
		} else if (strcmp(w, "fill") == 0) {
			add_repeated(strtoull(name_of(&p), NULL, 0));
		} else if (strcmp(w, "hex") == 0) {
			const char *h = name_of(&p);

			for (; h[0] != '\0' && h[1] != '\0'; h += 2) {
				char hex[3] = { h[0], h[1], '\0' };
				uint8_t byte = (uint8_t)strtoul(hex, NULL, 16);

				add_bytes(&byte, 1);
			}
		} else
			add_bytes(w, len);
	}
}
