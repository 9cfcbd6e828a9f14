#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/testing_core_model.h"

/* core_trace SEEDS STEPS: prints the hash of the model test of libfanfare-core for each seed from 1
 * on, for tests/test_node_core.py to compare with those of the WebAssembly module. */
int
main(int argc, char **argv)
{
	uint64_t seeds = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;
	uint32_t steps = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;

	for (uint64_t seed = 1; seed <= seeds; seed++)
		printf("%016" PRIx64 "\n", core_model_run(seed, steps));
	return 0;
}
