#include "config.h"

#include <string.h>

#include <check.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "resp/writer.h"
#include "server/journal.h"

/*
 * What sorted-set commands write to the append-only file. Their replies are tested in
 * tests/differential.
 */

static void
take_journal(struct buffer *batch)
{
	uint64_t number;

	buffer_release(batch);
	if (!server_journal_take(test_server, batch, &number))
		ck_assert_uint_eq(batch->len, 0);
}

/* The first batch begins with a SELECT; it is discarded. */
static void
setup(void)
{
	struct buffer batch = {0};

	test_setup();
	server_journal_set(test_server, true, false);
	test_call(test_open(), "SET k v");
	take_journal(&batch);
	buffer_release(&batch);
}

/* Checks that the command writes these words; "": nothing. */
static void
assert_leaves(struct test_conn *c, const char *command, const char *words)
{
	struct buffer expected = {0}, left = {0};
	size_t count = *words != '\0', len;
	const char *at;

	for (at = words; *at != '\0'; at++)
		count += *at == ' ';
	if (count > 0)
		resp_put_array(&expected, count);
	for (at = words; *at != '\0'; at += len + (at[len] == ' ')) {
		len = strcspn(at, " ");
		resp_put_bulk(&expected, (struct slice){at, len});
	}
	take_journal(&left);
	test_call(c, command);
	take_journal(&left);
	ck_assert_msg(slice_eq(buffer_slice(&left), buffer_slice(&expected)), "%s left %.*s",
	    command, (int)left.len, left.ptr);
	buffer_release(&expected);
	buffer_release(&left);
}

START_TEST(what_changes_something_is_kept_as_it_came)
{
	struct test_conn *c = test_open();

	assert_leaves(c, "ZADD z NX 1 a 2 b", "ZADD z NX 1 a 2 b");
	assert_leaves(c, "zincrby z 1.5 a", "zincrby z 1.5 a");
	assert_leaves(c, "ZUNIONSTORE to 1 z", "ZUNIONSTORE to 1 z");
	assert_leaves(c, "ZRANGESTORE to z 0 0", "ZRANGESTORE to z 0 0");
	assert_leaves(c, "ZREMRANGEBYRANK to 0 -1", "ZREMRANGEBYRANK to 0 -1");
	assert_leaves(c, "ZREM z a", "ZREM z a");
	assert_leaves(c, "ZDIFFSTORE z 1 nosuch", "ZDIFFSTORE z 1 nosuch");
}
END_TEST

START_TEST(what_changes_nothing_is_not_kept)
{
	struct test_conn *c = test_open();

	test_call(c, "ZADD z 1 a");
	assert_leaves(c, "ZADD z 1 a", "");
	assert_leaves(c, "ZADD z NX 2 a", "");
	assert_leaves(c, "ZADD z XX 2 nosuch", "");
	assert_leaves(c, "ZADD z GT 0 a", "");
	assert_leaves(c, "ZADD z nan b", "");
	assert_leaves(c, "ZINCRBY z 0 a", "");
	assert_leaves(c, "ZREM z nosuch", "");
	assert_leaves(c, "ZREMRANGEBYSCORE z 5 6", "");
	assert_leaves(c, "ZPOPMIN z 0", "");
	assert_leaves(c, "ZPOPMIN nosuch", "");
	assert_leaves(c, "ZUNIONSTORE nosuch 1 nosuch2", "");
	assert_leaves(c, "ZQUERY z 0 x 0 10", "");
}
END_TEST

START_TEST(popping_is_kept_with_how_many_there_were)
{
	struct test_conn *c = test_open();

	test_call(c, "ZADD z 1 a 2 b 3 c 4 d 5 e");
	assert_leaves(c, "ZPOPMIN z", "ZPOPMIN z 1");
	assert_leaves(c, "ZMPOP 2 nosuch z MAX", "ZPOPMAX z 1");
	assert_leaves(c, "ZMPOP 1 z MIN COUNT 2", "ZPOPMIN z 2");
	assert_leaves(c, "ZPOPMAX z 9223372036854775807", "ZPOPMAX z 1");
}
END_TEST

int
main(void)
{
	return testing_main("cmd/zset_commands", setup, test_teardown,
	    (const TTest *[]){what_changes_something_is_kept_as_it_came,
		what_changes_nothing_is_not_kept, popping_is_kept_with_how_many_there_were, NULL});
}
