#include "config.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/glob.h"
#include "cmd/handlers.h"
#include "cmd/help.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/command.h"
#include "server/job.h"
#include "server/request.h"

/*
 * COMMAND: the command table, as clients can query it. COMMAND DOCS is in cmd/command_docs.c; what
 * is said about keys is in cmd/command_key_specs.c.
 */

/* In the order in which Redis lists them. */
static const struct {
	uint32_t flag;
	const char *name;
} flag_names[] = {
    {CMD_WRITE, "write"},
    {CMD_READONLY, "readonly"},
    {CMD_DENYOOM, "denyoom"},
    {CMD_ADMIN, "admin"},
    {CMD_PUBSUB, "pubsub"},
    {CMD_NOSCRIPT, "noscript"},
    {CMD_BLOCKING, "blocking"},
    {CMD_LOADING, "loading"},
    {CMD_STALE, "stale"},
    {CMD_SKIP_MONITOR, "skip_monitor"},
    {CMD_SKIP_SLOWLOG, "skip_slowlog"},
    {CMD_FAST, "fast"},
    {CMD_NO_AUTH, "no_auth"},
    {CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"},
    {CMD_NO_ASYNC_LOADING, "no_async_loading"},
    {CMD_NO_MULTI, "no_multi"},
    {CMD_MOVABLE_KEYS, "movablekeys"},
    {CMD_ALLOW_BUSY, "allow_busy"},
};

#define FLAG_NAMES (sizeof(flag_names) / sizeof(flag_names[0]))

static void
put_flags(struct buffer *out, int proto, uint32_t flags)
{
	size_t count = 0, i;

	for (i = 0; i < FLAG_NAMES; i++)
		count += (flags & flag_names[i].flag) != 0;
	resp_put_set(out, proto, count);
	for (i = 0; i < FLAG_NAMES; i++) {
		if ((flags & flag_names[i].flag) != 0)
			resp_put_simple(out, flag_names[i].name);
	}
}

/* The next word of a text whose words are separated by spaces; false at the end. */
static bool
next_word(const char **text, struct slice *word)
{
	*text += strspn(*text, " ");
	*word = (struct slice){*text, strcspn(*text, " ")};
	*text += word->len;
	return word->len > 0;
}

static void
put_words(struct buffer *out, int proto, const char *text, bool as_bulk)
{
	const char *at = text;
	char simple[COMMAND_NAME_MAX];
	struct slice word;
	size_t count = 0;

	while (next_word(&at, &word))
		count++;
	resp_put_set(out, proto, count);
	for (at = text; next_word(&at, &word);) {
		if (as_bulk) {
			resp_put_bulk(out, word);
		} else if (word.len < sizeof(simple)) {
			memcpy(simple, word.ptr, word.len);
			simple[word.len] = '\0';
			resp_put_simple(out, simple);
		}
	}
}

static bool
is_under(const struct command *row, const struct command *container)
{
	return row->container != NULL && container->container == NULL &&
	       strcmp(row->container, container->name) == 0;
}

static size_t
count_under(const struct command_table *table, const struct command *container)
{
	size_t count = 0, i;

	for (i = 0; i < table->count; i++)
		count += is_under(&table->rows[i], container);
	return count;
}

static size_t
count_top_level(const struct command_table *table)
{
	size_t count = 0, i;

	for (i = 0; i < table->count; i++)
		count += table->rows[i].container == NULL;
	return count;
}

static void
put_info_alone(
    const struct command_table *table, struct buffer *out, int proto, const struct command *row)
{
	size_t subcommands = count_under(table, row);
	char name[COMMAND_NAME_MAX];

	resp_put_array(out, 10);
	resp_put_bulk_str(out, command_full_name(row, name));
	resp_put_int(out, row->arity);
	put_flags(out, proto, row->flags);
	resp_put_int(out, row->first_key);
	resp_put_int(out, row->last_key);
	resp_put_int(out, row->key_step);
	put_words(out, proto, row->categories, false);
	put_words(out, proto, row->tips, true);
	command_put_key_specs(out, proto, row);
	if (subcommands > 0) /* as Redis: an array, but an empty set if there are none */
		resp_put_array(out, subcommands);
	else
		resp_put_set(out, proto, 0);
}

static void
put_info(
    const struct command_table *table, struct buffer *out, int proto, const struct command *row)
{
	size_t i;

	put_info_alone(table, out, proto, row);
	for (i = 0; i < table->count; i++) {
		if (is_under(&table->rows[i], row))
			put_info_alone(table, out, proto, &table->rows[i]);
	}
}

static enum command_result
put_all_infos(struct request *rq)
{
	size_t i;

	resp_put_array(rq->reply, count_top_level(rq->server->commands));
	for (i = 0; i < rq->server->commands->count; i++) {
		if (rq->server->commands->rows[i].container == NULL)
			put_info(rq->server->commands, rq->reply, rq->proto,
			    &rq->server->commands->rows[i]);
	}
	return COMMAND_DONE;
}

enum command_result
cmd_command(struct request *rq)
{
	return put_all_infos(rq);
}

enum command_result
cmd_command_count(struct request *rq)
{
	resp_put_int(rq->reply, (int64_t)count_top_level(rq->server->commands));
	return COMMAND_DONE;
}

/*
 * COMMAND INFO of many names runs as a job: the same name may be repeated, and its description is
 * some hundred times longer.
 */
#define INFOS_AT_ONCE 64

/*
 * The most names accepted from a client to which messages may be pushed: its reply must be sent in
 * one piece.
 */
#define INFOS_WHOLE_MAX 256

struct infos {
	const struct command **rows; /* NULL: unknown command */
	size_t count;
	size_t at;
	int proto;
};

static void
infos_free(void *state)
{
	struct infos *infos = state;

	xfree(infos->rows);
	xfree(infos);
}

/* A step is short, so that each part of the reply is sent before the next is built. */
static enum job_state
infos_step(void *state, struct job_step *step)
{
	struct infos *infos = state;
	size_t end = infos->at + INFOS_AT_ONCE;

	if (client_is_pushed_to(step->client))
		end = infos->count;
	for (; infos->at < infos->count && infos->at < end; infos->at++) {
		if (infos->rows[infos->at] != NULL)
			put_info(step->server->commands, step->reply, infos->proto,
			    infos->rows[infos->at]);
		else
			resp_put_null(step->reply, infos->proto);
	}
	return infos->at < infos->count ? JOB_MORE : JOB_DONE;
}

enum command_result
cmd_command_info(struct request *rq)
{
	static const struct job_kind kind = {"command info", infos_step, infos_free};
	struct job_step step = {rq->server, rq->client, rq->reply, .deadline_us = 0};
	struct infos *infos;
	size_t i;

	if (rq->argc == 2)
		return put_all_infos(rq);
	if (rq->argc - 2 > INFOS_WHOLE_MAX && client_is_pushed_to(rq->client)) {
		request_error(rq,
		    "ERR at most %d names are allowed while messages may be pushed to this client",
		    INFOS_WHOLE_MAX);
		return COMMAND_DONE;
	}
	infos = xcalloc(1, sizeof(*infos));
	infos->count = rq->argc - 2;
	infos->rows = xcalloc(infos->count, sizeof(*infos->rows));
	infos->proto = rq->proto;
	for (i = 0; i < infos->count; i++)
		infos->rows[i] = command_find_full(rq->server->commands, rq->argv[i + 2]);
	resp_put_array(rq->reply, infos->count);
	if (infos_step(infos, &step) == JOB_DONE)
		infos_free(infos);
	else
		job_start(rq->server, rq->client, &kind, infos);
	return COMMAND_DONE;
}

/* Matching a longer pattern against every name would take too long. */
#define PATTERN_MAX 1024

enum list_filter { LIST_ALL, LIST_MODULE, LIST_CATEGORY, LIST_PATTERN };

static bool
has_category(const struct command *row, struct slice category)
{
	const char *at = row->categories;
	struct slice word;

	while (next_word(&at, &word)) {
		char name[COMMAND_NAME_MAX];

		if (word.len != category.len + 1 || word.len >= sizeof(name))
			continue;
		memcpy(name, word.ptr + 1, category.len);
		name[category.len] = '\0';
		if (slice_is_nocase(category, name))
			return true;
	}
	return false;
}

static bool
list_matches(
    enum list_filter filter, struct slice value, const struct command *row, const char *name)
{
	switch (filter) {
	case LIST_MODULE: /* there are no modules */
		return false;
	case LIST_CATEGORY:
		return has_category(row, value);
	case LIST_PATTERN:
		return glob_match(value, slice_of(name), true);
	case LIST_ALL:
		break;
	}
	return true;
}

enum command_result
cmd_command_list(struct request *rq)
{
	enum list_filter filter = LIST_ALL;
	struct slice value = {"", 0};
	struct buffer names = {0};
	char name[COMMAND_NAME_MAX];
	size_t count = 0, i;

	if (rq->argc == 5 && slice_is_nocase(rq->argv[2], "filterby")) {
		value = rq->argv[4];
		if (slice_is_nocase(rq->argv[3], "module"))
			filter = LIST_MODULE;
		else if (slice_is_nocase(rq->argv[3], "aclcat"))
			filter = LIST_CATEGORY;
		else if (slice_is_nocase(rq->argv[3], "pattern"))
			filter = LIST_PATTERN;
	}
	if (rq->argc != 2 && filter == LIST_ALL) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (value.len > PATTERN_MAX) {
		request_error(rq, "ERR the filter is longer than %d bytes", PATTERN_MAX);
		return COMMAND_DONE;
	}
	for (i = 0; i < rq->server->commands->count; i++) {
		command_full_name(&rq->server->commands->rows[i], name);
		if (list_matches(filter, value, &rq->server->commands->rows[i], name)) {
			resp_put_bulk_str(&names, name);
			count++;
		}
	}
	resp_put_array(rq->reply, count);
	buffer_append_slice(rq->reply, buffer_slice(&names));
	buffer_release(&names);
	return COMMAND_DONE;
}

enum command_result
cmd_command_help(struct request *rq)
{
	return request_help_from_table(rq);
}

/*
 * Called for an unknown subcommand only: without a subcommand the arity does not fit, and a known
 * subcommand has its own row.
 */
enum command_result
cmd_container(struct request *rq)
{
	request_subcommand_syntax_error(rq);
	return COMMAND_DONE;
}
