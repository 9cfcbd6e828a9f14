#include "config.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "cmd/handlers.h"
#include "cmd/syntax.h"
#include "resp/writer.h"
#include "server/command.h"
#include "server/request.h"

/*
 * COMMAND DOCS in the format of Redis 7.2, from which redis-cli makes its hints and help. The
 * arguments are parsed from the syntax in the command's row.
 */

/* Names of arguments that are integers. All others are strings, and "pattern" is a pattern. */
static const char *const integers[] = {
    "bytes", "client-id", "count", "index", "messages", "protover", "timeout", "version"};

static const char *
argument_type(const struct syntax *s)
{
	size_t i;

	switch (s->kind) {
	case SYNTAX_TOKEN:
		return "pure-token";
	case SYNTAX_ONEOF:
		return "oneof";
	case SYNTAX_BLOCK:
		return "block";
	case SYNTAX_ARGUMENT:
		break;
	}
	for (i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
		if (slice_is(s->name, integers[i]))
			return "integer";
	}
	return slice_is(s->name, "pattern") ? "pattern" : "string";
}

static void
append_lower(struct buffer *out, struct slice s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		char c = (char)tolower((unsigned char)s.ptr[i]);

		buffer_append(out, &c, 1);
	}
}

/*
 * Appends the name that Redis gives the argument: the word, the token in lower case, or for a group
 * the names of its parts joined by "-".
 */
static void
append_name(struct buffer *out, const struct syntax *s)
{
	const struct syntax *child;

	if (s->kind == SYNTAX_ARGUMENT) {
		buffer_append_slice(out, s->name);
	} else if (s->token.ptr != NULL) {
		append_lower(out, s->token);
	} else {
		for (child = s->children; child != NULL; child = child->next) {
			append_name(out, child);
			if (child->next != NULL)
				buffer_append_str(out, "-");
		}
	}
}

static void put_arguments(struct request *rq, const struct syntax *list);

static void
put_argument_flags(struct request *rq, const struct syntax *s)
{
	resp_put_bulk_str(rq->reply, "flags");
	resp_put_set(rq->reply, rq->proto,
	    (size_t)s->optional + (size_t)s->multiple + (size_t)s->multiple_token);
	if (s->optional)
		resp_put_simple(rq->reply, "optional");
	if (s->multiple)
		resp_put_simple(rq->reply, "multiple");
	if (s->multiple_token)
		resp_put_simple(rq->reply, "multiple_token");
}

static void
put_argument(struct request *rq, const struct syntax *s)
{
	bool is_group = s->children != NULL;
	bool has_flags = s->optional || s->multiple;
	struct buffer name = {0};

	append_name(&name, s);
	resp_put_map(rq->reply, rq->proto,
	    2 + (size_t)!is_group + (size_t)(s->token.ptr != NULL) + (size_t)has_flags +
		(size_t)is_group);
	resp_put_bulk_str(rq->reply, "name");
	resp_put_bulk(rq->reply, buffer_slice(&name));
	resp_put_bulk_str(rq->reply, "type");
	resp_put_bulk_str(rq->reply, argument_type(s));
	if (!is_group) {
		resp_put_bulk_str(rq->reply, "display_text");
		resp_put_bulk(rq->reply, buffer_slice(&name));
	}
	if (s->token.ptr != NULL) {
		resp_put_bulk_str(rq->reply, "token");
		resp_put_bulk(rq->reply, s->token);
	}
	if (has_flags)
		put_argument_flags(rq, s);
	if (is_group)
		put_arguments(rq, s->children);
	buffer_release(&name);
}

static void
put_arguments(struct request *rq, const struct syntax *list)
{
	const struct syntax *s;
	size_t count = 0;

	for (s = list; s != NULL; s = s->next)
		count++;
	resp_put_bulk_str(rq->reply, "arguments");
	resp_put_array(rq->reply, count);
	for (s = list; s != NULL; s = s->next)
		put_argument(rq, s);
}

static bool
is_under(const struct command *row, const struct command *container)
{
	return row->container != NULL && container->container == NULL &&
	       strcmp(row->container, container->name) == 0;
}

static void put_docs(struct request *rq, const struct command *row);

/* There is one level at most: subcommands have no subcommands. */
static void
put_subcommand_docs(struct request *rq, const struct command *container, size_t count)
{
	size_t i;

	resp_put_bulk_str(rq->reply, "subcommands");
	resp_put_map(rq->reply, rq->proto, count);
	for (i = 0; i < rq->server->commands->count; i++) {
		if (is_under(&rq->server->commands->rows[i], container))
			put_docs(rq, &rq->server->commands->rows[i]);
	}
}

/* Puts the full name and the description. */
static void
put_docs(struct request *rq, const struct command *row)
{
	struct syntax *arguments = syntax_parse(row->syntax);
	char name[COMMAND_NAME_MAX];
	size_t subcommands = 0, i;

	for (i = 0; i < rq->server->commands->count; i++)
		subcommands += is_under(&rq->server->commands->rows[i], row);
	resp_put_bulk_str(rq->reply, command_full_name(row, name));
	resp_put_map(rq->reply, rq->proto, 4 + (size_t)(arguments != NULL) + (subcommands > 0));
	resp_put_bulk_str(rq->reply, "summary");
	resp_put_bulk_str(rq->reply, row->summary);
	resp_put_bulk_str(rq->reply, "since");
	resp_put_bulk_str(rq->reply, row->since);
	resp_put_bulk_str(rq->reply, "group");
	resp_put_bulk_str(rq->reply, row->group);
	resp_put_bulk_str(rq->reply, "complexity");
	resp_put_bulk_str(rq->reply, row->complexity);
	if (arguments != NULL)
		put_arguments(rq, arguments);
	if (subcommands > 0)
		put_subcommand_docs(rq, row, subcommands);
	syntax_free(arguments);
}

/* Unknown names are skipped. The reply is a map, so each command is described once. */
enum command_result
cmd_command_docs(struct request *rq)
{
	struct buffer docs = {0}, *reply = rq->reply;
	bool *done = xcalloc(rq->server->commands->count, sizeof(*done));
	size_t count = 0, i;

	rq->reply = &docs;
	for (i = 0; rq->argc == 2 && i < rq->server->commands->count; i++) {
		if (rq->server->commands->rows[i].container == NULL) {
			put_docs(rq, &rq->server->commands->rows[i]);
			count++;
		}
	}
	for (i = 2; i < rq->argc; i++) {
		const struct command *row = command_find_full(rq->server->commands, rq->argv[i]);

		if (row != NULL && !done[command_index(rq->server->commands, row)]) {
			put_docs(rq, row);
			done[command_index(rq->server->commands, row)] = true;
			count++;
		}
	}
	xfree(done);
	rq->reply = reply;
	resp_put_map(rq->reply, rq->proto, count);
	buffer_append_slice(rq->reply, buffer_slice(&docs));
	buffer_release(&docs);
	return COMMAND_DONE;
}
