#ifndef CORE_OPTIONS_H
#define CORE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Structs of the public headers that begin with their `size`: a caller may have been compiled with
 * an earlier header, whose struct is shorter, or with a later one.
 */

/* Copies such a struct of the caller's into *to, of len bytes, with zeros for what it lacks. False:
 * it is NULL, its size is impossible, or it sets what this library does not know. */
bool options_copy(void *to, size_t len, const void *from) __attribute__((warn_unused_result));

/* Copies the part of *from, of len bytes, for which *to has room, and keeps to's size. False: to is
 * NULL, or its size is impossible. */
bool options_fill(void *to, const void *from, size_t len) __attribute__((warn_unused_result));

/* *value becomes `initial` if it is 0. False: it is not within the range. */
bool options_limit(size_t *value, size_t least, size_t most, size_t initial)
    __attribute__((warn_unused_result));

#endif
