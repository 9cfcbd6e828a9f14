#include "config.h"

#include "edge/forms.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "edge/publication.h"
#include "http/ws_frame.h"
#include "pubsub/outbox.h"

/* Each frame stands in memory of exactly its length, so that a sanitizer sees a write behind it. */
static char *frame;
static size_t frame_len;
static struct buffer text;
static struct hub_message message;
static uint64_t serial;

static void
setup(void)
{
	edge_forms_configure("glob:", 128);
	message = (struct hub_message){
	    .kind = HUB_CHANNEL, .channel = SLICE("news"), .position = {185839, 44}};
}

static void
teardown(void)
{
	free(frame);
	frame = NULL;
	buffer_release(&text);
	edge_forms_release();
}

static void
encode(enum edge_form which, struct slice payload)
{
	const struct wire_form *form = &edge_forms[which];
	struct wire_body body;
	struct wire_ends ends;

	message.payload = payload;
	message.serial = ++serial;
	ck_assert(form->measure(&message, &body));
	ends = form->ends(&message, &body);
	frame_len = ends.head + body.len + ends.tail;
	free(frame);
	frame = malloc(frame_len);
	ck_assert_ptr_nonnull(frame);
	memset(frame, '#', frame_len);
	form->transform(&message, &body, frame + ends.head);
	form->write_ends(&message, &body, ends, frame);
}

#define ASSERT_BYTES(s, literal)                                                                   \
	ck_assert_msg(slice_eq(s, SLICE(literal)), "%.*s", (int)(s).len, (s).ptr)

#define ASSERT_SSE(payload, literal)                                                               \
	do {                                                                                       \
		encode(EDGE_FORM_SSE, SLICE(payload));                                             \
		ASSERT_BYTES(((struct slice){frame, frame_len}), literal);                         \
	} while (0)

#define ASSERT_SSE_JSON(payload, literal)                                                          \
	do {                                                                                       \
		encode(EDGE_FORM_SSE_JSON, SLICE(payload));                                        \
		ASSERT_BYTES(((struct slice){frame, frame_len}), literal);                         \
	} while (0)

/* The payload of the frame, a whole text message. */
static struct slice
open_frame(void)
{
	struct slice payload;
	char head[WS_HEAD_MAX];
	size_t head_len = 2;

	ck_assert_uint_ge(frame_len, 2);
	if ((frame[1] & 0x7F) == 126)
		head_len = 4;
	else if ((frame[1] & 0x7F) == 127)
		head_len = 10;
	payload = (struct slice){frame + head_len, frame_len - head_len};
	ck_assert_uint_eq(ws_write_head(head, WS_TEXT, false, payload.len), head_len);
	ck_assert_mem_eq(frame, head, head_len);
	return payload;
}

#define ASSERT_WS(payload, literal)                                                                \
	do {                                                                                       \
		encode(EDGE_FORM_WS, SLICE(payload));                                              \
		ASSERT_BYTES(open_frame(), literal);                                               \
	} while (0)

static void
receive_through_pattern(void)
{
	message.kind = HUB_PATTERN;
	message.pattern = SLICE("news.*");
	message.channel = SLICE("news.sport");
}

START_TEST(an_event_has_the_position_as_its_id)
{
	message.position = (struct hub_position){UINT64_C(1858391234567890123), 1048577};
	ASSERT_SSE("{\"n\":44}", "id: 1858391234567890123-1048577\ndata: {\"n\":44}\n\n");
}
END_TEST

START_TEST(an_event_of_a_message_that_is_not_kept_has_no_id)
{
	message.position = (struct hub_position){0, 0};
	ASSERT_SSE("{\"n\":44}", "data: {\"n\":44}\n\n");
	ASSERT_SSE_JSON("1", "data: {\"channel\":\"news\",\"data\":1}\n\n");
	ASSERT_WS("1", "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":1}}}");
	receive_through_pattern();
	ASSERT_WS("1", "{\"push\":{\"channel\":\"glob:news.*\",\"pub\":{\"data\":1,"
		       "\"tags\":{\"channel\":\"news.sport\"}}}}");
}
END_TEST

