#include "config.h"

#include <string.h>

#include "base/buffer.h"
#include "core/state.h"

/* Options of channels, in words. */

/* A line cannot have more words that mean something. */
#define WORDS_MAX ((size_t)2 * CHANNEL_OPTIONS)

/* The others are about users, connections and presence, which the library does not have. */
#define OPTIONS                                                                                    \
	(CHANNEL_BIT(history_size) | CHANNEL_BIT(history_ttl) | CHANNEL_BIT(history_bytes) |       \
	    CHANNEL_BIT(history_message_bytes) | CHANNEL_BIT(replay) |                             \
	    CHANNEL_BIT(outbox_policy) | CHANNEL_BIT(max_subscribers) | CHANNEL_BIT(max_message))

/* More channels follow in fanfare_hub_work(). */
#define RECLASSIFIED_AT_ONCE 1000

struct words {
	struct slice list[WORDS_MAX];
	size_t count;
};

/* Gives the text to the caller, shortened if it has to be. */
static void
put_error(char *error, const struct buffer *text)
{
	size_t len = text->len < FANFARE_ERROR_TEXT ? text->len : FANFARE_ERROR_TEXT - 1;

	if (error == NULL)
		return;
	if (len > 0)
		memcpy(error, text->ptr, len);
	error[len] = '\0';
}

static enum fanfare_result
refuse(char *error, const char *before, struct slice word, const char *behind)
{
	struct buffer text = {0};

	if (word.len > FANFARE_ERROR_TEXT)
		word.len = FANFARE_ERROR_TEXT;
	buffer_append_str(&text, before);
	buffer_append_escaped(&text, word);
	buffer_append_str(&text, behind);
	put_error(error, &text);
	buffer_release(&text);
	return FANFARE_INVALID;
}

/* False: there are too many. */
static bool
split(struct slice text, struct words *words)
{
	const char *at = text.ptr, *end = at + text.len;

	words->count = 0;
	for (;;) {
		const char *from;

		while (at < end && *at == ' ')
			at++;
		if (at == end)
			return true;
		if (words->count == WORDS_MAX)
			return false;
		for (from = at; at < end && *at != ' '; at++)
			continue;
		words->list[words->count++] = (struct slice){from, (size_t)(at - from)};
	}
}

/* An option that exists in the daemon only; NULL: there is none. step 2: values are between. */
static const struct slice *
foreign_of(const struct words *words, size_t step)
{
	for (size_t i = 0; i < words->count; i += step) {
		size_t option = channel_option_find(words->list[i]);

		if (option < CHANNEL_OPTIONS && (OPTIONS >> option & 1) == 0)
			return &words->list[i];
	}
	return NULL;
}

static enum fanfare_result
begin(struct fanfare_hub *hub, struct fanfare_bytes glob, struct fanfare_bytes text, size_t step,
    struct words *words, char *error)
{
	const struct slice *foreign;

	if (hub == NULL || !core_are_bytes(glob) || !core_are_bytes(text))
		return refuse(error, "invalid argument", (struct slice){"", 0}, "");
	if (!split(core_slice(text), words))
		return refuse(error, "too many options", (struct slice){"", 0}, "");
	foreign = foreign_of(words, step);
	if (foreign != NULL)
		return refuse(error, "channel option '", *foreign,
		    "' belongs to the daemon, not to the library");
	if (core_enter(hub))
		return FANFARE_OK;
	if (error != NULL)
		error[0] = '\0';
	return FANFARE_BUSY;
}

/* function is hub_set_channel_line() or hub_unset_channel_line(); step as for foreign_of(). */
static enum fanfare_result
change(struct fanfare_hub *hub, struct fanfare_bytes glob, struct fanfare_bytes text, size_t step,
    bool (*function)(
	struct hub *, struct slice, const struct slice *, size_t, struct channel_error *),
    char *error)
{
	struct channel_error fault;
	struct words words;
	struct buffer why = {0};
	enum fanfare_result result = begin(hub, glob, text, step, &words, error);
	bool ok;

	if (result != FANFARE_OK)
		return result;
	ok = function(hub->hub, core_slice(glob), words.list, words.count, &fault);
	(void)!hub_reclassify(hub->hub, RECLASSIFIED_AT_ONCE);
	core_leave(hub);
	if (ok)
		return FANFARE_OK;
	channel_error_write(&fault, &why);
	put_error(error, &why);
	buffer_release(&why);
	return FANFARE_INVALID;
}

enum fanfare_result
fanfare_channel_set(
    struct fanfare_hub *hub, struct fanfare_bytes glob, struct fanfare_bytes text, char *error)
{
	return change(hub, glob, text, 2, hub_set_channel_line, error);
}

enum fanfare_result
fanfare_channel_unset(
    struct fanfare_hub *hub, struct fanfare_bytes glob, struct fanfare_bytes names, char *error)
{
	return change(hub, glob, names, 1, hub_unset_channel_line, error);
}
