#include "config.h"

#include "acl/acl_log.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"

static struct acl_log acl_log;

static void
setup(void)
{
	acl_log_init(&acl_log);
}

static void
teardown(void)
{
	acl_log_reset(&acl_log);
}

static void
add(uint64_t now_ms, const char *object, const char *user)
{
	acl_log_add(&acl_log, 12, now_ms, ACL_LOG_CHANNEL, ACL_LOG_TOPLEVEL, slice_of(object),
	    slice_of(user), SLICE("id=1"));
}

START_TEST(the_same_again_within_a_minute_is_counted)
{
	const struct acl_log_entry *entry;

	add(1000, "a", "u");
	add(2000, "b", "u");
	add(61000, "a", "u");
	ck_assert_uint_eq(acl_log.len, 2);
	entry = TAILQ_FIRST(&acl_log.entries);
	ck_assert_uint_eq(entry->count, 2);
	ck_assert_uint_eq(entry->id, 0);
	ck_assert_uint_eq(entry->created_ms, 1000);
	ck_assert_uint_eq(entry->updated_ms, 61000);
	add(121001, "a", "u");
	ck_assert_uint_eq(acl_log.len, 3);
	ck_assert_uint_eq(TAILQ_FIRST(&acl_log.entries)->id, 2);
}
END_TEST

START_TEST(another_user_object_or_reason_is_another_entry)
{
	add(1000, "a", "u");
	add(1000, "a", "v");
	add(1000, "b", "u");
	acl_log_add(
	    &acl_log, 12, 1000, ACL_LOG_KEY, ACL_LOG_TOPLEVEL, SLICE("a"), SLICE("u"), SLICE(""));
	ck_assert_uint_eq(acl_log.len, 4);
}
END_TEST

START_TEST(the_oldest_go_when_it_is_full)
{
	char name[16];

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		add(1000, name, "u");
	}
	ck_assert_uint_eq(acl_log.len, 12);
	ck_assert_uint_eq(TAILQ_LAST(&acl_log.entries, acl_log_entries)->id, 8);
	acl_log_add(
	    &acl_log, 0, 1000, ACL_LOG_KEY, ACL_LOG_TOPLEVEL, SLICE("a"), SLICE("u"), SLICE(""));
	ck_assert_uint_eq(acl_log.len, 0);
}
END_TEST

START_TEST(long_names_are_cut)
{
	static char name[3 * ACL_LOG_BYTES_MAX];

	memset(name, 'x', sizeof(name) - 1);
	add(1000, name, name);
	ck_assert_uint_eq(TAILQ_FIRST(&acl_log.entries)->object_len, ACL_LOG_BYTES_MAX);
	ck_assert_uint_eq(TAILQ_FIRST(&acl_log.entries)->user_len, ACL_LOG_BYTES_MAX);
}
END_TEST

int
main(void)
{
	return testing_main("acl/acl_log", setup, teardown,
	    (const TTest *[]){the_same_again_within_a_minute_is_counted,
		another_user_object_or_reason_is_another_entry, the_oldest_go_when_it_is_full,
		long_names_are_cut, NULL});
}
