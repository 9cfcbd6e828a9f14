#include "config.h"

#include "rdb/reader.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "rdb/testing_rdb.h"

static struct buffer file;

static void
setup(void)
{
	file = (struct buffer){0};
}

static void
teardown(void)
{
	buffer_release(&file);
}

static bool
ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void
assert_read(const struct testing_rdb_run *run, const char *expected)
{
	char *text = testing_rdb_read(buffer_slice(&file), run);

	ck_assert_str_eq(text, expected);
	xfree(text);
}

/* The file so far cannot be read, for this reason. */
static void
assert_bad(const char *reason)
{
	char *text = testing_rdb_read(buffer_slice(&file), NULL);

	ck_assert_msg(strstr(text, "BAD ") != NULL && ends_with(text, reason),
	    "'%s' does not end with '%s'", text, reason);
	xfree(text);
}

#define OLD                                                                                        \
	"SELECT 0\nSET s v *\nSET n8 -5 *\nSET n16 -256 *\nSET n32 70000 *\nRPUSH l a b *\n"       \
	"SADD set m *\nZADD z 1.5 one inf most -inf least *\nHSET h f v *\n"                       \
	"SET until v PXAT 2000000000000 *\n"
#define PACKED                                                                                     \
	"HSET hzm f v *\nRPUSH lz f 7 *\nZADD zz 7 f *\nHSET hz f 7 *\nSADD si -3 5 70000 *\n"
#define VERSION_9                                                                                  \
	"MODULE-AUX EjRWeBI0V\nZADD z2 1.5 m *\nPEXPIREAT z2 2000000000123\nMODULE EjRWeBI0V\n"
#define STREAM(name, figures, read)                                                                \
	"XADD " name " 100-1 f v *\nXADD " name " 105-3 g w\nXSETID " name " 105-3" figures        \
	"\nXGROUP CREATE " name " group 100-1" read "\nXGROUP CREATECONSUMER " name                \
	" group c\nXCLAIM " name " group c 0 100-1 TIME 1234567 RETRYCOUNT 9 JUSTID FORCE\n"       \
	"XGROUP CREATECONSUMER " name " group d\n"
#define FIGURES " ENTRIESADDED 3 MAXDELETEDID 101-1"
#define VERSION_10                                                                                 \
	"FUNCTION LOAD REPLACE #!lua name=lib\nHSET hl f 7 *\nZADD zl 7 f *\nRPUSH q2 plain f 7 "  \
	"*\n"
#define TIMED(name, time) "HSET " name " f v g w *\nHPEXPIREAT " name " " time " FIELDS 1 g\n"
#define VERSION_12                                                                                 \
	TIMED("ht", "2000000000000")                                                               \
	TIMED("htl", "2000000000500")                                                              \
	TIMED("htp", "2000000000500")                                                              \
	"HSET hto g w *\nHPEXPIREAT hto 2000000000000 FIELDS 1 g\n"
#define LAST "SELECT 3\nSET other v *\nEND"

START_TEST(version_1_is_read)
{
	testing_rdb_sample(&file, 1);
	assert_read(NULL, OLD LAST);
}
END_TEST

START_TEST(version_4_has_packed_strings)
{
	testing_rdb_sample(&file, 4);
	assert_read(NULL, OLD PACKED LAST);
}
END_TEST

START_TEST(version_12_has_all_encodings)
{
	testing_rdb_sample(&file, 12);
	assert_read(NULL,
	    OLD PACKED "RPUSH ql q -1 q -1 *\n" VERSION_9 STREAM("x1", "", "")
		VERSION_10 STREAM("x2", FIGURES, " ENTRIESREAD 1") "SADD sl m 7 *\n" STREAM(
		    "x3", FIGURES, " ENTRIESREAD 1") VERSION_12 LAST);
}
END_TEST

START_TEST(every_version_from_1_to_12_is_read)
{
	for (unsigned int version = 0; version <= 13; version++) {
		char *text;

		testing_rdb_sample(&file, version);
		text = testing_rdb_read(buffer_slice(&file), NULL);
		ck_assert_msg(ends_with(text, version >= 1 && version <= 12
						  ? "\nEND"
						  : "BAD 5 unknown version: 1 to 12 can be read"),
		    "version %u: %s", version, text);
		xfree(text);
	}
}
END_TEST

START_TEST(pieces_of_any_size_give_the_same)
{
	char *whole;

	testing_rdb_sample(&file, 12);
	whole = testing_rdb_read(buffer_slice(&file), NULL);
	for (size_t piece = 1; piece < 40; piece++)
		assert_read(&(struct testing_rdb_run){.piece = piece}, whole);
	xfree(whole);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
	testing_rdb_sample(&file, 12);
	for (size_t len = 0; len < file.len; len++) {
		char *text = testing_rdb_read((struct slice){file.ptr, len}, NULL);

		ck_assert_msg(ends_with(text, "the file ends early"), "%zu bytes: %s", len, text);
		xfree(text);
	}
}
END_TEST

