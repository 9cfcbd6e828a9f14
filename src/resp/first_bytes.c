#include "config.h"

#include "resp/first_bytes.h"

#include <stdbool.h>
#include <string.h>

#include "base/tls_hello.h"

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
	if (tls_hello_begins(ptr, len))
		return "TLS handshake on a plain port; use tls-port";
	if (is_http(ptr, len))
		return "HTTP request on a RESP port";
	return NULL;
}
