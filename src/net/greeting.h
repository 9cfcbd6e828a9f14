#ifndef NET_GREETING_H
#define NET_GREETING_H

#include <stddef.h>

/*
 * What the first bytes of a connection say if they speak another protocol: why it is refused, a
 * literal that stands in the log and in the answer. NULL: nothing is wrong with them, or not yet.
 */
const char *greeting_fault(const char *ptr, size_t len);

#endif
