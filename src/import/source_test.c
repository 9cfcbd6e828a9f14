#include "config.h"

#include "import/source.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "import/summary.h"
#include "rdb/testing_rdb.h"

#define MANIFEST_TOO_LARGE ((size_t)2 << 20)

static char folder[64];

static void
setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/fanfare-import-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	ck_assert_int_eq(mkdir("d", 0700), 0);
	ck_assert_int_eq(mkdir("d/appendonlydir", 0700), 0);
}

static void
teardown(void)
{
	char command[100];

	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static void
put_file(const char *path, struct slice bytes)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes.ptr, 1, bytes.len, file), bytes.len);
	ck_assert_int_eq(fclose(file), 0);
}

static void
put_text(const char *path, const char *text)
{
	put_file(path, slice_of(text));
}

/* A snapshot with one key that expires at 1000 ms. */
static void
put_snapshot(const char *path, const char *name, const char *rest)
{
	struct buffer file = {0};

	testing_rdb_begin(&file, 10);
	testing_rdb_byte(&file, 0xfc);
	testing_rdb_bytes(&file, 1000, 8);
	testing_rdb_key(&file, 0, name);
	testing_rdb_string(&file, "v");
	testing_rdb_end(&file, 10);
	buffer_append_str(&file, rest);
	put_file(path, buffer_slice(&file));
	buffer_release(&file);
}

#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
#define SET_B "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$0\r\n\r\n"
#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC "*1\r\n$4\r\nEXEC\r\n"
#define SELECT "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"

/* What a path has: the commands, one a line, and the error or the warning. Returns owned. */
static char *
read_path(const char *path, bool may_truncate, int64_t now_ms)
{
	struct import_summary summary = {0};
	const struct import_config config = {.now_ms = now_ms,
	    .may_truncate = may_truncate,
	    .module = import_summary_module,
	    .arg = &summary};
	struct buffer out = {0};
	struct import_source *source = import_open(path, &config, &out);
	enum import_result result = IMPORT_BAD;
	struct import_command command;
	char *text;

	if (source != NULL) {
		do
			result = import_check(source);
		while (result == IMPORT_MORE);
		if (result == IMPORT_END)
			while ((result = import_next(source, &command)) == IMPORT_MORE) {
				for (size_t i = 0; i < command.argc; i++)
					buffer_appendf(&out, "%s%.*s", i > 0 ? " " : "",
					    (int)command.argv[i].len, command.argv[i].ptr);
				buffer_append_str(&out, "\n");
			}
		ck_assert(
		    result == IMPORT_BAD || import_bytes_done(source) == import_bytes(source));
		buffer_append_slice(
		    &out, result == IMPORT_END ? import_warning(source) : import_error(source));
		import_close(source);
	}
	import_summary_release(&summary);
	text = xasprintf("%.*s", (int)out.len, out.len > 0 ? out.ptr : "");
	buffer_release(&out);
	return text;
}

static void
assert_path(const char *path, const char *expected)
{
	char *text = read_path(path, true, 0);

	ck_assert_str_eq(text, expected);
	xfree(text);
}

static void
assert_path_strictly(const char *path, const char *expected)
{
	char *text = read_path(path, false, 0);

	ck_assert_str_eq(text, expected);
	xfree(text);
}

START_TEST(snapshot_is_read)
{
	put_snapshot("s.rdb", "k", "");
	assert_path("s.rdb", "SET k v PXAT 1000\n");
	put_snapshot("d/dump.rdb", "k", "");
	assert_path("d", "SET k v PXAT 1000\n");
}
END_TEST

START_TEST(snapshot_with_bytes_behind_its_end_is_refused)
{
	put_snapshot("s.rdb", "k", "x");
	assert_path("s.rdb", "s.rdb: damaged at offset 32: neither a command nor an annotation");
}
END_TEST

START_TEST(append_only_file_may_begin_with_a_snapshot)
{
	put_text("a.aof", "#TS:1\r\n" SELECT SET_A "#TS:2\r\n" SET_B);
	assert_path("a.aof", "SELECT 0\nSET a 1\nSET b \n");
	put_snapshot("d/appendonly.aof", "k", SET_A);
	assert_path("d", "SET k v PXAT 1000\nSET a 1\n");
	put_text("empty", "");
	assert_path("empty", "");
}
END_TEST

