#include "config.h"

#include "server/history_image.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/testing_replay.h"
#include "server/core.h"

/* Kept messages pass from one server to another as commands. */

static struct buffer image;
static char *answers; /* of the first server */

static bool
note(void *arg, struct slice commands)
{
	(void)arg;
	buffer_append_slice(&image, commands);
	return true;
}

/* The age of the oldest message grows between two answers. */
static void
remove_age(char *text)
{
	char *age = strstr(text, "first-age-ms\r\n:"), *end;

	if (age != NULL) {
		age += strlen("first-age-ms\r\n:");
		end = age + strspn(age, "0123456789");
		memmove(age, end, strlen(end) + 1);
	}
}

static char *
ask(void)
{
	static const char *const questions[] = {"history position", "history range a1 - +",
	    "history range a2 - +", "history range b1 - +", "history info a1", "history len a2"};
	struct test_conn *c = test_open();
	struct buffer all = {0};

	for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++)
		buffer_append_str(&all, test_call(c, questions[i]));
	buffer_append(&all, "", 1);
	test_close(c);
	remove_age(all.ptr);
	return all.ptr;
}

/* The first server's image; then a second server, with the same options, has taken its place. */
static void
setup(void)
{
	struct test_conn *c;

	image = (struct buffer){0};
	test_setup();
	c = test_open();
	testing_set_line(test_server->hub, "a*", "history-size 3 history-ttl 60");
	testing_set_line(test_server->hub, "b*", "history-size 1 history-ttl 60");
	for (int i = 0; i < 5; i++) {
		test_call(c, "publish a1 x");
		test_call(c, i % 2 == 0 ? "publish a2 yy" : "publish b1 z");
	}
	ck_assert(server_history_write(test_server, note, NULL));
	answers = ask();
	test_teardown();
	test_setup();
	testing_set_line(test_server->hub, "a*", "history-size 3 history-ttl 60");
	testing_set_line(test_server->hub, "b*", "history-size 1 history-ttl 60");
}

static void
teardown(void)
{
	buffer_release(&image);
	xfree(answers);
	test_teardown();
}

/* Reads all commands but number `without`, and number `twice` two times. */
static bool
restore(int without, int twice)
{
	struct history_image_reader *r = history_image_begin(test_server);
	const char *at = image.ptr;
	struct slice argv[16];
	size_t argc;
	char error[256];
	bool ok = true;

	for (int n = 0; ok && test_next_command(&image, &at, argv, &argc); n++) {
		for (int times = n == without ? 0 : n == twice ? 2 : 1; ok && times > 0; times--)
			ok = history_image_read(r, argv, argc, error, sizeof(error));
	}
	if (!ok)
		ck_assert_ptr_nonnull(strstr(error, "inconsistent history: wrong 'FANFARED."));
	return history_image_end(r) && ok;
}

static size_t
command_count(void)
{
	const char *at = image.ptr;
	struct slice argv[16];
	size_t argc, count = 0;

	while (test_next_command(&image, &at, argv, &argc))
		count++;
	return count;
}

START_TEST(another_server_gives_the_same_answers)
{
	char *now;

	ck_assert(restore(-1, -1));
	now = ask();
	ck_assert_str_eq(now, answers);
	xfree(now);
}
END_TEST

START_TEST(without_the_whole_image_positions_begin_anew)
{
	const size_t count = command_count();

	ck_assert_uint_gt(count, 12);
	for (size_t n = 0; n < 2 * count; n++) {
		struct hub_position before = history_position(hub_history(test_server->hub)), now;
		int without = n < count ? (int)n : -1, twice = n < count ? -1 : (int)(n - count);

		/* A line that is missing only makes the options differ. */
		if (restore(without, twice)) {
			ck_assert(without == 1 || without == 2);
			server_history_forget(test_server);
			continue;
		}
		now = history_position(hub_history(test_server->hub));
		ck_assert_uint_ne(now.epoch, before.epoch);
		ck_assert_uint_eq(now.seq, 0);
		ck_assert_uint_eq(history_figures(hub_history(test_server->hub)).rings, 0);
	}
}
END_TEST

START_TEST(channels_without_a_ring_are_lost_if_the_options_differ)
{
	struct hub_position old;
	char *now;

	testing_set_line(test_server->hub, "c*", "history-size 5 history-ttl 60");
	ck_assert(restore(-1, -1));
	now = ask();
	ck_assert_str_ne(now, answers);
	xfree(now);
	old = history_position(hub_history(test_server->hub));
	old.seq--;
	ck_assert(!history_can_resume(hub_history(test_server->hub), NULL, old));
}
END_TEST

START_TEST(a_command_of_another_kind_is_refused)
{
	struct history_image_reader *r = history_image_begin(test_server);
	const struct slice argv[] = {SLICE("SET"), SLICE("a"), SLICE("1")};
	char error[256];

	ck_assert(!history_image_read(r, argv, 3, error, sizeof(error)));
	ck_assert_str_eq(error, "inconsistent history: wrong 'SET'");
	ck_assert(!history_image_end(r));
}
END_TEST

int
main(void)
{
	return testing_main("cmd/history_image", setup, teardown,
	    (const TTest *[]){another_server_gives_the_same_answers,
		without_the_whole_image_positions_begin_anew,
		channels_without_a_ring_are_lost_if_the_options_differ,
		a_command_of_another_kind_is_refused, NULL});
}
