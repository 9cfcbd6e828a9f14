#include "config.h"

#include "edge/sse_forms.h"

#include <assert.h>
#include <string.h>

#include "edge/form_text.h"
#include "edge/payload.h"

/*
 * Events of text/event-stream. A line ends with CR, LF or CRLF: a payload must not end one, or it
 * could add fields and events of its own. Other bytes go as they are; a browser reads a byte that
 * is not UTF-8 as U+FFFD.
 */
#define DATA "data: "
#define NEXT_LINE "\n" DATA
#define END "\n\n"
#define LAGGED "event: lagged\ndata: {\"missed\":"

/* Takes the line break at the start of s: CRLF is one. */
static void
skip_break(struct slice *s)
{
	size_t len = s->len > 1 && s->ptr[0] == '\r' && s->ptr[1] == '\n' ? 2 : 1;

	s->ptr += len;
	s->len -= len;
}

static struct slice
take_line(struct slice *s)
{
	struct slice line = {s->ptr, payload_line_len(*s)};

	if (line.len == 0)
		return line;
	s->ptr += line.len;
	s->len -= line.len;
	return line;
}

bool
sse_measure(const struct hub_message *message, struct wire_body *body)
{
	struct slice rest = message->payload;

	body->len = take_line(&rest).len;
	while (rest.len > 0) {
		skip_break(&rest);
		body->len += strlen(NEXT_LINE) + take_line(&rest).len;
	}
	return true;
}

void
sse_transform(const struct hub_message *message, const struct wire_body *body, char *out)
{
	struct form_text text = {out, 0};
	struct slice rest = message->payload;

	form_put(&text, take_line(&rest));
	while (rest.len > 0) {
		skip_break(&rest);
		FORM_PUT(&text, NEXT_LINE);
		form_put(&text, take_line(&rest));
	}
	assert(text.len == body->len);
}

/* What comes in front of the data. Without a position the browser keeps the id of an event before:
 * what is not kept cannot be replayed. */
static void
put_id(struct form_text *t, const struct hub_message *message)
{
	if (message->position.seq != 0) {
		FORM_PUT(t, "id: ");
		form_put_position(t, message->position);
		FORM_PUT(t, "\n");
	}
	FORM_PUT(t, DATA);
}

struct wire_ends
sse_ends(const struct hub_message *message, const struct wire_body *body)
{
	struct form_text head = {NULL, 0};

	(void)body;
	put_id(&head, message);
	return (struct wire_ends){.head = head.len, .tail = strlen(END)};
}

void
sse_write_ends(const struct hub_message *message, const struct wire_body *body,
    struct wire_ends ends, char *out)
{
	put_id(&(struct form_text){out, 0}, message);
	memcpy(out + ends.head + body->len, END, strlen(END));
}

bool
sse_json_measure(const struct hub_message *message, struct wire_body *body)
{
	struct payload_json json = payload_look(message);

	*body = (struct wire_body){.len = json.len, .note = json.kind};
	return true;
}

void
sse_json_transform(const struct hub_message *message, const struct wire_body *body, char *out)
{
	payload_write(message, (enum payload_kind)body->note, out);
}

static void
put_json_head(struct form_text *t, const struct hub_message *message)
{
	put_id(t, message);
	FORM_PUT(t, "{");
	form_put_name(t, "channel", SLICE(""), message->channel);
	FORM_PUT(t, ",\"data\":");
}

static void
put_json_tail(struct form_text *t, const struct hub_message *message, const struct wire_body *body)
{
	if (body->note == PAYLOAD_BINARY)
		FORM_PUT(t, ",\"encoding\":\"base64\"");
	if (message->position.seq != 0) {
		FORM_PUT(t, ",\"seq\":");
		form_put_u64(t, message->position.seq);
	}
	FORM_PUT(t, "}" END);
}

struct wire_ends
sse_json_ends(const struct hub_message *message, const struct wire_body *body)
{
	struct form_text head = {NULL, 0}, tail = {NULL, 0};

	put_json_head(&head, message);
	put_json_tail(&tail, message, body);
	return (struct wire_ends){.head = head.len, .tail = tail.len};
}

void
sse_json_write_ends(const struct hub_message *message, const struct wire_body *body,
    struct wire_ends ends, char *out)
{
	put_json_head(&(struct form_text){out, 0}, message);
	put_json_tail(&(struct form_text){out + ends.head + body->len, 0}, message, body);
}

size_t
sse_notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	struct form_text text = {out, 0};

	FORM_PUT(&text, LAGGED);
	form_put_missed(&text, missed);
	FORM_PUT(&text, "}" END);
	return text.len;
}