START_TEST(expired_keys_are_kept_if_commands_follow)
{
	char *text;

	put_snapshot("s.rdb", "k", "");
	text = read_path("s.rdb", true, 1000);
	ck_assert_str_eq(text, "");
	xfree(text);
	put_snapshot("s.rdb", "k", SET_A);
	text = read_path("s.rdb", true, 1000);
	ck_assert_str_eq(text, "SET k v PXAT 1000\nSET a 1\n");
	xfree(text);
}
END_TEST

static void
put_parts(const char *first, const char *second)
{
	put_snapshot("d/appendonlydir/b.rdb", "k", "");
	put_text("d/appendonlydir/1.aof", first);
	put_text("d/appendonlydir/2.aof", second);
	put_text("d/appendonlydir/appendonly.aof.manifest",
	    "file b.rdb seq 1 type b\nfile 1.aof seq 1 type i\nfile 2.aof seq 2 type i\n");
}

START_TEST(manifest_names_the_files)
{
	static const char *const paths[] = {
	    "d", "d/", "d/appendonlydir", "d/appendonlydir/appendonly.aof.manifest"};

	put_parts(SET_A, SET_B);
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		assert_path(paths[i], "SET k v PXAT 1000\nSET a 1\nSET b \n");
	ck_assert_int_eq(chdir("d/appendonlydir"), 0);
	assert_path("appendonly.aof.manifest", "SET k v PXAT 1000\nSET a 1\nSET b \n");
}
END_TEST

/* Both times of a file. */
static void
set_time(const char *path, time_t seconds, long nanoseconds)
{
	struct timespec time = {.tv_sec = seconds, .tv_nsec = nanoseconds};

	ck_assert_int_eq(utimensat(AT_FDCWD, path, (struct timespec[]){time, time}, 0), 0);
}

static void
set_times_of_parts(time_t seconds)
{
	set_time("d/appendonlydir/b.rdb", seconds, 0);
	set_time("d/appendonlydir/1.aof", seconds, 0);
	set_time("d/appendonlydir/2.aof", seconds, 0);
}

START_TEST(snapshot_newer_than_all_append_only_files_is_refused)
{
	put_parts(SET_A, "");
	put_snapshot("d/dump.rdb", "new", "");
	set_time("d/dump.rdb", 2000, 1);
	set_times_of_parts(2000);
	assert_path("d",
	    "d/dump.rdb is newer than the append-only files, which are out of date if Redis ran "
	    "with appendonly no: name the file to be read, this one or "
	    "d/appendonlydir/appendonly.aof.manifest");
	assert_path("d/dump.rdb", "SET new v PXAT 1000\n");
	set_time("d/appendonlydir/2.aof", 2000, 1);
	assert_path("d", "SET k v PXAT 1000\nSET a 1\nd: has append-only files, which are read, "
			 "and dump.rdb, which is not");
	ck_assert_int_eq(unlink("d/appendonlydir/appendonly.aof.manifest"), 0);
	ck_assert_int_eq(rename("d/appendonlydir", "parts"), 0);
	put_text("d/appendonly.aof", SET_A);
	set_time("d/appendonly.aof", 1999, 999999999);
	assert_path("d",
	    "d/dump.rdb is newer than the append-only files, which are out of date if Redis ran "
	    "with appendonly no: name the file to be read, this one or d/appendonly.aof");
}
END_TEST

START_TEST(snapshot_must_begin_like_one)
{
	put_text("d/dump.rdb", "");
	assert_path("d", "d/dump.rdb: damaged at offset 0: a snapshot begins with REDIS");
	put_text("d/dump.rdb", SET_A);
	assert_path("d/dump.rdb", "d/dump.rdb: damaged at offset 0: a snapshot begins with REDIS");
	put_parts(SET_A, "");
	put_text("d/appendonlydir/b.rdb", "");
	assert_path("d/appendonlydir",
	    "d/appendonlydir/b.rdb: damaged at offset 0: a snapshot begins with REDIS");
}
END_TEST

