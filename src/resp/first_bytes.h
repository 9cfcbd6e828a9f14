#ifndef RESP_FIRST_BYTES_H
#define RESP_FIRST_BYTES_H

#include <stddef.h>

/*
 * If the first bytes of a connection belong to another protocol, returns the reason for closing it,
 * a string literal for the log. The peer gets no reply, because it would not understand one. NULL
 * if the bytes may be RESP, or are too few to tell.
 */
const char *resp_foreign_protocol(const char *ptr, size_t len);

#endif
