#include "config.h"

#include <stdio.h>

#include "base/testing.h"
#include "core/testing_core.h"

static struct fanfare_hub *hub;
static char error[FANFARE_ERROR_TEXT];

static void
setup(void)
{
	hub = testing_hub(NULL, NULL);
	error[0] = '\0';
}

static void
teardown(void)
{
	ck_assert_ok(fanfare_hub_free(hub));
}

static const char *
set(const char *glob, const char *words)
{
	enum fanfare_result result = fanfare_channel_set(hub, B(glob), B(words), error);

	return result == FANFARE_OK ? "" : error;
}

START_TEST(options_are_words_and_faults_are_explained)
{
	char many[] = "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k";

	ck_assert_str_eq(set("a*", " history-size  10 history-ttl 5 "), "");
	ck_assert_str_eq(set("a*", "history-size x"),
	    "invalid value 'x' of channel option 'history-size': must "
	    "be a number from 0 to 10000000");
	ck_assert_str_eq(set("a*", "wrong 1"), "unknown channel option 'wrong'");
	ck_assert_str_eq(
	    set("a*", "history-size"), "missing value of channel option 'history-size'");
	ck_assert_str_eq(set("a*", ""), "a channel line needs an option and its value");
	ck_assert_str_eq(
	    set("", "history-size 1"), "invalid channel glob: must have 1 to 4096 bytes");
	ck_assert_str_eq(set("a*", many), "too many options");
	ck_assert_result(
	    fanfare_channel_set(hub, B("a"), B("max-message x"), NULL), FANFARE_INVALID);
	ck_assert_result(
	    fanfare_channel_set(NULL, B("a"), B("max-message 1"), error), FANFARE_INVALID);
	ck_assert_result(fanfare_channel_set(hub, (struct fanfare_bytes){NULL, 1}, B("a"), error),
	    FANFARE_INVALID);
	ck_assert_result(fanfare_channel_set(hub, B("a"), (struct fanfare_bytes){NULL, 1}, error),
	    FANFARE_INVALID);
}
END_TEST

START_TEST(options_of_the_daemon_alone_are_refused)
{
	static const char *const names[] = {"publish-rate", "publish-bytes", "publish-users",
	    "presence", "leave-delay", "vacate-delay", "events", "no-echo", "idempotency-window"};
	char words[64], expected[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(words, sizeof(words), "%s 1", names[i]);
		snprintf(expected, sizeof(expected),
		    "channel option '%s' belongs to the daemon, not to the library", names[i]);
		ck_assert_str_eq(set("a", words), expected);
	}
}
END_TEST

START_TEST(an_error_text_is_never_longer_than_its_room)
{
	char words[3000];

	memset(words, '\1', sizeof(words));
	words[sizeof(words) - 1] = '\0';
	ck_assert_uint_lt(strlen(set("a", words)), FANFARE_ERROR_TEXT);
	ck_assert_uint_gt(strlen(error), 100);
}
END_TEST

START_TEST(options_apply_to_channels_that_exist_and_can_be_taken_back)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	struct fanfare_subscriber *other = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_str_eq(set("a*", "max-message 3 max-subscribers 1"), "");
	ck_assert_result(fanfare_publish(hub, B("a"), B("1234"), 1, NULL), FANFARE_TOO_LARGE);
	ck_assert_result(fanfare_subscribe(other, B("a"), 1), FANFARE_TOO_MANY_SUBSCRIBERS);
	ck_assert_result(
	    fanfare_channel_unset(hub, B("b"), B("max-message"), error), FANFARE_INVALID);
	ck_assert_str_eq(error, "no channel line with glob 'b'");
	ck_assert_ok(fanfare_channel_unset(hub, B("a*"), B("max-message"), error));
	ck_assert_ok(fanfare_publish(hub, B("a"), B("1234"), 1, NULL));
	ck_assert_result(
	    fanfare_channel_unset(hub, B("a*"), B("max-message"), error), FANFARE_INVALID);
	ck_assert_ok(fanfare_channel_unset(hub, B("a*"), B(""), NULL));
	ck_assert_ok(fanfare_subscribe(other, B("a"), 1));
	ck_assert_result(fanfare_channel_unset(NULL, B("a*"), B(""), error), FANFARE_INVALID);
}
END_TEST

START_TEST(a_policy_of_the_channel_applies_to_those_that_ask_for_it)
{
	struct fanfare_limits limits = {.size = sizeof(limits),
	    .messages = 1,
	    .policy = FANFARE_DROP_NEWEST,
	    .by_channels = true};
	struct fanfare_subscriber *own = testing_subscriber(hub, FANFARE_DROP_NEWEST, 1, false);
	struct fanfare_subscriber *its = testing_subscriber(hub, FANFARE_DROP_NEWEST, 1, false);

	ck_assert_str_eq(set("a", "outbox-policy drop-oldest"), "");
	ck_assert_ok(fanfare_subscriber_set_limits(its, &limits));
	ck_assert_ok(fanfare_subscribe(own, B("a"), 1));
	ck_assert_ok(fanfare_subscribe(its, B("a"), 1));
	testing_publish(hub, "a", "1");
	testing_publish(hub, "a", "2");
	ck_assert_str_eq(testing_read(own), "a=1 ");
	ck_assert_str_eq(testing_read(its), "a=2 ");
}
END_TEST

int
main(void)
{
	return testing_main("core/channels", setup, teardown,
	    (const TTest *[]){options_are_words_and_faults_are_explained,
		options_of_the_daemon_alone_are_refused,
		an_error_text_is_never_longer_than_its_room,
		options_apply_to_channels_that_exist_and_can_be_taken_back,
		a_policy_of_the_channel_applies_to_those_that_ask_for_it, NULL});
}
