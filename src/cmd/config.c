#include "config.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/glob.h"
#include "base/hash_map.h"
#include "cmd/handlers.h"
#include "cmd/help.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/command.h"
#include "server/io.h"
#include "server/rates.h"
#include "server/request.h"
#include "server/settings.h"
#include "server/statistics.h"

/*
 * CONFIG. The directives and their ranges are known to the settings only (struct server_settings).
 */

/* The length of all patterns together, because each is matched against each directive. */
#define PATTERN_BYTES_MAX 65536
#define ERROR_MAX 512

struct get {
	const struct slice *patterns;
	size_t pattern_count;
	struct buffer pairs;
	size_t count;
};

/*
 * As in Redis, a parameter without *, ? and [ is a name, not a pattern, and the reply repeats it as
 * the client wrote it.
 */
static bool
is_wanted(struct slice parameter, const char *name, struct slice *shown)
{
	size_t i;

	for (i = 0; i < parameter.len; i++) {
		if (strchr("*?[", parameter.ptr[i]) != NULL) {
			*shown = slice_of(name);
			return glob_match(parameter, *shown, true);
		}
	}
	*shown = parameter;
	return slice_is_nocase(parameter, name);
}

static void
take_if_wanted(void *arg, const char *name, const char *value)
{
	struct get *get = arg;
	struct slice shown;
	size_t i;

	for (i = 0; i < get->pattern_count; i++) {
		if (!is_wanted(get->patterns[i], name, &shown))
			continue;
		resp_put_bulk(&get->pairs, shown);
		resp_put_bulk_str(&get->pairs, value);
		get->count++;
		return;
	}
}

enum command_result
cmd_config_get(struct request *rq)
{
	const struct server_settings *settings = rq->server->settings;
	struct get get = {rq->argv + 2, rq->argc - 2, {0}, 0};
	size_t len = 0, i;

	for (i = 2; i < rq->argc; i++)
		len += rq->argv[i].len + 1;
	if (len > PATTERN_BYTES_MAX) {
		request_error(rq, "ERR the patterns are longer than %d bytes", PATTERN_BYTES_MAX);
		return COMMAND_DONE;
	}
	settings->each(settings->arg, take_if_wanted, &get);
	resp_put_map(rq->reply, rq->proto, get.count);
	buffer_append_slice(rq->reply, buffer_slice(&get.pairs));
	buffer_release(&get.pairs);
	return COMMAND_DONE;
}

static bool
is_secret(struct slice name)
{
	static const char *const secrets[] = {"requirepass", "tls-key-file-pass",
	    "token-hmac-secret", "masterauth", "masteruser", "tls-client-key-file-pass",
	    "upstream"};

	for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++)
		if (slice_is_nocase(name, secrets[i]))
			return true;
	return false;
}

enum command_result
cmd_config_set(struct request *rq)
{
	const struct server_settings *settings = rq->server->settings;
	char error[ERROR_MAX] = "";

	for (size_t i = 2; i + 1 < rq->argc; i += 2)
		if (is_secret(rq->argv[i]))
			request_hide(rq, i + 1, i + 2);
	if (rq->argc % 2 != 0) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	switch (settings->set(settings->arg, rq->argv + 2, (rq->argc - 2) / 2,
	    rq->in_transaction ? NULL : &rq->client->pending->awaited_disk, error, sizeof(error))) {
	case CONFIG_SET_LATER:
		rq->waits_for = WAIT_SAVE;
		return COMMAND_LATER;
	case CONFIG_SET_DONE:
		request_ok(rq);
		break;
	case CONFIG_SET_REFUSED:
		request_error(rq, "ERR %s", error);
		break;
	}
	return COMMAND_DONE;
}

enum command_result
cmd_config_rewrite(struct request *rq)
{
	const struct server_settings *settings = rq->server->settings;
	char error[ERROR_MAX] = "";

	if (settings->rewrite(settings->arg, error, sizeof(error)))
		request_ok(rq);
	else
		request_error(rq, "ERR %s", error);
	return COMMAND_DONE;
}

static void
forget_error(struct slice code, void *count, void *arg)
{
	struct server *server = arg;

	hash_map_remove(server->statistics->errors, code);
	xfree(count);
}

enum command_result
cmd_config_resetstat(struct request *rq)
{
	struct server *server = rq->server;

	memset(&server->statistics->counters, 0, sizeof(server->statistics->counters));
	statistics_reset_commands(server->statistics);
	hash_map_each(server->statistics->errors, forget_error, server);
	server->statistics->hub_base = hub_figures(server->hub);
	server->statistics->replay_base = hub_replay_figures(server->hub);
	server->statistics->history_base = history_figures(hub_history(server->hub));
	server->io->reset_figures(server->io->arg);
	rates_reset(server->rates);
	request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_config_help(struct request *rq)
{
	return request_help_from_table(rq);
}