START_TEST(every_flipped_bit_is_refused)
{
	testing_rdb_sample(&file, 12);
	for (size_t bit = 0; bit < 8 * file.len; bit++) {
		char *text;

		file.ptr[bit / 8] ^= (char)(1 << bit % 8);
		text = testing_rdb_read(buffer_slice(&file), NULL);
		ck_assert_msg(!ends_with(text, "\nEND"), "bit %zu: %s", bit, text);
		xfree(text);
		file.ptr[bit / 8] ^= (char)(1 << bit % 8);
	}
}
END_TEST

/* Without a checksum a changed bit may give another value, or a fault, and nothing worse. */
START_TEST(flipped_bits_without_checksum_are_harmless)
{
	testing_rdb_sample(&file, 12);
	memset(file.ptr + file.len - 8, 0, 8);
	for (size_t bit = 0; bit < 8 * (file.len - 8); bit++) {
		char *text;

		file.ptr[bit / 8] ^= (char)(1 << bit % 8);
		text = testing_rdb_read(buffer_slice(&file), NULL);
		ck_assert(strstr(text, "END") != NULL || strstr(text, "BAD ") != NULL);
		xfree(text);
		file.ptr[bit / 8] ^= (char)(1 << bit % 8);
	}
	ck_assert_uint_lt(alloc_peak_bytes(), 16 << 20);
}
END_TEST

START_TEST(checksum_of_zero_means_that_there_is_none)
{
	testing_rdb_sample(&file, 5);
	memset(file.ptr + file.len - 8, 0, 8);
	assert_read(NULL, OLD PACKED LAST);
}
END_TEST

START_TEST(wrong_checksum_is_named_with_its_offset)
{
	char expected[64];
	char *text;

	testing_rdb_sample(&file, 12);
	file.ptr[file.len - 1] ^= 1;
	snprintf(expected, sizeof(expected), "BAD %zu the checksum does not match", file.len - 8);
	text = testing_rdb_read(buffer_slice(&file), NULL);
	ck_assert(ends_with(text, expected));
	xfree(text);
}
END_TEST

START_TEST(failed_read_is_told_wherever_it_happens)
{
	struct testing_rdb_run run = {.piece = 7};
	size_t reads;

	testing_rdb_sample(&file, 12);
	reads = file.len / run.piece;
	for (run.fail_after = 1; run.fail_after <= reads; run.fail_after++) {
		char *text = testing_rdb_read(buffer_slice(&file), &run);

		ck_assert_msg(ends_with(text, strerror(EIO)), "read %zu: %s", run.fail_after, text);
		xfree(text);
	}
}
END_TEST

START_TEST(claimed_lengths_take_no_memory)
{
	static const uint64_t lengths[] = {
	    UINT64_C(512) << 20, UINT64_MAX, UINT64_C(1) << 40, 1 << 28};
	static const unsigned int types[] = {
	    0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22};
	size_t before = alloc_peak_bytes();

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		for (size_t j = 0; j < sizeof(lengths) / sizeof(*lengths); j++) {
			testing_rdb_begin(&file, 11);
			testing_rdb_key(&file, types[i], "k");
			testing_rdb_length(&file, lengths[j]);
			testing_rdb_string(&file, "some bytes");
			xfree(testing_rdb_read(buffer_slice(&file), NULL));
			assert_bad("");
		}
	}
	ck_assert_uint_lt(alloc_peak_bytes() - before, 2 << 20);
}
END_TEST

START_TEST(compressed_string_is_expanded)
{
	testing_rdb_begin(&file, 4);
	testing_rdb_key(&file, 0, "k");
	testing_rdb_byte(&file, 0xc3);
	testing_rdb_length(&file, 5);
	testing_rdb_length(&file, 12);
	buffer_append(&file, "\001ab\340\001", 5);
	assert_bad("");
	file.len -= 5;
	/* Two literal bytes, and a run of 10 bytes that begins 2 bytes before. */
	file.ptr[file.len - 2] = 6;
	buffer_append(&file, "\001ab\340\001\001", 6);
	testing_rdb_end(&file, 4);
	assert_read(NULL, HAVE_LZF ? "SET k abababababab *\nEND"
				   : "BAD 13 a compressed string, which this build cannot read (it "
				     "lacks liblzf)");
}
END_TEST

