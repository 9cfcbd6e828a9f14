#include "config.h"

#include "link/peer.h"

#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "resp/reply.h"

static struct peer peer;

static void
setup(void)
{
	memset(&peer, 'x', sizeof(peer));
}

/* NULL, or why the server that replies so to HELLO cannot be the upstream. */
static const char *
hello(const char *reply, size_t len)
{
	struct resp_reader *reader = resp_reader_new(65536, 8);
	struct resp_value *value = NULL;
	const char *why;

	resp_reader_feed(reader, reply, len);
	ck_assert_int_eq(resp_reader_next(reader, &value), 1);
	why = peer_check_hello(value, &peer);
	resp_value_free(value);
	resp_reader_free(reader);
	return why;
}

static void
accept(const char *reply, const char *expected)
{
	ck_assert_ptr_null(hello(reply, strlen(reply)));
	ck_assert_str_eq(peer.name, expected);
}

static void
refuse(const char *reply, const char *about)
{
	const char *why = hello(reply, strlen(reply));

	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, about) != NULL, "%s: %s", reply, why);
}

#define SERVER "$6\r\nserver\r\n$5\r\nredis\r\n"
#define RELEASE "$7\r\nversion\r\n$6\r\n7.0.15\r\n"
#define ROLE "$4\r\nrole\r\n"
#define MODE "$4\r\nmode\r\n"

START_TEST(a_master_is_accepted_and_its_name_and_version_are_kept)
{
	accept("%4\r\n" SERVER RELEASE "$5\r\nproto\r\n:3\r\n" ROLE "$6\r\nmaster\r\n",
	    "redis 7.0.15");
	accept("%3\r\n" MODE "$7\r\ncluster\r\n" RELEASE SERVER, "redis 7.0.15");
}
END_TEST

START_TEST(what_it_does_not_say_is_left_out)
{
	accept("%1\r\n" SERVER, "redis");
	accept("%1\r\n" RELEASE, "unknown 7.0.15");
	accept("%0\r\n", "unknown");
	accept("%2\r\n:6\r\n:7\r\n*1\r\n" SERVER, "unknown");
}
END_TEST

START_TEST(a_replica_and_a_sentinel_are_refused)
{
	refuse("%1\r\n" ROLE "$7\r\nreplica\r\n", "replica");
	refuse("%2\r\n" SERVER ROLE "$5\r\nslave\r\n", "replica");
	refuse("%2\r\n" MODE "$8\r\nsentinel\r\n" ROLE "$6\r\nmaster\r\n", "sentinel");
}
END_TEST

START_TEST(a_reply_that_is_not_a_map_is_refused)
{
	static const char *const replies[] = {":3\r\n", "+OK\r\n", "$-1\r\n", "_\r\n",
	    "*2\r\n$4\r\nrole\r\n$6\r\nmaster\r\n", ">1\r\n+x\r\n", "#t\r\n", ",1.5\r\n", NULL};

	for (size_t i = 0; replies[i] != NULL; i++)
		refuse(replies[i], "is not that of Redis");
}
END_TEST

START_TEST(values_of_other_types_and_hostile_bytes_do_no_harm)
{
	static const char reply[] = "%3\r\n$6\r\nserver\r\n$5\r\na\n\0\033b\r\n$7\r\nversion\r\n"
				    "%1\r\n:1\r\n_\r\n$4\r\nrole\r\n*-1\r\n";

	ck_assert_ptr_null(hello(reply, sizeof(reply) - 1));
	ck_assert_str_eq(peer.name, "a\\n\\x00\\x1bb");
}
END_TEST

START_TEST(a_long_name_or_version_is_cut)
{
	char reply[2 * LINK_PEER_MAX + 100], expected[LINK_PEER_MAX] = "redis ";
	size_t digits = (size_t)2 * LINK_PEER_MAX;
	int len =
	    snprintf(reply, sizeof(reply), "%%2\r\n" SERVER "$7\r\nversion\r\n$%zu\r\n", digits);

	memset(reply + len, '7', digits);
	memcpy(reply + (size_t)len + digits, "\r\n", 2);
	memset(expected + 6, '7', LINK_PEER_MAX - 7);
	ck_assert_ptr_null(hello(reply, (size_t)len + digits + 2));
	ck_assert_str_eq(peer.name, expected);
}
END_TEST

static const char *
info(const char *text)
{
	return peer_check_info(slice_of(text), "me");
}

START_TEST(a_server_that_is_this_one_or_a_leaf_is_refused)
{
	ck_assert_ptr_nonnull(strstr(info("run_id:me"), "itself"));
	ck_assert_ptr_nonnull(strstr(info("# Server\r\na:b\r\nrun_id:me\r\nc:d\r\n"), "itself"));
	ck_assert_ptr_nonnull(strstr(info("run_id:me\n"), "itself"));
	ck_assert_ptr_nonnull(strstr(info("run_id:you\r\nlink_mode:leaf\r\n"), "leaf"));
	ck_assert_ptr_null(info("run_id:you\r\nlink_mode:none\r\n"));
}
END_TEST

