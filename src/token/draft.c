#include "config.h"

#include "token/draft.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

void
token_draft_init(struct token_draft *draft, size_t text_max)
{
	*draft = (struct token_draft){0};
	(void)buffer_reserve(&draft->text, text_max + 1);
}

void
token_draft_release(struct token_draft *draft)
{
	buffer_release(&draft->text);
	xfree(draft->caps);
}

/* The bytes that were appended since the text had this length. */
static struct slice
text_from(const struct token_draft *draft, size_t from)
{
	return (struct slice){draft->text.ptr + from, draft->text.len - from};
}

bool
token_draft_string(struct token_draft *draft, struct json_value value, struct slice *out)
{
	size_t from = draft->text.len;

	assert(draft->text.cap - from >= value.text.len);
	if (!json_decode(value, &draft->text))
		return false;
	*out = text_from(draft, from);
	return true;
}

struct slice
token_draft_copy(struct token_draft *draft, struct slice bytes)
{
	size_t from = draft->text.len;

	assert(draft->text.cap - from >= bytes.len);
	buffer_append_slice(&draft->text, bytes);
	return text_from(draft, from);
}

bool
token_draft_cap(
    struct token_draft *draft, struct slice name, uint32_t rights, enum token_match match)
{
	if (draft->cap_count == TOKEN_CAPS_MAX)
		return false;
	if (draft->cap_count == draft->cap_room) {
		draft->cap_room = draft->cap_room > 0 ? 2 * draft->cap_room : 8;
		draft->caps = xrealloc(draft->caps, draft->cap_room * sizeof(draft->caps[0]));
	}
	if (match == TOKEN_MATCH_GLOB && slice_is(name, "*"))
		match = TOKEN_MATCH_ALL;
	draft->caps[draft->cap_count++] = (struct token_cap){
	    .channel = name,
	    .match = (uint8_t)match,
	    .rights = (uint8_t)rights,
	};
	return true;
}

void
token_draft_channels(struct token_draft *draft)
{
	draft->channel_count = draft->cap_count;
}

/* The same string in the copy of the text. */
static struct slice
moved(const struct token_draft *draft, struct slice s, const char *copy)
{
	if (s.ptr == NULL)
		return s;
	return (struct slice){copy + (s.ptr - draft->text.ptr), s.len};
}

struct token_grant *
token_draft_finish(const struct token_draft *draft, const struct token_grant *from)
{
	size_t caps_at = sizeof(struct token_grant);
	size_t channels_at = caps_at + draft->cap_count * sizeof(struct token_cap);
	size_t text_at = channels_at + draft->channel_count * sizeof(struct slice);
	char *block = xmalloc(text_at + draft->text.len);
	struct token_grant *grant = (struct token_grant *)(void *)block;
	struct token_cap *caps = (struct token_cap *)(void *)(block + caps_at);
	struct slice *channels = (struct slice *)(void *)(block + channels_at);
	const char *copy = block + text_at;

	memcpy(block + text_at, draft->text.ptr, draft->text.len);
	*grant = *from;
	grant->subject = moved(draft, from->subject, copy);
	grant->user = moved(draft, from->user, copy);
	grant->info = moved(draft, from->info, copy);
	grant->channel = moved(draft, from->channel, copy);
	for (size_t i = 0; i < draft->cap_count; i++) {
		caps[i] = draft->caps[i];
		caps[i].channel = moved(draft, caps[i].channel, copy);
		if (i < draft->channel_count)
			channels[i] = caps[i].channel;
	}
	grant->caps = caps;
	grant->cap_count = draft->cap_count;
	grant->channels = channels;
	grant->channel_count = draft->channel_count;
	grant->bytes = text_at + draft->text.len;
	grant->refs = 1;
	return grant;
}