START_TEST(manifest_that_is_not_finished_is_passed_over)
{
	put_parts(SET_A, SET_B);
	put_text("d/appendonlydir/temp-appendonly.aof.manifest", "file b.rdb");
	assert_path("d", "SET k v PXAT 1000\nSET a 1\nSET b \n");
}
END_TEST

/* What Redis would read with another appenddirname. */
START_TEST(manifest_is_found_in_any_folder_if_it_is_the_only_one)
{
	put_parts(SET_A, SET_B);
	ck_assert_int_eq(rename("d/appendonlydir", "d/aof"), 0);
	assert_path("d", "SET k v PXAT 1000\nSET a 1\nSET b \n");
	put_snapshot("d/dump.rdb", "old", "");
	set_time("d/dump.rdb", 2000, 0);
	assert_path("d", "SET k v PXAT 1000\nSET a 1\nSET b \nd: has append-only files, which are "
			 "read, and dump.rdb, which is not");
	ck_assert_int_eq(mkdir("d/lost+found", 0), 0);
	ck_assert_int_eq(mkdir("d/other", 0700), 0);
	ck_assert_int_eq(symlink("nowhere", "d/link"), 0);
	ck_assert_int_eq(mkfifo("d/fifo", 0600), 0);
	put_text("d/other/temp-x.manifest", "");
	put_text("d/other/1.incr.aof", SET_A);
	assert_path("d", "SET k v PXAT 1000\nSET a 1\nSET b \nd: has append-only files, which are "
			 "read, and dump.rdb, which is not");
	put_text("d/other/x.manifest", "file 1.incr.aof seq 1 type i\n");
	assert_path("d", "d: has several manifests: name one of them");
	assert_path("d/other", "SET a 1\n");
	/* One in the folder itself is the one of that folder. */
	put_text("d/3.incr.aof", SET_B);
	put_text("d/m.manifest", "file 3.incr.aof seq 3 type i\n");
	assert_path(
	    "d", "SET b \nd: has append-only files, which are read, and dump.rdb, which is not");
}
END_TEST

static void
assert_refused_for_want_of_a_manifest(const char *in, const char *name)
{
	char *path = xasprintf("%s/%s", in, name);
	char *error =
	    xasprintf("%s: has append-only files (%s) but no manifest, which says which of "
		      "them are read and in what order: restore it, or name the file to "
		      "be read",
		in, name);

	put_text(path, "");
	assert_path("d", error);
	assert_path("d/dump.rdb", "SET old v PXAT 1000\n");
	ck_assert_int_eq(unlink(path), 0);
	assert_path("d", "SET old v PXAT 1000\n");
	xfree(path);
	xfree(error);
}

