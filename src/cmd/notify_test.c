#include "config.h"

#include "server/notify.h"

#include <string.h>

#include <check.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "kv/keyspace.h"
#include "pubsub/hub.h"
#include "pubsub/outbox.h"
#include "server/client_limits.h"
#include "server/core.h"
#include "server/statistics.h"

static struct test_conn *c, *listener;

static void
setup(void)
{
	test_setup();
	c = test_open();
	listener = test_open();
}

/* The letters as CONFIG GET shows them, or "-" if they are invalid. */
static const char *
shown(const char *letters)
{
	static struct buffer out;
	uint32_t events;

	if (!notify_parse(slice_of(letters), &events))
		return "-";
	buffer_clear(&out);
	notify_show(events, &out);
	buffer_append(&out, "", 1);
	return out.ptr;
}

static void
listen_to(const char *letters, const char *pattern)
{
	char line[64] = "psubscribe ";

	ck_assert(notify_parse(slice_of(letters), &test_config.notify_events));
	test_call(listener, strcat(line, pattern));
}

/* The notifications received since the last call, as "event-or-key=payload " for each. */
static const char *
heard(void)
{
	static char out[512];
	const char *at = test_read(listener);

	out[0] = '\0';
	while ((at = strstr(at, "__:")) != NULL) {
		const char *payload = strstr(strstr(at, "\r\n$") + 3, "\r\n") + 2;

		at += 3;
		strncat(out, at, strcspn(at, "\r"));
		strcat(out, "=");
		strncat(out, payload, strcspn(payload, "\r"));
		strcat(out, " ");
		at = payload;
	}
	return out;
}

START_TEST(letters_are_shown_as_redis_shows_them)
{
	ck_assert_str_eq(shown(""), "");
	ck_assert_str_eq(shown("KEA"), "AKE");
	ck_assert_str_eq(shown("Kg$lshzxetd"), "AK");
	ck_assert_str_eq(shown("Ezg"), "gzE");
	ck_assert_str_eq(shown("KAm"), "AKm");
	ck_assert_str_eq(shown("nK"), "nK");
	ck_assert_str_eq(shown("Q"), "-");
	ck_assert_str_eq(shown("KE A"), "-");
}
END_TEST

START_TEST(nothing_is_published_by_default)
{
	test_call(listener, "psubscribe *");
	test_call(c, "set a 1");
	ck_assert_str_eq(test_read(listener), "");
}
END_TEST

START_TEST(keys_and_events_have_channels_of_their_own)
{
	listen_to("KE$g", "__key*@0*");
	test_call(c, "set a 1");
	ck_assert_str_eq(heard(), "a=set set=a ");
	test_call(c, "del a");
	ck_assert_str_eq(heard(), "a=del del=a ");
	test_call(c, "select 3");
	test_call(c, "set a 1");
	ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(only_the_classes_asked_for_are_published)
{
	listen_to("Kgnm", "*");
	test_call(c, "get a");
	ck_assert_str_eq(heard(), "a=keymiss ");
	test_call(c, "set a 1");
	ck_assert_str_eq(heard(), "a=new ");
	test_call(c, "set a 2 px 100000");
	ck_assert_str_eq(heard(), "a=expire ");
	test_call(c, "del a");
	ck_assert_str_eq(heard(), "a=del ");
}
END_TEST

START_TEST(a_key_that_is_due_is_published_whoever_finds_it)
{
	struct kv_db *db = kv_database(test_server->kv, 0);

	listen_to("Ex", "*");
	test_call(c, "set a 1");
	test_call(c, "set b 1");
	kv_set_expiry(db, kv_find(db, SLICE("a")), 1);
	test_call(c, "get a");
	ck_assert_str_eq(heard(), "expired=a ");
	kv_set_expiry(db, kv_find(db, SLICE("b")), 1);
	test_turns(1);
	ck_assert_str_eq(heard(), "expired=b ");
}
END_TEST

START_TEST(a_name_too_long_for_a_channel_is_skipped_and_counted)
{
	listen_to("KE$", "*");
	test_config.hub.name_bytes = 18;
	test_call(c, "set abc 1");
	ck_assert_str_eq(heard(), "abc=set set=abc ");
	test_call(c, "set abcd 1");
	ck_assert_str_eq(heard(), "set=abcd ");
	ck_assert_uint_eq(test_server->statistics->counters.skipped_notifications, 1);
}
END_TEST

START_TEST(a_subscriber_under_block_without_room_is_closed)
{
	test_config.outbox.messages = 2;
	test_config.outbox.policy = OUTBOX_BLOCK;
	client_apply_limits(listener->client);
	listen_to("K$", "*");
	test_call(c, "set a 1");
	test_call(c, "set a 2");
	ck_assert_ptr_null(listener->killed);
	ck_assert_str_eq(test_call(c, "set a 3"), "+OK\r\n");
	ck_assert_ptr_nonnull(listener->killed);
	ck_assert_uint_eq(hub_figures(test_server->hub).dropped, 1);
}
END_TEST

START_TEST(nothing_is_published_past_the_memory_for_all)
{
	listen_to("K$", "*");
	test_call(c, "set a 1");
	test_config.hub.memory_bytes = hub_memory(test_server->hub);
	ck_assert_str_eq(test_call(c, "set b 1"), "+OK\r\n");
	ck_assert_uint_eq(test_server->statistics->counters.skipped_notifications, 1);
	ck_assert_str_eq(heard(), "a=set ");
}
END_TEST

int
main(void)
{
	return testing_main("cmd/notify", setup, test_teardown,
	    (const TTest *[]){letters_are_shown_as_redis_shows_them,
		nothing_is_published_by_default, keys_and_events_have_channels_of_their_own,
		only_the_classes_asked_for_are_published,
		a_key_that_is_due_is_published_whoever_finds_it,
		a_name_too_long_for_a_channel_is_skipped_and_counted,
		a_subscriber_under_block_without_room_is_closed,
		nothing_is_published_past_the_memory_for_all, NULL});
}