START_TEST(compressed_string_of_an_impossible_length_is_refused)
{
	testing_rdb_begin(&file, 4);
	testing_rdb_key(&file, 0, "k");
	testing_rdb_byte(&file, 0xc3);
	testing_rdb_length(&file, 3);
	testing_rdb_length(&file, UINT64_C(500) << 20);
	buffer_append(&file, "\001ab", 3);
	assert_bad(HAVE_LZF ? "invalid length of a compressed string" : "(it lacks liblzf)");
}
END_TEST

START_TEST(expired_keys_and_fields_and_empty_keys_are_left_out)
{
	testing_rdb_begin(&file, 12);
	testing_rdb_byte(&file, 0xfc);
	testing_rdb_bytes(&file, 1000, 8);
	testing_rdb_key(&file, 0, "gone");
	testing_rdb_string(&file, "v");
	testing_rdb_key(&file, 24, "h");
	testing_rdb_bytes(&file, 1000, 8);
	testing_rdb_length(&file, 2);
	testing_rdb_length(&file, 1);
	testing_rdb_string(&file, "gone");
	testing_rdb_string(&file, "v");
	testing_rdb_length(&file, 2);
	testing_rdb_string(&file, "f");
	testing_rdb_string(&file, "v");
	testing_rdb_key(&file, 1, "empty");
	testing_rdb_length(&file, 0);
	testing_rdb_end(&file, 12);
	assert_read(&(struct testing_rdb_run){.now_ms = 1000},
	    "HSET h f v *\nHPEXPIREAT h 1001 FIELDS 1 f\nLEFT 1 1 1\nEND");
	assert_read(&(struct testing_rdb_run){.now_ms = 1000, .keeps_expired = true},
	    "SET gone v PXAT 1000 *\nHSET h gone v *\nHPEXPIREAT h 1000 FIELDS 1 gone\n"
	    "HSET h f v\nHPEXPIREAT h 1001 FIELDS 1 f\nLEFT 0 0 1\nEND");
}
END_TEST

START_TEST(large_collection_takes_several_commands)
{
	char *text;

	testing_rdb_begin(&file, 4);
	testing_rdb_key(&file, 1, "l");
	testing_rdb_length(&file, 1000);
	for (int i = 0; i < 1000; i++)
		testing_rdb_string(&file, "e");
	testing_rdb_end(&file, 4);
	text = testing_rdb_read(buffer_slice(&file), &(struct testing_rdb_run){.replaces = true});
	ck_assert(strncmp(text, "DEL l *\nRPUSH l e e ", 20) == 0);
	ck_assert(strstr(text, "e\nRPUSH l e") != NULL && strstr(text, "e *\n") == NULL);
	xfree(text);
}
END_TEST

START_TEST(stream_without_entries_is_created)
{
	testing_rdb_begin(&file, 9);
	testing_rdb_key(&file, 15, "x");
	testing_rdb_length(&file, 0);
	testing_rdb_length(&file, 0);
	testing_rdb_length(&file, 0);
	testing_rdb_length(&file, 0);
	testing_rdb_length(&file, 0);
	testing_rdb_end(&file, 9);
	assert_read(&(struct testing_rdb_run){.replaces = true},
	    "DEL x *\nXADD x MAXLEN 0 0-1 x y\nXSETID x 0-0\nEND");
}
END_TEST

