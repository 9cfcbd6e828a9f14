#ifndef BASE_TLS_HELLO_H
#define BASE_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>

/* Whether these bytes begin as the record of a TLS handshake (RFC 8446 5.1): type 22, version 3.x.
 * Three bytes are enough to tell. */
static inline bool
tls_hello_begins(const char *ptr, size_t len)
{
	return len >= 3 && ptr[0] == 22 && ptr[1] == 3 && ptr[2] <= 4;
}

#endif
