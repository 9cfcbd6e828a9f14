#include "config.h"

#include "http/ws_deflate.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "http/ws_inflate.h"

enum { TEXT_MAX = 200000 };

static struct ws_deflater *deflater;
static struct ws_inflater *inflater;
static struct buffer message;
static struct arena plain;
static char text[TEXT_MAX];

static void
setup(void)
{
	deflater = ws_deflater_new();
	inflater = ws_inflater_new();
}

static void
teardown(void)
{
	ws_deflater_free(deflater);
	ws_inflater_free(inflater);
	buffer_release(&message);
	arena_release(&plain);
}

static void
put_stored(struct slice s)
{
	size_t len = ws_write_stored(buffer_reserve(&message, ws_stored_len(s.len)), s);

	ck_assert_uint_eq(len, ws_stored_len(s.len));
	message.len += len;
}

static void
put_end(void)
{
	message.len += ws_deflate_end(buffer_reserve(&message, WS_DEFLATE_END_LEN));
}

/* Builds a message of three parts. */
static void
put_message(struct slice head, struct slice payload, struct slice tail)
{
	buffer_clear(&message);
	put_stored(head);
	ws_deflate(deflater, payload, &message);
	put_stored(tail);
	put_end();
}

/* Asserts that the message inflates to these parts, which is `len` bytes in all. */
static void
assert_inflates(struct slice head, struct slice payload, struct slice tail)
{
	size_t len = head.len + payload.len + tail.len;
	struct slice all;

	arena_release(&plain);
	ck_assert_int_eq(
	    ws_inflate(inflater, buffer_slice(&message), len, &plain), WS_INFLATE_DONE);
	all = arena_close(&plain);
	ck_assert_uint_eq(all.len, len);
	ck_assert(slice_eq((struct slice){all.ptr, head.len}, head));
	ck_assert(slice_eq((struct slice){all.ptr + head.len, payload.len}, payload));
	ck_assert(slice_eq((struct slice){all.ptr + head.len + payload.len, tail.len}, tail));
}

START_TEST(a_compressed_payload_stands_between_stored_texts)
{
	struct slice head = SLICE("{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":");
	struct slice tail = SLICE(",\"offset\":44}}}");
	struct slice payload = {text, 5000};

	memset(text, 'x', payload.len);
	put_message(head, payload, tail);
	ck_assert_uint_le(message.len, 200);
	assert_inflates(head, payload, tail);
}
END_TEST

START_TEST(each_part_may_be_empty)
{
	struct slice none = SLICE(""), some = SLICE("some text some text");

	for (int parts = 0; parts < 8; parts++) {
		struct slice head = parts & 1 ? some : none;
		struct slice payload = parts & 2 ? some : none;
		struct slice tail = parts & 4 ? some : none;

		put_message(head, payload, tail);
		assert_inflates(head, payload, tail);
	}
	ck_assert_uint_eq(ws_stored_len(0), 0);
}
END_TEST

START_TEST(a_stored_text_may_have_several_blocks)
{
	static const size_t lens[] = {65534, 65535, 65536, 131070, 131071};

	memset(text, 'y', sizeof(text));
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct slice head = {text, lens[i]};

		put_message(head, SLICE("payload"), SLICE("tail"));
		assert_inflates(head, SLICE("payload"), SLICE("tail"));
	}
	ck_assert_uint_eq(ws_stored_len(65535), 65540);
	ck_assert_uint_eq(ws_stored_len(65536), 65546);
}
END_TEST

START_TEST(random_payloads_come_back_as_they_were)
{
	uint64_t seed = 42;

	for (int step = testing_steps(300); step > 0; step--) {
		size_t len = testing_random(&seed) % (step % 10 == 0 ? TEXT_MAX : 2000);
		uint64_t values = testing_random(&seed) % 255 + 1;

		for (size_t i = 0; i < len; i++)
			text[i] = (char)(testing_random(&seed) % values);
		put_message(SLICE("head"), (struct slice){text, len}, SLICE("tail"));
		ck_assert_uint_le(message.len, len + len / 100 + 100);
		assert_inflates(SLICE("head"), (struct slice){text, len}, SLICE("tail"));
	}
}
END_TEST

