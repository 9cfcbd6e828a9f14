#ifndef WASM_INCLUDE_SYS_RANDOM_H
#define WASM_INCLUDE_SYS_RANDOM_H

#include <stddef.h>
#include <sys/types.h>

/* wasi-libc has getentropy() only. Defined in wasm/libc.c. flags are ignored: the host's source of
 * random numbers never blocks. */
ssize_t getrandom(void *out, size_t len, unsigned int flags);

#endif
