#include "config.h"

#include "persist/aof.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/testing.h"
#include "persist/aof_file.h"

#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
#define SET_B "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$2\r\n\r\n\r\n"
#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC "*1\r\n$4\r\nEXEC\r\n"

static struct buffer file;
static struct buffer heard; /* the commands' first arguments and keys: "SET a;" */
static struct aof_scan scan;
static struct slice last; /* commands of the last verdict */

static void
setup(void)
{
	file = heard = (struct buffer){0};
}

static void
teardown(void)
{
	buffer_release(&file);
	buffer_release(&heard);
}

static void
add_batch(const char *commands)
{
	char header[AOF_HEADER_LEN];

	aof_header_write(header, file.len, slice_of(commands));
	buffer_append(&file, header, sizeof(header));
	buffer_append_str(&file, commands);
}

static void
hear(struct slice commands)
{
	struct aof_commands taken = {0};

	while (commands.len > 0) {
		enum aof_command_result result = aof_command_next(&taken, &commands);

		if (result == AOF_COMMAND_NONE)
			break;
		ck_assert_int_eq(result, AOF_COMMAND);
		for (size_t i = 0; i < taken.count && i < 2; i++) {
			buffer_append_slice(&heard, taken.args[i]);
			buffer_append_str(&heard, " ");
		}
	}
	aof_commands_release(&taken);
}

/* Reads all of it; what the last verdict was. */
static enum aof_verdict
read_all(struct slice bytes)
{
	enum aof_verdict verdict;

	scan = (struct aof_scan){.file = bytes};
	buffer_clear(&heard);
	while ((verdict = aof_scan_next(&scan, &last)) == AOF_COMMANDS)
		hear(last);
	if (verdict == AOF_CUT)
		hear(last);
	return verdict;
}

static void
check_heard(const char *expected)
{
	ck_assert(slice_is(buffer_slice(&heard), expected));
}

static void
two_batches(void)
{
	add_batch(SET_A MULTI SET_A SET_B EXEC);
	add_batch(SET_B SET_A);
}

START_TEST(nothing_is_a_good_file)
{
	ck_assert_int_eq(read_all(SLICE("")), AOF_END);
}
END_TEST

START_TEST(batches_are_read_in_order)
{
	two_batches();
	ck_assert_int_eq(read_all(buffer_slice(&file)), AOF_END);
	check_heard("SET a MULTI SET a SET b EXEC SET b SET a ");
	ck_assert_uint_eq(scan.batches, 2);
}
END_TEST

START_TEST(commands_without_headers_come_first_and_batches_may_follow)
{
	buffer_append_str(&file, "#TS:1700000000\r\n" SET_A MULTI SET_B EXEC);
	ck_assert_int_eq(read_all(buffer_slice(&file)), AOF_END);
	check_heard("SET a MULTI SET b EXEC ");
	add_batch(SET_B);
	ck_assert_int_eq(read_all(buffer_slice(&file)), AOF_END);
	check_heard("SET a MULTI SET b EXEC SET b ");
	buffer_append_str(&file, SET_A);
	ck_assert_int_eq(read_all(buffer_slice(&file)), AOF_DAMAGED);
}
END_TEST

START_TEST(wherever_the_file_is_cut_whole_commands_are_kept_and_it_is_no_damage)
{
	size_t first, whole;

	two_batches();
	whole = file.len;
	add_batch("x");
	first = AOF_HEADER_LEN + strlen(SET_A MULTI SET_A SET_B EXEC);
	for (size_t len = 0; len < whole; len++) {
		/* Exactly as long, so that a read past its end is noticed. */
		char *copy = xmemdup(file.ptr, len + 1);
		enum aof_verdict verdict = read_all((struct slice){copy, len});

		if (len == 0 || len == first) {
			ck_assert_int_eq(verdict, AOF_END);
		} else {
			ck_assert_int_eq(verdict, AOF_CUT);
			ck_assert_uint_le(scan.keep, len);
		}
		if (len < AOF_HEADER_LEN + strlen(SET_A))
			check_heard("");
		else if (len < first)
			check_heard("SET a ");
		else if (len < first + AOF_HEADER_LEN + strlen(SET_B))
			check_heard("SET a MULTI SET a SET b EXEC ");
		else
			check_heard("SET a MULTI SET a SET b EXEC SET b ");
		xfree(copy);
	}
}
END_TEST

static void
write_bytes(const char *path, struct slice bytes)
{
	FILE *out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(bytes.ptr, 1, bytes.len, out), bytes.len);
	ck_assert_int_eq(fclose(out), 0);
}

START_TEST(a_cut_file_is_good_once_it_is_mended_and_says_the_same)
{
	char path[] = "/tmp/fanfare-aof-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ne(fd, -1);
	close(fd);
	two_batches();
	for (size_t len = 0; len < file.len; len++) {
		struct buffer before = {0};
		struct aof_file on_disk;
		enum aof_verdict verdict;

		write_bytes(path, (struct slice){file.ptr, len});
		ck_assert(aof_file_open(&on_disk, path, true));
		verdict = read_all(on_disk.bytes);
		buffer_append_slice(&before, buffer_slice(&heard));
		if (verdict == AOF_CUT)
			ck_assert(aof_file_mend(&on_disk, &scan, last));
		aof_file_close(&on_disk);
		ck_assert(aof_file_open(&on_disk, path, false));
		ck_assert_int_eq(read_all(on_disk.bytes), AOF_END);
		ck_assert(slice_eq(buffer_slice(&before), buffer_slice(&heard)));
		aof_file_close(&on_disk);
		buffer_release(&before);
	}
	unlink(path);
}
END_TEST

