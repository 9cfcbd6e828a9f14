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
static struct slice last; /* the commands of the last verdict */

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

/* Adds a batch that was written when the file was synced up to `synced`. */
static void
add_unsynced(const char *commands, size_t synced)
{
	char header[AOF_HEADER_LEN];

	aof_header_write_unsynced(header, file.len, synced, slice_of(commands));
	buffer_append(&file, header, sizeof(header));
	buffer_append_str(&file, commands);
}

static void
add_batch(const char *commands)
{
	add_unsynced(commands, file.len);
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

/* Scans all of the bytes; returns the last verdict. */
static enum aof_verdict
read_all(struct slice bytes)
{
	enum aof_verdict verdict;

	scan = (struct aof_scan){.file = bytes};
	buffer_clear(&heard);
	while ((verdict = aof_scan_next(&scan, &last)) == AOF_COMMANDS)
		hear(last);
	if (verdict == AOF_TRUNCATED)
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

START_TEST(wherever_the_file_is_cut_whole_batches_are_kept_and_it_is_no_damage)
{
	size_t first, whole;

	two_batches();
	whole = file.len;
	add_batch("x");
	first = AOF_HEADER_LEN + strlen(SET_A MULTI SET_A SET_B EXEC);
	for (size_t len = 0; len < whole; len++) {
		/* Allocated with exactly this length, so that a sanitizer notices a read beyond its
		 * end. */
		char *copy = xmemdup(file.ptr, len + 1);
		enum aof_verdict verdict = read_all((struct slice){copy, len});

		if (len == 0 || len == first) {
			ck_assert_int_eq(verdict, AOF_END);
		} else {
			ck_assert_int_eq(verdict, AOF_TRUNCATED);
			ck_assert_uint_eq(scan.keep, len < first ? 0 : first);
			ck_assert_ptr_nonnull(scan.reason);
		}
		check_heard(len < first ? "" : "SET a MULTI SET a SET b EXEC ");
		xfree(copy);
	}
}
END_TEST

START_TEST(of_commands_without_headers_those_before_the_cut_are_kept)
{
	const char *commands = SET_A MULTI SET_A SET_B EXEC SET_B;
	size_t single = strlen(SET_A), both = strlen(SET_A MULTI SET_A SET_B EXEC);

	for (size_t len = 1; len < strlen(commands); len++) {
		enum aof_verdict verdict = read_all((struct slice){commands, len});

		ck_assert_int_eq(verdict, len == single || len == both ? AOF_END : AOF_TRUNCATED);
		check_heard(len < single ? ""
			    : len < both ? "SET a "
					 : "SET a MULTI SET a SET b EXEC ");
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

/* Asserts that the file at path has these bytes. */
static void
check_bytes(const char *path, struct slice expected)
{
	struct aof_file on_disk;

	ck_assert(aof_file_open(&on_disk, path, false));
	ck_assert(slice_eq(on_disk.bytes, expected));
	aof_file_close(&on_disk);
}

START_TEST(a_cut_file_is_good_and_what_was_cut_off_is_kept_beside_it)
{
	char path[] = "/tmp/fanfare-aof-XXXXXX", beside[64];
	int fd = mkstemp(path);

	ck_assert_int_ne(fd, -1);
	close(fd);
	two_batches();
	for (size_t len = 1; len < file.len; len++) {
		struct buffer text = {0};
		struct aof_file on_disk;

		write_bytes(path, (struct slice){file.ptr, len});
		ck_assert(aof_file_open(&on_disk, path, true));
		if (read_all(on_disk.bytes) == AOF_TRUNCATED) {
			ck_assert(aof_file_truncate(&on_disk, path, scan.keep, &text));
			snprintf(beside, sizeof(beside), "%s.cut-%zu", path, scan.keep);
			ck_assert_ptr_nonnull(memmem(text.ptr, text.len, beside, strlen(beside)));
			check_bytes(beside, (struct slice){file.ptr + scan.keep, len - scan.keep});
			check_bytes(path, (struct slice){file.ptr, scan.keep});
			ck_assert_int_eq(read_all((struct slice){file.ptr, scan.keep}), AOF_END);
			unlink(beside);
		}
		aof_file_close(&on_disk);
		buffer_release(&text);
	}
	unlink(path);
}
END_TEST

START_TEST(what_is_kept_of_an_earlier_cut_stays_and_what_cannot_be_kept_is_not_cut_off)
{
	char path[] = "/tmp/fanfare-aof-XXXXXX", beside[64], second[72];
	int fd = mkstemp(path);
	struct aof_file on_disk;

	ck_assert_int_ne(fd, -1);
	close(fd);
	two_batches();
	write_bytes(path, buffer_slice(&file));
	ck_assert(aof_file_open(&on_disk, path, true));
	ck_assert(!aof_file_truncate(&on_disk, "/tmp/fanfare-no-such-folder/file", 100, &heard));
	check_bytes(path, buffer_slice(&file));
	snprintf(beside, sizeof(beside), "%s.cut-100", path);
	snprintf(second, sizeof(second), "%s.1", beside);
	write_bytes(beside, SLICE("earlier"));
	ck_assert(aof_file_truncate(&on_disk, path, 100, &heard));
	aof_file_close(&on_disk);
	check_bytes(beside, SLICE("earlier"));
	check_bytes(second, (struct slice){file.ptr + 100, file.len - 100});
	unlink(beside);
	unlink(second);
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
	add_batch(SET_B);
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

/* The ways in which a part of a batch may be lost. */
enum tear { TEAR_ZEROS, TEAR_STALE, TEAR_NOISE, TEARS };

static void
tear(size_t at, size_t len, enum tear how)
{
	static const char stale[] = "\r\nSET\r\n$1\r\nb\r\n";

	for (size_t i = at; i < at + len; i++)
		file.ptr[i] = how == TEAR_ZEROS   ? '\0'
			      : how == TEAR_STALE ? stale[i % strlen(stale)]
						  : (char)(i * 151 + 7);
}

/* True if they differ in more than one bit: a torn write that differs in only one bit looks like
 * damage. */
static bool
differs(const char *a, const char *b, size_t len)
{
	int bits = 0;

	for (size_t i = 0; i < len; i++)
		bits += __builtin_popcount((unsigned char)(a[i] ^ b[i]));
	return bits > 1;
}

/* Tears each part of the bytes from `at` to `end`, and expects it to be the torn tail. */
static void
check_torn(size_t at, size_t end, const char *expected)
{
	static const size_t lengths[] = {2, 16, 40, 100, SIZE_MAX};
	char *whole = xmemdup(file.ptr, file.len);

	for (size_t start = at; start + 2 <= end; start++) {
		for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths) * TEARS; i++) {
			size_t len =
			    lengths[i / TEARS] < end - start ? lengths[i / TEARS] : end - start;

			tear(start, len, (enum tear)(i % TEARS));
			ck_assert_msg(!differs(file.ptr, whole, file.len) ||
					  read_all(buffer_slice(&file)) == AOF_TRUNCATED,
			    "%zu bytes at %zu, %zu", len, start, i % TEARS);
			if (differs(file.ptr, whole, file.len)) {
				ck_assert_uint_eq(scan.keep, at);
				check_heard(expected);
			}
			memcpy(file.ptr, whole, file.len);
		}
	}
	xfree(whole);
}

START_TEST(a_torn_last_batch_is_the_tail)
{
	size_t second;

	add_batch(SET_A);
	second = file.len;
	add_batch(SET_B SET_A);
	check_torn(second, file.len, "SET a ");
}
END_TEST

START_TEST(whole_batches_behind_a_torn_one_are_of_the_tail_if_it_was_not_synced_before_them)
{
	size_t first, second;

	add_batch(SET_A);
	first = file.len;
	add_unsynced(SET_B SET_A, first);
	second = file.len;
	add_unsynced(SET_A, first);
	add_unsynced(SET_B, first);
	check_torn(first, second, "SET a ");
}
END_TEST

START_TEST(what_a_later_batch_says_was_synced_is_damaged_and_not_torn)
{
	size_t first, second;

	add_batch(SET_A);
	first = file.len;
	add_unsynced(SET_B SET_A, first);
	second = file.len;
	add_unsynced(SET_A, first);
	/* The synced length is known in units of 512 bytes. */
	for (int i = 0; i < 20; i++)
		add_unsynced(SET_A, second);
	ck_assert_uint_gt(file.len - second, 1024);
	add_batch(SET_B);
	for (size_t i = 0; i + 3 <= file.len - AOF_HEADER_LEN - strlen(SET_B); i += 3) {
		char *whole = xmemdup(file.ptr, file.len);

		tear(i, 3, TEAR_NOISE);
		ck_assert_msg(read_all(buffer_slice(&file)) == AOF_DAMAGED, "at %zu", i);
		memcpy(file.ptr, whole, file.len);
		xfree(whole);
	}
}
END_TEST

START_TEST(a_first_batch_that_is_torn_is_the_tail_where_the_file_is_known_as_ours)
{
	size_t second, plain;

	add_unsynced(SET_A, 0);
	second = file.len;
	tear(0, second, TEAR_ZEROS);
	ck_assert_int_eq(read_all(buffer_slice(&file)), AOF_TRUNCATED);
	ck_assert_uint_eq(scan.keep, 0);
	tear(0, second, TEAR_NOISE);
	ck_assert_int_eq(read_all(buffer_slice(&file)), AOF_DAMAGED);
	add_unsynced(SET_B, 0);
	ck_assert_int_eq(read_all(buffer_slice(&file)), AOF_TRUNCATED);
	ck_assert_uint_eq(scan.keep, 0);
	check_heard("");
	/* The same behind commands of Redis. */
	buffer_clear(&file);
	buffer_append_str(&file, SET_A);
	plain = file.len;
	add_unsynced(SET_B, plain);
	second = file.len;
	tear(plain, second - plain, TEAR_ZEROS);
	ck_assert_int_eq(read_all(buffer_slice(&file)), AOF_TRUNCATED);
	ck_assert_uint_eq(scan.keep, plain);
	check_heard("SET a ");
	add_unsynced(SET_B, plain);
	tear(plain, second - plain, TEAR_NOISE);
	ck_assert_int_eq(read_all(buffer_slice(&file)), AOF_TRUNCATED);
	ck_assert_uint_eq(scan.keep, plain);
	add_batch(SET_B);
	ck_assert_int_eq(read_all(buffer_slice(&file)), AOF_DAMAGED);
}
END_TEST

#define SECTOR 512

static uint64_t
below(uint64_t *seed, uint64_t limit)
{
	return testing_random(seed) % limit;
}

/* Groups of batches of all sizes, some synced; *synced is what the last sync covers. */
static void
add_groups(uint64_t *seed, size_t *synced)
{
	static char value[3000];
	struct buffer commands = {0};

	memset(value, 'v', sizeof(value));
	buffer_clear(&file);
	*synced = 0;
	for (uint64_t i = 0, count = 1 + below(seed, 30); i < count; i++) {
		size_t len = (size_t)below(seed, below(seed, 3) == 0 ? sizeof(value) : 50);

		buffer_clear(&commands);
		buffer_appendf(
		    &commands, "*2\r\n$3\r\nDEL\r\n$%zu\r\n%.*s\r\n", len, (int)len, value);
		buffer_append(&commands, "", 1);
		add_unsynced(commands.ptr, *synced);
		if (below(seed, 3) == 0)
			*synced = file.len;
	}
	buffer_release(&commands);
}

/* Each unsynced sector is written, missing, or has other contents. */
static void
lose_power(uint64_t *seed, size_t synced)
{
	if (file.len > synced && below(seed, 3) == 0)
		file.len = synced + (size_t)below(seed, file.len - synced + 1);
	for (size_t at = synced; at < file.len;) {
		size_t end = (at / SECTOR + 1) * SECTOR;

		if (end > file.len)
			end = file.len;
		if (below(seed, 2) == 0)
			tear(at, end - at, (enum tear)below(seed, TEARS));
		at = end;
	}
}

START_TEST(after_a_loss_of_power_all_that_was_synced_is_read_and_nothing_is_damage)
{
	uint64_t seed = 7;

	for (int round = 0; round < testing_steps(3000); round++) {
		struct buffer whole = {0};
		size_t synced, first;
		enum aof_verdict verdict;

		add_groups(&seed, &synced);
		buffer_append_slice(&whole, buffer_slice(&file));
		lose_power(&seed, synced);
		for (first = 0; first < file.len && file.ptr[first] == whole.ptr[first]; first++)
			;
		verdict = read_all(buffer_slice(&file));
		buffer_release(&whole);
		/* If nothing was synced, the beginning may look like any file. */
		if (synced == 0 && first == 0)
			continue;
		ck_assert_msg(verdict == AOF_END || verdict == AOF_TRUNCATED, "round %d", round);
		ck_assert_uint_ge(verdict == AOF_END ? file.len : scan.keep, synced);
		ck_assert_uint_le(verdict == AOF_END ? file.len : scan.keep, first);
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
	/* For any number of unsynced bytes. */
	for (int bits = 0; bits < 64; bits++) {
		uint64_t offset = UINT64_MAX >> bits;

		aof_header_write_unsynced(header, offset, offset / 3, SLICE("abc"));
		ck_assert(aof_header_read(header, offset, &len, &checksum));
		ck_assert_uint_eq(len, 3);
	}
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
		wherever_the_file_is_cut_whole_batches_are_kept_and_it_is_no_damage,
		of_commands_without_headers_those_before_the_cut_are_kept,
		a_cut_file_is_good_and_what_was_cut_off_is_kept_beside_it,
		what_is_kept_of_an_earlier_cut_stays_and_what_cannot_be_kept_is_not_cut_off,
		every_changed_bit_is_damage,
		changed_bits_in_batches_behind_commands_of_redis_are_damage_too,
		a_batch_that_is_gone_or_stands_twice_is_damage,
		what_no_command_is_is_damage_with_its_place, a_torn_last_batch_is_the_tail,
		whole_batches_behind_a_torn_one_are_of_the_tail_if_it_was_not_synced_before_them,
		what_a_later_batch_says_was_synced_is_damaged_and_not_torn,
		a_first_batch_that_is_torn_is_the_tail_where_the_file_is_known_as_ours,
		after_a_loss_of_power_all_that_was_synced_is_read_and_nothing_is_damage,
		a_header_fits_the_place_that_it_was_made_for_only, NULL});
}
