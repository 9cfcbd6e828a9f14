#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "acl/acl.h"
#include "acl/check.h"
#include "acl/user.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "cmd/handlers.h"
#include "cmd/help.h"
#include "resp/writer.h"
#include "server/access.h"
#include "server/client.h"
#include "server/command.h"
#include "server/server_config.h"
#include "server/settings.h"

/* ACL and its subcommands. ACL LOG is in cmd/acl_log.c. */

#define GENPASS_BITS 256
#define GENPASS_BITS_MAX 4096
#define SHOWN_MAX 128

static int
shown_len(struct slice s)
{
	return (int)strnlen(s.ptr, s.len < SHOWN_MAX ? s.len : SHOWN_MAX);
}

enum command_result
cmd_acl_whoami(struct request *rq)
{
	const struct acl_user *user = rq->client->user;

	resp_put_bulk(rq->reply, (struct slice){user->name, user->name_len});
	return COMMAND_DONE;
}

enum command_result
cmd_acl_users(struct request *rq)
{
	const struct acl *acl = rq->server->access->acl;
	const struct acl_user *user;

	resp_put_array(rq->reply, acl_count(acl));
	for (size_t i = 0; (user = acl_at(acl, i)) != NULL; i++)
		resp_put_bulk(rq->reply, (struct slice){user->name, user->name_len});
	return COMMAND_DONE;
}

enum command_result
cmd_acl_list(struct request *rq)
{
	const struct acl *acl = rq->server->access->acl;
	const struct acl_user *user;
	struct buffer line = {0};

	resp_put_array(rq->reply, acl_count(acl));
	for (size_t i = 0; (user = acl_at(acl, i)) != NULL; i++) {
		buffer_clear(&line);
		acl_user_describe(user, &line);
		resp_put_bulk(rq->reply, buffer_slice(&line));
	}
	buffer_release(&line);
	return COMMAND_DONE;
}

static void
put_part(struct request *rq, const char *name, const struct acl_selector *s,
    void (*describe)(const struct acl_selector *s, struct buffer *out))
{
	struct buffer text = {0};

	describe(s, &text);
	resp_put_bulk_str(rq->reply, name);
	resp_put_bulk(rq->reply, buffer_slice(&text));
	buffer_release(&text);
}

static void
put_selector(struct request *rq, const struct acl_selector *s)
{
	put_part(rq, "commands", s, acl_selector_describe_commands);
	put_part(rq, "keys", s, acl_selector_describe_keys);
	put_part(rq, "channels", s, acl_selector_describe_channels);
}

enum command_result
cmd_acl_getuser(struct request *rq)
{
	const struct acl_user *user = acl_find(rq->server->access->acl, rq->argv[2]);
	const char *flags[4];
	size_t count;

	if (user == NULL) {
		resp_put_null(rq->reply, rq->proto);
		return COMMAND_DONE;
	}
	count = acl_user_flags(user, flags);
	resp_put_map(rq->reply, rq->proto, 6);
	resp_put_bulk_str(rq->reply, "flags");
	resp_put_set(rq->reply, rq->proto, count);
	for (size_t i = 0; i < count; i++)
		resp_put_bulk_str(rq->reply, flags[i]);
	resp_put_bulk_str(rq->reply, "passwords");
	resp_put_array(rq->reply, user->hash_count);
	for (size_t i = 0; i < user->hash_count; i++)
		resp_put_bulk(rq->reply, (struct slice){user->hashes[i], ACL_HASH_LEN});
	put_selector(rq, &user->selectors[0]);
	resp_put_bulk_str(rq->reply, "selectors");
	resp_put_array(rq->reply, user->selector_count - 1);
	for (size_t i = 1; i < user->selector_count; i++) {
		resp_put_map(rq->reply, rq->proto, 3);
		put_selector(rq, &user->selectors[i]);
	}
	return COMMAND_DONE;
}

static void
log_change(struct request *rq, const char *what, struct slice name)
{
	struct buffer shown = {0};
	char label[160];

	buffer_append_escaped(&shown, (struct slice){name.ptr, name.len < 64 ? name.len : 64});
	log_notice("user '%.*s' %s by client %s", (int)shown.len,
	    shown.ptr != NULL ? shown.ptr : "", what,
	    client_label(rq->client, label, sizeof(label)));
	buffer_release(&shown);
}

