#include "config.h"

#include "app/persistence.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "net/net.h"
#include "persist/disk.h"
#include "persist/keyspace.h"
#include "persist/transfer.h"
#include "server/disk.h"
#include "server/dump.h"
#include "server/held.h"
#include "server/journal.h"
#include "server/replay.h"
#include "server/scripts.h"

struct persistence {
	const struct settings *settings;
	struct server *server;
	struct net *net;
	struct persist *persist;
	struct persist_keyspace keyspace;
	void (*accepted)(void *arg);
	void *arg;
	/* What SHUTDOWN asked for: the last snapshot. */
	enum disk_last_save last_save;
	bool is_forced;
	bool has_handed_over;
	uint64_t saves_before; /* successful snapshots at that time */
};

static bool
keyspace_dump(
    void *arg, bool with_use, bool (*sink)(void *sink_arg, struct slice commands), void *sink_arg)
{
	return server_dump(arg, with_use, sink, sink_arg);
}

static void
keyspace_replay_begin(void *arg, bool with_use)
{
	server_replay_begin(arg, with_use);
}

static bool
keyspace_replay(void *arg, const struct slice *argv, size_t argc, char *error, size_t error_len)
{
	return server_replay(arg, argv, argc, error, error_len);
}

static void
keyspace_replay_foreign(void *arg, bool is_foreign)
{
	server_replay_set_foreign(arg, is_foreign);
}

static void
keyspace_replay_end(void *arg)
{
	server_replay_end(arg);
}

static size_t
keyspace_key_count(void *arg)
{
	return server_key_count(arg);
}

struct persist_keyspace
persistence_keyspace(struct server *server)
{
	return (struct persist_keyspace){.dump = keyspace_dump,
	    .replay_begin = keyspace_replay_begin,
	    .replay = keyspace_replay,
	    .replay_foreign = keyspace_replay_foreign,
	    .replay_end = keyspace_replay_end,
	    .key_count = keyspace_key_count,
	    .arg = server};
}

static void
host_journal_set(void *arg, bool is_on, bool holds)
{
	server_journal_set(((struct persistence *)arg)->server, is_on, holds);
}

static bool
host_journal_take(void *arg, struct buffer *batch, uint64_t *number)
{
	return server_journal_take(((struct persistence *)arg)->server, batch, number);
}

static void
host_journal_kept(void *arg, uint64_t number)
{
	server_journal_kept(((struct persistence *)arg)->server, number);
}

static void
host_journal_failed(void *arg, const char *error)
{
	server_journal_failed(((struct persistence *)arg)->server, error);
}

static void
host_journal_crowded(void *arg, bool crowded)
{
	server_journal_crowded(((struct persistence *)arg)->server, crowded);
}

static void
host_journal_forget_database(void *arg)
{
	server_journal_forget_database(((struct persistence *)arg)->server);
}

static void
host_refuse_writes(void *arg, const char *error)
{
	server_refuse_writes(((struct persistence *)arg)->server, error);
}

static uint64_t
host_changes(void *arg)
{
	return server_changes(((struct persistence *)arg)->server);
}

static void
host_saved(void *arg, uint64_t changes)
{
	server_saved(((struct persistence *)arg)->server, changes);
}

static void
host_ended(void *arg)
{
	server_disk_ended(((struct persistence *)arg)->server);
}

static void
host_accepted(void *arg)
{
	struct persistence *p = arg;

	p->accepted(p->arg);
}

static void *
host_watch(void *arg, int fd, void (*ready)(void *ready_arg), void *ready_arg)
{
	return net_watch(((struct persistence *)arg)->net, fd, ready, ready_arg);
}

static void
host_unwatch(void *arg, void *watch)
{
	(void)arg;
	net_unwatch(watch);
}

static enum disk_answer
answer_of(enum persist_answer answer)
{
	switch (answer) {
	case PERSIST_SCHEDULED:
		return DISK_SCHEDULED;
	case PERSIST_SAVING:
		return DISK_SAVING;
	case PERSIST_REWRITING:
		return DISK_REWRITING;
	case PERSIST_UNABLE:
		return DISK_UNABLE;
	default:
		return DISK_STARTED;
	}
}

static enum disk_answer
on_rewrite(void *arg)
{
	return answer_of(persist_rewrite(((struct persistence *)arg)->persist));
}

