#include "config.h"

#include "acl/acl.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "cmd/table.h"

static struct acl *acl;
static struct buffer text;

static void
setup(void)
{
	acl = acl_new(cmd_table()->acl);
	text = (struct buffer){0};
}

static void
teardown(void)
{
	acl_free(acl);
	buffer_release(&text);
}

/* Loads these lines and returns the error, or "". */
static const char *
load(const char *lines)
{
	bool ok;

	buffer_clear(&text);
	ok = acl_load(acl, slice_of(lines), "users.acl", SLICE(""), &text);
	ck_assert(ok == (text.len == 0));
	buffer_append(&text, "", 1);
	return text.ptr;
}

static const char *
described(void)
{
	buffer_clear(&text);
	acl_describe(acl, false, SLICE(""), &text);
	buffer_append(&text, "", 1);
	return text.ptr;
}

static bool
set(const char *name, const char *rule, bool *narrowed)
{
	struct slice rules[] = {slice_of(rule)};

	buffer_clear(&text);
	return acl_set_user(acl, slice_of(name), rules, 1, narrowed, &text);
}

#define DEFAULT_LINE "user default on nopass sanitize-payload ~* &* +@all\n"

START_TEST(default_is_always_there_and_the_same_object)
{
	struct acl_user *before = acl_default(acl);

	ck_assert_str_eq(described(), DEFAULT_LINE);
	ck_assert_str_eq(load("user default on >x +ping\n"), "");
	ck_assert_ptr_eq(acl_default(acl), before);
	ck_assert(!before->unrestricted);
	ck_assert_str_eq(load("user alice on\n"), "");
	ck_assert_ptr_eq(acl_default(acl), before);
	ck_assert(before->unrestricted && before->nopass);
	ck_assert_str_eq(
	    described(), "user alice on sanitize-payload resetchannels -@all\n" DEFAULT_LINE);
}
END_TEST

START_TEST(a_file_with_a_mistake_changes_nothing_and_says_where)
{
	ck_assert_str_eq(load("user alice on\n"), "");
	ck_assert_str_eq(load("# a comment\n\nuser bob on +nosuch\nuser carol >secret\nusr x\n"
			      "user carol on\nuser dave >a <b\n"),
	    "users.acl:3: rule '+nosuch': Unknown command or category name in ACL; "
	    "users.acl:5: a line is 'user NAME rule ...'; "
	    "users.acl:6: Duplicate user 'carol' found; "
	    "users.acl:7: rule '<': The password you are trying to remove from the user does not "
	    "exist");
	ck_assert_str_eq(
	    described(), "user alice on sanitize-payload resetchannels -@all\n" DEFAULT_LINE);
}
END_TEST

START_TEST(a_reference_shows_that_its_user_was_deleted)
{
	struct acl_user *alice, *bob;

	ck_assert_str_eq(load("user alice on\nuser bob on\n"), "");
	alice = acl_user_ref(acl_find(acl, SLICE("alice")));
	bob = acl_user_ref(acl_find(acl, SLICE("bob")));
	ck_assert_str_eq(load("user bob off +@all ~* &*\n"), "");
	ck_assert(alice->deleted && !bob->deleted);
	ck_assert_ptr_eq(acl_find(acl, SLICE("bob")), bob);
	ck_assert(bob->unrestricted);
	ck_assert(acl_delete(acl, SLICE("bob")));
	ck_assert(!acl_delete(acl, SLICE("bob")));
	ck_assert(bob->deleted && !bob->unrestricted);
	acl_user_unref(alice);
	acl_user_unref(bob);
}
END_TEST

START_TEST(a_change_tells_whether_less_may_be_heard)
{
	bool narrowed;

	ck_assert(set("u", "&a", &narrowed) && !narrowed);
	ck_assert(set("u", "&b", &narrowed) && !narrowed);
	ck_assert(set("u", "+ping", &narrowed) && !narrowed);
	ck_assert(set("u", "resetchannels", &narrowed) && narrowed);
	ck_assert(set("u", "&*", &narrowed) && !narrowed);
	ck_assert(set("u", "resetchannels", &narrowed) && narrowed);
	ck_assert(!set("u", "&a b", &narrowed) && !narrowed);
	ck_assert(!set("with space", "on", &narrowed));
}
END_TEST