START_TEST(a_compressed_payload_does_not_depend_on_those_before)
{
	struct buffer first = {0}, again = {0};

	ws_deflate(deflater, SLICE("a payload that repeats: payload"), &first);
	ws_deflate(deflater, SLICE("a payload that repeats: payload"), &again);
	ck_assert(slice_eq(buffer_slice(&first), buffer_slice(&again)));
	buffer_release(&first);
	buffer_release(&again);
}
END_TEST

static enum ws_inflate_result
inflate_result(struct slice bytes, size_t most_len)
{
	arena_release(&plain);
	return ws_inflate(inflater, bytes, most_len, &plain);
}

START_TEST(a_result_longer_than_the_limit_is_refused_while_it_is_made)
{
	memset(text, 0, sizeof(text));
	put_message(SLICE(""), (struct slice){text, sizeof(text)}, SLICE(""));
	ck_assert_uint_lt(message.len, sizeof(text) / 100);
	ck_assert_int_eq(inflate_result(buffer_slice(&message), sizeof(text)), WS_INFLATE_DONE);
	ck_assert_int_eq(
	    inflate_result(buffer_slice(&message), sizeof(text) - 1), WS_INFLATE_TOO_LARGE);
	ck_assert_int_eq(inflate_result(buffer_slice(&message), 1000), WS_INFLATE_TOO_LARGE);
	ck_assert_uint_le(plain.room, 10000);
	ck_assert_int_eq(inflate_result(buffer_slice(&message), 0), WS_INFLATE_TOO_LARGE);
}
END_TEST

/* The examples of RFC 7692, section 7.2.3. */
START_TEST(the_examples_of_the_rfc_inflate)
{
	static const struct {
		struct slice bytes;
		const char *text;
	} examples[] = {
	    {{"\xf2\x48\xcd\xc9\xc9\x07\x00", 7}, "Hello"},
	    {{"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11}, "Hello"},
	    {{"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8}, "Hello"},
	    {{"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13}, "Hello"},
	    {{"\x00", 1}, ""},
	    {{"", 0}, ""},
	    {{"\x01", 1}, ""},
	};

	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		ck_assert_int_eq(inflate_result(examples[i].bytes, 5), WS_INFLATE_DONE);
		ck_assert(slice_is(arena_close(&plain), examples[i].text));
	}
}
END_TEST

START_TEST(invalid_data_is_refused)
{
	/* A block type that does not exist, a wrong complement of a length, a distance to before
	 * the start (what context takeover would send), and messages that are cut. */
	static const struct slice bad[] = {
	    {"\x07", 1},
	    {"\x00\x05\x00\xfa\xfeHello\x00", 11},
	    {"\xf2\x00\x11\x00\x00", 5},
	    {"\xf2\x48\xcd", 3},
	    {"\x00\x05\x00\xfa\xffHel", 8},
	    {"\xff\xff\xff\xff", 4},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(inflate_result(bad[i], 1 << 20), WS_INFLATE_INVALID);
	/* The inflater can be used afterwards. */
	ck_assert_int_eq(inflate_result(SLICE("\xf2\x48\xcd\xc9\xc9\x07\x00"), 5), WS_INFLATE_DONE);
}
END_TEST

int
main(void)
{
	return testing_main("http/ws_deflate", setup, teardown,
	    (const TTest *[]){a_compressed_payload_stands_between_stored_texts,
		each_part_may_be_empty, a_stored_text_may_have_several_blocks,
		random_payloads_come_back_as_they_were,
		a_compressed_payload_does_not_depend_on_those_before,
		a_result_longer_than_the_limit_is_refused_while_it_is_made,
		the_examples_of_the_rfc_inflate, invalid_data_is_refused, NULL});
}
