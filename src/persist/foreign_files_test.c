#include "config.h"

#include "persist/foreign_files.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/testing.h"

static char folder[] = "/tmp/fanfare-foreign-XXXXXX";
static struct buffer name;

static const char *const files[] = {
    "dump.rdb", "appendonly.aof", "dump.aof", "other.aof", "appendonlydir/a.manifest"};

static void
setup(void)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	name = (struct buffer){0};
}

static void
teardown(void)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		(void)unlink(files[i]);
	(void)rmdir("appendonlydir");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
	buffer_release(&name);
}

static void
put(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_int_ge(fputs(text, out), 0);
	ck_assert_int_eq(fclose(out), 0);
}

/* The name found with the default settings; "" for none. */
static const char *
found(bool aof_is_loaded)
{
	buffer_clear(&name);
	if (!foreign_files_find(
		"appendonly.aof", "dump.aof", "appendonlydir", aof_is_loaded, &name))
		return "";
	buffer_append(&name, "", 1);
	return name.ptr;
}

START_TEST(in_an_empty_folder_nothing_is_found)
{
	ck_assert_str_eq(found(true), "");
	ck_assert_int_eq(mkdir("appendonlydir", 0700), 0);
	ck_assert_str_eq(found(true), "");
	put("dump.rdb", "");
	ck_assert_str_eq(found(true), "");
}
END_TEST

START_TEST(a_snapshot_of_redis_is_found)
{
	put("dump.rdb", "REDIS0010");
	ck_assert_str_eq(found(true), "dump.rdb");
	ck_assert_str_eq(found(false), "dump.rdb");
}
END_TEST

START_TEST(a_folder_of_redis_is_found)
{
	ck_assert_int_eq(mkdir("appendonlydir", 0700), 0);
	put("appendonlydir/a.manifest", "file");
	ck_assert_str_eq(found(true), "appendonlydir");
	ck_assert(!foreign_files_find("appendonly.aof", "dump.aof", "other", true, &name));
	ck_assert(!foreign_files_find("appendonly.aof", "dump.aof", NULL, true, &name));
}
END_TEST

START_TEST(an_append_only_file_of_redis_is_found_unless_it_is_loaded)
{
	put("appendonly.aof", "REDIS0010");
	ck_assert_str_eq(found(true), "");
	ck_assert_str_eq(found(false), "appendonly.aof");
	put("appendonly.aof", "*1\r\n");
	ck_assert_str_eq(found(true), "");
	ck_assert_str_eq(found(false), "appendonly.aof");
	ck_assert(foreign_files_find("other.aof", "dump.aof", "appendonlydir", true, &name));
	put("other.aof", "#FANFARE1");
	ck_assert(!foreign_files_find("other.aof", "dump.aof", "appendonlydir", true, &name));
}
END_TEST

START_TEST(a_snapshot_of_redis_under_the_configured_name_is_left_to_the_loader)
{
	put("dump.rdb", "REDIS0010");
	ck_assert(!foreign_files_find("appendonly.aof", "dump.rdb", "appendonlydir", true, &name));
}
END_TEST

START_TEST(beside_a_file_of_fanfared_nothing_is_found)
{
	put("dump.rdb", "REDIS0010");
	put("dump.aof", "#FANFARE1");
	ck_assert_str_eq(found(true), "");
	ck_assert_int_eq(unlink("dump.aof"), 0);
	put("appendonly.aof", "#FANFARE1");
	ck_assert_str_eq(found(true), "");
	ck_assert_str_eq(found(false), "");
}
END_TEST

START_TEST(a_file_of_redis_is_recognised)
{
	ck_assert(!foreign_files_is_of_redis("dump.rdb"));
	put("dump.rdb", "REDIS0010");
	ck_assert(foreign_files_is_of_redis("dump.rdb"));
	put("dump.rdb", "*1\r\n");
	ck_assert(foreign_files_is_of_redis("dump.rdb"));
	put("dump.rdb", "#FANFARE1");
	ck_assert(!foreign_files_is_of_redis("dump.rdb"));
}
END_TEST

int
main(void)
{
	return testing_main("persist/foreign_files", setup, teardown,
	    (const TTest *[]){in_an_empty_folder_nothing_is_found, a_snapshot_of_redis_is_found,
		a_folder_of_redis_is_found,
		an_append_only_file_of_redis_is_found_unless_it_is_loaded,
		a_snapshot_of_redis_under_the_configured_name_is_left_to_the_loader,
		beside_a_file_of_fanfared_nothing_is_found, a_file_of_redis_is_recognised, NULL});
}
