#ifndef WASM_INCLUDE_CONFIG_H
#define WASM_INCLUDE_CONFIG_H

/* What configure finds out for the daemon, for the module. The functions of wasm/libc.c are there,
 * as are those of wasi-libc. Asserts stay, as in the daemon. */
#ifndef HAVE_JEMALLOC
#define HAVE_JEMALLOC 0
#endif
#undef NDEBUG

#endif
