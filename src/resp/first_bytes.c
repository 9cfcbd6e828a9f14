#include "config.h"

#include "resp/first_bytes.h"

#include <stdbool.h>
#include <string.h>

/* The record of a TLS handshake (RFC 8446 5.1): type 22, version 3.x, length. */
static bool
is_tls(const char *ptr, size_t len)
{
	return len >= 3 && ptr[0] == 22 && ptr[1] == 3 && ptr[2] <= 4;
}

/* "GET /path HTTP/1.1" (RFC 9112 3), as browsers and probes begin, and HTTP/2 (RFC 9113 3.4). None
 * of the methods is a command that takes two arguments. */
static bool
is_http(const char *ptr, size_t len)
{
	static const char *const methods[] = {"GET ", "POST ", "PRI "};
	const char *end = memchr(ptr, '\n', len), *version;
	bool known = false;

	if (end == NULL)
		return false;
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		known |=
		    len > strlen(methods[i]) && memcmp(ptr, methods[i], strlen(methods[i])) == 0;
	if (!known)
		return false;
	if (end > ptr && end[-1] == '\r')
		end--;
	if ((size_t)(end - ptr) < strlen("PRI * HTTP/1.1"))
		return false;
	version = end - strlen(" HTTP/1.1");
	return memcmp(version, " HTTP/", strlen(" HTTP/")) == 0;
}

const char *
resp_foreign_protocol(const char *ptr, size_t len)
{
	if (is_tls(ptr, len))
		return "TLS handshake on a plain port; use tls-port";
	if (is_http(ptr, len))
		return "HTTP request on a RESP port";
	return NULL;
}