START_TEST(append_only_files_without_a_manifest_are_not_overlooked)
{
	static const char *const names[] = {"appendonly.aof.1.base.rdb", "x.2.base.aof",
	    "x.3.incr.aof", "temp-appendonly.aof.manifest"};
	static const char *const folders[] = {"d", "d/appendonlydir", "d/other"};

	put_snapshot("d/dump.rdb", "old", "");
	ck_assert_int_eq(mkdir("d/other", 0700), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		for (size_t j = 0; j < sizeof(folders) / sizeof(*folders); j++)
			assert_refused_for_want_of_a_manifest(folders[j], names[i]);
	/* The first file of Redis 7 behind an upgrade has the name of the file of Redis 6. */
	assert_refused_for_want_of_a_manifest("d/appendonlydir", "appendonly.aof");
	put_text("d/other/appendonly.aof", SET_A);
	assert_path("d", "SET old v PXAT 1000\n");
	put_text("d/appendonly.aof", SET_A);
	put_text("d/appendonlydir/appendonly.aof.1.incr.aof", SET_B);
	assert_path("d/appendonlydir",
	    "d/appendonlydir: has append-only files (appendonly.aof.1.incr.aof) but no manifest, "
	    "which says which of them are read and in what order: restore it, or name the file to "
	    "be read");
}
END_TEST

START_TEST(files_under_other_names_are_not_overlooked)
{
	put_snapshot("d/dump.rdb", "old", "");
	put_snapshot("d/other.rdb", "new", "");
	put_text("d/temp-1.rdb", "");
	set_time("d/dump.rdb", 2000, 0);
	set_time("d/other.rdb", 2000, 0);
	assert_path("d", "SET old v PXAT 1000\n");
	set_time("d/other.rdb", 2000, 1);
	assert_path("d", "d/other.rdb is newer than d/dump.rdb: name the file to be read");
	ck_assert_int_eq(unlink("d/other.rdb"), 0);
	put_text("d/other.aof", SET_A);
	set_time("d/other.aof", 1000, 0);
	assert_path("d", "d/other.aof may be what Redis used last, and not d/dump.rdb: name the "
			 "file to be read");
	put_text("d/appendonly.aof", SET_B);
	assert_path(
	    "d", "SET b \nd: has append-only files, which are read, and dump.rdb, which is not");
	set_time("d/appendonly.aof", 999, 0);
	assert_path("d", "d/other.aof is newer than d/appendonly.aof: name the file to be read");
	ck_assert_int_eq(unlink("d/other.aof"), 0);
	ck_assert_int_eq(rename("d/dump.rdb", "d/other.rdb"), 0);
	assert_path("d",
	    "d/other.rdb is newer than the append-only files, which are out of date if Redis ran "
	    "with appendonly no: name the file to be read, this one or d/appendonly.aof");
}
END_TEST

START_TEST(snapshot_beside_append_only_files_is_told)
{
	put_parts("", "");
	put_text("d/dump.rdb", "");
	set_time("d/dump.rdb", 2000, 0);
	set_times_of_parts(2000);
	assert_path("d", "SET k v PXAT 1000\nd: has append-only files, which are read, and "
			 "dump.rdb, which is not");
}
END_TEST

START_TEST(incomplete_end_is_left_out_if_that_is_allowed)
{
	put_text("a.aof", SET_A "*3\r\n$3\r\nSET\r\n$1\r\nb");
	assert_path("a.aof", "SET a 1\na.aof: ends early: the last 18 bytes, from offset 27 on, "
			     "are an incomplete command and are left out");
	assert_path_strictly("a.aof", "a.aof: ends early, with an incomplete command at offset 27");
}
END_TEST

START_TEST(every_truncation_of_an_append_only_file_is_told)
{
	static const char whole[] = SET_A MULTI SET_B EXEC;
	size_t set_a = strlen(SET_A), len = strlen(whole);

	for (size_t cut = 1; cut < len; cut++) {
		char *text, *expected;

		put_file("a.aof", (struct slice){whole, cut});
		text = read_path("a.aof", true, 0);
		expected = xasprintf("%s%s", cut >= set_a ? "SET a 1\n" : "",
		    cut == set_a ? "" : "a.aof: ends early");
		ck_assert_msg(strncmp(text, expected, strlen(expected)) == 0, "%zu: %s", cut, text);
		xfree(expected);
		xfree(text);
	}
}
END_TEST

START_TEST(incomplete_transaction_is_left_out_as_a_whole)
{
	put_text("a.aof", SET_A MULTI SET_B);
	assert_path("a.aof", "SET a 1\na.aof: ends early: the last 41 bytes, from offset 27 on, "
			     "are an incomplete transaction and are left out");
	assert_path_strictly(
	    "a.aof", "a.aof: ends early, with an incomplete transaction at offset 27");
	put_text("a.aof", MULTI SET_A EXEC SET_B);
	assert_path("a.aof", "SET a 1\nSET b \n");
}
END_TEST

START_TEST(only_the_last_file_may_be_incomplete)
{
	put_parts(SET_A "*3", SET_B);
	assert_path("d", "d/appendonlydir/1.aof: ends early, with an incomplete command at offset "
			 "27");
	put_parts(MULTI SET_A, EXEC);
	assert_path("d", "d/appendonlydir/1.aof: ends early, with an incomplete transaction at "
			 "offset 0");
}
END_TEST

START_TEST(damage_is_told_with_its_offset)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
	    {SET_A "hello", "27: neither a command nor an annotation"},
	    {"*0\r\n", "0: a command without name"},
	    {"*1\r\n+OK\r\n", "4: not an argument"},
	    {"*x\r\n", "0: no length where one must be"},
	    {"*9999999999\r\n", "0: a length above the limit"},
	    {"*1\r\n$536870913\r\n", "4: a length above the limit"},
	    {"*1\n\n", "2: no CR LF where one must be"},
	    {"*1\r\n$1\r\naa\r\n", "9: no CR LF where one must be"},
	    {MULTI MULTI, "15: MULTI in a transaction"},
	    {SET_A "*1\r\n$8\r\nshutdown\r\n", "27: a command that is not for keys"},
	    {SET_A EXEC, "27: EXEC without MULTI"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *expected = xasprintf("a.aof: damaged at offset %s", cases[i].expected);

		put_text("a.aof", cases[i].text);
		assert_path("a.aof", expected);
		xfree(expected);
	}
}
END_TEST

