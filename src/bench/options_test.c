#include "config.h"

#include "bench/options.h"

#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "bench/plan.h"
#include "bench/wire.h"

static struct bench_options o;
static struct buffer error;

static void
setup(void)
{
	o = bench_option_defaults;
}

static void
teardown(void)
{
	buffer_release(&error);
}

static bool
refused(const char *word)
{
	bool ok;

	buffer_clear(&error);
	ok = bench_options_check(&o, &error);
	buffer_append(&error, "", 1);
	o = bench_option_defaults;
	return !ok && strstr(error.ptr, word) != NULL;
}

START_TEST(the_defaults_are_a_run_of_one_message_at_a_time)
{
	ck_assert(bench_options_check(&o, &error));
	ck_assert_uint_eq(o.window, 16);
	ck_assert_uint_eq(bench_options_connections(&o), 51);
	ck_assert_ptr_eq(bench_options_wire(&o, 0), &wire_resp2);
}
END_TEST

START_TEST(what_does_not_fit_together_is_refused_by_name)
{
	o.protocol = "amqp";
	ck_assert(refused("--protocol"));
	o.protocol = "nats";
	o.resp3 = true;
	ck_assert(refused("--resp3"));
	o.resp3 = true;
	o.resp3_share = 50;
	ck_assert(refused("--resp3-share"));
	o.prefix = "a.b";
	ck_assert(refused("--prefix"));
	o.prefix = "";
	ck_assert(refused("--prefix"));
	o.pipeline = 8;
	o.window = 7;
	ck_assert(refused("--window"));
	o.window = 7;
	o.rate = 1;
	ck_assert(refused("--rate"));
	o.size = 512 << 20;
	o.pipeline = 3;
	ck_assert(refused("--size"));
	o.subscribers = 600000;
	o.idle_connections = 500000;
	ck_assert(refused("connections"));
	o.subscribers = 100000;
	o.pattern = true;
	o.channels = 65536;
	ck_assert(refused("too many"));
}
END_TEST

START_TEST(a_share_of_resp3_is_spread_evenly)
{
	static const uint64_t shares[] = {0, 1, 33, 50, 99, 100};

	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		uint64_t threes = 0;

		o.resp3_share = shares[i];
		for (uint32_t s = 0; s < 100; s++) {
			threes += bench_options_wire(&o, s) == &wire_resp3;
			/* At no point is it more than one off. */
			ck_assert_uint_eq(threes, (s + 1) * shares[i] / 100);
		}
		ck_assert_uint_eq(threes, shares[i]);
	}
	o.resp3_share = 0;
	o.resp3 = true;
	ck_assert(bench_options_check(&o, &error));
	ck_assert_ptr_eq(bench_options_wire(&o, 0), &wire_resp3);
}
END_TEST

START_TEST(idle_subscriptions_take_a_connection_for_each_share)
{
	o.idle_patterns = 10001;
	o.idle_channels = 10000;
	o.stuck = 2;
	o.idle_connections = 3;
	ck_assert_uint_eq(bench_options_connections(&o), 51 + 2 + 1 + 2 + 3);
}
END_TEST

int
main(void)
{
	return testing_main("bench/options", setup, teardown,
	    (const TTest *[]){the_defaults_are_a_run_of_one_message_at_a_time,
		what_does_not_fit_together_is_refused_by_name, a_share_of_resp3_is_spread_evenly,
		idle_subscriptions_take_a_connection_for_each_share, NULL});
}
