/* What a PUT says, but for content that is sent a frame at a time; and what its receipt says. */
#include <string.h>

#include "v2/client_private.h"

enum ftx_rc
v2_put_add_head(struct v2_put_request *put, uint8_t flags)
{
	const struct v2_put m = {
		.has = V2_BIT(NAME) | (put->stream == NULL ? V2_BIT(SIZE) : 0) |
		       (put->has_mtime ? V2_BIT(MTIME) : 0) | (put->has_mode ? V2_BIT(MODE) : 0) |
		       (put->has_upload_id ? V2_BIT(UPLOAD_ID) : 0) |
		       (put->policy > V2_CREATE ? V2_BIT(POLICY) : 0) |
		       (put->if_version.len > 0 ? V2_BIT(IF_VERSION) : 0) |
		       (put->digest.kind != DIGEST_NONE ? V2_BIT(DIGEST) : V2_BIT(DIGEST_KIND)),
		.name = { (const uint8_t *)put->name, strlen(put->name) },
		.if_version = put->if_version,
		.size = put->stream == NULL ? put->size : 0,
		.mtime = put->mtime,
		.mode = put->mode,
		.digest = put->digest,
		.policy = (uint8_t)(put->policy != 0 ? put->policy : V2_CREATE),
		.digest_kind = (uint8_t)v2_put_kind(put),
	};
	struct v2_put with_id = m;
	uint8_t frame[V2_FRAME_ROOM];
	struct v2_client *c = put->r.client;

	memcpy(with_id.upload_id, put->upload_id, sizeof(with_id.upload_id));
	return v2_client_add_frame(c, frame,
	    v2_put_encode(
		&with_id, put->r.flags | flags, v2_client_next_id(c), frame, sizeof(frame)));
}

enum ftx_rc
v2_put_add_end(struct v2_put_request *put)
{
	const struct v2_end m = {
		.has = V2_BIT(DIGEST) | (put->stream != NULL ? V2_BIT(SIZE) : 0),
		.size = put->size,
		.digest = put->own,
	};
	uint8_t frame[V2_FRAME_ROOM];

	return v2_client_add_frame(
	    put->r.client, frame, v2_put_end_encode(&m, 0, put->r.id, frame, sizeof(frame)));
}

enum ftx_rc
v2_put_add_content(struct v2_put_request *put, const void *content, size_t size)
{
	struct v2_client *c = put->r.client;
	const uint8_t *p = content;
	size_t most = c->limits.max_data;

	for (size_t at = 0; at < size; at += most) {
		struct v2_frame f = { .type = V2_DATA, .id = put->r.id };
		uint8_t header[V2_HEADER_SIZE];

		f.length = (uint32_t)(size - at < most ? size - at : most);
		v2_frame_encode(&f, header);
		if (!buf_add(&c->out, header, sizeof(header)) ||
		    !buf_add(&c->out, p + at, f.length))
			return FTX_NOMEM;
	}
	return FTX_OK;
}

enum ftx_rc
v2_put_copy_receipt(struct v2_put_request *put, const struct v2_frame *f)
{
	struct v2_receipt_copy *to = &put->receipt;
	struct v2_receipt m;
	struct v2_fault fault = v2_put_ok_decode(f, &put->r.client->terms, &m);

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	v2_put_again(put);
	to->name = strndup((const char *)m.name.p, m.name.len); /* NULL: it does without */
	to->flags = f->flags;
	to->size = m.size;
	to->digest = m.digest;
	to->time = m.time;
	to->version_len = V2_HAS(&m, FILE_VERSION) ? m.file_version.len : 0;
	if (to->version_len > 0)
		memcpy(to->version, m.file_version.p, to->version_len);
	if (m.digest.kind != v2_put_kind(put) || (put->size != UINT64_MAX && m.size != put->size))
		return FTX_PROTOCOL;
	return FTX_OK;
}

bool
v2_put_receipt_is_right(const struct v2_put_request *put)
{
	return put->receipt.size == put->size && digest_equal(&put->receipt.digest, &put->own);
}