START_TEST(all_channels_is_what_new_users_and_selectors_begin_with)
{
	bool narrowed;

	acl_set_all_channels(acl, true);
	ck_assert(set("u", "(+ping)", &narrowed));
	ck_assert_str_eq(
	    described(), DEFAULT_LINE "user u off sanitize-payload &* -@all (&* -@all +ping)\n");
}
END_TEST

START_TEST(default_has_one_password_at_most)
{
	struct acl_user *user = acl_default(acl);
	bool narrowed;

	acl_set_default_password(acl, SLICE("one"));
	ck_assert(acl_user_accepts(user, SLICE("one")) && !acl_user_accepts(user, SLICE("two")));
	ck_assert(set("default", ">two", &narrowed));
	ck_assert(acl_user_accepts(user, SLICE("one")) && acl_user_accepts(user, SLICE("two")));
	acl_set_default_password(acl, SLICE("three"));
	ck_assert(!acl_user_accepts(user, SLICE("one")) && !acl_user_accepts(user, SLICE("two")));
	acl_set_default_password(acl, SLICE(""));
	ck_assert(acl_user_accepts(user, SLICE("any")));
}
END_TEST

START_TEST(users_are_kept_in_the_order_of_their_names)
{
	const char *names[] = {"m", "b", "z", "a", "default2"};
	bool narrowed;

	for (size_t i = 0; i < 5; i++)
		ck_assert(set(names[i], "on", &narrowed));
	ck_assert_uint_eq(acl_count(acl), 6);
	for (size_t i = 1; i < 6; i++)
		ck_assert_int_lt(strcmp(acl_at(acl, i - 1)->name, acl_at(acl, i)->name), 0);
	ck_assert_ptr_null(acl_at(acl, 6));
}
END_TEST

START_TEST(who_is_named_before_and_after_stays_whoever_else_comes_or_goes)
{
	static const char *const before[] = {"a", "c", "e", "x"};
	struct acl_user *users[4];

	ck_assert_str_eq(load("user a on\nuser c on\nuser x on\nuser e on\n"), "");
	for (size_t i = 0; i < 4; i++)
		users[i] = acl_user_ref(acl_find(acl, slice_of(before[i])));
	ck_assert_str_eq(load("user f off\nuser e off\nuser b off\nuser c off\n"), "");
	for (size_t i = 0; i < 4; i++) {
		bool stays = i == 1 || i == 2;

		ck_assert(users[i]->deleted == !stays);
		ck_assert(users[i]->enabled == !stays);
		ck_assert_ptr_eq(acl_find(acl, slice_of(before[i])), stays ? users[i] : NULL);
		acl_user_unref(users[i]);
	}
	ck_assert_uint_eq(acl_count(acl), 5);
}
END_TEST

START_TEST(a_user_has_a_name_that_can_be_read_back)
{
	bool narrowed;

	ck_assert(!set("", "on", &narrowed));
	ck_assert(!set("a b", "on", &narrowed));
	ck_assert(set("#a'(", "on", &narrowed));
	ck_assert_str_eq(load("user #a'( on\n"), "");
}
END_TEST

int
main(void)
{
	return testing_main("cmd/acl", setup, teardown,
	    (const TTest *[]){default_is_always_there_and_the_same_object,
		a_file_with_a_mistake_changes_nothing_and_says_where,
		a_reference_shows_that_its_user_was_deleted,
		a_change_tells_whether_less_may_be_heard,
		all_channels_is_what_new_users_and_selectors_begin_with,
		default_has_one_password_at_most, users_are_kept_in_the_order_of_their_names,
		who_is_named_before_and_after_stays_whoever_else_comes_or_goes,
		a_user_has_a_name_that_can_be_read_back, NULL});
}
