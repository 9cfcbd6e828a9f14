#include "config.h"

#include "link/engine_frame.h"

#include <string.h>

#include "base/alloc.h"
#include "pubsub/wire_form.h"
#include "resp/reply.h"

#define WORD_MAX (POSITION_TEXT_MAX + 1) /* with the space: no word is longer */

/* Removes the first word, which a space ends, from *text. */
static bool
take_word(struct slice *text, struct slice *word)
{
	size_t most = text->len < WORD_MAX ? text->len : WORD_MAX;
	const char *space = most > 0 ? memchr(text->ptr, ' ', most) : NULL;

	if (space == NULL)
		return false;
	*word = (struct slice){text->ptr, (size_t)(space - text->ptr)};
	*text = (struct slice){space + 1, text->len - word->len - 1};
	return true;
}

/* 1 to ENGINE_NUMBER_MAX - 1. */
static bool
read_number(struct slice text, uint64_t *number)
{
	return slice_to_u64(text, number) && *number > 0 && *number < ENGINE_NUMBER_MAX;
}

/* With a `d` behind it the frame is a mark. */
static bool
read_number_of(struct slice text, struct engine_frame *frame)
{
	frame->deletes = text.len > 0 && text.ptr[text.len - 1] == 'd';
	text.len -= frame->deletes;
	return read_number(text, &frame->number);
}

static bool
read_position(struct slice text, struct hub_position *position)
{
	return position_parse(text, position) && position->epoch > 0 && position->seq > 0 &&
	       position->epoch < ENGINE_NUMBER_MAX && position->seq < ENGINE_SEQ_MAX;
}

enum engine_frame_result
engine_frame_read(struct slice message, struct slice secret, struct engine_frame *frame)
{
	struct slice word;

	if (message.len < ENGINE_FRAME_LEN ||
	    memcmp(message.ptr, ENGINE_FRAME, ENGINE_FRAME_LEN) != 0)
		return ENGINE_FRAME_NONE;
	message.ptr += ENGINE_FRAME_LEN;
	message.len -= ENGINE_FRAME_LEN;
	if (!take_word(&message, &word) || secret.len == 0 || !slice_eq(word, secret))
		return ENGINE_FRAME_FORGED;
	if (!take_word(&message, &word) || !read_position(word, &frame->position) ||
	    !take_word(&message, &word) || !read_number_of(word, frame))
		return ENGINE_FRAME_BAD;
	frame->payload = message;
	return ENGINE_FRAME_READ;
}

static bool
is_text(const struct resp_value *value)
{
	return value->type == RESP_TYPE_BULK;
}

/* 0 is allowed. */
static bool
read_count(const struct resp_value *value, uint64_t *count)
{
	return is_text(value) && slice_to_u64(value->text, count) && *count < ENGINE_NUMBER_MAX;
}

static bool
read_seq(const struct resp_value *value, uint64_t *seq)
{
	return read_count(value, seq) && *seq < ENGINE_SEQ_MAX;
}

/* "FIRST-LAST FIRST-LAST ..." */
static bool
read_holes(struct slice text, struct engine_greeting *greeting)
{
	while (text.len > 0) {
		struct hub_position hole; /* two numbers as well */
		struct slice word = text;

		if (!take_word(&text, &word))
			text.len = 0; /* the last one */
		if (greeting->hole_count == HISTORY_HOLES || !position_parse(word, &hole) ||
		    hole.epoch > hole.seq)
			return false;
		greeting->holes[greeting->hole_count++] =
		    (struct history_hole){hole.epoch, hole.seq};
	}
	return true;
}

bool
engine_greeting_read(const struct resp_value *value, struct engine_greeting *greeting)
{
	const struct resp_value *items = value->items;

	greeting->hole_count = 0;
	if (value->type != RESP_TYPE_ARRAY || value->count != 6 ||
	    !read_count(&items[0], &greeting->newest.epoch) || greeting->newest.epoch == 0 ||
	    !read_seq(&items[1], &greeting->newest.seq) || items[2].type != RESP_TYPE_INT ||
	    !is_text(&items[3]) || items[3].text.len == 0 || items[3].text.len > ENGINE_SECRET_LEN)
		return false;
	greeting->secret = items[3].text;
	greeting->is_same = items[2].number == 1;
	return is_text(&items[4]) && read_holes(items[4].text, greeting) &&
	       read_count(&items[5], &greeting->quiet_us) && greeting->quiet_us <= ENGINE_QUIET_US;
}