START_TEST(only_the_whole_key_and_the_whole_value_count)
{
	static const char *const texts[] = {"", "\n", "\r\n\r\n", "run_id:", "run_id", "run_id:mee",
	    "run_id:m", "xrun_id:me", "run_id=me", "run_idx:me", "a:run_id:me", "run_id: me",
	    "run_id:me \r\n", "\r", ":", "run_id:\r\nme\r\n", "link_mode:leafy",
	    "link_mode:", NULL};

	for (size_t i = 0; texts[i] != NULL; i++)
		ck_assert_msg(info(texts[i]) == NULL, "%s", texts[i]);
	ck_assert_ptr_null(peer_check_info((struct slice){NULL, 0}, "me"));
	ck_assert_ptr_null(peer_check_info((struct slice){"run_id:me", 8}, "me"));
	ck_assert_ptr_null(peer_check_info((struct slice){"run_id:me", 6}, "me"));
}
END_TEST

/* The policy that the warning names; "": there is none. */
static void
assert_warned(const char *text, const char *policy)
{
	peer_warn(slice_of(text), &peer);
	if (policy[0] == '\0')
		ck_assert_str_eq(peer.warning, "");
	else
		ck_assert_ptr_nonnull(strstr(peer.warning, policy));
}

START_TEST(a_policy_that_evicts_is_warned_of_if_memory_is_limited)
{
	assert_warned("maxmemory:1\r\nmaxmemory_policy:allkeys-lru\r\n", "allkeys-lru");
	assert_warned("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", "");
	assert_warned("maxmemory:1\r\nmaxmemory_policy:noeviction\r\n", "");
	assert_warned("maxmemory:x\r\nmaxmemory_policy:allkeys-lru\r\n", "");
	assert_warned("maxmemory_policy:volatile-ttl\r\nmaxmemory:99\r\n", "volatile-ttl");
	assert_warned("maxmemory:1\r\nmaxmemory_policy:\x01\r\n", "is \\x01,");
	assert_warned("", "");
	peer_warn((struct slice){NULL, 0}, &peer);
	ck_assert_str_eq(peer.warning, "");
}
END_TEST

static const char *
hello_of_node(const char *reply, bool takes_replica)
{
	struct resp_reader *reader = resp_reader_new(65536, 8);
	struct resp_value *value = NULL;
	const char *why;

	resp_reader_feed(reader, reply, strlen(reply));
	ck_assert_int_eq(resp_reader_next(reader, &value), 1);
	why = peer_check_cluster_hello(value, takes_replica, &peer);
	resp_value_free(value);
	resp_reader_free(reader);
	return why;
}

#define IN_CLUSTER MODE "$7\r\ncluster\r\n"

START_TEST(a_node_of_a_cluster_says_so_and_is_a_master)
{
	static const char *const refused[] = {"+OK\r\n", "%0\r\n",
	    "%2\r\n" SERVER MODE "$10\r\nstandalone\r\n",
	    "%2\r\n" IN_CLUSTER "$7\r\nversion\r\n$5\r\n6.2.0\r\n",
	    "%2\r\n" IN_CLUSTER "$7\r\nfanfare\r\n$5\r\n0.1.0\r\n",
	    "%2\r\n" IN_CLUSTER ROLE "$7\r\nreplica\r\n", NULL};

	for (size_t i = 0; refused[i] != NULL; i++)
		ck_assert_msg(hello_of_node(refused[i], false) != NULL, "%s", refused[i]);
	ck_assert_ptr_null(hello_of_node("%3\r\n" SERVER RELEASE IN_CLUSTER, false));
	ck_assert_str_eq(peer.name, "redis 7.0.15");
	ck_assert_ptr_null(
	    hello_of_node("%2\r\n" IN_CLUSTER "$7\r\nversion\r\n$6\r\n10.0.0\r\n", false));
	ck_assert_ptr_null(hello_of_node("%2\r\n" IN_CLUSTER ROLE "$7\r\nreplica\r\n", true));
}
END_TEST

int
main(void)
{
	return testing_main("link/peer", setup, NULL,
	    (const TTest *[]){a_master_is_accepted_and_its_name_and_version_are_kept,
		what_it_does_not_say_is_left_out, a_replica_and_a_sentinel_are_refused,
		a_reply_that_is_not_a_map_is_refused,
		values_of_other_types_and_hostile_bytes_do_no_harm, a_long_name_or_version_is_cut,
		a_server_that_is_this_one_or_a_leaf_is_refused,
		only_the_whole_key_and_the_whole_value_count,
		a_policy_that_evicts_is_warned_of_if_memory_is_limited,
		a_node_of_a_cluster_says_so_and_is_a_master, NULL});
}
