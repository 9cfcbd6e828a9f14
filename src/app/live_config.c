#include "config.h"

#include "app/live_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/config_file.h"
#include "app/config_rewrite.h"
#include "app/file_limit.h"
#include "app/live_files.h"
#include "app/persistence.h"
#include "app/setting_fault.h"
#include "app/setting_users.h"
#include "base/alloc.h"
#include "base/log.h"
#include "edge/edge.h"
#include "pubsub/channel_lines.h"
#include "server/access.h"

static void
set_error(char *error, size_t error_len, const struct buffer *text)
{
	snprintf(error, error_len, "%.*s", (int)text->len, text->ptr);
}

/* Lines of users and of channels are not values of CONFIG: ACL and CHANNEL change them. */
static bool
has_commands_of_its_own(const struct setting *row)
{
	return row->type == SETTING_USERS || row->type == SETTING_CHANNELS;
}

static bool
is_known_to_config(const struct setting *row)
{
	return !has_commands_of_its_own(row) && row->class != SETTING_REFUSED;
}

static void
each_setting(
    void *arg, void (*visit)(void *visit_arg, const char *name, const char *value), void *visit_arg)
{
	const struct live_config *live = arg;
	const size_t rows = settings_count(), aliases = settings_alias_count();
	struct buffer value = {0};

	for (size_t i = 0; i < rows + aliases; i++) {
		const struct setting *row;
		const char *name;

		if (i < rows) {
			row = settings_row(i);
			name = row->name;
		} else {
			name = settings_alias(i - rows, &row);
		}
		if (!is_known_to_config(row))
			continue;
		buffer_clear(&value);
		settings_show(live->settings, row, &value);
		buffer_append(&value, "", 1);
		visit(visit_arg, name, value.ptr);
	}
	buffer_release(&value);
}

/*
 * Takes over the settings that may change at run time. appendonly becomes "yes" only when its file
 * exists: see live_config_log_accepted(). says_appendonly: the value in next was requested;
 * otherwise it is only a copy of the current one.
 */
static void
adopt(struct live_config *live, const struct settings *next, bool says_appendonly)
{
	const struct setting *appendonly = settings_find(SLICE("appendonly"));
	size_t i;

	for (i = 0; i < settings_count(); i++) {
		const struct setting *row = settings_row(i);

		if (row == appendonly && live->persistence != NULL && next->disk.appendonly)
			continue;
		if ((row->change == SETTING_LIVE || row->class != SETTING_OWN) &&
		    !settings_equal(live->settings, next, row))
			settings_assign(live->settings, next, row);
	}
	settings_derive(live->settings);
	log_set_level(live->settings->log_level);
	if (live->server != NULL)
		server_reconfigured(live->server);
	if (live->edge != NULL)
		edge_reconfigured(live->edge);
	if (live->persistence != NULL)
		persistence_reconfigured(live->persistence);
	if (live->persistence != NULL && says_appendonly)
		persistence_want_log(live->persistence, next->disk.appendonly);
}

void
live_config_log_accepted(struct live_config *live)
{
	live->settings->disk.appendonly = true;
}

/* As in Redis, a name from the command is shown as it was given, up to a NUL. */
static void
append_given(struct buffer *text, struct slice name)
{
	buffer_append(text, name.ptr, strnlen(name.ptr, name.len));
}

static void
append_forbidden(struct buffer *text, struct slice name, const char *reason)
{
	buffer_append_str(text, "CONFIG SET failed (possibly related to argument '");
	append_given(text, name);
	buffer_appendf(text, "') - %s", reason);
}

static void
append_failed(struct buffer *text, const char *name)
{
	buffer_appendf(text, "CONFIG SET failed (possibly related to argument '%s') - ", name);
}

/* True if each pair names a setting that may change, and none twice. */
static bool
names_are_good(const struct slice *pairs, size_t pair_count, struct buffer *text)
{
	bool *named = xcalloc(settings_count(), sizeof(*named));
	bool ok = true;
	size_t i;

	for (i = 0; i < pair_count && ok; i++) {
		const struct setting *row = settings_find(pairs[2 * i]);

		ok = false;
		if (row == NULL || !is_known_to_config(row)) {
			buffer_append_str(
			    text, "Unknown option or number of arguments for CONFIG SET - '");
			append_given(text, pairs[2 * i]);
			buffer_append_str(text, "'");
		} else if (row->change == SETTING_FIXED) {
			append_forbidden(text, pairs[2 * i], "can't set immutable config");
		} else if (named[row - settings_row(0)]) {
			append_forbidden(text, pairs[2 * i], "duplicate parameter");
		} else {
			named[row - settings_row(0)] = true;
			ok = true;
		}
	}
	xfree(named);
	return ok;
}

