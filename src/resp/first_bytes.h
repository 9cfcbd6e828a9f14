#ifndef RESP_FIRST_BYTES_H
#define RESP_FIRST_BYTES_H

#include <stddef.h>

/*
 * What the first bytes of a connection say if they speak another protocol: why it is closed, a
 * literal for the log. Nothing is answered, as nothing would be understood. NULL: nothing is wrong
 * with them, or not yet.
 */
const char *resp_foreign_protocol(const char *ptr, size_t len);

#endif