#define ID "id: 185839-44\n"

START_TEST(a_payload_never_ends_its_line_of_data)
{
	ASSERT_SSE("", ID "data: \n\n");
	ASSERT_SSE(" a", ID "data:  a\n\n");
	ASSERT_SSE("a\nb", ID "data: a\ndata: b\n\n");
	ASSERT_SSE("a\rb", ID "data: a\ndata: b\n\n");
	ASSERT_SSE("a\r\nb", ID "data: a\ndata: b\n\n");
	ASSERT_SSE("a\n\rb", ID "data: a\ndata: \ndata: b\n\n");
	ASSERT_SSE("\n", ID "data: \ndata: \n\n");
	ASSERT_SSE("\r", ID "data: \ndata: \n\n");
	ASSERT_SSE("a\r\n\r\n", ID "data: a\ndata: \ndata: \n\n");
	ASSERT_SSE("12345678\n12345678\rid: 9\n\nevent: x",
	    ID "data: 12345678\ndata: 12345678\ndata: id: 9\ndata: \ndata: event: x\n\n");
	ASSERT_SSE("\xff\0\xE2\x80\xA8", ID "data: \xff\0\xE2\x80\xA8\n\n");
}
END_TEST

START_TEST(a_line_break_is_found_at_every_offset)
{
	char payload[40];

	for (size_t at = 0; at < sizeof(payload); at++) {
		memset(payload, 'a', sizeof(payload));
		payload[at] = at % 2 == 0 ? '\r' : '\n';
		encode(EDGE_FORM_SSE, (struct slice){payload, sizeof(payload)});
		ck_assert_uint_eq(frame_len, strlen(ID "data: \n\n") + sizeof(payload) + 6);
		ck_assert_mem_eq(frame + strlen(ID "data: ") + at, "\ndata: ", 7);
	}
}
END_TEST

START_TEST(json_events_carry_channel_data_and_seq)
{
	message.channel = SLICE("news.sport");
	ASSERT_SSE_JSON("{\"n\":44}",
	    ID "data: {\"channel\":\"news.sport\",\"data\":{\"n\":44},\"seq\":44}\n\n");
	receive_through_pattern();
	ASSERT_SSE_JSON("[]", ID "data: {\"channel\":\"news.sport\",\"data\":[],\"seq\":44}\n\n");
	message.kind = HUB_SHARD;
	ASSERT_SSE_JSON("[]", ID "data: {\"channel\":\"news.sport\",\"data\":[],\"seq\":44}\n\n");
}
END_TEST

#define SSE_JSON(data) ID "data: {\"channel\":\"news\",\"data\":" data ",\"seq\":44}\n\n"

START_TEST(a_payload_that_is_json_goes_as_it_is_but_for_line_breaks)
{
	ASSERT_SSE_JSON("0", SSE_JSON("0"));
	ASSERT_SSE_JSON("null", SSE_JSON("null"));
	ASSERT_SSE_JSON(" 1 ", SSE_JSON(" 1 "));
	ASSERT_SSE_JSON(
	    "12345678901234567890123.4500e+99", SSE_JSON("12345678901234567890123.4500e+99"));
	ASSERT_SSE_JSON("\"\\u00e9\\/\\ud800\"", SSE_JSON("\"\\u00e9\\/\\ud800\""));
	ASSERT_SSE_JSON("{\n\t\"a\":\r\n[1,\r2]\n}\n", SSE_JSON("{ \t\"a\":  [1, 2] } "));
	ASSERT_SSE_JSON("[\"\xE2\x80\xA8\\n\"]", SSE_JSON("[\"\xE2\x80\xA8\\n\"]"));
}
END_TEST

START_TEST(a_payload_that_is_text_becomes_a_string)
{
	ASSERT_SSE_JSON("", SSE_JSON("\"\""));
	ASSERT_SSE_JSON(" ", SSE_JSON("\" \""));
	ASSERT_SSE_JSON("hello", SSE_JSON("\"hello\""));
	ASSERT_SSE_JSON("01", SSE_JSON("\"01\""));
	ASSERT_SSE_JSON("{\"a\":1}}", SSE_JSON("\"{\\\"a\\\":1}}\""));
	ASSERT_SSE_JSON("a\r\n\"\\\0\x1f\x7f\xC3\xA9",
	    SSE_JSON("\"a\\r\\n\\\"\\\\\\u0000\\u001f\x7f\xC3\xA9\""));
}
END_TEST

