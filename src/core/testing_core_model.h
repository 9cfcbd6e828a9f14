#ifndef CORE_TESTING_CORE_MODEL_H
#define CORE_TESTING_CORE_MODEL_H

#include <stdint.h>

/*
 * The model test of the library: random operations on a hub through the public headers, beside a
 * naive model of what must come out. It needs nothing but the library, so that the same test can
 * run elsewhere, in a WebAssembly module for example: equal traces mean equal behaviour.
 */

/* Returns the hash of all that the hub said, or 0 if it differs from the model: core_model_fault()
 * then says where. */
uint64_t core_model_run(uint64_t seed, uint32_t steps);

const char *core_model_fault(void); /* NULL: none in the last run */

#endif
