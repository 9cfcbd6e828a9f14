#include "config.h"

#include "server/image_commands.h"

#include <stdio.h>

#include "resp/writer.h"

/* Pieces of this size are handed to the sink. */
#define PIECE_BYTES 262144

/* An error text repeats at most this many bytes of a command's name. */
#define SHOWN_MAX 64

void
image_begin(struct image_writer *w, size_t argc, const char *name)
{
	resp_put_array(&w->commands, argc);
	resp_put_bulk_str(&w->commands, name);
}

void
image_put(struct image_writer *w, uint64_t number)
{
	resp_put_bulk_int(&w->commands, number < INT64_MAX ? (int64_t)number : INT64_MAX);
}

void
image_put_text(struct image_writer *w, struct slice text)
{
	resp_put_bulk(&w->commands, text);
}

static bool
pass(struct image_writer *w, size_t above)
{
	if (w->commands.len > above) {
		w->ok = w->ok && w->sink(w->arg, buffer_slice(&w->commands));
		buffer_clear(&w->commands);
	}
	return w->ok;
}

bool
image_pass(struct image_writer *w)
{
	return pass(w, PIECE_BYTES);
}

bool
image_finish(struct image_writer *w, bool is_whole)
{
	if (is_whole) {
		image_begin(w, 1, "FANFARED.END");
		(void)pass(w, 0);
	}
	buffer_release(&w->commands);
	return w->ok;
}

bool
image_numbers(const struct slice *argv, size_t argc, size_t from, uint64_t *out)
{
	for (size_t i = from; i < argc; i++)
		if (!slice_to_u64(argv[i], &out[i - from]))
			return false;
	return true;
}

void
image_refuse(const char *what, struct slice name, char *error, size_t error_len)
{
	struct buffer shown = {0};

	if (name.len > SHOWN_MAX)
		name.len = SHOWN_MAX;
	buffer_append_escaped(&shown, name);
	snprintf(
	    error, error_len, "inconsistent %s: wrong '%.*s'", what, (int)shown.len, shown.ptr);
	buffer_release(&shown);
}
