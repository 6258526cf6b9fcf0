#include "fuzz/v2_server.h"

#include <string.h>

#include "v2/message.h"
#include "v2/result.h"

#define IDS 12

static const struct v2_slice some_version = { (const uint8_t *)"version1", 8 };

static const uint32_t lengths[] = { 0, 1, 4095, 4096, 8192, 65536, 100000, 262144 };
static const uint64_t sizes[] = { 0, 1, 4096, 5000, 8192, 100000, LOCAL, CONTENT };
static const uint16_t codes[] = { V2_CODE_EXISTS, V2_CODE_CANCELLED, V2_CODE_TOO_LATE, V2_CODE_BUSY,
	V2_CODE_PROTOCOL, V2_CODE_SHUTTING_DOWN, 150, 999 };
static const char *const names[] = { "entry", "..", ".", "a/b", "", ".x", "-", "name" };

static size_t said[IDS + 1]; /* bytes of content under each id */
static uint8_t frame[V2_HEADER_SIZE + V2_CONTROL_MAX + 1];

void
server_begin(void)
{
	memset(said, 0, sizeof(said));
}

static struct digest_value
sum_of(const void *p, size_t len)
{
	struct digest_value v;

	CHECK(digest_of(DIGEST_XXH128, p, len, &v) == FTX_OK);
	return v;
}

void
server_greet(void)
{
	static const uint8_t kinds[] = { DIGEST_XXH128, DIGEST_SHA256 };
	const struct v2_hello m = {
		.has = V2_BIT(PROTOCOL_VERSION) | V2_BIT(DIGESTS) | V2_BIT(MAX_DATA) |
		       V2_BIT(MAX_REQUESTS) | V2_BIT(MAX_NOW),
		.version = 2,
		.digests = { kinds, 2 },
		.max_data = 65536,
		.max_requests = 16,
		.max_now = 65536,
	};
	uint8_t preface[V2_PREFACE_SIZE];

	v2_preface_encode(preface);
	tell(preface, sizeof(preface));
	tell(frame, v2_server_hello_encode(&m, 0, 0, frame, sizeof(frame)));
}

static size_t
make_page(uint16_t id, uint8_t k)
{
	const struct v2_entry e = {
		.has = V2_BIT(NAME) | V2_BIT(KIND) | V2_BIT(MTIME) | V2_BIT(MODE),
		.name = { (const uint8_t *)PICK(names, k), strlen(PICK(names, k)) },
		.kind = V2_DIRECTORY,
	};
	struct v2_page_writer w;

	v2_page_begin(&w, id, frame, sizeof(frame));
	if ((k & 0x40) == 0)
		(void)v2_page_add(&w, &e);
	return v2_page_end(&w, (struct v2_slice){ (const uint8_t *)"c", k >> 7 });
}

static size_t
make_file(uint16_t id, uint8_t k)
{
	bool prefix = (k & 0x80) != 0;
	const struct v2_file m = {
		.has = V2_BIT(SIZE) | V2_BIT(MTIME) | V2_BIT(MODE) | V2_BIT(FILE_VERSION) |
		       (prefix ? 0 : V2_BIT(OFFSET)) | ((k & 0x40) != 0 ? V2_BIT(DIGEST) : 0),
		.size = PICK(sizes, k),
		.offset = PICK(lengths, k >> 3),
		.file_version = some_version,
		.digest = sum_of(content, PICK(sizes, k)),
	};

	said[id % (IDS + 1)] = m.offset;
	return v2_file_encode(&m, prefix ? V2_FILE_PREFIX : 0, id, frame, sizeof(frame));
}

static size_t
make_end(uint16_t id, uint8_t k)
{
	size_t at = said[id % (IDS + 1)], from = (k & 4) != 0 ? 4096 : 0;
	struct v2_end m = { .has = (k & 1) != 0 ? 0 : V2_BIT(DIGEST) };

	m.digest = sum_of(content + from, at > from ? at - from : 0);
	m.digest.bytes[0] ^= k >> 7;
	return v2_get_end_encode(&m, (k & 2) != 0 ? V2_END_CHANGED : 0, id, frame, sizeof(frame));
}

