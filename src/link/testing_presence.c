#include "config.h"

#include "link/testing_presence.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "resp/writer.h"

static void
copy(char *to, size_t room, struct slice from)
{
	ck_assert_uint_lt(from.len, room);
	if (from.len > 0)
		memcpy(to, from.ptr, from.len);
	to[from.len] = '\0';
}

static uint64_t
number_of(struct slice text)
{
	uint64_t number = 0;

	ck_assert(slice_to_u64(text, &number));
	return number;
}

struct testing_presence_node *
testing_presence_node(struct testing_presence *presence, struct slice id)
{
	for (size_t i = 0; i < TESTING_PRESENCE_NODES; i++)
		if (slice_is(id, presence->nodes[i].id))
			return &presence->nodes[i];
	return NULL;
}

struct testing_presence_member *
testing_presence_find(struct testing_presence *presence, struct slice channel, struct slice name)
{
	for (size_t i = 0; i < TESTING_PRESENCE_MEMBERS; i++) {
		struct testing_presence_member *member = &presence->members[i];

		if (member->count > 0 && slice_is(channel, member->channel) &&
		    slice_is(name, member->name))
			return member;
	}
	return NULL;
}

static size_t
find_at(const struct testing_presence_member *member, struct slice node)
{
	size_t i = 0;

	while (i < member->count && !slice_is(node, member->at[i].node))
		i++;
	return i;
}

/* Changes; argv is behind the keys. */

static int
come(struct testing_presence *presence, const struct slice *argv)
{
	struct testing_presence_member *member = testing_presence_find(presence, argv[3], argv[4]);
	bool is_connected = argv[6].len > 0, is_first = member == NULL, is_same;
	size_t at;

	for (size_t i = 0; member == NULL && i < TESTING_PRESENCE_MEMBERS; i++)
		if (presence->members[i].count == 0)
			member = &presence->members[i];
	ck_assert_ptr_nonnull(member);
	if (is_first) {
		copy(member->channel, sizeof(member->channel), argv[3]);
		copy(member->name, sizeof(member->name), argv[4]);
		member->info[0] = '\0';
	}
	at = find_at(member, argv[0]);
	is_same = at < member->count && slice_is(argv[5], member->info) &&
		  member->at[at].is_connected == is_connected;
	if (at == member->count) {
		ck_assert_uint_lt(at, TESTING_PRESENCE_NODES);
		copy(member->at[at].node, sizeof(member->at[at].node), argv[0]);
		member->count++;
	}
	copy(member->info, sizeof(member->info), argv[5]);
	member->at[at].is_connected = is_connected;
	return is_first ? 2 : is_same ? 0 : 1;
}

static int
go(struct testing_presence *presence, const struct slice *argv)
{
	struct testing_presence_member *member = testing_presence_find(presence, argv[3], argv[4]);
	size_t at;

	if (member == NULL)
		return 0;
	at = find_at(member, argv[0]);
	if (at == member->count)
		return 0;
	member->at[at] = member->at[--member->count];
	return member->count == 0 ? 2 : 1;
}

static int
change(struct testing_presence *presence, const struct slice *argv)
{
	const struct testing_presence_node *node = testing_presence_node(presence, argv[0]);
	bool is_of_ended = slice_is(argv[1], "1"), has_ended = node != NULL && node->ends_ms == 0;
	bool comes = slice_is(argv[2], "j") || slice_is(argv[2], "o");
	int result;

	ck_assert_uint_eq(argv[0].len, PRESENCE_NODE_LEN);
	if (is_of_ended && !has_ended)
		return 0;
	if (!is_of_ended && (node == NULL || has_ended))
		return -1;
	ck_assert_uint_eq(argv[4].len > 0, slice_is(argv[2], "j") || slice_is(argv[2], "l"));
	result = comes ? come(presence, argv) : go(presence, argv);
	if (result < 2 || argv[8].len == 0)
		return result < 2 ? result : 1;
	presence->publish(presence->arg, argv[7], argv[8]);
	return 2;
}

/* Leases */

static void
begin_again(struct testing_presence *presence, uint64_t ends_ms)
{
	for (size_t i = 0; i < TESTING_PRESENCE_NODES; i++)
		if (presence->nodes[i].id[0] != '\0' &&
		    presence->nodes[i].ends_ms > presence->now_ms)
			return;
	for (size_t i = 0; i < TESTING_PRESENCE_NODES; i++)
		if (presence->nodes[i].id[0] != '\0' && presence->nodes[i].ends_ms > 0)
			presence->nodes[i].ends_ms = ends_ms;
}

