/*
 * Any bytes as each message of protocol 1: decoded without a fault, and encoded again to what they
 * were.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "fuzz/target.h"
#include "v1/message.h"

static void
try_request(const uint8_t *data)
{
	uint8_t again[V1_REQUEST_SIZE];
	struct v1_request req, twin;

	if (v1_request_decode(data, &req) != FTX_OK || req.name_len == 0)
		return;
	if (v1_request_encode(req.type, req.name, req.name_len, again) != FTX_OK ||
	    v1_request_decode(again, &twin) != FTX_OK || twin.type != req.type ||
	    twin.name_len != req.name_len || memcmp(twin.name, req.name, sizeof(req.name)) != 0)
		abort();
}

static void
try_answer(const uint8_t *data)
{
	uint8_t again[V1_DOWNLOAD_ANSWER_SIZE];
	enum v1_letter letter;
	uint64_t size;

	if (v1_download_answer_decode(data, &letter, &size) != FTX_OK)
		return;
	v1_download_answer_encode(letter, size, again);
	if (memcmp(again, data, sizeof(again)) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[V1_UPLOAD_SIZE_SIZE];
	enum v1_letter letter;

	if (size >= V1_REQUEST_SIZE)
		try_request(data);
	if (size >= V1_DOWNLOAD_ANSWER_SIZE)
		try_answer(data);
	if (size >= V1_UPLOAD_SIZE_SIZE) {
		v1_upload_size_encode(v1_upload_size_decode(data), again);
		if (memcmp(again, data, sizeof(again)) != 0)
			abort();
	}
	if (size > 0 && v1_letter_decode(data[0], "TFE", &letter) == FTX_OK && letter != data[0])
		abort();
	return 0;
}