START_TEST(a_payload_that_is_not_utf8_becomes_base64)
{
	ASSERT_SSE_JSON("\xff\xfe\xfb\0",
	    ID "data: {\"channel\":\"news\",\"data\":\"//77AA==\",\"encoding\":\"base64\","
	       "\"seq\":44}\n\n");
	/* Valid JSON but for one byte. */
	ASSERT_WS("[\"\xC3\"]", "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":\"WyLDIl0=\","
				"\"offset\":44,\"tags\":{\"type\":\"base64\"}}}}");
}
END_TEST

START_TEST(channel_names_cannot_leave_their_string)
{
	message.channel = SLICE("a\"},\n\r\0\\\x01\xC3\xA9");
	ASSERT_SSE_JSON("1", ID "data: {\"channel\":\"a\\\"},\\n\\r\\u0000\\\\\\u0001\xC3\xA9\","
				"\"data\":1,\"seq\":44}\n\n");
	ASSERT_WS("1", "{\"push\":{\"channel\":\"a\\\"},\\n\\r\\u0000\\\\\\u0001\xC3\xA9\","
		       "\"pub\":{\"data\":1,\"offset\":44}}}");
}
END_TEST

START_TEST(channel_names_that_are_not_utf8_stand_in_base64)
{
	message.channel = SLICE("\xff");
	ASSERT_SSE_JSON("1", ID "data: {\"channel_base64\":\"/w==\",\"data\":1,\"seq\":44}\n\n");
	ASSERT_WS(
	    "1", "{\"push\":{\"channel_base64\":\"/w==\",\"pub\":{\"data\":1,\"offset\":44}}}");
	message.kind = HUB_PATTERN;
	message.pattern = SLICE("*");
	ASSERT_WS("1", "{\"push\":{\"channel\":\"glob:*\",\"pub\":{\"data\":1,\"offset\":44,"
		       "\"tags\":{\"channel_base64\":\"/w==\"}}}}");
}
END_TEST