static bool
set_pairs(struct settings *next, const struct slice *pairs, size_t pair_count, struct buffer *text)
{
	size_t i;

	for (i = 0; i < pair_count; i++) {
		const struct setting *row = settings_find(pairs[2 * i]);
		enum setting_fault fault = settings_set(next, row, &pairs[2 * i + 1], 1);

		if (fault == SETTING_OK)
			continue;
		append_failed(text, settings_spell(pairs[2 * i]));
		setting_describe_fault(row, fault, text);
		return false;
	}
	return true;
}

static bool
agree(const struct settings *next, struct buffer *text)
{
	struct buffer error = {0};
	const char *blamed;
	bool ok = settings_agree(next, &blamed, &error);

	if (!ok) {
		append_failed(text, blamed);
		buffer_append_slice(text, buffer_slice(&error));
	}
	buffer_release(&error);
	return ok;
}

static bool
files_suffice(const struct settings *now, const struct settings *next, struct buffer *text)
{
	uint32_t possible;

	if (next->server.maxclients <= now->server.maxclients)
		return true;
	possible = file_limit_raise(next->server.maxclients, next->net.io_threads);
	if (possible == next->server.maxclients)
		return true;
	append_failed(text, "maxclients");
	buffer_appendf(text,
	    "The operating system is not able to handle the specified number of clients, try with "
	    "%u",
	    (unsigned int)possible);
	return false;
}

/* If `next` switches appendonly on, the append-only file is written first. */
static enum config_set_result
prepare_log(const struct live_config *live, const struct settings *next, uint64_t *attempt,
    struct buffer *text)
{
	struct buffer error = {0};
	enum persist_switch result = PERSIST_REFUSED;

	if (live->persistence == NULL || !next->disk.appendonly || live->settings->disk.appendonly)
		return CONFIG_SET_DONE;
	if (attempt == NULL)
		buffer_append_str(&error,
		    "the append-only file is written first, and a transaction cannot wait for "
		    "that");
	else
		result = persistence_switch_on(live->persistence, attempt, &error);
	if (result == PERSIST_REFUSED) {
		append_failed(text, "appendonly");
		buffer_append_slice(text, buffer_slice(&error));
	}
	buffer_release(&error);
	return result == PERSIST_SWITCHED  ? CONFIG_SET_DONE
	       : result == PERSIST_PENDING ? CONFIG_SET_LATER
					   : CONFIG_SET_REFUSED;
}

/* Reads the files that belong to the settings which a CONFIG SET names. */
static bool
read_named(const struct live_config *live, const struct settings *next, const struct slice *pairs,
    size_t pair_count, struct live_files *files, struct buffer *text)
{
	struct buffer error = {0};
	const struct setting *row = NULL;
	const char *what = "";
	bool ok = true;

	for (size_t i = 0; i < pair_count && ok; i++) {
		row = settings_find(pairs[2 * i]);
		if (strncmp(row->name, "tls-", strlen("tls-")) == 0) {
			what = "TLS";
			ok = live_files_read_tls(live, next, files, &error);
		} else if (strncmp(row->name, "token-", strlen("token-")) == 0) {
			what = "token";
			ok = live_files_read_keys(live, next, files, &error);
		}
	}
	if (!ok) {
		log_warn("CONFIG SET: %s: %.*s", what, (int)error.len, error.ptr);
		append_failed(text, row->name);
		buffer_appendf(text, "Unable to update %s configuration: ", what);
		buffer_append_slice(text, buffer_slice(&error));
	}
	buffer_release(&error);
	return ok;
}

static bool
is_named(const char *name, const struct slice *pairs, size_t pair_count)
{
	for (size_t i = 0; i < pair_count; i++)
		if (slice_is_nocase(pairs[2 * i], name))
			return true;
	return false;
}

