#include "config.h"

#include "persist/persist.h"

#include <check.h>
#include <errno.h>
#include <unistd.h>

#include "base/testing.h"
#include "persist/testing_daemon.h"
#include "persist/testing_log.h"

#define IMPORTED 10

static struct testing_daemon l;

static void
setup(void)
{
	testing_daemon_enter(&l);
}

static void
teardown(void)
{
	testing_daemon_leave(&l);
}

static bool
fill(void *arg, struct buffer *error)
{
	struct testing_daemon *daemon = arg;

	(void)error;
	daemon->server.count = IMPORTED;
	return true;
}

static bool
fill_half(void *arg, struct buffer *error)
{
	struct testing_daemon *daemon = arg;

	daemon->server.count = IMPORTED / 2;
	buffer_append_str(error, "damaged");
	return false;
}

static void
init(void)
{
	testing_daemon_init(&l);
	testing_disk_heal(l.disk);
}

static void
assert_no_files(void)
{
	ck_assert(access("a.aof", F_OK) != 0 && access("a.snapshot", F_OK) != 0);
}

START_TEST(what_was_imported_is_durable_at_once)
{
	for (int appendonly = 0; appendonly < 2; appendonly++) {
		init();
		ck_assert(testing_daemon_try_import(&l, appendonly, fill));
		ck_assert_int_eq(persist_figures(l.p).log_is_on, appendonly);
		testing_daemon_kill(&l);
		testing_daemon_load_each(&l, IMPORTED);
		testing_daemon_release(&l);
	}
}
END_TEST

START_TEST(changes_follow_what_was_imported)
{
	init();
	ck_assert(testing_daemon_try_import(&l, true, fill));
	testing_daemon_change_in_turns(&l, 3);
	testing_daemon_kill(&l);
	testing_daemon_load_each(&l, IMPORTED + 6);
	testing_daemon_release(&l);
}
END_TEST

START_TEST(folder_with_data_is_left_alone)
{
	for (int appendonly = 0; appendonly < 2; appendonly++) {
		init();
		ck_assert(testing_daemon_start(&l, appendonly));
		testing_daemon_change_in_turns(&l, 1);
		ck_assert(appendonly || persist_save_now(l.p));
		testing_daemon_kill(&l);
		testing_disk_heal(l.disk);
		for (int now = 0; now < 2; now++)
			ck_assert(!testing_daemon_try_import(&l, now, fill));
		ck_assert_uint_eq(l.server.count, 0);
		testing_daemon_load_each(&l, 2);
		testing_daemon_release(&l);
	}
}
END_TEST

START_TEST(failed_import_leaves_no_file)
{
	init();
	ck_assert(!testing_daemon_try_import(&l, true, fill_half));
	assert_no_files();
	ck_assert(!testing_daemon_try_import(&l, false, fill_half));
	assert_no_files();
	ck_assert(testing_daemon_try_import(&l, true, fill));
	testing_daemon_kill(&l);
	testing_daemon_load_each(&l, IMPORTED);
	testing_daemon_release(&l);
}
END_TEST

/* From this call on, `count` calls fail. False: there are fewer calls. */
static bool
fail_at_call(bool appendonly, uint32_t from, uint32_t count)
{
	uint32_t calls;
	uint64_t loaded;
	bool ok;

	init();
	testing_disk_fail(l.disk, TESTING_ALL, from, count, EIO);
	ok = testing_daemon_try_import(&l, appendonly, fill);
	calls = l.disk->calls;
	testing_daemon_kill(&l);
	loaded = testing_daemon_load(&l);
	ck_assert_msg(loaded == IMPORTED || (!ok && loaded == 0), "call %u: %d, %llu", from, ok,
	    (unsigned long long)loaded);
	testing_daemon_release(&l);
	return calls > from;
}

START_TEST(all_or_nothing_is_there_whichever_call_fails)
{
	for (int appendonly = 0; appendonly < 2; appendonly++) {
		uint32_t from = 0;

		while (
		    fail_at_call(appendonly, from, 1) && fail_at_call(appendonly, from, UINT32_MAX))
			from++;
		ck_assert_uint_gt(from, 3);
	}
}
END_TEST

int
main(void)
{
	return testing_main("persist/persist_import", setup, teardown,
	    (const TTest *[]){what_was_imported_is_durable_at_once,
		changes_follow_what_was_imported, folder_with_data_is_left_alone,
		failed_import_leaves_no_file, all_or_nothing_is_there_whichever_call_fails, NULL});
}
