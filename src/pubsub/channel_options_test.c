#include "config.h"

#include "pubsub/channel_options.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/outbox.h"

static struct channel_options options;
static struct buffer text;

static void
setup(void)
{
	channel_options_init(&options);
	text = (struct buffer){0};
}

static void
teardown(void)
{
	channel_options_release(&options);
	buffer_release(&text);
}

static bool
parse(const char *name, const char *value)
{
	size_t index = channel_option_find(slice_of(name));

	ck_assert_uint_lt(index, CHANNEL_OPTIONS);
	return channel_option_parse(&options, index, slice_of(value));
}

/* The value of the option as it is written. */
static const char *
written(const char *name)
{
	buffer_clear(&text);
	channel_option_write(&options, channel_option_find(slice_of(name)), &text);
	buffer_append(&text, "", 1);
	return text.ptr;
}

static const char *
allowed(const char *name)
{
	buffer_clear(&text);
	channel_option_write_allowed(channel_option_find(slice_of(name)), &text);
	buffer_append(&text, "", 1);
	return text.ptr;
}

START_TEST(every_default_is_read_back_as_it_is_written)
{
	for (size_t i = 0; i < CHANNEL_OPTIONS; i++) {
		const struct channel_option *row = channel_option_at(i);

		written(row->name);
		ck_assert_msg(channel_option_parse(&options, i, slice_of(text.ptr)), "%s %s",
		    row->name, text.ptr);
		ck_assert(channel_option_equal(&options, channel_options_default(), i));
		ck_assert_uint_eq(channel_option_find(slice_of(row->name)), i);
	}
	ck_assert(channel_options_equal(&options, channel_options_default()));
	ck_assert_uint_eq(channel_option_find(SLICE("History-SIZE")), CHANNEL_HAS_history_size);
	ck_assert_uint_eq(channel_option_find(SLICE("history")), CHANNEL_OPTIONS);
}
END_TEST

START_TEST(each_type_has_its_notation)
{
	ck_assert(parse("history-size", "100") && options.history_size == 100);
	ck_assert_str_eq(written("history-size"), "100");
	ck_assert(parse("history-ttl", "300") && options.history_ttl == 300);
	ck_assert_str_eq(written("history-ttl"), "300");
	ck_assert(parse("history-bytes", "2MB") && options.history_bytes == 2 << 20);
	ck_assert_str_eq(written("history-bytes"), "2mb");
	ck_assert(parse("outbox-policy", "Block"));
	ck_assert_uint_eq(options.outbox_policy, OUTBOX_BLOCK + CHANNEL_POLICY_FIRST);
	ck_assert_str_eq(written("outbox-policy"), "block");
	ck_assert(parse("no-echo", "YES") && options.no_echo == 1);
	ck_assert_str_eq(written("no-echo"), "yes");
	ck_assert(parse("events", "join,Occupied"));
	ck_assert_uint_eq(options.events, CHANNEL_EVENT_JOIN | CHANNEL_EVENT_OCCUPIED);
	ck_assert_str_eq(written("events"), "occupied,join");
	ck_assert(parse("events", "none") && options.events == 0);
	ck_assert(parse("presence", "members") && options.presence == CHANNEL_PRESENCE_MEMBERS);
	ck_assert(parse("publish-users", "backend,admin"));
	ck_assert_str_eq(written("publish-users"), "backend,admin");
	ck_assert(parse("publish-users", "ALL") && options.publish_users == NULL);
}
END_TEST

START_TEST(the_policies_have_the_names_and_the_order_of_the_outbox)
{
	for (unsigned i = OUTBOX_DISCONNECT; i <= OUTBOX_BLOCK; i++) {
		ck_assert(parse("outbox-policy", outbox_policy_name((enum outbox_policy)i)));
		ck_assert_uint_eq(options.outbox_policy, i + CHANNEL_POLICY_FIRST);
	}
	ck_assert(parse("outbox-policy", "global"));
	ck_assert_uint_eq(options.outbox_policy, CHANNEL_POLICY_GLOBAL);
}
END_TEST

