#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012). */
uint64_t siphash(const uint64_t key[2], const void *ptr, size_t len);

/* The key for tables whose keys peers choose: random, one per process, made by the first call.
 * Thread-safe. */
const uint64_t *siphash_process_key(void);

/* Sets that key instead, before there are threads; copies. False: it was made before. */
bool siphash_set_process_key(const uint64_t key[2]) __attribute__((warn_unused_result));

#endif
