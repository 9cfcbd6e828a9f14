#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/testing.h"
#include "edge/forms.h"
#include "http/ws_frame.h"
#include "http/ws_inflate.h"

/* A compressed frame must inflate to the payload of the frame that EDGE_FORM_WS makes. */

enum { FRAMES = 3 };

static char *frames[FRAMES];
static size_t lengths[FRAMES];
static struct ws_inflater *inflater;
static struct arena plain;
static struct hub_message message;
static uint64_t serial = UINT64_C(1) << 40;

static void
setup(void)
{
	edge_forms_configure("glob:", 128);
	inflater = ws_inflater_new();
	message = (struct hub_message){
	    .kind = HUB_CHANNEL, .channel = SLICE("news"), .position = {185839, 44}};
}

static void
teardown(void)
{
	for (int i = 0; i < FRAMES; i++) {
		free(frames[i]);
		frames[i] = NULL;
	}
	ws_inflater_free(inflater);
	arena_release(&plain);
	edge_forms_release();
}

/* Writes a frame of a body that was measured. */
static void
write_frame(int i, enum edge_form which, const struct wire_body *body)
{
	const struct wire_form *form = &edge_forms[which];
	struct wire_ends ends = form->ends(&message, body);

	free(frames[i]);
	lengths[i] = ends.head + body->len + ends.tail;
	frames[i] = malloc(lengths[i]);
	ck_assert_ptr_nonnull(frames[i]);
	form->transform(&message, body, frames[i] + ends.head);
	form->write_ends(&message, body, ends, frames[i]);
}

static void
encode(int i, enum edge_form which)
{
	struct wire_body body;

	ck_assert(edge_forms[which].measure(&message, &body));
	write_frame(i, which, &body);
}

static bool
is_compressed(int i)
{
	return (frames[i][0] & 0x40) != 0;
}

static struct slice
payload_of(int i)
{
	unsigned char len = (unsigned char)frames[i][1];
	size_t head_len = len < 126 ? 2 : len == 126 ? 4 : 10;
	char head[WS_HEAD_MAX];

	ck_assert_uint_eq(
	    ws_write_head(head, WS_TEXT, is_compressed(i), lengths[i] - head_len), head_len);
	ck_assert_mem_eq(frames[i], head, head_len);
	return (struct slice){frames[i] + head_len, lengths[i] - head_len};
}

/* Compares frame i with the message in EDGE_FORM_WS. */
static void
assert_same(int i)
{
	struct slice expected, got = payload_of(i);

	encode(FRAMES - 1, EDGE_FORM_WS);
	expected = payload_of(FRAMES - 1);
	if (is_compressed(i)) {
		arena_release(&plain);
		ck_assert_int_eq(ws_inflate(inflater, got, expected.len, &plain), WS_INFLATE_DONE);
		got = arena_close(&plain);
	}
	ck_assert_msg(slice_eq(got, expected), "%.*s", (int)expected.len, expected.ptr);
}

static void
begin(struct slice payload)
{
	message.payload = payload;
	message.serial = ++serial;
}

static char large[WIRE_TRANSFORMED_MAX];

/* A JSON string of len bytes. */
static struct slice
json_of(size_t len)
{
	memset(large, 'x', len);
	large[0] = large[len - 1] = '"';
	return (struct slice){large, len};
}

START_TEST(a_payload_is_compressed_from_the_least_length_on)
{
	begin(json_of(127));
	encode(0, EDGE_FORM_WS_DEFLATE);
	ck_assert(!is_compressed(0));
	assert_same(0);
	begin(json_of(128));
	encode(0, EDGE_FORM_WS_DEFLATE);
	ck_assert(is_compressed(0));
	ck_assert_uint_lt(lengths[0], 128);
	assert_same(0);
}
END_TEST

START_TEST(a_payload_that_compression_does_not_make_shorter_goes_as_it_is)
{
	uint64_t seed = 7;
	char payload[200];

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (char)testing_random(&seed);
	payload[0] = '\xff';
	begin((struct slice){payload, sizeof(payload)});
	encode(0, EDGE_FORM_WS_DEFLATE);
	assert_same(0);
	edge_forms_configure("glob:", 0);
	begin(SLICE("1"));
	encode(0, EDGE_FORM_WS_DEFLATE);
	ck_assert(!is_compressed(0));
	assert_same(0);
}
END_TEST