/* Changes all or nothing. */
static enum config_set_result
set_settings(void *arg, const struct slice *pairs, size_t pair_count, uint64_t *attempt,
    char *error, size_t error_len)
{
	struct live_config *live = arg;
	enum config_set_result result = CONFIG_SET_REFUSED;
	struct buffer text = {0};
	struct live_files files = {NULL, NULL};
	struct settings next;
	bool ok;

	settings_copy(&next, live->settings);
	ok = names_are_good(pairs, pair_count, &text) &&
	     set_pairs(&next, pairs, pair_count, &text) && agree(&next, &text) &&
	     files_suffice(live->settings, &next, &text);
	settings_derive(&next);
	if (ok && read_named(live, &next, pairs, pair_count, &files, &text))
		result = prepare_log(live, &next, attempt, &text);
	if (result == CONFIG_SET_DONE) {
		live_files_use(live, &files, &next);
		adopt(live, &next, is_named("appendonly", pairs, pair_count));
	} else {
		live_files_release(&files);
		set_error(error, error_len, &text);
	}
	settings_release(&next);
	buffer_release(&text);
	return result;
}

/* The file gets the users as ACL SETUSER left them, without default if requirepass describes it
 * completely. */
static bool
take_users(struct live_config *live, struct buffer *error)
{
	struct buffer text = {0};
	bool ok;

	if (live->settings->aclfile[0] != '\0' || live->server == NULL)
		return true;
	server_describe_users(live->server, true, &text);
	ok = setting_users_take(&live->settings->users, buffer_slice(&text));
	if (!ok)
		setting_users_explain(SETTING_TOO_MANY_USERS, NULL, 0, error);
	buffer_release(&text);
	return ok;
}

static const struct channel_lines *
channels_of(const struct live_config *live)
{
	return live->server != NULL ? server_channel_lines(live->server) : live->settings->channels;
}

static bool
rewrite_file(void *arg, char *error, size_t error_len)
{
	struct live_config *live = arg;
	struct buffer text = {0};
	bool ok;

	if (live->source->file == NULL) {
		snprintf(error, error_len, "The server is running without a config file");
		return false;
	}
	ok = take_users(live, &text) &&
	     config_rewrite(live->source->file, live->settings, channels_of(live), &text);
	if (ok) {
		log_notice("configuration file %s rewritten", live->source->file);
	} else {
		log_warn("configuration file %s not rewritten: %.*s", live->source->file,
		    (int)text.len, text.ptr);
		snprintf(error, error_len, "Rewriting config file: %.*s", (int)text.len, text.ptr);
	}
	buffer_release(&text);
	return ok;
}

static const char *
file_of(void *arg)
{
	const struct live_config *live = arg;

	return live->source->file != NULL ? live->source->file : "";
}

static const char *
aclfile_of(void *arg)
{
	const struct live_config *live = arg;

	return live->settings->aclfile;
}

static bool
read_aclfile(void *arg, struct buffer *text, struct buffer *error)
{
	const char *path = aclfile_of(arg);

	if (config_slurp(path, text))
		return true;
	buffer_appendf(error, "Error loading ACLs, opening file '%s': %s", path, strerror(errno));
	return false;
}

static bool
write_aclfile(void *arg, struct slice text, struct buffer *error)
{
	const char *path = aclfile_of(arg);

	if (config_replace_file(path, text))
		return true;
	buffer_appendf(error, "aclfile %s: %s", path, strerror(errno));
	return false;
}

/* The users of s, whose aclfile is that of live. */
static bool
load_users(struct live_config *live, const struct settings *s, struct buffer *error)
{
	const char *path = live->settings->aclfile;
	struct buffer text = {0};
	bool ok = true;

	if (path[0] != '\0')
		ok = read_aclfile(live, &text, error);
	else
		setting_users_write(&s->users, false, &text);
	ok = ok &&
	     server_load_users(live->server, buffer_slice(&text),
		 path[0] != '\0' ? path : "user lines of the configuration", &s->server, error);
	buffer_release(&text);
	return ok;
}

bool
live_config_load_users(struct live_config *live, struct buffer *error)
{
	if (live->settings->aclfile[0] == '\0' && live->settings->users.count == 0)
		return true;
	return load_users(live, live->settings, error);
}

/* Moves the lines of channels of s to the server. */
static void
move_channels(struct live_config *live, struct settings *s)
{
	server_set_channel_lines(live->server, s->channels);
	s->channels = channel_lines_new();
}

void
live_config_load_channels(struct live_config *live)
{
	move_channels(live, live->settings);
}

struct server_settings
live_config_interface(struct live_config *live)
{
	return (struct server_settings){
	    .each = each_setting,
	    .set = set_settings,
	    .rewrite = rewrite_file,
	    .file = file_of,
	    .acl_file = aclfile_of,
	    .acl_read = read_aclfile,
	    .acl_write = write_aclfile,
	    .arg = live,
	};
}