/* "DN DSEQ MARK", or nothing. */
static bool
read_mark(struct slice text, struct engine_load *load)
{
	struct slice number, seq;

	if (text.len == 0)
		return true;
	load->mark.deletes = true;
	return take_word(&text, &number) && take_word(&text, &seq) &&
	       read_number(number, &load->mark.number) && slice_to_u64(seq, &load->deleted_seq) &&
	       slice_to_u64(text, &load->mark.position.seq) && load->mark.number <= load->number &&
	       load->deleted_seq < load->mark.position.seq &&
	       load->mark.position.seq <= load->newest.seq;
}

/* "N SEQ START", and maybe a mark. */
static bool
read_newest(const struct resp_value *value, struct engine_load *load)
{
	struct slice text = value->text, number, seq, start;

	if (!is_text(value) || !take_word(&text, &number) || !take_word(&text, &seq))
		return false;
	start = text;
	if (!take_word(&text, &start))
		text.len = 0; /* it was the last word */
	return slice_to_u64(number, &load->number) && slice_to_u64(seq, &load->channel_seq) &&
	       slice_to_u64(start, &load->start) && load->number < ENGINE_NUMBER_MAX &&
	       (load->number == 0) == (load->channel_seq == 0) && load->start <= load->number &&
	       read_mark(text, load);
}

#define LOAD_HEAD 6 /* items before the messages */

static bool
read_head(const struct resp_value *value, struct engine_load *load)
{
	const struct resp_value *items = value->items;

	*load = (struct engine_load){0};
	if (value->type != RESP_TYPE_ARRAY || value->count < LOAD_HEAD ||
	    value->count > LOAD_HEAD + ENGINE_LOAD_MESSAGES || !is_text(&items[0]))
		return false;
	load->channel = items[0].text;
	return read_count(&items[1], &load->after_seq) &&
	       read_count(&items[2], &load->newest.epoch) && load->newest.epoch > 0 &&
	       read_seq(&items[3], &load->newest.seq) && read_count(&items[4], &load->floor_seq) &&
	       read_newest(&items[5], load) && load->floor_seq <= load->newest.seq &&
	       load->channel_seq <= load->newest.seq;
}

/* [position, number, age in ms, payload] */
static bool
read_message(const struct resp_value *value, struct engine_frame *frame, uint64_t *age_us)
{
	const struct resp_value *items = value->items;
	uint64_t age_ms;

	if (value->type != RESP_TYPE_ARRAY || value->count != 4 || !is_text(&items[0]) ||
	    !is_text(&items[1]) || !read_count(&items[2], &age_ms) || !is_text(&items[3]) ||
	    !read_position(items[0].text, &frame->position) ||
	    !read_number(items[1].text, &frame->number))
		return false;
	frame->payload = items[3].text;
	*age_us = age_ms * 1000;
	return true;
}

/* The messages of one channel, in the order of their positions. */
static bool
is_consistent(const struct engine_load *load)
{
	uint64_t after_seq = load->after_seq;

	for (size_t i = 0; i < load->count; i++) {
		const struct engine_frame *m = &load->messages[i];

		if (m->position.epoch != load->newest.epoch || m->position.seq <= after_seq)
			return false;
		after_seq = m->position.seq;
	}
	return after_seq <= load->newest.seq || load->count == 0;
}

/* Somebody has removed the numbers of channels, but not the stream. */
static void
number_anew(struct engine_load *load)
{
	const struct engine_frame *last;

	if (load->number > 0 || load->count == 0)
		return;
	last = &load->messages[load->count - 1];
	load->number = last->number;
	load->channel_seq = last->position.seq;
	load->start = 0;
}

