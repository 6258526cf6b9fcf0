#include <string.h>
#include <sys/socket.h>

#include "fuzz/session.h"
#include "v1/message.h"

static const char *const names[] = { "new", "dir/new", "old", "dir/old", "empty", "./new",
	"dir//new", " new ", "..", "dir", "missing/new", ".ftxferd-1", "link", "/new", "new/" };
static const uint64_t sizes[] = { 255, 256, 999, 1000, 1001, 4096, 65536, 262144, 262145, 500000,
	PLAY_FREE_BYTES, PLAY_FREE_BYTES + 1, UINT32_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1,
	UINT64_MAX };

#define PICK(table, k) ((table)[(k) % (sizeof(table) / sizeof((table)[0]))])

void
peer_send(const struct play *play, struct peer *p, const void *bytes, size_t len)
{
	size_t before = p->sent_len, head;
	uint64_t size;
	ssize_t n;

	if (p->fd < 0 || p->shut)
		return;
	if (len > sizeof(p->sent) - p->sent_len)
		len = sizeof(p->sent) - p->sent_len;
	n = send(p->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n <= 0)
		return;
	memcpy(p->sent + p->sent_len, bytes, (size_t)n);
	p->sent_len += (size_t)n;
	if (play_announced(play, p, &size, &head) && p->sent_len - head > size &&
	    (before < head || before - head < size))
		p->excess = true;
}

void
peer_send_request(const struct play *play, struct peer *p, uint8_t k)
{
	const char *name = PICK(names, k >> 1);
	uint8_t buf[V1_REQUEST_SIZE];

	CHECK(v1_request_encode((k & 1) != 0 ? V1_DOWNLOAD : V1_UPLOAD, name, strlen(name), buf) ==
	      FTX_OK);
	peer_send(play, p, buf, sizeof(buf));
}

/* What is left of the content that was announced, a little less or more; or some multiple. */
static uint64_t
content_length(const struct play *play, const struct peer *p, uint8_t k)
{
	static const unsigned units[] = { 1, 64, 1024, 16384 };
	uint64_t size = 0, left = 0;
	size_t head;

	if (play_announced(play, p, &size, &head) && size > p->sent_len - head)
		left = size - (p->sent_len - head);
	switch (k & 7) {
	case 0:
		return left;
	case 1:
		return left > 0 ? left - 1 : 0;
	case 2:
		return left + 1;
	case 3:
		return left / 2;
	default:
		return (uint64_t)((k >> 3) + 1) * units[k & 3];
	}
}

void
peer_send_content(struct play *play, struct peer *p, uint8_t k)
{
	uint8_t buf[16384];
	uint64_t len = content_length(play, p, k), size;
	size_t head = 0, before = 0;

	if (!play_announced(play, p, &size, &head))
		head = 0;
	/* A peer that is not read from for so long does not go on by itself. */
	for (int stuck = 0; len > 0 && stuck < 2 && p->sent_len < sizeof(p->sent);) {
		size_t n = len < sizeof(buf) ? (size_t)len : sizeof(buf);

		before = p->sent_len;
		content_fill((unsigned)(p - play->peers), before - head, buf, n);
		peer_send(play, p, buf, n);
		len -= p->sent_len - before;
		if (p->sent_len == before)
			stuck++;
		if (len > 0)
			stage_settle(&play->st);
	}
}

bool
peer_get(struct peer *p, size_t len)
{
	ssize_t n;

	if (p->fd < 0)
		return false;
	if (len > sizeof(p->got) - p->got_len)
		len = sizeof(p->got) - p->got_len;
	n = recv(p->fd, p->got + p->got_len, len, MSG_DONTWAIT);
	if (n > 0)
		p->got_len += (size_t)n;
	CHECK(p->got_len < sizeof(p->got)); /* no file here is so large */
	return n > 0;
}

void
peer_get_all(struct play *play, struct peer *p)
{
	while (peer_get(p, sizeof(p->got)))
		stage_settle(&play->st);
}

void
peer_send_letter(const struct play *play, struct peer *p, uint8_t k)
{
	uint8_t letter = k < 4 ? (uint8_t) "TFEx"[k] : k;

	peer_send(play, p, &letter, 1);
}

void
peer_send_size(const struct play *play, struct peer *p, uint8_t k, bool with_letter)
{
	uint8_t buf[V1_DOWNLOAD_ANSWER_SIZE] = { V1_YES };

	v1_upload_size_encode(k < 128 ? k : PICK(sizes, k), buf + 1);
	peer_send(play, p, buf + !with_letter, sizeof(buf) - !with_letter);
}