static enum disk_answer
on_save(void *arg, bool may_wait)
{
	return answer_of(persist_save(((struct persistence *)arg)->persist, may_wait));
}

static void
on_save_behind(void *arg)
{
	persist_save_after_current(((struct persistence *)arg)->persist);
}

static bool
on_save_now(void *arg)
{
	return persist_save_now(((struct persistence *)arg)->persist);
}

static bool
on_has_save_rules(void *arg)
{
	return ((struct persistence *)arg)->settings->disk.save.count > 0;
}

static void
on_set_last_save(void *arg, enum disk_last_save when, bool is_forced)
{
	struct persistence *p = arg;

	p->last_save = when;
	p->is_forced = is_forced;
	p->saves_before = persist_figures(p->persist).good_saves;
}

static void
on_figures(void *arg, struct server_disk_figures *figures)
{
	const struct persistence *p = arg;
	struct persist_figures now = persist_figures(p->persist);

	*figures = (struct server_disk_figures){
	    .aof_on = now.log_is_on,
	    .rewriting = now.is_rewriting,
	    .rewrite_scheduled = now.rewrite_is_scheduled,
	    .rewrite_failed = now.rewrite_is_failing,
	    .write_failed = now.fault.error != 0,
	    .sync_failed = now.fault.error != 0 && now.fault.is_sync,
	    .saving = now.is_saving,
	    .save_failed = now.save_is_failing,
	    .save_done = now.save == DUMP_DONE,
	    .saves = now.saves,
	    .save_time = now.save_time,
	    .save_s = now.save_s,
	    .rewrite_s = now.rewrite_s,
	    .current_save_s = now.current_save_s,
	    .current_rewrite_s = now.current_rewrite_s,
	    .good_saves = now.good_saves,
	    .rewrites = now.good_rewrites,
	    .fork_us = now.fork_us,
	    .size = now.size,
	    .base_size = now.base_size,
	    .waiting_bytes = now.unwritten_bytes,
	    .unsynced_bytes = now.unsynced_bytes,
	    .syncs = now.syncs,
	    .slowest_sync_us = now.slowest_sync_us,
	};
}

static void
parse_rules(const struct setting_list *list, struct persist_config *config)
{
	for (size_t i = 0; i + 1 < list->count; i += 2) {
		struct persist_save_rule *rule = &config->rules[config->rule_count];

		if (config->rule_count < PERSIST_SAVE_RULES_MAX &&
		    slice_to_i64(slice_of(list->items[i]), &rule->seconds) &&
		    slice_to_i64(slice_of(list->items[i + 1]), &rule->changes))
			config->rule_count++;
	}
}

static struct persist_config
config_of(const struct settings *settings)
{
	const struct disk_settings *disk = &settings->disk;
	struct persist_config config = {
	    .appendonly = disk->appendonly,
	    .log_name = disk->appendfilename,
	    .snapshot_name = disk->dbfilename,
	    .redis_folder = disk->appenddirname,
	    .policy = (enum aof_sync)disk->appendfsync,
	    .no_sync_on_rewrite = disk->no_fsync_on_rewrite,
	    .rewrite_percentage = disk->rewrite_percentage,
	    .rewrite_min_bytes = disk->rewrite_min_bytes,
	    .load_truncated = disk->load_truncated,
	    .stop_on_save_error = disk->stop_on_save_error,
	    .ignore_redis_files = disk->ignore_redis_files,
	    .keeps_folder = disk->history_save,
	    .unsynced_max_bytes = disk->unsynced_max_bytes,
	    .end_timeout_s = disk->shutdown_timeout_s,
	};

	parse_rules(&disk->save, &config);
	return config;
}

static struct persist_host
host_of(struct persistence *p)
{
	return (struct persist_host){.keyspace = &p->keyspace,
	    .journal_set = host_journal_set,
	    .journal_take = host_journal_take,
	    .journal_kept = host_journal_kept,
	    .journal_failed = host_journal_failed,
	    .journal_crowded = host_journal_crowded,
	    .journal_forget_database = host_journal_forget_database,
	    .refuse_writes = host_refuse_writes,
	    .changes = host_changes,
	    .saved = host_saved,
	    .ended = host_ended,
	    .accepted = host_accepted,
	    .watch = host_watch,
	    .unwatch = host_unwatch,
	    .has_thread = true,
	    .arg = p};
}

