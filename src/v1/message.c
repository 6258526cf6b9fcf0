#include "v1/message.h"

#include <string.h>

#include "base/cursor.h"

/* What the original's strip() takes off both ends. */
static bool
is_space(char ch)
{
	return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

enum ftx_rc
v1_request_decode(const uint8_t buf[V1_REQUEST_SIZE], struct v1_request *req)
{
	struct cursor c = cursor_init(buf, V1_REQUEST_SIZE);
	uint8_t type = cursor_get_u8(&c);
	const char *name = (const char *)cursor_get_bytes(&c, V1_NAME_MAX);
	size_t len;

	memset(req, 0, sizeof(*req));
	if (!cursor_done(&c) || (type != V1_DOWNLOAD && type != V1_UPLOAD))
		return FTX_PROTOCOL;
	req->type = (enum v1_letter)type;
	len = strnlen(name, V1_NAME_MAX);
	for (size_t i = len; i < V1_NAME_MAX; i++) {
		if (name[i] != '\0')
			return FTX_BAD_NAME;
	}
	while (len > 0 && is_space(name[len - 1]))
		len--;
	while (len > 0 && is_space(name[0])) {
		name++;
		len--;
	}
	memcpy(req->name, name, len);
	req->name_len = len;
	return FTX_OK;
}

enum ftx_rc
v1_request_encode(enum v1_letter type, const char *name, size_t len, uint8_t buf[V1_REQUEST_SIZE])
{
	struct cursor_out c = cursor_out_init(buf, V1_REQUEST_SIZE);

	if (len == 0 || len > V1_NAME_MAX || memchr(name, '\0', len) != NULL)
		return FTX_BAD_NAME;
	cursor_put_u8(&c, (uint8_t)type);
	cursor_put_bytes(&c, name, len);
	cursor_put_zero(&c, V1_NAME_MAX - len);
	return cursor_out_ok(&c) ? FTX_OK : FTX_INTERNAL;
}

enum ftx_rc
v1_download_answer_decode(
    const uint8_t buf[V1_DOWNLOAD_ANSWER_SIZE], enum v1_letter *letter, uint64_t *size)
{
	struct cursor c = cursor_init(buf, V1_DOWNLOAD_ANSWER_SIZE);
	uint8_t byte = cursor_get_u8(&c);

	*size = cursor_get_u64(&c);
	if (!cursor_done(&c))
		return FTX_PROTOCOL;
	return v1_letter_decode(byte, "TFE", letter);
}

void
v1_download_answer_encode(
    enum v1_letter letter, uint64_t size, uint8_t buf[V1_DOWNLOAD_ANSWER_SIZE])
{
	struct cursor_out c = cursor_out_init(buf, V1_DOWNLOAD_ANSWER_SIZE);

	cursor_put_u8(&c, (uint8_t)letter);
	cursor_put_u64(&c, size);
}

uint64_t
v1_upload_size_decode(const uint8_t buf[V1_UPLOAD_SIZE_SIZE])
{
	struct cursor c = cursor_init(buf, V1_UPLOAD_SIZE_SIZE);

	return cursor_get_u64(&c);
}

void
v1_upload_size_encode(uint64_t size, uint8_t buf[V1_UPLOAD_SIZE_SIZE])
{
	struct cursor_out c = cursor_out_init(buf, V1_UPLOAD_SIZE_SIZE);

	cursor_put_u64(&c, size);
}

enum ftx_rc
v1_letter_decode(uint8_t byte, const char *allowed, enum v1_letter *letter)
{
	if (byte == '\0' || strchr(allowed, byte) == NULL)
		return FTX_PROTOCOL;
	*letter = (enum v1_letter)byte;
	return FTX_OK;
}

enum v1_letter
v1_refusal(enum ftx_rc why)
{
	switch (why) {
	case FTX_NOT_FOUND:
	case FTX_EXISTS:
	case FTX_BUSY:
		return V1_NO;
	default:
		return V1_ERROR;
	}
}