bool
live_config_fit_maxclients(struct settings *s)
{
	uint32_t possible = file_limit_raise(s->server.maxclients, s->net.io_threads);

	if (possible == s->server.maxclients)
		return true;
	if (possible == 0) {
		log_error(
		    "the limit of open files is too low: at least %u are needed, see ulimit -n",
		    file_limit_reserve(s->net.io_threads) + 1);
		return false;
	}
	log_warn("maxclients lowered from %u to %u: the limit of open files cannot be raised to "
		 "%llu, see ulimit -n",
	    (unsigned int)s->server.maxclients, (unsigned int)possible,
	    (unsigned long long)s->server.maxclients + file_limit_reserve(s->net.io_threads));
	s->server.maxclients = possible;
	return true;
}

static void
log_difference(const struct settings *now, const struct settings *next, const struct setting *row)
{
	struct buffer from = {0}, to = {0};

	settings_write(now, row, &from);
	settings_write(next, row, &to);
	if (setting_is_secret(row) && row->change == SETTING_FIXED)
		log_warn("reload: %s changed: it needs a restart", row->name);
	else if (setting_is_secret(row) || has_commands_of_its_own(row))
		log_notice("reload: %s changed", row->name);
	else if (row->change == SETTING_LIVE)
		log_notice("reload: %.*s, was %.*s", (int)to.len, to.ptr, (int)from.len, from.ptr);
	else
		log_warn("reload: %.*s needs a restart; %.*s stays in effect", (int)to.len, to.ptr,
		    (int)from.len, from.ptr);
	buffer_release(&from);
	buffer_release(&to);
}

/* Users are left alone if neither a file nor the configuration names any, now or before. */
static bool
reload_users(struct live_config *live, const struct settings *next, struct buffer *error)
{
	if (live->server == NULL || (live->settings->aclfile[0] == '\0' && next->users.count == 0 &&
					live->settings->users.count == 0))
		return true;
	return load_users(live, next, error);
}

/* CHANNEL SET may have changed the lines since the file was read. */
static void
reload_channels(struct live_config *live, struct settings *next)
{
	const struct channel_lines *now;

	if (live->server == NULL)
		return;
	now = server_channel_lines(live->server);
	if (channel_lines_equal(now, next->channels)) {
		settings_assign(next, live->settings, settings_find(SLICE("channel")));
		return;
	}
	log_notice("reload: channel changed: %zu lines, were %zu",
	    channel_lines_count(next->channels), channel_lines_count(now));
	move_channels(live, next);
}

bool
live_config_load_tokens(struct live_config *live, struct buffer *error)
{
	struct live_files files = {NULL, NULL};

	if (!live_files_read_keys(live, live->settings, &files, error))
		return false;
	live_files_use(live, &files, live->settings);
	return true;
}

/* Takes over what was read; nothing can fail any more. */
static void
take_over(struct live_config *live, struct settings *next, struct live_files *files)
{
	live_files_use(live, files, next);
	reload_channels(live, next);
	for (size_t i = 0; i < settings_count(); i++)
		if (settings_row(i)->class == SETTING_OWN &&
		    !settings_equal(live->settings, next, settings_row(i)))
			log_difference(live->settings, next, settings_row(i));
	adopt(live, next, true);
	log_notice("reload: done");
}

static void
log_mistakes(const struct buffer *mistakes)
{
	struct slice rest = buffer_slice(mistakes), line;

	while (config_next_line(&rest, &line))
		log_error("reload failed, nothing changed: %.*s", (int)line.len, line.ptr);
}

void
live_config_reload(struct live_config *live)
{
	struct live_files files = {NULL, NULL};
	struct buffer error = {0};
	struct settings next;

	if (!config_source_load(live->source, &next, &error)) {
		log_mistakes(&error);
		buffer_release(&error);
		return;
	}
	if (!live_config_fit_maxclients(&next)) {
		log_error("reload failed, nothing changed");
	} else if (!live_files_read(live, &next, &files, &error) ||
		   !reload_users(live, &next, &error)) {
		log_error("reload failed, nothing changed: %.*s", (int)error.len, error.ptr);
		live_files_release(&files);
	} else {
		take_over(live, &next, &files);
	}
	settings_release(&next);
	buffer_release(&error);
}