START_TEST(what_is_not_allowed_changes_nothing)
{
	static const char *const bad[][2] = {{"history-size", "10000001"}, {"history-size", "-1"},
	    {"history-size", ""}, {"history-size", "1kb"}, {"history-ttl", "2147483648"},
	    {"history-ttl", "1s"}, {"history-bytes", "1023"}, {"history-bytes", "65gb"},
	    {"history-message-bytes", "0"}, {"history-message-bytes", "1025kb"},
	    {"replay", "10001"}, {"outbox-policy", "catch-on"}, {"outbox-policy", ""},
	    {"presence", "yes"}, {"events", ""}, {"events", "join,"}, {"events", ",join"},
	    {"events", "join,none"}, {"no-echo", "1"}, {"idempotency-window", "0"},
	    {"publish-users", ""}, {"publish-users", "a,"}, {"publish-users", ",a"},
	    {"publish-users", "a,,b"}, {"publish-users", "a b"}, {"publish-users", "a\n"}};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ck_assert_msg(!parse(bad[i][0], bad[i][1]), "%s %s", bad[i][0], bad[i][1]);
		ck_assert(channel_options_equal(&options, channel_options_default()));
	}
}
END_TEST

START_TEST(a_list_of_users_has_a_longest_length)
{
	char users[1026];

	memset(users, 'u', sizeof(users));
	users[1024] = '\0';
	ck_assert(parse("publish-users", users));
	users[1024] = 'u';
	users[1025] = '\0';
	ck_assert(!parse("publish-users", users));
	ck_assert_uint_eq(strlen(options.publish_users), 1024);
}
END_TEST

START_TEST(the_allowed_values_of_each_type_are_said)
{
	ck_assert_str_eq(allowed("replay"), "a number from 0 to 10000");
	ck_assert_str_eq(allowed("leave-delay"), "a number of seconds from 0 to 86400");
	ck_assert_str_eq(allowed("history-message-bytes"), "a size from 1 to 1mb");
	ck_assert_str_eq(allowed("no-echo"), "yes or no");
	ck_assert_str_eq(allowed("presence"), "one of no, count, members");
	ck_assert_str_eq(
	    allowed("events"), "none, or a list separated by commas of occupied, join");
	ck_assert_str_eq(allowed("publish-users"),
	    "all, or names of users separated by commas, without blanks, of 1024 bytes at most "
	    "in all");
}
END_TEST

START_TEST(a_listed_user_may_publish_and_no_other)
{
	ck_assert(channel_options_allow_user(&options, SLICE("anyone")));
	ck_assert(parse("publish-users", "backend,admin"));
	ck_assert(channel_options_allow_user(&options, SLICE("backend")));
	ck_assert(channel_options_allow_user(&options, SLICE("admin")));
	ck_assert(!channel_options_allow_user(&options, SLICE("adm")));
	ck_assert(!channel_options_allow_user(&options, SLICE("backend,admin")));
	ck_assert(!channel_options_allow_user(&options, SLICE("")));
}
END_TEST

START_TEST(a_copy_is_equal_and_owns_its_texts)
{
	struct channel_options copy;

	ck_assert(parse("publish-users", "backend") && parse("replay", "1"));
	channel_options_copy(&copy, &options);
	ck_assert(channel_options_equal(&copy, &options));
	ck_assert_uint_eq(channel_options_hash(&copy), channel_options_hash(&options));
	ck_assert(parse("publish-users", "other"));
	ck_assert_str_eq(copy.publish_users, "backend");
	ck_assert(!channel_options_equal(&copy, &options));
	ck_assert_uint_ne(channel_options_hash(&copy), channel_options_hash(&options));
	channel_options_release(&copy);
}
END_TEST

START_TEST(a_channel_keeps_messages_with_a_size_and_a_ttl)
{
	ck_assert(parse("history-size", "1"));
	ck_assert(!channel_options_keep(&options));
	ck_assert(parse("history-ttl", "1"));
	ck_assert(channel_options_keep(&options));
	ck_assert(parse("history-size", "0"));
	ck_assert(!channel_options_keep(&options));
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/channel_options", setup, teardown,
	    (const TTest *[]){every_default_is_read_back_as_it_is_written,
		each_type_has_its_notation, the_policies_have_the_names_and_the_order_of_the_outbox,
		what_is_not_allowed_changes_nothing, a_list_of_users_has_a_longest_length,
		the_allowed_values_of_each_type_are_said, a_listed_user_may_publish_and_no_other,
		a_copy_is_equal_and_owns_its_texts, a_channel_keeps_messages_with_a_size_and_a_ttl,
		NULL});
}