START_TEST(files_outside_of_the_folder_are_not_read)
{
	put_snapshot("s.rdb", "k", "");
	put_text("d/appendonlydir/m.manifest", "file ../../s.rdb seq 1 type b\n");
	assert_path("d", "d/appendonlydir/m.manifest: line 1: no plain file name");
	put_text("d/appendonlydir/m.manifest", "file link seq 1 type b\n");
	ck_assert_int_eq(symlink("../../s.rdb", "d/appendonlydir/link"), 0);
	assert_path("d", "d/appendonlydir/link: Too many levels of symbolic links");
}
END_TEST

START_TEST(what_cannot_be_read_is_told)
{
	char *large = xcalloc(1, MANIFEST_TOO_LARGE);

	assert_path("none", "none: No such file or directory");
	assert_path("d", "d: has no file of Redis: no appendonlydir, appendonly.aof or dump.rdb");
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	assert_path("fifo", "fifo: not a regular file");
	ck_assert_int_eq(mkdir("d/dump.rdb", 0700), 0);
	assert_path("d", "d/dump.rdb: not a regular file");
	put_text("d/appendonlydir/m.manifest", "file b seq 1 type b\n");
	assert_path("d", "d/appendonlydir/b: No such file or directory");
	put_file("d/appendonlydir/m.manifest", (struct slice){large, MANIFEST_TOO_LARGE});
	assert_path("d", "d/appendonlydir/m.manifest: larger than 1 MiB: not a manifest");
	put_text("d/appendonlydir/n.manifest", "");
	assert_path("d", "d/appendonlydir: has several manifests: name one of them");
	xfree(large);
}
END_TEST

START_TEST(a_file_that_changes_meanwhile_is_noticed)
{
	const struct import_config config = {.may_truncate = true};
	struct buffer error = {0};
	struct import_source *source;
	struct import_command command;

	put_text("a.aof", SET_A SET_B);
	source = import_open("a.aof", &config, &error);
	ck_assert_int_eq(import_check(source), IMPORT_END);
	ck_assert_int_eq(truncate("a.aof", 30), 0);
	ck_assert_int_eq(import_next(source, &command), IMPORT_MORE);
	ck_assert_int_eq(import_next(source, &command), IMPORT_BAD);
	ck_assert(slice_is(
	    import_error(source), "a.aof: ends early, with an incomplete command at offset 27"));
	import_close(source);
	buffer_release(&error);
}
END_TEST

int
main(void)
{
	return testing_main("import/source", setup, teardown,
	    (const TTest *[]){snapshot_is_read, snapshot_with_bytes_behind_its_end_is_refused,
		append_only_file_may_begin_with_a_snapshot,
		expired_keys_are_kept_if_commands_follow, manifest_names_the_files,
		snapshot_beside_append_only_files_is_told,
		snapshot_newer_than_all_append_only_files_is_refused, snapshot_must_begin_like_one,
		manifest_that_is_not_finished_is_passed_over,
		manifest_is_found_in_any_folder_if_it_is_the_only_one,
		append_only_files_without_a_manifest_are_not_overlooked,
		files_under_other_names_are_not_overlooked,
		incomplete_end_is_left_out_if_that_is_allowed,
		every_truncation_of_an_append_only_file_is_told,
		incomplete_transaction_is_left_out_as_a_whole, only_the_last_file_may_be_incomplete,
		damage_is_told_with_its_offset, files_outside_of_the_folder_are_not_read,
		what_cannot_be_read_is_told, a_file_that_changes_meanwhile_is_noticed, NULL});
}
