#include "net/addr.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* 1-65535 in decimal digits alone: strtoul(3) would take signs and spaces. */
static bool
parse_port(const char *text, uint16_t *port)
{
	unsigned n = 0;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return false;
		n = n * 10 + (unsigned)(*p - '0');
		if (n > UINT16_MAX)
			return false;
	}
	if (n == 0)
		return false;
	*port = (uint16_t)n;
	return true;
}

static bool
copy_host(char *host, size_t size, const char *text, size_t len)
{
	if (len == 0 || len >= size)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	return true;
}

static bool
is_ipv6(const char *host)
{
	struct addr a;

	return strchr(host, ':') != NULL && addr_parse(&a, host, 0) == FTX_OK;
}

enum ftx_rc
addr_split(const char *text, char *host, size_t size, uint16_t *port, uint16_t default_port)
{
	const char *colon = strchr(text, ':');
	const char *rest; /* what stands behind the host: nothing, or :PORT */

	if (text[0] == '[') {
		const char *end = strchr(text, ']');

		if (end == NULL || !copy_host(host, size, text + 1, (size_t)(end - text - 1)) ||
		    !is_ipv6(host))
			return FTX_USAGE;
		rest = end + 1;
	} else if (colon != NULL && strchr(colon + 1, ':') != NULL) {
		if (!copy_host(host, size, text, strlen(text)) || !is_ipv6(host))
			return FTX_USAGE;
		rest = "";
	} else {
		size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);

		if (!copy_host(host, size, text, len) || strpbrk(host, "[]") != NULL)
			return FTX_USAGE;
		rest = text + len;
	}
	*port = default_port;
	if (*rest == '\0')
		return FTX_OK;
	return *rest == ':' && parse_port(rest + 1, port) ? FTX_OK : FTX_USAGE;
}

/* One answer of getaddrinfo(3); false: not of a kind we speak. */
static bool
copy_answer(struct addr *a, const struct addrinfo *ai, uint16_t port)
{
	if ((ai->ai_family != AF_INET && ai->ai_family != AF_INET6) ||
	    ai->ai_addrlen > sizeof(a->ss))
		return false;
	memset(a, 0, sizeof(*a));
	memcpy(&a->ss, ai->ai_addr, ai->ai_addrlen);
	a->len = ai->ai_addrlen;
	addr_set_port(a, port);
	return true;
}

enum ftx_rc
addr_parse(struct addr *a, const char *numeric, uint16_t port)
{
	struct addrinfo hints = {
		.ai_family = AF_INET6, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST
	};
	struct addrinfo *list;
	struct sockaddr_in in = { .sin_family = AF_INET };
	bool ok;

	/* Not getaddrinfo(3) for IPv4: to that one "1" and "127.1" are numbers, too. */
	if (inet_pton(AF_INET, numeric, &in.sin_addr) == 1) {
		memset(a, 0, sizeof(*a));
		memcpy(&a->ss, &in, sizeof(in));
		a->len = sizeof(in);
		addr_set_port(a, port);
		return FTX_OK;
	}
	/* For IPv6, unlike inet_pton(3), it knows scopes: fe80::1%eth0. */
	if (getaddrinfo(numeric, NULL, &hints, &list) != 0)
		return FTX_USAGE;
	ok = copy_answer(a, list, port);
	freeaddrinfo(list);
	return ok ? FTX_OK : FTX_USAGE;
}

enum ftx_rc
addr_resolve(const char *host, uint16_t port, struct addr *out, size_t max, size_t *count)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	int err;

	*count = 0;
	err = getaddrinfo(host, NULL, &hints, &list);
	if (err != 0)
		return err == EAI_MEMORY ? FTX_NOMEM : FTX_HOST_UNKNOWN;
	for (const struct addrinfo *ai = list; ai != NULL && *count < max; ai = ai->ai_next) {
		if (copy_answer(&out[*count], ai, port))
			++*count;
	}
	freeaddrinfo(list);
	return *count > 0 ? FTX_OK : FTX_HOST_UNKNOWN;
}

uint16_t
addr_port(const struct addr *a)
{
	if (a->ss.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&a->ss)->sin6_port);
	if (a->ss.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&a->ss)->sin_port);
	return 0;
}

void
addr_set_port(struct addr *a, uint16_t port)
{
	if (a->ss.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&a->ss)->sin6_port = htons(port);
	else if (a->ss.ss_family == AF_INET)
		((struct sockaddr_in *)&a->ss)->sin_port = htons(port);
}

bool
addr_is_loopback(const struct addr *a)
{
	const struct sockaddr_in *in = (const void *)&a->ss;
	const struct sockaddr_in6 *in6 = (const void *)&a->ss;

	if (a->ss.ss_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (a->ss.ss_family != AF_INET6)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return in6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET;
	return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) != 0;
}

const char *
addr_text(const struct addr *a, char buf[ADDR_TEXT_SIZE])
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->ss;
	char host[ADDR_TEXT_SIZE - sizeof("[]:65535") + 1];
	const struct sockaddr_in *in = (const struct sockaddr_in *)&a->ss;
	bool bare = true;

	if (a->ss.ss_family == AF_INET)
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
	else if (a->ss.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, host, sizeof(host));
	else if (getnameinfo((const struct sockaddr *)&a->ss, a->len, host, sizeof(host), NULL, 0,
		     NI_NUMERICHOST) != 0) {
		snprintf(buf, ADDR_TEXT_SIZE, "unknown");
		return buf;
	} else
		bare = false;
	snprintf(buf, ADDR_TEXT_SIZE, bare ? "%s:%u" : "[%s]:%u", host, (unsigned)addr_port(a));
	return buf;
}