struct persistence *
persistence_new(const struct settings *settings, struct server *server, struct net *net,
    void (*accepted)(void *arg), void *arg)
{
	struct persistence *p = xcalloc(1, sizeof(*p));
	const struct persist_config config = config_of(settings);
	const struct persist_host host = host_of(p);
	const struct server_disk disk = {.rewrite = on_rewrite,
	    .save = on_save,
	    .save_behind = on_save_behind,
	    .save_now = on_save_now,
	    .has_save_rules = on_has_save_rules,
	    .set_last_save = on_set_last_save,
	    .figures = on_figures,
	    .arg = p};

	p->settings = settings;
	p->server = server;
	p->net = net;
	p->accepted = accepted;
	p->arg = arg;
	p->keyspace = persistence_keyspace(server);
	p->persist = persist_new(&config, &host, &disk_system);
	server_set_disk(server, &disk);
	return p;
}

bool
persistence_start(struct persistence *p, struct buffer *error)
{
	return persist_start(p->persist, error);
}

bool
persistence_import(struct persistence *p, bool (*fill)(void *arg, struct buffer *error), void *arg,
    struct buffer *error)
{
	return persist_import(p->persist, fill, arg, error);
}

enum persist_switch
persistence_switch_on(struct persistence *p, uint64_t *attempt, struct buffer *error)
{
	return persist_switch_on(p->persist, attempt, error);
}

void
persistence_reconfigured(struct persistence *p)
{
	struct persist_config config = config_of(p->settings);

	persist_configure(p->persist, &config);
}

void
persistence_want_log(struct persistence *p, bool is_wanted)
{
	if (!is_wanted)
		persist_switch_off(p->persist);
	else if (!p->settings->disk.appendonly)
		persist_switch_on_retrying(p->persist);
}

uint64_t
persistence_turn(struct persistence *p, uint64_t now_us)
{
	persist_hold_dumps(p->persist, scripts_are_suspended(p->server));
	return persist_turn(p->persist, now_us);
}

void
persistence_turn_ends(struct persistence *p)
{
	persist_hold_dumps(p->persist, scripts_are_suspended(p->server));
	persist_turn_ends(p->persist);
}

struct persist *
persistence_persist(struct persistence *p)
{
	return p->persist;
}

struct persist_keyspace
persistence_server_keyspace(const struct persistence *p)
{
	return p->keyspace;
}

bool
persistence_inherit(struct persistence *p, const struct transfer_files *files, struct buffer *error)
{
	server_restore_changes(p->server, files->changes);
	return persist_inherit(p->persist, files, error);
}

void
persistence_name_owner(const struct persistence *p)
{
	persist_name_owner(p->persist);
}

bool
persistence_discard_history(struct persistence *p, struct buffer *error)
{
	return persist_discard_history(p->persist, error);
}

void
persistence_hand_over(struct persistence *p)
{
	p->has_handed_over = true;
	persist_hand_over(p->persist);
}

/* SHUTDOWN SAVE wants a snapshot even if nothing has changed since the start. */
static bool
is_last_save_due(const struct persistence *p)
{
	bool has_changed = server_changes(p->server) > 0;

	if (p->has_handed_over || p->last_save == DISK_SAVE_NEVER)
		return false;
	if (p->last_save == DISK_SAVE_ALWAYS)
		return has_changed || persist_figures(p->persist).good_saves == p->saves_before;
	return has_changed && p->settings->disk.save.count > 0;
}

bool
persistence_save_last(struct persistence *p)
{
	scripts_settle(p->server);
	return !is_last_save_due(p) || persist_save_now(p->persist) || p->is_forced;
}

bool
persistence_is_forced(const struct persistence *p)
{
	return p->is_forced;
}

bool
persistence_fails_to_save(const struct persistence *p)
{
	return persist_figures(p->persist).save_is_failing;
}

void
persistence_forget_shutdown(struct persistence *p)
{
	p->last_save = DISK_SAVE_BY_RULES;
	p->is_forced = false;
}

bool
persistence_free(struct persistence *p)
{
	bool is_saved, is_written;

	if (p == NULL)
		return true;
	is_saved = persistence_save_last(p);
	if (!is_saved)
		log_error("what changed since the last snapshot is lost");
	is_written = persist_free(p->persist);
	xfree(p);
	return is_saved && is_written;
}