/* Appends up to `most` of what the node has: members before occupied channels. */
static size_t
put_expired(struct testing_presence *presence, const char *id, bool is_member, struct buffer *reply)
{
	size_t count = 0;

	for (size_t i = 0; i < TESTING_PRESENCE_MEMBERS; i++) {
		const struct testing_presence_member *member = &presence->members[i];

		if (member->count == 0 || (member->name[0] != '\0') != is_member ||
		    find_at(member, slice_of(id)) == member->count)
			continue;
		if (presence->expired_max > 0 && count == presence->expired_max)
			break;
		resp_put_bulk_str(reply, member->channel);
		resp_put_bulk_str(reply, member->name);
		resp_put_bulk_str(reply, is_member ? member->info : "");
		count++;
	}
	return count;
}

/* False: the node has nothing any more. */
static bool
sweep(struct testing_presence *presence, struct testing_presence_node *node, struct buffer *reply)
{
	struct buffer items = {0};
	bool is_member = true;
	size_t count = put_expired(presence, node->id, true, &items);

	if (count == 0) {
		is_member = false;
		count = put_expired(presence, node->id, false, &items);
	}
	if (count > 0) {
		resp_put_array(reply, 3 + 3 * count);
		resp_put_int(reply, 1);
		resp_put_bulk_str(reply, node->id);
		resp_put_int(reply, is_member);
		buffer_append_slice(reply, buffer_slice(&items));
	}
	buffer_release(&items);
	return count > 0;
}

static struct testing_presence_node *
take_ended(struct testing_presence *presence)
{
	for (size_t i = 0; i < TESTING_PRESENCE_NODES; i++)
		if (presence->nodes[i].id[0] != '\0' &&
		    presence->nodes[i].ends_ms <= presence->now_ms) {
			presence->nodes[i].ends_ms = 0;
			return &presence->nodes[i];
		}
	return NULL;
}

static void
lease(struct testing_presence *presence, const struct slice *argv, struct buffer *reply)
{
	struct testing_presence_node *node = testing_presence_node(presence, argv[0]), *ended;
	uint64_t ends_ms = presence->now_ms + number_of(argv[1]);
	bool has_ended = node != NULL && node->ends_ms == 0;

	if (has_ended || (node == NULL && !slice_is(argv[2], "1"))) {
		resp_put_array(reply, 1);
		resp_put_int(reply, has_ended ? -1 : 0);
		return;
	}
	begin_again(presence, ends_ms);
	if (node == NULL) {
		node = testing_presence_node(presence, SLICE(""));
		ck_assert_ptr_nonnull(node);
		copy(node->id, sizeof(node->id), argv[0]);
	}
	node->ends_ms = ends_ms;
	if (argv[4].len > 0 && (ended = testing_presence_node(presence, argv[4])) != NULL)
		ended->ends_ms = 0;
	while (slice_is(argv[3], "1") && (ended = take_ended(presence)) != NULL) {
		if (sweep(presence, ended, reply))
			return;
		ended->id[0] = '\0';
	}
	resp_put_array(reply, 1);
	resp_put_int(reply, 1);
}

/* Queries */

static size_t
count_members(const struct testing_presence *presence, struct slice channel)
{
	size_t count = 0;

	for (size_t i = 0; i < TESTING_PRESENCE_MEMBERS; i++)
		count += presence->members[i].count > 0 && presence->members[i].name[0] != '\0' &&
			 slice_is(channel, presence->members[i].channel);
	return count;
}

/* The cursor is the place behind the last one. */
static void
list_members(struct testing_presence *presence, const struct slice *argv, struct buffer *reply)
{
	size_t at = (size_t)number_of(argv[1]), most = (size_t)number_of(argv[2]), count = 0;
	struct buffer items = {0};

	for (; at < TESTING_PRESENCE_MEMBERS && count < most; at++) {
		const struct testing_presence_member *member = &presence->members[at];
		int64_t connected = 0;

		if (member->count == 0 || member->name[0] == '\0' ||
		    !slice_is(argv[0], member->channel))
			continue;
		for (size_t i = 0; i < member->count; i++)
			connected += member->at[i].is_connected;
		resp_put_bulk_str(&items, member->name);
		resp_put_bulk_str(&items, member->info);
		resp_put_int(&items, connected);
		count++;
	}
	resp_put_array(reply, 1 + 3 * count);
	resp_put_bulk_int(reply, at < TESTING_PRESENCE_MEMBERS ? (int64_t)at : 0);
	buffer_append_slice(reply, buffer_slice(&items));
	buffer_release(&items);
}

/* The first channel behind the bound; NULL: there is none. */
static const char *
next_channel(const struct testing_presence *presence, struct slice bound)
{
	const char *next = NULL;

	for (size_t i = 0; i < TESTING_PRESENCE_MEMBERS; i++) {
		const struct testing_presence_member *member = &presence->members[i];

		if (member->count > 0 && member->name[0] != '\0' &&
		    (slice_is(bound, "-") ||
			slice_compare(slice_of(member->channel),
			    (struct slice){bound.ptr + 1, bound.len - 1}) > 0) &&
		    (next == NULL || strcmp(member->channel, next) < 0))
			next = member->channel;
	}
	return next;
}

