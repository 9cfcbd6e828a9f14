#include "config.h"

#include "rdb/packed.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "rdb/testing_rdb.h"

static struct buffer blob;

static void
setup(void)
{
	blob = (struct buffer){0};
}

static void
teardown(void)
{
	buffer_release(&blob);
}

/* The elements with a blank behind each, and the fault. Returns owned. */
static char *
elements_of(enum rdb_packed_kind kind)
{
	/* A copy of the exact length, so that sanitizers see a byte read behind it. */
	char *copy = xmemdup(blob.ptr, blob.len);
	struct rdb_packed packed;
	struct rdb_element element;
	struct buffer out = {0};
	enum rdb_packed_result result =
	    rdb_packed_init(&packed, kind, (struct slice){copy, blob.len});
	char *text;

	while (result == RDB_PACKED_ELEMENT) {
		result = rdb_packed_next(&packed, &element);
		if (result != RDB_PACKED_ELEMENT)
			break;
		buffer_append_slice(&out, element.text);
		buffer_append_str(&out, " ");
	}
	if (result == RDB_PACKED_BAD)
		buffer_append_str(&out, packed.fault);
	text = xasprintf("%.*s", (int)out.len, out.len > 0 ? out.ptr : "");
	buffer_release(&out);
	xfree(copy);
	return text;
}

static void
assert_elements(enum rdb_packed_kind kind, const char *bytes, size_t len, const char *expected)
{
	char *text;

	buffer_clear(&blob);
	buffer_append(&blob, bytes, len);
	text = elements_of(kind);
	ck_assert_str_eq(text, expected);
	xfree(text);
}

#define ASSERT_ELEMENTS(kind, literal, expected)                                                   \
	assert_elements(kind, literal, sizeof(literal) - 1, expected)

START_TEST(listpack_has_these_encodings)
{
	ASSERT_ELEMENTS(RDB_LISTPACK,
	    "\x31\0\0\0\x0a\0" /* head */
	    "\x7f\x01"         /* 7 bits */
	    "\xc0\x80\x02"     /* 13 bits: 128 */
	    "\xdf\xff\x02"     /* 13 bits: -1 */
	    "\x82hi\x03"       /* 6 bits of length */
	    "\xe0\x03"
	    "abc\x05"             /* 12 bits of length */
	    "\xf0\x01\0\0\0z\x06" /* 32 bits of length */
	    "\xf1\xff\x7f\x03"    /* 16 bits */
	    "\xf2\0\0\x80\x04"    /* 24 bits */
	    "\xf3\0\0\0\x80\x05"  /* 32 bits */
	    "\x80\x01"            /* an empty string */
	    "\xff",
	    "127 128 -1 hi abc z 32767 -8388608 -2147483648  ");
	ASSERT_ELEMENTS(RDB_LISTPACK, "\x11\0\0\0\x01\0\xf4\1\0\0\0\0\0\0\0\x09\xff", "1 ");
}
END_TEST

START_TEST(listpack_with_long_elements_has_long_links)
{
	static const size_t lengths[] = {125, 126, 16377, 16378, 2097145, 2097146};
	static const size_t links[] = {1, 2, 2, 3, 3, 4};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		size_t len = lengths[i], entry = (len < 4096 ? 2 : 5) + len, count = links[i];
		char *room;

		buffer_clear(&blob);
		testing_rdb_bytes(&blob, 6 + entry + count + 1, 4);
		testing_rdb_bytes(&blob, 1, 2);
		if (len < 4096) {
			testing_rdb_byte(&blob, 0xe0 | (unsigned int)(len >> 8));
			testing_rdb_byte(&blob, len & 0xff);
		} else {
			testing_rdb_byte(&blob, 0xf0);
			testing_rdb_bytes(&blob, len, 4);
		}
		room = buffer_reserve(&blob, len);
		memset(room, 'x', len);
		blob.len += len;
		for (size_t j = count; j-- > 0;)
			testing_rdb_byte(
			    &blob, (entry >> (7 * j) & 0x7f) | (j + 1 < count ? 0x80u : 0u));
		testing_rdb_byte(&blob, 0xff);
		room = elements_of(RDB_LISTPACK);
		ck_assert_msg(strlen(room) == len + 1, "%zu: %.40s", len, room);
		xfree(room);
	}
}
END_TEST

