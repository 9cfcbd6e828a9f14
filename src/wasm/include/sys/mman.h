#ifndef WASM_INCLUDE_SYS_MMAN_H
#define WASM_INCLUDE_SYS_MMAN_H

/* WebAssembly has no mappings: nothing is declared, so base/alloc.c goes without huge pages.
 * wasi-libc's own header stops the compiler. */

#endif