START_TEST(a_push_has_the_seq_as_its_offset)
{
	ASSERT_WS("{\"n\":44}",
	    "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":{\"n\":44},\"offset\":44}}}");
	ck_assert_mem_eq(frame, "\x81\x3F", 2);
}
END_TEST

START_TEST(a_push_of_a_pattern_tells_the_channel_in_its_tags)
{
	receive_through_pattern();
	message.position.seq = 1048580;
	ASSERT_WS("1", "{\"push\":{\"channel\":\"glob:news.*\",\"pub\":{\"data\":1,"
		       "\"offset\":1048580,\"tags\":{\"channel\":\"news.sport\"}}}}");
	ASSERT_WS("hi", "{\"push\":{\"channel\":\"glob:news.*\",\"pub\":{\"data\":\"hi\","
			"\"offset\":1048580,\"tags\":{\"channel\":\"news.sport\","
			"\"type\":\"text\"}}}}");
}
END_TEST

START_TEST(the_prefix_of_patterns_is_configured_and_escaped)
{
	receive_through_pattern();
	edge_forms_configure("\"g\\", 128);
	ASSERT_WS("1", "{\"push\":{\"channel\":\"\\\"g\\\\news.*\",\"pub\":{\"data\":1,"
		       "\"offset\":44,\"tags\":{\"channel\":\"news.sport\"}}}}");
	edge_forms_configure("\xff", 128);
	ASSERT_WS("1", "{\"push\":{\"channel\":\"\\\"g\\\\news.*\",\"pub\":{\"data\":1,"
		       "\"offset\":44,\"tags\":{\"channel\":\"news.sport\"}}}}");
}
END_TEST

START_TEST(a_text_in_a_push_is_a_string_on_one_line)
{
	ASSERT_WS("a\r\nb", "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":\"a\\r\\nb\","
			    "\"offset\":44,\"tags\":{\"type\":\"text\"}}}}");
	ASSERT_WS(
	    "[1,\n2]", "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":[1, 2],\"offset\":44}}}");
	ASSERT_WS("", "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":\"\",\"offset\":44,"
		      "\"tags\":{\"type\":\"text\"}}}}");
}
END_TEST

/* A JSON string of len bytes. */
static struct slice
json_of(char *room, size_t len)
{
	memset(room, 'x', len);
	room[0] = room[len - 1] = '"';
	return (struct slice){room, len};
}

START_TEST(frames_of_all_lengths_have_the_right_head)
{
	static char room[66000];

	for (size_t len = 2; len < sizeof(room); len += len < 200 || len > 65400 ? 1 : 997) {
		struct slice payload;

		encode(EDGE_FORM_WS, json_of(room, len));
		payload = open_frame();
		ck_assert_uint_eq(
		    payload.len, len + strlen("{'push':{'channel':'news','pub':{'data':"
					      ",'offset':44}}}"));
		ck_assert_mem_eq(payload.ptr + payload.len - 3, "}}}", 3);
	}
}
END_TEST

START_TEST(notices_tell_how_many_messages_are_missing)
{
	char notice[OUTBOX_NOTICE_MAX];
	size_t len = edge_forms[EDGE_FORM_SSE].notice(&edge_forms[EDGE_FORM_SSE], 17, notice);

	ASSERT_BYTES(((struct slice){notice, len}), "event: lagged\ndata: {\"missed\":17}\n\n");
	len = edge_forms[EDGE_FORM_SSE_JSON].notice(&edge_forms[EDGE_FORM_SSE_JSON], 17, notice);
	ASSERT_BYTES(((struct slice){notice, len}), "event: lagged\ndata: {\"missed\":17}\n\n");
	for (int form = EDGE_FORM_WS; form <= EDGE_FORM_WS_DEFLATE; form++) {
		len = edge_forms[form].notice(&edge_forms[form], 17, notice);
		ASSERT_BYTES(((struct slice){notice, len}),
		    "\x81\x21{\"push\":{\"lagged\":{\"missed\":17}}}");
	}
	for (int form = 0; form < EDGE_FORMS; form++)
		ck_assert_uint_le(
		    edge_forms[form].notice(&edge_forms[form], WIRE_MISSED_UNKNOWN - 1, notice),
		    sizeof(notice));
}
END_TEST

START_TEST(a_notice_of_an_unknown_number_has_null)
{
	char notice[OUTBOX_NOTICE_MAX];
	size_t len;

	for (int form = EDGE_FORM_SSE; form <= EDGE_FORM_SSE_JSON; form++) {
		len = edge_forms[form].notice(&edge_forms[form], WIRE_MISSED_UNKNOWN, notice);
		ASSERT_BYTES(
		    ((struct slice){notice, len}), "event: lagged\ndata: {\"missed\":null}\n\n");
	}
	for (int form = EDGE_FORM_WS; form <= EDGE_FORM_WS_DEFLATE; form++) {
		len = edge_forms[form].notice(&edge_forms[form], WIRE_MISSED_UNKNOWN, notice);
		ASSERT_BYTES(((struct slice){notice, len}),
		    "\x81\x23{\"push\":{\"lagged\":{\"missed\":null}}}");
	}
}
END_TEST

START_TEST(a_publication_is_the_pub_of_a_push)
{
	message.payload = SLICE("{\"n\":\n42}");
	edge_put_publication(&text, &message);
	ASSERT_BYTES(buffer_slice(&text), "{\"data\":{\"n\": 42},\"offset\":44}");
	buffer_clear(&text);
	receive_through_pattern();
	message.payload = SLICE("\xff");
	edge_put_publication(&text, &message);
	ASSERT_BYTES(buffer_slice(&text), "{\"data\":\"/w==\",\"offset\":44,\"tags\":{\"channel\":"
					  "\"news.sport\",\"type\":\"base64\"}}");
}
END_TEST

START_TEST(without_a_serial_each_payload_is_looked_at_anew)
{
	char payload[] = "[1]";

	message.payload = (struct slice){payload, 3};
	edge_put_publication(&text, &message);
	payload[0] = 'x';
	edge_put_publication(&text, &message);
	ASSERT_BYTES(buffer_slice(&text), "{\"data\":[1],\"offset\":44}{\"data\":\"x1]\","
					  "\"offset\":44,\"tags\":{\"type\":\"text\"}}");
}
END_TEST

START_TEST(a_payload_of_a_mebibyte_goes_in_every_form)
{
	static const char fills[] = {'\n', '"', '\xff', '\0', '['};
	size_t len = WIRE_TRANSFORMED_MAX;
	char *payload = malloc(len);

	for (size_t i = 0; i < sizeof(fills); i++)
		for (int form = 0; form < EDGE_FORMS; form++) {
			memset(payload, fills[i], len);
			encode((enum edge_form)form, (struct slice){payload, len});
			ck_assert_uint_ge(frame_len, 1000);
		}
	free(payload);
}
END_TEST

/* What a browser makes of an event's data (HTML, 9.2.6): lines joined with LF. */
static struct slice
read_data(struct slice event)
{
	buffer_clear(&text);
	ck_assert_uint_ge(event.len, 2);
	ck_assert_mem_eq(event.ptr + event.len - 2, "\n\n", 2);
	event.len--;
	while (event.len > 0) {
		size_t len = 0;

		while (event.ptr[len] != '\n' && event.ptr[len] != '\r')
			len++;
		ck_assert_uint_ge(len, 6);
		ck_assert_mem_eq(event.ptr, "data: ", 6);
		buffer_append(&text, event.ptr + 6, len - 6);
		buffer_append(&text, "\n", 1);
		event.ptr += len + 1;
		event.len -= len + 1;
	}
	text.len--;
	return buffer_slice(&text);
}

START_TEST(a_browser_reads_any_payload_with_its_line_breaks_as_lf)
{
	static const char alphabet[] = "\r\n\r\n\r\nab: ";
	uint64_t seed = 3;

	message.position = (struct hub_position){0, 0};
	for (int round = 0; round < 20000; round++) {
		char payload[30], expected[30];
		size_t len = testing_random(&seed) % sizeof(payload), expected_len = 0;
		struct slice got;

		for (size_t i = 0; i < len; i++)
			payload[i] = alphabet[testing_random(&seed) % (sizeof(alphabet) - 1)];
		for (size_t i = 0; i < len; i++)
			if (payload[i] == '\r')
				expected[expected_len++] = '\n';
			else if (payload[i] != '\n' || i == 0 || payload[i - 1] != '\r')
				expected[expected_len++] = payload[i];
		encode(EDGE_FORM_SSE, (struct slice){payload, len});
		got = read_data((struct slice){frame, frame_len});
		ck_assert(slice_eq(got, (struct slice){expected, expected_len}));
	}
}
END_TEST

int
main(void)
{
	return testing_main("edge/forms", setup, teardown,
	    (const TTest *[]){an_event_has_the_position_as_its_id,
		an_event_of_a_message_that_is_not_kept_has_no_id,
		a_payload_never_ends_its_line_of_data, a_line_break_is_found_at_every_offset,
		a_browser_reads_any_payload_with_its_line_breaks_as_lf,
		json_events_carry_channel_data_and_seq,
		a_payload_that_is_json_goes_as_it_is_but_for_line_breaks,
		a_payload_that_is_text_becomes_a_string, a_payload_that_is_not_utf8_becomes_base64,
		channel_names_cannot_leave_their_string,
		channel_names_that_are_not_utf8_stand_in_base64, a_push_has_the_seq_as_its_offset,
		a_push_of_a_pattern_tells_the_channel_in_its_tags,
		the_prefix_of_patterns_is_configured_and_escaped,
		a_text_in_a_push_is_a_string_on_one_line, frames_of_all_lengths_have_the_right_head,
		notices_tell_how_many_messages_are_missing, a_notice_of_an_unknown_number_has_null,
		a_publication_is_the_pub_of_a_push, without_a_serial_each_payload_is_looked_at_anew,
		a_payload_of_a_mebibyte_goes_in_every_form, NULL});
}
