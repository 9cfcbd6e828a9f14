#include "config.h"

#include "link/interest.h"

#include <check.h>

#include "base/buffer.h"
#include "base/testing.h"

static struct interest *in;
static struct buffer out;
static uint64_t now;

static void
setup(void)
{
	in = interest_new();
	interest_set_batch(in, 1);
	interest_set_linger(in, 1000000);
	now = 1;
}

static void
teardown(void)
{
	interest_free(in);
	buffer_release(&out);
}

static struct interest_command
write_next(void)
{
	buffer_clear(&out);
	return interest_write(in, now, (struct slice){"", 0}, &out);
}

static enum interest_state
of(const char *name)
{
	return interest_of(in, HUB_SHARD, slice_of(name));
}

static enum interest_join
confirm(const char *name)
{
	enum interest_join how = INTEREST_JOINED;

	ck_assert(interest_confirm(in, HUB_SHARD, slice_of(name), now, &how));
	return how;
}

static void
hold(const char *name)
{
	interest_add(in, HUB_SHARD, slice_of(name));
	ck_assert_uint_eq(write_next().names, 1);
	(void)confirm(name);
	ck_assert_int_eq(of(name), INTEREST_HELD);
}

START_TEST(a_redirected_name_with_subscribers_is_asked_for_again_later)
{
	struct slice first;

	interest_add(in, HUB_SHARD, SLICE("a"));
	ck_assert(!interest_first_asked(in, &first));
	ck_assert_uint_eq(write_next().names, 1);
	ck_assert(interest_first_asked(in, &first));
	ck_assert(slice_is(first, "a"));
	interest_redirect(in, 1, now);
	ck_assert_int_eq(of("a"), INTEREST_MOVED);
	ck_assert_uint_eq(write_next().names, 0);
	ck_assert_uint_eq(interest_due_us(in), now + INTEREST_MOVED_US);
	now += INTEREST_MOVED_US;
	ck_assert_uint_eq(write_next().names, 1);
	ck_assert_int_eq(of("a"), INTEREST_ASKED);
	ck_assert_int_eq(confirm("a"), INTEREST_MISSED);
}
END_TEST

START_TEST(a_redirected_name_without_subscribers_is_forgotten)
{
	uint64_t mark;

	interest_need(in, HUB_SHARD, SLICE("a"), now);
	mark = interest_mark(in);
	ck_assert_uint_eq(write_next().names, 1);
	interest_redirect(in, 1, now);
	ck_assert_int_eq(of("a"), INTEREST_ABSENT);
	ck_assert_uint_ge(interest_answered(in), mark);
}
END_TEST

/* Otherwise an upstream that unsubscribes at once each time would keep the node busy. */
START_TEST(a_name_that_is_gone_is_asked_for_again_later_if_it_has_subscribers)
{
	hold("a");
	interest_gone(in, HUB_SHARD, SLICE("a"), now);
	ck_assert_int_eq(of("a"), INTEREST_MOVED);
	ck_assert_uint_eq(write_next().names, 0);
	now += INTEREST_MOVED_US;
	ck_assert_uint_eq(write_next().names, 1);
	interest_gone(in, HUB_SHARD, SLICE("a"), now); /* of the subscription before */
	ck_assert_int_eq(of("a"), INTEREST_ASKED);
	ck_assert_int_eq(confirm("a"), INTEREST_MISSED);
	interest_remove(in, HUB_SHARD, SLICE("a"), now);
	ck_assert_int_eq(of("a"), INTEREST_LINGERS);
	interest_gone(in, HUB_SHARD, SLICE("a"), now);
	ck_assert_int_eq(of("a"), INTEREST_ABSENT);
	interest_gone(in, HUB_SHARD, SLICE("a"), now);
}
END_TEST

START_TEST(what_is_handed_over_does_not_count_as_missed_here)
{
	hold("a");
	interest_hand_over(in, HUB_SHARD, SLICE("a"), now);
	ck_assert_int_eq(of("a"), INTEREST_LINGERS);
	interest_lost(in);
	now += 1000000;
	interest_need(in, HUB_SHARD, SLICE("b"), now);
	ck_assert_uint_eq(write_next().names, 1);
	ck_assert_int_eq(of("a"), INTEREST_ABSENT);
	ck_assert_int_eq(confirm("b"), INTEREST_JOINED);
	interest_hand_over(in, HUB_SHARD, SLICE("unknown"), now);
}
END_TEST

START_TEST(a_name_that_comes_back_while_it_lingers_is_asked_for_again)
{
	hold("a");
	interest_hand_over(in, HUB_SHARD, SLICE("a"), now);
	interest_add(in, HUB_SHARD, SLICE("a"));
	interest_again(in, HUB_SHARD, SLICE("a"), now);
	ck_assert_uint_eq(write_next().names, 1);
	ck_assert_int_eq(confirm("a"), INTEREST_MISSED);
}
END_TEST

START_TEST(the_first_name_that_is_being_left_is_known)
{
	enum hub_kind kind;
	struct slice name;

	hold("a");
	ck_assert(!interest_first_leaving(in, &kind, &name));
	interest_remove(in, HUB_SHARD, SLICE("a"), now);
	now += 1000000;
	ck_assert_uint_eq(write_next().leaves, 1);
	interest_gone(in, HUB_SHARD, SLICE("a"), now);
	ck_assert_int_eq(of("a"), INTEREST_LEAVING);
	ck_assert(interest_first_leaving(in, &kind, &name));
	ck_assert_int_eq(kind, HUB_SHARD);
	ck_assert(interest_left(in, kind, name, now));
	ck_assert_int_eq(of("a"), INTEREST_ABSENT);
}
END_TEST

int
main(void)
{
	return testing_main("link/interest_moved", setup, teardown,
	    (const TTest *[]){a_redirected_name_with_subscribers_is_asked_for_again_later,
		a_redirected_name_without_subscribers_is_forgotten,
		a_name_that_is_gone_is_asked_for_again_later_if_it_has_subscribers,
		what_is_handed_over_does_not_count_as_missed_here,
		a_name_that_comes_back_while_it_lingers_is_asked_for_again,
		the_first_name_that_is_being_left_is_known, NULL});
}