static size_t
make_receipt(uint16_t id, uint8_t k)
{
	struct v2_receipt m = {
		.has = V2_BIT(NAME) | V2_BIT(SIZE) | V2_BIT(DIGEST) | V2_BIT(FILE_VERSION) |
		       V2_BIT(TIME),
		.name = { (const uint8_t *)"p", 1 },
		.size = PICK(sizes, k),
		.file_version = some_version,
		.digest = sum_of(content, PICK(sizes, k)),
	};

	m.digest.bytes[0] ^= k >> 7;
	return v2_put_ok_encode(&m, 0, id, frame, sizeof(frame));
}

static size_t
make_short(uint8_t which, uint16_t id, uint8_t k)
{
	const struct v2_offset offset = { V2_BIT(OFFSET), PICK(sizes, k) };
	const struct v2_error error = { .has = V2_BIT(CODE), .code = PICK(codes, k) };
	const struct v2_entry entry = {
		.has = V2_BIT(KIND) | V2_BIT(MTIME) | V2_BIT(MODE),
		.kind = V2_DIRECTORY,
	};
	const struct v2_digest_made made = {
		.has = V2_BIT(DIGEST) | V2_BIT(SIZE) | V2_BIT(FILE_VERSION),
		.digest = sum_of("", 0),
		.file_version = some_version,
	};
	const struct v2_ping ping = { 0 };
	const struct v2_goodbye goodbye = { 0 };
	const struct v2_working working = { 0 };
	const struct v2_done done = { 0 };

	switch (which) {
	case 0:
		return v2_go_encode(&offset, 0, id, frame, sizeof(frame));
	case 1:
		return v2_have_encode(&offset, 0, id, frame, sizeof(frame));
	case 2:
		return v2_error_encode(&error, 0, id, frame, sizeof(frame));
	case 3:
		return v2_stat_ok_encode(&entry, 0, id, frame, sizeof(frame));
	case 4:
		return v2_digest_ok_encode(&made, 0, id, frame, sizeof(frame));
	case 5:
		return v2_pong_encode(&ping, 0, 0, frame, sizeof(frame));
	case 6:
		return v2_goodbye_encode(&goodbye, 0, 0, frame, sizeof(frame));
	case 7:
		return v2_working_encode(&working, 0, id, frame, sizeof(frame));
	case 8:
		return v2_remove_ok_encode(&done, 0, id, frame, sizeof(frame));
	default:
		return v2_cancel_ok_encode(&done, 0, (uint16_t)(0x4000 + id), frame, sizeof(frame));
	}
}

void
server_say(struct cursor *in)
{
	uint8_t which = cursor_get_u8(in) % 14;
	uint16_t id = cursor_get_u8(in) % (IDS + 1);
	uint8_t k = cursor_get_u8(in);
	size_t len;

	if (which == 10)
		len = make_page(id, k);
	else if (which == 11)
		len = make_file(id, k);
	else if (which == 12)
		len = make_end(id, k);
	else if (which == 13)
		len = make_receipt(id, k);
	else
		len = make_short(which, id, k);
	tell(frame, len);
}

void
server_say_data(struct cursor *in)
{
	uint16_t id = cursor_get_u8(in) % (IDS + 1);
	struct v2_frame f = {
		.length = PICK(lengths, cursor_get_u8(in)), .type = V2_DATA, .id = id
	};
	uint8_t header[V2_HEADER_SIZE];
	size_t left = CONTENT - said[id];

	if (f.length > left)
		f.length = (uint32_t)left;
	v2_frame_encode(&f, header);
	tell(header, sizeof(header));
	for (size_t n = 0, piece; n < f.length; n += piece) {
		piece = f.length - n < 65536 ? f.length - n : 65536;
		tell(content + said[id] + n, piece);
		settle();
	}
	said[id] += f.length;
}
