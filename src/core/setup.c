#include "config.h"

#include "core/setup.h"

#include <fanfare/types.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/siphash.h"
#include "core/options.h"

/* Hubs may be created in several threads. */
static atomic_bool is_used;

void
setup_is_used(void)
{
	if (!atomic_load_explicit(&is_used, memory_order_relaxed))
		atomic_store_explicit(&is_used, true, memory_order_relaxed);
}

static bool
is_whole(const struct fanfare_allocator *a)
{
	bool has = a->allocate != NULL;

	return (a->reallocate != NULL) == has && (a->release != NULL) == has;
}

enum fanfare_result
fanfare_setup(const struct fanfare_setup *given)
{
	struct fanfare_setup setup;
	struct alloc_functions functions;

	if (!options_copy(&setup, sizeof(setup), given) || !is_whole(&setup.allocator))
		return FANFARE_INVALID;
	if (atomic_exchange(&is_used, true))
		return FANFARE_BUSY;
	if (setup.hash_seed != NULL && !siphash_set_process_key(setup.hash_seed))
		return FANFARE_BUSY;
	functions = (struct alloc_functions){
	    .allocate = setup.allocator.allocate,
	    .reallocate = setup.allocator.reallocate,
	    .release = setup.allocator.release,
	    .arg = setup.allocator.arg,
	    .out_of_memory = setup.out_of_memory,
	    .out_of_memory_arg = setup.out_of_memory_arg,
	};
	alloc_set_functions(&functions);
	return FANFARE_OK;
}

size_t
fanfare_memory(void)
{
	return alloc_used_bytes();
}

const char *
fanfare_core_version(void)
{
	return FANFARE_CORE_VERSION;
}