START_TEST(damaged_listpack_is_refused)
{
	ASSERT_ELEMENTS(RDB_LISTPACK, "\7\0\0\0\0", "a listpack without header");
	ASSERT_ELEMENTS(
	    RDB_LISTPACK, "\6\0\0\0\0\0\xff", "a listpack has another length than it says");
	ASSERT_ELEMENTS(
	    RDB_LISTPACK, "\7\0\0\0\1\0\xff", "another number of elements than announced");
	ASSERT_ELEMENTS(RDB_LISTPACK, "\x8\0\0\0\0\0\xff\xff", "a listpack ends too early");
	ASSERT_ELEMENTS(RDB_LISTPACK, "\x8\0\0\0\1\0\1\1", "1 a listpack has no end");
	ASSERT_ELEMENTS(RDB_LISTPACK, "\x9\0\0\0\1\0\1\2\xff", "a listpack links to another entry");
	ASSERT_ELEMENTS(
	    RDB_LISTPACK, "\x9\0\0\0\1\0\x85g\xff", "an element is longer than its listpack");
	ASSERT_ELEMENTS(
	    RDB_LISTPACK, "\x8\0\0\0\1\0\x81g", "an element is longer than its listpack");
	ASSERT_ELEMENTS(RDB_LISTPACK, "\x8\0\0\0\1\0\xf5\xff", "unknown encoding in a listpack");
	ASSERT_ELEMENTS(RDB_LISTPACK, "\x8\0\0\0\1\0\xf4\1", "unknown encoding in a listpack");
	ASSERT_ELEMENTS(RDB_LISTPACK, "\x7\0\0\0\1\0\xe0", "unknown encoding in a listpack");
}
END_TEST

START_TEST(ziplist_has_these_encodings)
{
	ASSERT_ELEMENTS(RDB_ZIPLIST,
	    "\x34\0\0\0\x2d\0\0\0\x9\0"
	    "\0\2hi"             /* 6 bits of length */
	    "\4\x40\1z"          /* 14 bits */
	    "\4\x80\0\0\0\1y"    /* 32 bits */
	    "\7\xc0\xff\x7f"     /* 16 bits */
	    "\4\xd0\0\0\0\x80"   /* 32 bits */
	    "\6\xf0\0\0\x80"     /* 24 bits */
	    "\5\xfe\xff"         /* 8 bits */
	    "\3\xfd"             /* 4 bits: 12 */
	    "\xfe\2\0\0\0\0\xff" /* the link in five bytes, and an empty string */
	    ,
	    "hi z y 32767 -2147483648 -8388608 -1 12  ");
}
END_TEST

START_TEST(damaged_ziplist_is_refused)
{
	ASSERT_ELEMENTS(RDB_ZIPLIST, "\12\0\0\0\12\0\0\0\0\0", "a ziplist without header");
	ASSERT_ELEMENTS(
	    RDB_ZIPLIST, "\12\0\0\0\12\0\0\0\0\0\xff", "a ziplist has another length than it says");
	ASSERT_ELEMENTS(
	    RDB_ZIPLIST, "\13\0\0\0\12\0\0\0\1\0\xff", "another number of elements than announced");
	ASSERT_ELEMENTS(
	    RDB_ZIPLIST, "\13\0\0\0\13\0\0\0\0\0\xff", "the last entry of a ziplist is elsewhere");
	ASSERT_ELEMENTS(RDB_ZIPLIST, "\14\0\0\0\12\0\0\0\0\0\xff\xff", "a ziplist ends too early");
	ASSERT_ELEMENTS(
	    RDB_ZIPLIST, "\15\0\0\0\12\0\0\0\1\0\1\0\xff", "a ziplist links to another entry");
	ASSERT_ELEMENTS(
	    RDB_ZIPLIST, "\15\0\0\0\12\0\0\0\1\0\0\5\xff", "an element is longer than its ziplist");
	ASSERT_ELEMENTS(RDB_ZIPLIST, "\15\0\0\0\12\0\0\0\1\0\0\xc0\xff",
	    "an element is longer than its ziplist");
	ASSERT_ELEMENTS(
	    RDB_ZIPLIST, "\15\0\0\0\12\0\0\0\1\0\0\xff\xff", "unknown encoding in a ziplist");
	ASSERT_ELEMENTS(RDB_ZIPLIST, "\13\0\0\0\12\0\0\0\1\0\0", "a ziplist has no end");
	ASSERT_ELEMENTS(
	    RDB_ZIPLIST, "\14\0\0\0\12\0\0\0\1\0\xfe\0", "a ziplist ends within a length");
	ASSERT_ELEMENTS(
	    RDB_ZIPLIST, "\14\0\0\0\12\0\0\0\1\0\0\x40", "an element is longer than its ziplist");
}
END_TEST