START_TEST(what_is_not_known_is_refused)
{
	static const struct {
		unsigned int byte;
		const char *reason;
	} cases[] = {{6, "unknown type of a value"}, {8, "unknown type of a value"},
	    {26, "unknown type of a value"}, {243, "unknown type of a value"},
	    {246, "functions of a release candidate of Redis 7.0"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		testing_rdb_begin(&file, 12);
		testing_rdb_key(&file, cases[i].byte, "k");
		testing_rdb_string(&file, "v");
		assert_bad(cases[i].reason);
	}
	buffer_clear(&file);
	buffer_append_str(&file, "REDIX0001?");
	assert_bad("BAD 0 not an RDB file");
	testing_rdb_begin(&file, 12);
	file.ptr[7] = 'x';
	assert_bad("BAD 5 invalid version");
}
END_TEST

/* A key of this type whose value is these bytes. */
static void
value_of(unsigned int type, const char *bytes, size_t len)
{
	testing_rdb_begin(&file, 12);
	testing_rdb_key(&file, type, "k");
	buffer_append(&file, bytes, len);
}

START_TEST(invalid_parts_of_values_are_named)
{
	value_of(0, "\304", 1);
	assert_bad("unknown encoding of a string");
	value_of(0, "\202", 1);
	assert_bad("invalid length");
	value_of(1, "\300\001", 2);
	assert_bad("a string in place of a length");
	value_of(3, "\001\001m\375", 4);
	assert_bad("a score is not a number");
	value_of(3, "\001\001m\001x", 5);
	assert_bad("a score is not a number");
	value_of(5, "\001\001m\377\377\377\377\377\377\377\377", 11);
	assert_bad("a score is not a number");
	value_of(18, "\001\003\001x", 4);
	assert_bad("unknown kind of a list's node");
	value_of(7, "\001\006", 2);
	assert_bad("unknown part of a module's value");
	value_of(22, "\001\201\377\377\377\377\377\377\377\377\001f\001v", 14);
	assert_bad("invalid expiry time of a field");
	value_of(15, "\001\003abc", 5);
	assert_bad("a stream's node has no identifier");
	testing_rdb_begin(&file, 12);
	buffer_append_str(&file, "\367\001\003\001");
	assert_bad("invalid data of a module");
}
END_TEST

START_TEST(packed_pairs_must_be_complete_and_scores_numbers)
{
	static const char *const words[] = {"m", "7", "x"}, *const text[] = {"m", "x"},
				 *const timed[] = {"f", "v", "x"};
	struct buffer blob = {0};

	testing_listpack(&blob, words, 3);
	value_of(16, "", 0);
	testing_rdb_blob(&file, &blob);
	assert_bad("a field without value");
	testing_listpack(&blob, text, 2);
	value_of(17, "", 0);
	testing_rdb_blob(&file, &blob);
	assert_bad("a score is not a number");
	testing_listpack(&blob, timed, 3);
	value_of(23, "", 0);
	testing_rdb_blob(&file, &blob);
	assert_bad("invalid expiry time of a field");
	buffer_release(&blob);
}
END_TEST

/* A stream with one node of these words. */
static void
stream_of(const char *const *words, size_t count)
{
	struct buffer blob = {0};

	testing_listpack(&blob, words, count);
	value_of(15, "\001\020aaaaaaaabbbbbbbb", 18);
	testing_rdb_blob(&file, &blob);
	buffer_release(&blob);
}

#define STREAM_OF(...)                                                                             \
	stream_of((const char *const[]){__VA_ARGS__},                                              \
	    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

START_TEST(invalid_parts_of_streams_are_named)
{
	STREAM_OF("1", "0", "1", "f", "1");
	assert_bad("the names of a stream's fields have no end");
	STREAM_OF("1", "0", "1", "f", "0", "2", "0");
	assert_bad("a stream's node ends within an entry");
	STREAM_OF("1", "0", "x");
	assert_bad("text in place of a number in a stream");
	STREAM_OF("-1", "0", "0");
	assert_bad("a negative count in a stream");
	STREAM_OF("1", "0", "0", "0", "2", "0", "0", "3");
	assert_bad("an entry of a stream has no fields");
	STREAM_OF("1", "0", "1", "f", "0", "2", "0", "0", "v", "4", "2");
	assert_bad("a stream's node has more entries than it says");
	value_of(15, "\001\020aaaaaaaabbbbbbbb\001x", 20);
	assert_bad("a listpack without header");
}
END_TEST

START_TEST(pending_entries_belong_to_their_group)
{
	static const char head[] = "\000\000\000\000\001\001g\000\000";
	static const char id[] = "\001\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000";
	static const char time[] = "\000\000\000\000\000\000\000\000";

	value_of(15, head, 9);
	testing_rdb_length(&file, 0);
	testing_rdb_length(&file, 1);
	testing_rdb_string(&file, "c");
	buffer_append(&file, time, 8);
	testing_rdb_length(&file, 1);
	buffer_append(&file, id, 16);
	assert_bad("an entry is pending for a consumer, and not for its group");
	value_of(15, head, 9);
	testing_rdb_length(&file, 2);
	for (int i = 0; i < 2; i++) {
		buffer_append(&file, id, 16);
		buffer_append(&file, time, 8);
		testing_rdb_length(&file, 1);
	}
	assert_bad("the pending entries of a group are not in order");
}
END_TEST

int
main(void)
{
	return testing_main("rdb/reader", setup, teardown,
	    (const TTest *[]){version_1_is_read, version_4_has_packed_strings,
		version_12_has_all_encodings, every_version_from_1_to_12_is_read,
		pieces_of_any_size_give_the_same, every_truncation_is_refused,
		every_flipped_bit_is_refused, flipped_bits_without_checksum_are_harmless,
		checksum_of_zero_means_that_there_is_none, wrong_checksum_is_named_with_its_offset,
		failed_read_is_told_wherever_it_happens, claimed_lengths_take_no_memory,
		compressed_string_is_expanded, compressed_string_of_an_impossible_length_is_refused,
		expired_keys_and_fields_and_empty_keys_are_left_out,
		large_collection_takes_several_commands, stream_without_entries_is_created,
		what_is_not_known_is_refused, invalid_parts_of_values_are_named,
		packed_pairs_must_be_complete_and_scores_numbers,
		invalid_parts_of_streams_are_named, pending_entries_belong_to_their_group, NULL});
}
