#include "config.h"

#include "base/testing.h"
#include "core/testing_core.h"
#include "core/testing_core_model.h"

START_TEST(random_operations_agree_with_the_model)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint64_t hash = core_model_run(seed, (uint32_t)testing_steps(20000));

		ck_assert_msg(hash != 0, "seed %d: %s", (int)seed, core_model_fault());
		ck_assert_ptr_null(core_model_fault());
	}
}
END_TEST

START_TEST(the_trace_depends_on_the_seed_alone)
{
	uint64_t first = core_model_run(1, 1000);

	ck_assert_uint_ne(first, core_model_run(2, 1000));
	ck_assert_uint_eq(first, core_model_run(1, 1000));
}
END_TEST

int
main(void)
{
	return testing_main("core/core_model", NULL, NULL,
	    (const TTest *[]){
		random_operations_agree_with_the_model, the_trace_depends_on_the_seed_alone, NULL});
}