enum command_result
cmd_acl_setuser(struct request *rq)
{
	struct buffer error = {0};
	bool narrowed = false;

	/* Rules contain passwords. */
	request_hide(rq, 2, rq->argc);
	if (!acl_set_user(rq->server->access->acl, rq->argv[2], rq->argv + 3, rq->argc - 3,
		&narrowed, &error)) {
		request_error(rq, "ERR %.*s", (int)error.len, error.ptr);
	} else {
		log_change(rq, "set", rq->argv[2]);
		access_rules_changed(rq->server);
		if (narrowed)
			access_enforce(
			    rq->server, rq, acl_find(rq->server->access->acl, rq->argv[2]), -1);
		else
			request_ok(rq);
	}
	buffer_release(&error);
	return COMMAND_DONE;
}

enum command_result
cmd_acl_deluser(struct request *rq)
{
	int64_t deleted = 0;

	request_hide(rq, 2, rq->argc);
	for (size_t i = 2; i < rq->argc; i++) {
		if (slice_is(rq->argv[i], "default")) {
			request_error(rq, "ERR The 'default' user cannot be removed");
			return COMMAND_DONE;
		}
	}
	for (size_t i = 2; i < rq->argc; i++) {
		if (!acl_delete(rq->server->access->acl, rq->argv[i]))
			continue;
		deleted++;
		log_change(rq, "deleted", rq->argv[i]);
	}
	if (deleted == 0) {
		resp_put_int(rq->reply, 0);
		return COMMAND_DONE;
	}
	access_rules_changed(rq->server);
	access_enforce(rq->server, rq, NULL, deleted);
	return COMMAND_DONE;
}

static void
put_category(struct request *rq, struct slice category)
{
	char name[COMMAND_NAME_MAX];
	size_t count = 0;

	for (size_t i = 0; i < rq->server->commands->count; i++)
		count += acl_category_holds(
		    category, command_acl(rq->server->commands, &rq->server->commands->rows[i]));
	resp_put_array(rq->reply, count);
	for (size_t i = 0; i < rq->server->commands->count; i++)
		if (acl_category_holds(category,
			command_acl(rq->server->commands, &rq->server->commands->rows[i])))
			resp_put_bulk_str(
			    rq->reply, command_full_name(&rq->server->commands->rows[i], name));
}

enum command_result
cmd_acl_cat(struct request *rq)
{
	size_t count = 0;

	if (rq->argc > 3) {
		request_subcommand_syntax_error(rq);
		return COMMAND_DONE;
	}
	while (acl_categories[count] != NULL &&
	       (rq->argc == 2 || !slice_is_nocase(rq->argv[2], acl_categories[count])))
		count++;
	if (rq->argc == 3 && acl_categories[count] == NULL) {
		request_error(
		    rq, "ERR Unknown category '%.*s'", shown_len(rq->argv[2]), rq->argv[2].ptr);
	} else if (rq->argc == 3) {
		put_category(rq, rq->argv[2]);
	} else {
		resp_put_array(rq->reply, count);
		for (size_t i = 0; i < count; i++)
			resp_put_bulk_str(rq->reply, acl_categories[i]);
	}
	return COMMAND_DONE;
}