START_TEST(every_changed_bit_is_damage)
{
	two_batches();
	for (size_t i = 0; i < file.len * 8; i++) {
		file.ptr[i / 8] = (char)(file.ptr[i / 8] ^ 1 << i % 8);
		ck_assert_msg(read_all(buffer_slice(&file)) == AOF_DAMAGED, "bit %zu", i);
		ck_assert_uint_le(scan.damaged_at, i / 8);
		ck_assert_ptr_nonnull(scan.reason);
		file.ptr[i / 8] = (char)(file.ptr[i / 8] ^ 1 << i % 8);
	}
	ck_assert_int_eq(read_all(buffer_slice(&file)), AOF_END);
}
END_TEST

START_TEST(changed_bits_in_batches_behind_commands_of_redis_are_damage_too)
{
	size_t plain;

	buffer_append_str(&file, SET_A SET_B);
	plain = file.len;
	two_batches();
	for (size_t i = plain * 8; i < file.len * 8; i++) {
		file.ptr[i / 8] = (char)(file.ptr[i / 8] ^ 1 << i % 8);
		ck_assert_msg(read_all(buffer_slice(&file)) == AOF_DAMAGED, "bit %zu", i);
		file.ptr[i / 8] = (char)(file.ptr[i / 8] ^ 1 << i % 8);
	}
}
END_TEST

START_TEST(a_batch_that_is_gone_or_stands_twice_is_damage)
{
	size_t first, second;

	add_batch(SET_A);
	first = file.len;
	add_batch(SET_B);
	second = file.len;
	add_batch(SET_A);
	ck_assert_int_eq(read_all((struct slice){file.ptr + first, file.len - first}), AOF_DAMAGED);
	memmove(file.ptr + first, file.ptr + second, file.len - second);
	file.len -= second - first;
	ck_assert_int_eq(read_all(buffer_slice(&file)), AOF_DAMAGED);
	ck_assert_uint_eq(scan.damaged_at, first);
	ck_assert_uint_eq(scan.keep, first);
}
END_TEST

START_TEST(what_no_command_is_is_damage_with_its_place)
{
	static const struct {
		const char *bytes;
		size_t at;
	} cases[] = {
	    {"REDIS0010", 0},
	    {"hello", 0},
	    {"#TX:1\r\n", 0},
	    {"*0\r\n", 0},
	    {"*-1\r\n", 0},
	    {"*01\r\n", 0},
	    {SET_A "*1\r\n$-1\r\n", sizeof(SET_A) - 1},
	    {SET_A "*1\r\n$99999999999\r\n", sizeof(SET_A) - 1},
	    {SET_A "*99999999999\r\n", sizeof(SET_A) - 1},
	    {SET_A "*1\r\n$1\r\nab\r\n", sizeof(SET_A) - 1},
	    {SET_A "*1\rx$1\r\na\r\n", sizeof(SET_A) - 1},
	    {SET_A "x", sizeof(SET_A) - 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ck_assert_msg(
		    read_all(slice_of(cases[i].bytes)) == AOF_DAMAGED, "%s", cases[i].bytes);
		ck_assert_uint_eq(scan.damaged_at, cases[i].at);
	}
}
END_TEST

START_TEST(a_header_fits_the_place_that_it_was_made_for_only)
{
	char header[AOF_HEADER_LEN];
	uint64_t len, checksum;

	aof_header_write(header, 100, SLICE("abc"));
	ck_assert(aof_header_read(header, 100, &len, &checksum));
	ck_assert_uint_eq(len, 3);
	ck_assert_uint_eq(checksum, aof_checksum(SLICE("abc"), 100));
	ck_assert(!aof_header_read(header, 101, &len, &checksum));
	/* Redis reads lines of 127 bytes at most. */
	ck_assert_int_lt(AOF_HEADER_LEN, 128);
	ck_assert_ptr_eq(memchr(header, '\n', sizeof(header)), header + AOF_HEADER_LEN - 1);
}
END_TEST

int
main(void)
{
	return testing_main("persist/aof", setup, teardown,
	    (const TTest *[]){nothing_is_a_good_file, batches_are_read_in_order,
		commands_without_headers_come_first_and_batches_may_follow,
		wherever_the_file_is_cut_whole_commands_are_kept_and_it_is_no_damage,
		a_cut_file_is_good_once_it_is_mended_and_says_the_same, every_changed_bit_is_damage,
		changed_bits_in_batches_behind_commands_of_redis_are_damage_too,
		a_batch_that_is_gone_or_stands_twice_is_damage,
		what_no_command_is_is_damage_with_its_place,
		a_header_fits_the_place_that_it_was_made_for_only, NULL});
}
