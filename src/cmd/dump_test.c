#include "config.h"

#include "server/dump.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "kv/eviction_policy.h"
#include "kv/keyspace.h"
#include "server/core.h"
#include "server/replay.h"

/* How keys were used, in a dump for another process. */

static struct buffer text;

static bool
note(void *arg, struct slice commands)
{
	(void)arg;
	buffer_append_slice(&text, commands);
	return true;
}

static const char *
dumped(bool with_use)
{
	buffer_clear(&text);
	ck_assert(server_dump(test_server, with_use, note, NULL));
	buffer_append(&text, "", 1);
	return text.ptr;
}

static uint32_t
use_of(const char *key)
{
	return kv_access(kv_find(kv_database(test_server->kv, 0), slice_of(key)));
}

/* The reason why it is not replayed, or "". */
static const char *
replay(const char *name, const char *key, const char *use)
{
	struct slice argv[3] = {slice_of(name), slice_of(key), slice_of(use != NULL ? use : "")};
	static char error[256];

	error[0] = '\0';
	ck_assert(server_replay(test_server, argv, use != NULL ? 3 : 2, error, sizeof(error)) ==
		  (error[0] == '\0'));
	return error;
}

static void
setup(void)
{
	test_setup();
	test_call(test_open(), "SET a 1");
	text = (struct buffer){0};
}

static void
teardown(void)
{
	buffer_release(&text);
	test_teardown();
}

START_TEST(it_has_the_use_of_each_key_by_the_kind_of_policy)
{
	char line[64], digits[16];
	int len = snprintf(digits, sizeof(digits), "%u", (unsigned)use_of("a"));

	snprintf(
	    line, sizeof(line), "\r\n$12\r\nFANFARED.LRU\r\n$1\r\na\r\n$%d\r\n%s\r\n", len, digits);
	ck_assert_ptr_nonnull(strstr(dumped(true), line));
	ck_assert_ptr_null(strstr(dumped(false), "FANFARED"));
	test_config.evict.policy = KV_ALLKEYS_LFU;
	ck_assert_ptr_nonnull(strstr(dumped(true), "FANFARED.LFU"));
}
END_TEST

START_TEST(the_use_of_a_key_is_set_unless_the_policy_is_of_another_kind)
{
	server_replay_begin(test_server, true);
	ck_assert_str_eq(replay("FANFARED.LRU", "a", "4711"), "");
	ck_assert_str_eq(replay("FANFARED.LFU", "a", "1"), "");
	ck_assert_str_eq(replay("FANFARED.LFU", "none", "1"), "");
	server_replay_end(test_server);
	ck_assert_uint_eq(use_of("a"), 4711);
}
END_TEST

START_TEST(a_wrong_use_is_refused)
{
	server_replay_begin(test_server, true);
	ck_assert_str_eq(replay("FANFARED.LRU", "none", "1"), "wrong arguments for 'FANFARED.LRU'");
	ck_assert_str_eq(replay("FANFARED.LRU", "a", NULL), "wrong arguments for 'FANFARED.LRU'");
	ck_assert_str_eq(replay("FANFARED.LRU", "a", "x"), "wrong arguments for 'FANFARED.LRU'");
	ck_assert_str_eq(
	    replay("FANFARED.LFU", "a", "16777216"), "wrong arguments for 'FANFARED.LFU'");
	ck_assert_str_eq(replay("FANFARED.LRU", "a", "16777215"), "");
	server_replay_end(test_server);
}
END_TEST

START_TEST(a_file_has_no_use_of_keys)
{
	server_replay_begin(test_server, false);
	ck_assert_str_eq(replay("FANFARED.LRU", "a", "1"), "unknown command 'FANFARED.LRU'");
	server_replay_end(test_server);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/dump", setup, teardown,
	    (const TTest *[]){it_has_the_use_of_each_key_by_the_kind_of_policy,
		the_use_of_a_key_is_set_unless_the_policy_is_of_another_kind,
		a_wrong_use_is_refused, a_file_has_no_use_of_keys, NULL});
}