START_TEST(intset_has_numbers_in_order)
{
	ASSERT_ELEMENTS(RDB_INTSET, "\2\0\0\0\2\0\0\0\xff\xff\1\0", "-1 1 ");
	ASSERT_ELEMENTS(RDB_INTSET, "\x8\0\0\0\1\0\0\0\0\0\0\0\0\0\0\x80", "-9223372036854775808 ");
	ASSERT_ELEMENTS(
	    RDB_INTSET, "\2\0\0\0\2\0\0\0\1\0\1\0", "1 the numbers of an intset are not in order");
	ASSERT_ELEMENTS(RDB_INTSET, "\3\0\0\0\0\0\0\0", "unknown encoding of an intset");
	ASSERT_ELEMENTS(
	    RDB_INTSET, "\2\0\0\0\2\0\0\0\1\0", "an intset has another length than it says");
	ASSERT_ELEMENTS(RDB_INTSET, "\2\0\0\0", "an intset without header");
}
END_TEST

START_TEST(zipmap_has_fields_and_values)
{
	ASSERT_ELEMENTS(RDB_ZIPMAP, "\1\1f\2\1vw?\xff", "f vw ");
	ASSERT_ELEMENTS(RDB_ZIPMAP, "\1\xfe\1\0\0\0f\xfe\1\0\0\0\0v\xff", "f v ");
	ASSERT_ELEMENTS(
	    RDB_ZIPMAP, "\2\1f\1\0v\xff", "f v another number of elements than announced");
	ASSERT_ELEMENTS(RDB_ZIPMAP, "\0", "a zipmap without header");
	ASSERT_ELEMENTS(RDB_ZIPMAP, "\1\1f\xff", "f a zipmap ends too early");
	ASSERT_ELEMENTS(RDB_ZIPMAP, "\1\1f", "f a zipmap has no end");
	ASSERT_ELEMENTS(RDB_ZIPMAP, "\1\xfe\1", "a zipmap ends within a length");
	ASSERT_ELEMENTS(RDB_ZIPMAP, "\1\1f\1", "f a zipmap ends within a length");
	ASSERT_ELEMENTS(RDB_ZIPMAP, "\1\5f\xff", "an element is longer than its zipmap");
	ASSERT_ELEMENTS(RDB_ZIPMAP, "\1\1f\1\5v\xff", "f an element is longer than its zipmap");
}
END_TEST

/* Any change gives elements or a fault, and nothing is read behind the end. */
START_TEST(changed_bytes_are_harmless)
{
	static const char *const words[] = {"alpha", "1", "-70000", "beta"};
	static const int64_t numbers[] = {-3, 5, 70000};

	for (int kind = RDB_ZIPLIST; kind <= RDB_INTSET; kind++) {
		if (kind == RDB_ZIPLIST)
			testing_ziplist(&blob, words, 4);
		else if (kind == RDB_LISTPACK)
			testing_listpack(&blob, words, 4);
		else
			testing_intset(&blob, 4, numbers, 3);
		for (size_t at = 0; at < blob.len; at++) {
			char before = blob.ptr[at];

			for (unsigned int byte = 0; byte < 256; byte++) {
				blob.ptr[at] = (char)byte;
				xfree(elements_of((enum rdb_packed_kind)kind));
			}
			blob.ptr[at] = before;
		}
	}
}
END_TEST

int
main(void)
{
	return testing_main("rdb/packed", setup, teardown,
	    (const TTest *[]){listpack_has_these_encodings,
		listpack_with_long_elements_has_long_links, damaged_listpack_is_refused,
		ziplist_has_these_encodings, damaged_ziplist_is_refused,
		intset_has_numbers_in_order, zipmap_has_fields_and_values,
		changed_bytes_are_harmless, NULL});
}
