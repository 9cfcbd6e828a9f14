#include "config.h"

#include "app/kept_history.h"

#include "base/buffer.h"
#include "base/log.h"
#include "persist/disk.h"
#include "persist/history_file.h"
#include "persist/keyspace.h"
#include "pubsub/history.h"
#include "pubsub/hub_history.h"
#include "server/core.h"
#include "server/history_image.h"

static bool
dump(void *arg, bool with_use, bool (*sink)(void *sink_arg, struct slice commands), void *sink_arg)
{
	(void)with_use;
	return server_history_write(((struct kept_history *)arg)->server, sink, sink_arg);
}

static void
replay_begin(void *arg, bool with_use)
{
	struct kept_history *kept = arg;

	(void)with_use;
	kept->reader = history_image_begin(kept->server);
}

static bool
replay(void *arg, const struct slice *argv, size_t argc, char *error, size_t error_len)
{
	return history_image_read(
	    ((struct kept_history *)arg)->reader, argv, argc, error, error_len);
}

static void
replay_end(void *arg)
{
	(void)arg;
}

struct persist_keyspace
kept_history_keyspace(struct kept_history *kept)
{
	return (struct persist_keyspace){.dump = dump,
	    .replay_begin = replay_begin,
	    .replay = replay,
	    .replay_end = replay_end,
	    .arg = kept};
}

bool
kept_history_end(struct kept_history *kept)
{
	struct history_image_reader *reader = kept->reader;

	kept->reader = NULL;
	if (reader != NULL)
		kept->has_other_lines = history_image_has_other_lines(reader);
	return reader != NULL && history_image_end(reader);
}

/* True: the file was used up, and its content is in the server. */
static bool
settle(struct kept_history *kept, enum history_file_result result, struct buffer *error)
{
	bool is_whole = kept_history_end(kept);

	if (result == HISTORY_FILE_TAKEN && is_whole)
		return true;
	if (is_whole)
		server_history_forget(kept->server);
	if (result == HISTORY_FILE_TAKEN)
		buffer_appendf(error, "%s: the history in it is incomplete", HISTORY_FILE);
	return false;
}

void
kept_history_load(struct server *server)
{
	struct kept_history kept = {.server = server};
	const struct persist_keyspace keyspace = kept_history_keyspace(&kept);
	struct buffer error = {0};
	enum history_file_result result = history_file_take(&disk_system, &keyspace, &error);
	struct history_figures figures;

	if (settle(&kept, result, &error)) {
		figures = history_figures(hub_history(server->hub));
		log_notice("%s: %zu messages of %zu channels loaded", HISTORY_FILE,
		    figures.messages, figures.rings);
	} else if (result != HISTORY_FILE_NONE) {
		log_error("%.*s: channels begin without messages, and clients that resume are told "
			  "that they lost some",
		    (int)error.len, error.ptr);
	}
	buffer_release(&error);
}

bool
kept_history_save(struct server *server)
{
	struct kept_history kept = {.server = server};
	const struct persist_keyspace keyspace = kept_history_keyspace(&kept);
	struct buffer error = {0};
	bool ok = history_file_write(&disk_system, &keyspace, &error);

	if (ok)
		log_notice("%s: written", HISTORY_FILE);
	else
		log_error("cannot write %.*s: the kept messages of channels are lost",
		    (int)error.len, error.ptr);
	server_history_forget(server);
	buffer_release(&error);
	return ok;
}
