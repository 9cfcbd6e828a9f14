#include "config.h"

#include "bench/plan.h"

#include <string.h>

#include "base/testing.h"

/* Counts the subscribers of the channel, and checks that slots are in range and distinct. */
static void
check_plan(const struct bench_plan *plan)
{
	uint32_t slots = bench_plan_slots(plan);

	for (uint32_t c = 0; c < plan->channels; c++) {
		uint32_t receivers = 0;

		for (uint32_t s = 0; s < plan->subscribers; s++) {
			uint32_t slot = bench_plan_slot(plan, s, c);

			receivers += slot != UINT32_MAX;
			ck_assert(slot == UINT32_MAX || slot < slots);
		}
		ck_assert_uint_eq(receivers, bench_plan_fanout(plan, c));
	}
	for (uint32_t s = 0; s < plan->subscribers && !plan->pattern; s++)
		for (uint32_t i = 0; i < bench_plan_subscriptions(plan, s); i++)
			ck_assert_uint_eq(
			    bench_plan_slot(plan, s, bench_plan_channel(plan, s, i)), i);
}

START_TEST(slots_and_fanout_agree_with_the_subscriptions_for_any_shape)
{
	for (uint32_t s = 0; s < 12; s++) {
		for (uint32_t c = 1; c < 12; c++) {
			check_plan(&(struct bench_plan){s, c, 1, false});
			check_plan(&(struct bench_plan){s, c, 1, true});
		}
	}
}
END_TEST

START_TEST(a_channel_that_no_plan_has_is_nobodys)
{
	const struct bench_plan plan = {4, 2, 1, true};

	ck_assert_uint_eq(bench_plan_slot(&plan, 0, 2), UINT32_MAX);
	ck_assert_uint_eq(bench_plan_slot(&plan, 0, 65535), UINT32_MAX);
}
END_TEST

START_TEST(each_flow_is_numbered_without_a_gap)
{
	const struct bench_plan plan = {3, 7, 5, false};

	for (uint32_t p = 0; p < plan.publishers; p++) {
		uint32_t next[7] = {0};

		for (uint64_t n = 0; n < 100; n++) {
			uint32_t c = bench_plan_target(&plan, p, n);

			ck_assert_uint_eq(bench_plan_sequence(&plan, n), next[c]);
			next[c]++;
		}
	}
}
END_TEST

START_TEST(names_have_one_length)
{
	struct buffer out = {0};

	bench_plan_put_channel(&out, "news", '.', 0);
	ck_assert(slice_is(buffer_slice(&out), "news.00000"));
	buffer_clear(&out);
	bench_plan_put_channel(&out, "news", '/', 65535);
	ck_assert(slice_is(buffer_slice(&out), "news/65535"));
	buffer_clear(&out);
	bench_plan_put_idle_channel(&out, '.', 1000000);
	ck_assert(slice_is(buffer_slice(&out), "idle.000000001000000"));
	ck_assert_uint_eq(out.len, 20);
	buffer_release(&out);
}
END_TEST

int
main(void)
{
	return testing_main("bench/plan", NULL, NULL,
	    (const TTest *[]){slots_and_fanout_agree_with_the_subscriptions_for_any_shape,
		a_channel_that_no_plan_has_is_nobodys, each_flow_is_numbered_without_a_gap,
		names_have_one_length, NULL});
}