static void
list_channels(struct testing_presence *presence, const struct slice *argv, struct buffer *reply)
{
	char bound[TESTING_PRESENCE_TEXT + 1];
	size_t most = (size_t)number_of(argv[1]), count = 0;
	struct buffer items = {0};
	const char *name;

	copy(bound, sizeof(bound), argv[0]);
	while (count < most && (name = next_channel(presence, slice_of(bound))) != NULL) {
		resp_put_bulk_str(&items, name);
		resp_put_int(&items, (int64_t)count_members(presence, slice_of(name)));
		bound[0] = '(';
		memmove(bound + 1, name, strlen(name) + 1);
		count++;
	}
	resp_put_array(reply, 1 + 2 * count);
	resp_put_int(reply, count == most);
	buffer_append_slice(reply, buffer_slice(&items));
	buffer_release(&items);
}

/* Commands */

static const struct {
	const char *mark; /* in the text of the script */
	size_t arguments; /* 0: any */
	char sha;
} scripts[PRESENCE_SCRIPTS] = {
    [PRESENCE_SCRIPT_CHANGE] = {"'fanfare:occupied'", 11, '5'},
    [PRESENCE_SCRIPT_LEASE] = {"'SRANDMEMBER'", 5, '6'},
    [PRESENCE_SCRIPT_MEMBERS] = {"'HSCAN', key", 4, '7'},
    [PRESENCE_SCRIPT_COUNT] = {"ipairs(ARGV)", 0, '8'},
    [PRESENCE_SCRIPT_CHANNELS] = {"'ZRANGEBYLEX'", 2, '9'},
};

static bool
load_script(struct testing_presence *presence, struct slice text, struct buffer *reply)
{
	char sha[41] = "";

	for (int i = 0; i < PRESENCE_SCRIPTS; i++)
		if (memmem(text.ptr, text.len, scripts[i].mark, strlen(scripts[i].mark)) != NULL) {
			ck_assert_uint_eq(strlen(sha), 0);
			memset(sha, scripts[i].sha, 40);
			presence->has_scripts[i] = true;
		}
	if (sha[0] != '\0')
		resp_put_bulk_str(reply, sha);
	return sha[0] != '\0';
}

int
testing_presence_script(const struct slice *args, size_t count)
{
	for (int i = 0; i < PRESENCE_SCRIPTS; i++)
		if (count > 2 && slice_is(args[0], "EVALSHA") && args[1].len == 40 &&
		    args[1].ptr[0] == scripts[i].sha)
			return i;
	return PRESENCE_SCRIPTS;
}

static void
call(struct testing_presence *presence, enum presence_script script, const struct slice *argv,
    size_t count, struct buffer *reply)
{
	ck_assert(scripts[script].arguments == 0 || count == scripts[script].arguments);
	if (!presence->has_scripts[script]) {
		resp_put_error(reply, SLICE("NOSCRIPT No matching script. Please use EVAL."));
		return;
	}
	if (presence->error != NULL && script <= PRESENCE_SCRIPT_LEASE) {
		resp_put_error(reply, slice_of(presence->error));
		return;
	}
	switch (script) {
	case PRESENCE_SCRIPT_CHANGE:
		resp_put_int(reply, change(presence, argv));
		return;
	case PRESENCE_SCRIPT_LEASE:
		lease(presence, argv, reply);
		return;
	case PRESENCE_SCRIPT_MEMBERS:
		list_members(presence, argv, reply);
		return;
	case PRESENCE_SCRIPT_COUNT:
		resp_put_array(reply, count);
		for (size_t i = 0; i < count; i++)
			resp_put_int(reply, (int64_t)count_members(presence, argv[i]));
		return;
	case PRESENCE_SCRIPT_CHANNELS:
		list_channels(presence, argv, reply);
	}
}

bool
testing_presence_execute(
    struct testing_presence *presence, const struct slice *args, size_t count, struct buffer *reply)
{
	int script = testing_presence_script(args, count);

	if (count == 3 && slice_is(args[0], "SCRIPT") && slice_is(args[1], "LOAD"))
		return load_script(presence, args[2], reply);
	if (script == PRESENCE_SCRIPTS)
		return false;
	ck_assert(count >= 5 && slice_is(args[2], "2"));
	call(presence, (enum presence_script)script, args + 5, count - 5, reply);
	return true;
}

void
testing_presence_restart(struct testing_presence *presence)
{
	memset(presence->has_scripts, 0, sizeof(presence->has_scripts));
}

void
testing_presence_flush(struct testing_presence *presence)
{
	memset(presence->nodes, 0, sizeof(presence->nodes));
	memset(presence->members, 0, sizeof(presence->members));
}