enum command_result
cmd_acl_genpass(struct request *rq)
{
	unsigned char bytes[GENPASS_BITS_MAX / 8];
	char text[2 * sizeof(bytes)];
	int64_t bits = GENPASS_BITS;
	size_t digits;

	if (rq->argc > 3) {
		request_subcommand_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (rq->argc == 3 && !slice_to_i64(rq->argv[2], &bits)) {
		request_error(rq, "ERR value is not an integer or out of range");
		return COMMAND_DONE;
	}
	if (bits <= 0 || bits > GENPASS_BITS_MAX) {
		request_error(rq,
		    "ERR ACL GENPASS argument must be the number of bits for the output password, "
		    "a "
		    "positive number up to %d",
		    GENPASS_BITS_MAX);
		return COMMAND_DONE;
	}
	/* getrandom returns up to 256 bytes in full once the system has gathered entropy. */
	for (size_t at = 0; at < sizeof(bytes); at += 256) {
		if (getrandom(bytes + at, 256, 0) != 256) {
			request_error(rq, "ERR cannot get random bytes");
			return COMMAND_DONE;
		}
	}
	hex_write(text, bytes, sizeof(bytes));
	digits = ((size_t)bits + 3) / 4;
	resp_put_bulk(rq->reply, (struct slice){text, digits});
	return COMMAND_DONE;
}

/* The row of the command that these arguments name. NULL: there is no such command. */
static const struct command *
row_of(const struct request *rq, const struct slice *argv, size_t argc)
{
	const struct command *row = command_find(rq->server->commands, NULL, argv[0]);

	if (row != NULL && (row->flags & CMD_CONTAINER) != 0 && argc > 1)
		row = command_find(rq->server->commands, row, argv[1]);
	return row;
}

enum command_result
cmd_acl_dryrun(struct request *rq)
{
	const struct acl_user *user = acl_find(rq->server->access->acl, rq->argv[2]);
	const struct slice *argv = rq->argv + 3;
	size_t argc = rq->argc - 3, at = 0;
	char name[COMMAND_NAME_MAX], text[SHOWN_MAX + 128];
	const struct command *row;

	if (user == NULL) {
		request_error(
		    rq, "ERR User '%.*s' not found", shown_len(rq->argv[2]), rq->argv[2].ptr);
		return COMMAND_DONE;
	}
	row = row_of(rq, argv, argc);
	if (row == NULL) {
		request_error(rq, "ERR Command '%.*s' not found", shown_len(argv[0]), argv[0].ptr);
		return COMMAND_DONE;
	}
	command_full_name(row, name);
	if (!command_arity_fits(row, argc)) {
		request_error(rq, "ERR wrong number of arguments for '%s' command", name);
		return COMMAND_DONE;
	}
	switch (acl_check(user, command_acl(rq->server->commands, row), argv, argc,
	    rq->server->config->queue_groups, &at)) {
	case ACL_ALLOWED:
		request_ok(rq);
		return COMMAND_DONE;
	case ACL_DENIED_COMMAND:
		snprintf(text, sizeof(text), "This user has no permissions to run the '%s' command",
		    name);
		break;
	case ACL_DENIED_KEY:
		snprintf(text, sizeof(text),
		    "This user has no permissions to access the '%.*s' key", shown_len(argv[at]),
		    argv[at].ptr);
		break;
	case ACL_DENIED_CHANNEL:
		snprintf(text, sizeof(text),
		    "This user has no permissions to access the '%.*s' channel",
		    shown_len(argv[at]), argv[at].ptr);
		break;
	}
	resp_put_bulk_str(rq->reply, text);
	return COMMAND_DONE;
}

/* Returns false after replying with an error if no ACL file is configured. */
static bool
has_file(struct request *rq)
{
	const struct server_settings *settings = rq->server->settings;

	if (settings->acl_file(settings->arg)[0] != '\0')
		return true;
	request_error(rq,
	    "ERR This Fanfare instance is not configured to use an ACL file. You may want to "
	    "specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming "
	    "you have a configuration file set) in order to store users in the configuration.");
	return false;
}

enum command_result
cmd_acl_load(struct request *rq)
{
	const struct server_settings *settings = rq->server->settings;
	struct buffer text = {0}, error = {0};

	if (!has_file(rq))
		return COMMAND_DONE;
	if (!settings->acl_read(settings->arg, &text, &error)) {
		request_error(rq, "ERR %.*s", (int)error.len, error.ptr);
	} else if (!acl_load(rq->server->access->acl, buffer_slice(&text),
		       settings->acl_file(settings->arg),
		       slice_of(rq->server->config->requirepass != NULL
				    ? rq->server->config->requirepass
				    : ""),
		       &error)) {
		log_warn("ACL LOAD: %.*s", (int)error.len, error.ptr);
		request_error(rq,
		    "ERR %.*s. WARNING: ACL errors detected, no change to the previously active "
		    "ACL rules was performed",
		    (int)(error.len < 800 ? error.len : 800), error.ptr);
	} else {
		log_notice("ACL LOAD: users read from %s", settings->acl_file(settings->arg));
		access_rules_changed(rq->server);
		access_enforce(rq->server, rq, NULL, -1);
	}
	buffer_release(&text);
	buffer_release(&error);
	return COMMAND_DONE;
}

enum command_result
cmd_acl_save(struct request *rq)
{
	const struct server_settings *settings = rq->server->settings;
	struct buffer text = {0}, error = {0};

	if (!has_file(rq))
		return COMMAND_DONE;
	acl_describe(rq->server->access->acl, false, SLICE(""), &text);
	if (settings->acl_write(settings->arg, buffer_slice(&text), &error)) {
		request_ok(rq);
	} else {
		log_warn("ACL SAVE: %.*s", (int)error.len, error.ptr);
		request_error(rq, "ERR There was an error trying to save the ACLs. Please check "
				  "the server logs for more information");
	}
	buffer_release(&text);
	buffer_release(&error);
	return COMMAND_DONE;
}

enum command_result
cmd_acl_help(struct request *rq)
{
	return request_help_from_table(rq);
}
