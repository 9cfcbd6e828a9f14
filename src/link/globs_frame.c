#include "config.h"

#include "link/globs_frame.h"

#include <string.h>

#define MAGIC "fanfare-globs 1 "
#define NO_SET "-"

static const char *const kinds[] = {[GLOBS_SET] = "set", [GLOBS_ACK] = "ack"};

/* Writing */

static void
put_number(struct buffer *out, uint64_t number, char end)
{
	char digits[BYTES_U64_MAX];

	buffer_append(out, digits, bytes_from_u64(digits, number));
	buffer_append(out, &end, 1);
}

void
globs_put(struct buffer *globs, struct slice glob)
{
	put_number(globs, glob.len, ':');
	buffer_append_slice(globs, glob);
}

void
globs_frame_write(struct buffer *out, const struct globs_frame *frame)
{
	buffer_append_str(out, MAGIC);
	buffer_append_str(out, kinds[frame->kind]);
	buffer_append_str(out, " ");
	buffer_append_slice(out, frame->id);
	buffer_append_str(out, " ");
	put_number(out, frame->nonce, ' ');
	put_number(out, frame->wanted, ' ');
	put_number(out, frame->has_missed, ' ');
	put_number(out, frame->lease_ms, ' ');
	if (!frame->has_set) {
		buffer_append_str(out, NO_SET " ");
		return;
	}
	put_number(out, frame->count, ' ');
	buffer_append_slice(out, frame->globs);
}

void
globs_put_copy(struct buffer *out, struct slice channel, struct slice payload)
{
	globs_put(out, channel);
	buffer_append_slice(out, payload);
}

/* Reading */

/* Takes what is before the next `end`, which is at most max bytes. */
static bool
take_until(struct slice *text, char end, size_t max, struct slice *word)
{
	size_t len = text->len < max + 1 ? text->len : max + 1;
	const char *at = len > 0 ? memchr(text->ptr, end, len) : NULL;

	if (at == NULL)
		return false;
	*word = (struct slice){text->ptr, (size_t)(at - text->ptr)};
	*text = (struct slice){at + 1, text->len - word->len - 1};
	return true;
}

static bool
take_number(struct slice *text, char end, uint64_t max, uint64_t *number)
{
	struct slice word;

	return take_until(text, end, BYTES_U64_MAX, &word) && slice_to_u64(word, number) &&
	       *number <= max;
}

/* Takes a text behind its length. */
static bool
take_text(struct slice *text, struct slice *value)
{
	uint64_t len;

	if (!take_number(text, ':', text->len, &len) || len > text->len)
		return false;
	*value = (struct slice){text->ptr, (size_t)len};
	*text = (struct slice){text->ptr + len, text->len - (size_t)len};
	return true;
}

bool
globs_next(struct slice *globs, struct slice *glob)
{
	return take_text(globs, glob);
}

static bool
is_id(struct slice id)
{
	for (size_t i = 0; i < id.len; i++) {
		char c = id.ptr[i];

		if ((c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z'))
			return false;
	}
	return id.len > 0;
}

static bool
take_kind(struct slice *text, enum globs_frame_kind *kind)
{
	struct slice word;

	if (!take_until(text, ' ', 3, &word))
		return false;
	*kind = slice_is(word, kinds[GLOBS_ACK]) ? GLOBS_ACK : GLOBS_SET;
	return slice_is(word, kinds[*kind]);
}

static bool
is_set(struct slice globs, size_t count)
{
	struct slice glob;
	size_t bytes = 0;

	for (; count > 0; count--) {
		if (!globs_next(&globs, &glob))
			return false;
		bytes += glob.len;
	}
	return globs.len == 0 && bytes <= GLOBS_BYTES_MAX;
}

bool
globs_frame_read(struct slice text, struct globs_frame *frame)
{
	uint64_t wanted, missed, count;

	*frame = (struct globs_frame){.has_set = true};
	if (!slice_begins_with(text, MAGIC))
		return false;
	text = (struct slice){text.ptr + strlen(MAGIC), text.len - strlen(MAGIC)};
	if (!take_kind(&text, &frame->kind) || !take_until(&text, ' ', GLOBS_ID_MAX, &frame->id) ||
	    !is_id(frame->id) || !take_number(&text, ' ', UINT64_MAX, &frame->nonce) ||
	    !take_number(&text, ' ', GLOBS_ACK_WITH_SET, &wanted) ||
	    !take_number(&text, ' ', 1, &missed) ||
	    !take_number(&text, ' ', GLOBS_LEASE_MAX_MS, &frame->lease_ms))
		return false;
	frame->wanted = (enum globs_wanted)wanted;
	frame->has_missed = missed != 0;
	if (frame->kind == GLOBS_ACK && slice_is(text, NO_SET " ")) {
		frame->has_set = false;
		return true;
	}
	if (!take_number(&text, ' ', GLOBS_MAX, &count) || !is_set(text, (size_t)count))
		return false;
	frame->count = (size_t)count;
	frame->globs = text;
	return true;
}

bool
globs_read_copy(struct slice copy, struct slice *channel, struct slice *payload)
{
	*payload = copy;
	return take_text(payload, channel);
}
