#include "config.h"

#include "acl/key_spec.h"
#include "cmd/handlers.h"
#include "resp/writer.h"
#include "server/command.h"
#include "server/request.h"

/*
 * Keys in replies of COMMAND: the specifications in a row, and the keys of a given request
 * (GETKEYS, GETKEYSANDFLAGS).
 */

static void
put_flags(struct buffer *out, int proto, uint32_t flags)
{
	size_t count = 0;
	unsigned i;

	for (i = 0; i < KEYSPEC_FLAGS; i++)
		count += flags >> i & 1;
	resp_put_set(out, proto, count);
	for (i = 0; i < KEYSPEC_FLAGS; i++)
		if ((flags >> i & 1) != 0)
			resp_put_simple(out, key_spec_flag_name(i));
}

/* {type: `type`, spec: {names[0]: numbers[0], ...}} */
static void
put_part(struct buffer *out, int proto, const char *type, const char *const names[],
    const int numbers[], size_t count)
{
	size_t i;

	resp_put_map(out, proto, 2);
	resp_put_bulk_str(out, "type");
	resp_put_bulk_str(out, type);
	resp_put_bulk_str(out, "spec");
	resp_put_map(out, proto, count);
	for (i = 0; i < count; i++) {
		resp_put_bulk_str(out, names[i]);
		resp_put_int(out, numbers[i]);
	}
}

/* Where the keys begin: at an argument, or behind a word. */
static void
put_begin(struct buffer *out, int proto, const struct key_spec *spec)
{
	static const char *const index_names[] = {"index"};

	if (spec->word.len == 0) {
		put_part(out, proto, spec->begin == 0 ? "unknown" : "index", index_names,
		    &spec->begin, spec->begin != 0);
		return;
	}
	resp_put_map(out, proto, 2);
	resp_put_bulk_str(out, "type");
	resp_put_bulk_str(out, "keyword");
	resp_put_bulk_str(out, "spec");
	resp_put_map(out, proto, 2);
	resp_put_bulk_str(out, "keyword");
	resp_put_bulk(out, spec->word);
	resp_put_bulk_str(out, "startfrom");
	resp_put_int(out, spec->begin);
}

static void
put_spec(struct buffer *out, int proto, const struct key_spec *spec)
{
	static const char *const range_names[] = {"lastkey", "keystep", "limit"};
	static const char *const keynum_names[] = {"keynumidx", "firstkey", "keystep"};

	resp_put_map(out, proto, spec->note.len > 0 ? 4 : 3);
	if (spec->note.len > 0) {
		resp_put_bulk_str(out, "notes");
		resp_put_bulk(out, spec->note);
	}
	resp_put_bulk_str(out, "flags");
	put_flags(out, proto, spec->flags);
	resp_put_bulk_str(out, "begin_search");
	put_begin(out, proto, spec);
	resp_put_bulk_str(out, "find_keys");
	if (spec->find == KEYS_UNKNOWN)
		put_part(out, proto, "unknown", NULL, NULL, 0);
	else if (spec->find == KEYS_RANGE)
		put_part(out, proto, "range", range_names, spec->numbers, 3);
	else
		put_part(out, proto, "keynum", keynum_names, spec->numbers, 3);
}

void
command_put_key_specs(struct buffer *out, int proto, const struct command *row)
{
	struct key_spec specs[KEY_SPECS_MAX];
	size_t count = key_specs_parse(row->keys, specs), i;

	resp_put_set(out, proto, count);
	for (i = 0; i < count; i++)
		put_spec(out, proto, &specs[i]);
}

/*
 * Finds the row of the request that begins at the third argument. Replies with the error if there
 * is none.
 */
static const struct command *
find_row(struct request *rq)
{
	const struct command *row = command_find(rq->server->commands, NULL, rq->argv[2]);

	if (row != NULL && (row->flags & CMD_CONTAINER) != 0 && rq->argc > 3)
		row = command_find(rq->server->commands, row, rq->argv[3]);
	if (row == NULL) {
		request_error(rq, "ERR Invalid command specified");
	} else if (!key_specs_have_keys(row->keys)) {
		request_error(rq, "ERR The command has no key arguments");
	} else if (!command_arity_fits(row, rq->argc - 2)) {
		request_error(rq, "ERR Invalid number of arguments specified for command");
	} else {
		return row;
	}
	return NULL;
}

static size_t
count_keys(const struct key_range *ranges, size_t count)
{
	size_t keys = 0, i;

	for (i = 0; i < count; i++)
		keys += (ranges[i].last - ranges[i].first) / ranges[i].step + 1;
	return keys;
}

static enum command_result
put_keys(struct request *rq, bool with_flags)
{
	const struct command *row = find_row(rq);
	struct key_range ranges[KEY_SPECS_MAX];
	size_t count, i, at;

	if (row == NULL)
		return COMMAND_DONE;
	count = key_spec_ranges(
	    command_acl(rq->server->commands, row), rq->argv + 2, rq->argc - 2, ranges);
	if (count == 0 && (row->flags & CMD_NO_MANDATORY_KEYS) == 0) {
		request_error(rq, "ERR Invalid arguments specified for command");
		return COMMAND_DONE;
	}
	resp_put_array(rq->reply, count_keys(ranges, count));
	for (i = 0; i < count; i++) {
		for (at = ranges[i].first; at <= ranges[i].last; at += ranges[i].step) {
			if (with_flags)
				resp_put_array(rq->reply, 2);
			resp_put_bulk(rq->reply, rq->argv[at + 2]);
			if (with_flags)
				put_flags(rq->reply, rq->proto, ranges[i].flags);
		}
	}
	return COMMAND_DONE;
}

enum command_result
cmd_command_getkeys(struct request *rq)
{
	return put_keys(rq, false);
}

enum command_result
cmd_command_getkeysandflags(struct request *rq)
{
	return put_keys(rq, true);
}
