#ifndef NET_WRONG_PROTOCOL_H
#define NET_WRONG_PROTOCOL_H

#include <stddef.h>

/*
 * What the first bytes of a connection say if they speak another protocol: why it is refused, a
 * literal that stands in the log and in the answer. NULL: nothing is wrong with them, or not yet.
 */
const char *wrong_protocol(const char *ptr, size_t len);

#endif
