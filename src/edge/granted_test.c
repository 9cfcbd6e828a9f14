#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/testing.h"
#include "edge/testing_edge.h"

/* What a WebSocket recovers with its connect command: at most 2 MiB together. */

#define MOST ((size_t)2 << 20)
#define FULL 60000 /* bytes of most messages */
#define BEGIN "{\"id\":1,\"connect\":{"

static char epoch[32];
static unsigned long long base; /* the offset before any message */

static void
setup(void)
{
	const char *text;

	test_edge_setup();
	text = strchr(test_call(test_admin, "history position"), '\n') + 1;
	snprintf(epoch, sizeof(epoch), "%.*s", (int)strcspn(text, "-"), text);
	base = strtoull(strchr(text, '-') + 1, NULL, 10);
}

static void
publish(const char *channel, int len)
{
	char *line = xasprintf("publish %s %0*d", channel, len, 0);

	ck_assert_int_eq(test_call(test_admin, line)[0], ':');
	xfree(line);
}

static void
publish_many(const char *channel, int count, int last_len)
{
	while (count-- > 0)
		publish(channel, FULL);
	publish(channel, last_len);
}

/* The reply to a connect command that recovers keep_a, keep_b and these; borrowed. */
static const char *
connect_for(const char *third, const char *fourth)
{
	const char *names[] = {"keep_a", "keep_b", third, fourth};
	char *claims =
	    xasprintf("{\"channels\":[\"keep_a\",\"keep_b\",\"%s\",\"%s\"]}", third, fourth);
	char *token = test_edge_token(claims);
	struct buffer text = {0};
	const char *reply;

	buffer_appendf(&text, BEGIN "\"token\":\"%s\",\"subs\":{", token);
	for (int i = 0; i < 4; i++)
		buffer_appendf(&text,
		    "%s\"%s\":{\"recover\":true,\"epoch\":\"%s\",\"offset\":%llu}",
		    i > 0 ? "," : "", names[i], epoch, base);
	buffer_append_str(&text, "}}}");
	buffer_append(&text, "", 1);
	reply = test_edge_call(test_edge_join(""), text.ptr);
	buffer_release(&text);
	xfree(token);
	xfree(claims);
	ck_assert_int_eq(strncmp(reply, BEGIN, strlen(BEGIN)), 0);
	return reply;
}

/* The result for a channel in that reply. */
static const char *
result_of(const char *reply, const char *channel)
{
	char *name = xasprintf("\"%s\":{", channel);
	const char *at = strstr(reply, name);

	ck_assert_ptr_nonnull(at);
	at += strlen(name);
	xfree(name);
	return at;
}

static bool
is_recovered(const char *reply, const char *channel)
{
	const char *at = strstr(result_of(reply, channel), "\"recovered\":");

	ck_assert_ptr_nonnull(at);
	return strncmp(at, "\"recovered\":true,\"publications\":[", 33) == 0;
}

/* The bytes of a reply to the end of the channel's publications, which are counted. */
static size_t
counted(const char *reply, const char *channel)
{
	const char *result = result_of(reply, channel);
	const char *first = strstr(result, "\"publications\":[");
	size_t before = (size_t)(result - reply) - strlen(BEGIN);

	ck_assert_ptr_nonnull(first);
	first += strlen("\"publications\":[");
	return before + (size_t)(strchr(first, ']') - first);
}

START_TEST(a_connect_command_recovers_two_mib_and_not_a_byte_more)
{
	const char *reply;
	int most;

	publish_many("keep_a", 15, FULL);
	publish_many("keep_b", 15, FULL);
	publish_many("keep_c", 2, FULL / 2);
	reply = connect_for("keep_c", "none");
	ck_assert(is_recovered(reply, "keep_c"));
	most = FULL / 2 + (int)(MOST - counted(reply, "keep_c"));
	ck_assert_int_lt(most, 65536); /* it is kept */

	publish_many("keep_d", 2, most);
	publish_many("keep_e", 2, most + 1);
	reply = connect_for("keep_d", "keep_f");
	ck_assert(is_recovered(reply, "keep_d"));
	ck_assert_uint_eq(counted(reply, "keep_d"), MOST);
	reply = connect_for("keep_e", "keep_f");
	ck_assert(is_recovered(reply, "keep_a") && is_recovered(reply, "keep_b"));
	ck_assert(!is_recovered(reply, "keep_e"));
}
END_TEST

START_TEST(messages_that_were_read_in_vain_count_too)
{
	char quotes[FULL + 1];
	const char *reply;

	memset(quotes, '"', FULL);
	quotes[FULL] = '\0';
	publish_many("keep_a", 15, FULL);
	for (int i = 0; i < 12; i++) { /* more than the 1 MiB of a channel, as each is escaped */
		char *line = xasprintf("publish keep_b %s", quotes);

		(void)test_call(test_admin, line);
		xfree(line);
	}
	publish_many("keep_c", 2, FULL);
	publish("keep_d", 1);
	reply = connect_for("keep_c", "keep_d");
	ck_assert(is_recovered(reply, "keep_a"));
	ck_assert(!is_recovered(reply, "keep_b"));
	ck_assert(!is_recovered(reply, "keep_c"));
	ck_assert(!is_recovered(reply, "keep_d"));
}
END_TEST

int
main(void)
{
	return testing_main("edge/granted", setup, test_edge_teardown,
	    (const TTest *[]){a_connect_command_recovers_two_mib_and_not_a_byte_more,
		messages_that_were_read_in_vain_count_too, NULL});
}