/* Leaves out messages before one whose number is not the next one, and all if the newest is not the
 * channel's newest: somebody has removed messages of the stream. */
static void
cut(struct engine_load *load)
{
	size_t first = load->count;

	if (load->count > 0 && load->messages[load->count - 1].number == load->number)
		while (first > 0 && (first == load->count || load->messages[first - 1].number + 1 ==
								 load->messages[first].number))
			first--;
	load->is_cut = first > 0;
	load->count -= first;
	memmove(load->messages, load->messages + first, load->count * sizeof(*load->messages));
	memmove(load->ages_us, load->ages_us + first, load->count * sizeof(*load->ages_us));
}

bool
engine_load_read(const struct resp_value *value, struct engine_load *load)
{
	bool is_valid;

	if (!read_head(value, load))
		return false;
	load->count = value->count - LOAD_HEAD;
	load->messages = xcalloc(load->count + 1, sizeof(*load->messages));
	load->ages_us = xcalloc(load->count + 1, sizeof(*load->ages_us));
	is_valid = true;
	for (size_t i = 0; is_valid && i < load->count; i++) /* the newest comes first */
		is_valid = read_message(
		    &value->items[value->count - 1 - i], &load->messages[i], &load->ages_us[i]);
	if (is_valid && is_consistent(load)) {
		number_anew(load);
		cut(load);
		for (size_t i = 0; i < load->count; i++)
			load->bytes += load->messages[i].payload.len;
		return true;
	}
	engine_load_release(load);
	return false;
}

void
engine_load_release(struct engine_load *load)
{
	xfree(load->messages);
	xfree(load->ages_us);
	*load = (struct engine_load){0};
}

uint64_t
engine_load_before(const struct engine_load *load)
{
	return load->count > 0 ? load->messages[0].number - 1 : load->number;
}

uint64_t
engine_load_complete_seq(const struct engine_load *load)
{
	uint64_t first_seq;

	if (load->mark.deletes && load->mark.number == engine_load_before(load))
		return load->deleted_seq;
	if (load->count == 0)
		return load->channel_seq > 0 ? load->channel_seq : load->floor_seq;
	first_seq = load->messages[0].position.seq;
	if (load->is_cut || load->messages[0].number > load->start + 1 ||
	    load->floor_seq >= first_seq)
		return first_seq - 1;
	return load->floor_seq;
}

uint64_t
engine_load_missed(const struct engine_load *load, uint64_t was, uint64_t newest_seq)
{
	uint64_t before = engine_load_before(load);

	if (load->number == 0) /* it is forgotten */
		return load->floor_seq > newest_seq ? WIRE_MISSED_UNKNOWN : 0;
	if (load->channel_seq <= newest_seq)
		return 0;
	/* It was forgotten and has begun again: how many messages it had before that is known if
	 * all of those are. If it began before, the engine has lost that it was forgotten. */
	if (load->start > was) {
		if (load->floor_seq > newest_seq || load->start / 2 < newest_seq)
			return WIRE_MISSED_UNKNOWN;
		was = load->start;
	}
	return before > was ? before - was : 0;
}

struct hub_loaded
engine_load_upto(
    const struct engine_load *load, uint64_t upto_seq, struct hub_loaded_message *messages)
{
	uint64_t complete_seq = engine_load_complete_seq(load);
	struct hub_loaded loaded = {.channel = load->channel, .messages = messages};
	size_t count = 0;

	while (count < load->count && load->messages[count].position.seq <= upto_seq) {
		messages[count] =
		    (struct hub_loaded_message){.seq = load->messages[count].position.seq,
			.age_us = load->ages_us[count],
			.payload = load->messages[count].payload};
		count++;
	}
	loaded.count = count;
	loaded.trimmed_seq = complete_seq < upto_seq ? complete_seq : upto_seq;
	loaded.newest_seq = count > 0 ? messages[count - 1].seq : loaded.trimmed_seq;
	loaded.number = engine_load_before(load) + count;
	return loaded;
}
