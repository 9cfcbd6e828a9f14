#ifndef RESP_FIRST_BYTES_H
#define RESP_FIRST_BYTES_H

#include <stddef.h>

/*
 * If the first bytes of a connection belong to another protocol: the reason for closing it, a
 * literal for the log. The peer gets no answer, because it would not understand one. NULL: nothing
 * is wrong, or too few bytes have arrived to tell.
 */
const char *resp_foreign_protocol(const char *ptr, size_t len);

#endif