START_TEST(every_kind_of_payload_is_compressed)
{
	static const char fills[] = {'\n', '"', '\xff', '\0', 'x', ' '};

	for (size_t i = 0; i < sizeof(fills); i++)
		for (int is_json = 0; is_json < 2; is_json++) {
			memset(large, fills[i], 5000);
			if (is_json) {
				large[0] = '[';
				large[4999] = ']';
			}
			begin((struct slice){large, 5000});
			encode(0, EDGE_FORM_WS_DEFLATE);
			ck_assert(is_compressed(0));
			assert_same(0);
		}
}
END_TEST

START_TEST(a_payload_of_more_than_256_kib_is_not_compressed)
{
	begin(json_of((size_t)256 << 10));
	encode(0, EDGE_FORM_WS_DEFLATE);
	ck_assert(is_compressed(0));
	assert_same(0);
	begin(json_of(((size_t)256 << 10) + 1));
	encode(0, EDGE_FORM_WS_DEFLATE);
	ck_assert(!is_compressed(0));
	assert_same(0);
}
END_TEST

START_TEST(channels_and_patterns_share_the_compressed_payload)
{
	struct wire_body body;

	begin(json_of(1000));
	ck_assert(edge_forms[EDGE_FORM_WS_DEFLATE].measure(&message, &body));
	write_frame(0, EDGE_FORM_WS_DEFLATE, &body);
	assert_same(0);
	message.kind = HUB_PATTERN;
	message.pattern = SLICE("n*");
	write_frame(1, EDGE_FORM_WS_DEFLATE, &body);
	ck_assert(is_compressed(1));
	assert_same(1);
}
END_TEST

START_TEST(names_longer_than_a_stored_block_are_carried)
{
	static char name[65535];

	memset(name, '\x01', sizeof(name));
	message.kind = HUB_PATTERN;
	message.pattern = message.channel = (struct slice){name, sizeof(name)};
	begin(json_of(1000));
	encode(0, EDGE_FORM_WS_DEFLATE);
	ck_assert(is_compressed(0));
	assert_same(0);
}
END_TEST

START_TEST(another_message_measured_in_between_changes_nothing)
{
	struct hub_message first;
	struct wire_body body, other;

	begin(json_of(1000));
	first = message;
	ck_assert(edge_forms[EDGE_FORM_WS_DEFLATE].measure(&message, &body));
	begin(SLICE(
	    "\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
	    "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\""));
	ck_assert(edge_forms[EDGE_FORM_WS_DEFLATE].measure(&message, &other));
	message = first;
	write_frame(0, EDGE_FORM_WS_DEFLATE, &body);
	ck_assert(is_compressed(0));
	assert_same(0);
}
END_TEST

START_TEST(without_a_serial_a_payload_that_changed_is_compressed_anew)
{
	begin(json_of(1000));
	message.serial = 0;
	encode(0, EDGE_FORM_WS_DEFLATE);
	assert_same(0);
	large[500] = 'y';
	encode(0, EDGE_FORM_WS_DEFLATE);
	assert_same(0);
}
END_TEST

START_TEST(random_payloads_survive)
{
	static const char alphabet[] = "{}[]\",:1 \n\\xyz\xff";
	uint64_t seed = 11;

	edge_forms_configure("glob:", 1);
	for (int round = 0; round < 2000; round++) {
		size_t len = testing_random(&seed) % 400;
		size_t letters = 1 + testing_random(&seed) % (sizeof(alphabet) - 1);

		for (size_t i = 0; i < len; i++)
			large[i] = alphabet[testing_random(&seed) % letters];
		begin((struct slice){large, len});
		message.kind = round % 2 == 0 ? HUB_CHANNEL : HUB_PATTERN;
		message.pattern = SLICE("*");
		message.position.seq = testing_random(&seed) >> (round % 64);
		encode(0, EDGE_FORM_WS_DEFLATE);
		assert_same(0);
	}
}
END_TEST

int
main(void)
{
	return testing_main("edge/ws_deflate_form", setup, teardown,
	    (const TTest *[]){a_payload_is_compressed_from_the_least_length_on,
		a_payload_that_compression_does_not_make_shorter_goes_as_it_is,
		every_kind_of_payload_is_compressed,
		a_payload_of_more_than_256_kib_is_not_compressed,
		channels_and_patterns_share_the_compressed_payload,
		names_longer_than_a_stored_block_are_carried,
		another_message_measured_in_between_changes_nothing,
		without_a_serial_a_payload_that_changed_is_compressed_anew, random_payloads_survive,
		NULL});
}
