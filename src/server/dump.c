#include "config.h"

#include "server/dump.h"

#include "base/buffer.h"
#include "kv/hash.h"
#include "kv/keyspace.h"
#include "kv/list.h"
#include "kv/set.h"
#include "kv/zset.h"
#include "resp/writer.h"
#include "server/core.h"
#include "server/dump_stream.h"
#include "server/evict.h"
#include "server/server_config.h"

/* Pieces of this size are handed to the sink. */
#define PIECE_BYTES 262144

/* Elements that one command adds, as in Redis: replaying it must not block for long. */
#define ELEMENTS_A_COMMAND 64

struct dump {
	struct buffer commands;
	bool (*sink)(void *arg, struct slice commands);
	void *arg;
	struct kv_db *db;
	const char *use; /* DUMP_LRU, DUMP_LFU; NULL: without */
	bool ok;
	/* The collection being written: */
	const char *command;
	struct slice key;
	size_t left;       /* elements left */
	size_t in_command; /* ... in the current command */
};

static void
flush(struct dump *dump, size_t above)
{
	if (dump->commands.len <= above)
		return;
	dump->ok = dump->ok && dump->sink(dump->arg, buffer_slice(&dump->commands));
	buffer_clear(&dump->commands);
}

static void
begin(struct dump *dump, size_t argc, const char *name)
{
	resp_put_array(&dump->commands, argc);
	resp_put_bulk_str(&dump->commands, name);
}

/* Called before each element, which has this many arguments. */
static void
begin_element(struct dump *dump, size_t args)
{
	if (dump->in_command == 0) {
		flush(dump, PIECE_BYTES);
		dump->in_command =
		    dump->left < ELEMENTS_A_COMMAND ? dump->left : ELEMENTS_A_COMMAND;
		begin(dump, 2 + dump->in_command * args, dump->command);
		resp_put_bulk(&dump->commands, dump->key);
	}
	dump->in_command--;
	dump->left--;
}

static void
put_list(struct dump *dump, const struct kv_list *list)
{
	struct kv_list_place place;
	bool more = kv_list_at_end(list, KV_LIST_HEAD, &place);

	for (; more && dump->ok; more = kv_list_step(&place, KV_LIST_HEAD)) {
		begin_element(dump, 1);
		resp_put_bulk(&dump->commands, place.value);
	}
}

static bool
put_member(struct slice member, void *arg)
{
	struct dump *dump = arg;

	begin_element(dump, 1);
	resp_put_bulk(&dump->commands, member);
	return dump->ok;
}

static bool
put_field(struct slice field, struct slice value, void *arg)
{
	struct dump *dump = arg;

	begin_element(dump, 2);
	resp_put_bulk(&dump->commands, field);
	resp_put_bulk(&dump->commands, value);
	return dump->ok;
}

static void
put_zset(struct dump *dump, const struct kv_zset *zset)
{
	struct kv_zset_cursor cursor;
	struct kv_zset_entry entry;

	kv_zset_seek(zset, 0, &cursor);
	while (dump->ok && kv_zset_next(&cursor, &entry)) {
		begin_element(dump, 2);
		resp_put_double(&dump->commands, 2, entry.score);
		resp_put_bulk(&dump->commands, entry.member);
	}
}

static void
put_string(struct dump *dump, const struct kv_key *key)
{
	begin(dump, 3, "SET");
	resp_put_bulk(&dump->commands, dump->key);
	resp_put_bulk(&dump->commands, kv_string(key));
}

static void
put_collection(struct dump *dump, const struct kv_key *key)
{
	static const char *const commands[KV_TYPES] = {
	    [KV_LIST] = "RPUSH", [KV_SET] = "SADD", [KV_ZSET] = "ZADD", [KV_HASH] = "HSET"};
	enum kv_type type = kv_type_of(key);
	void *value = kv_value(key);

	dump->command = commands[type];
	dump->left = kv_types[type].count(value);
	dump->in_command = 0;
	if (type == KV_LIST)
		put_list(dump, value);
	else if (type == KV_SET)
		(void)kv_set_each(value, put_member, dump);
	else if (type == KV_ZSET)
		put_zset(dump, value);
	else
		kv_hash_each(value, put_field, dump);
}

static bool
end_of_command(void *arg)
{
	struct dump *dump = arg;

	flush(dump, PIECE_BYTES);
	return dump->ok;
}

static void
put_expiry(struct dump *dump, const struct kv_key *key)
{
	int64_t at_ms = kv_expiry(dump->db, key);

	if (at_ms == KV_NEVER)
		return;
	begin(dump, 3, "PEXPIREAT");
	resp_put_bulk(&dump->commands, dump->key);
	resp_put_bulk_int(&dump->commands, at_ms);
}

static void
put_use(struct dump *dump, const struct kv_key *key)
{
	if (dump->use == NULL)
		return;
	begin(dump, 3, dump->use);
	resp_put_bulk(&dump->commands, dump->key);
	resp_put_bulk_int(&dump->commands, kv_access(key));
}

static bool
put_key(struct kv_key *key, void *arg)
{
	struct dump *dump = arg;

	dump->key = kv_name(key);
	if (kv_type_of(key) == KV_STRING)
		put_string(dump, key);
	else if (kv_type_of(key) == KV_STREAM)
		dump_stream(&dump->commands, dump->key, kv_value(key), end_of_command, dump);
	else
		put_collection(dump, key);
	put_expiry(dump, key);
	put_use(dump, key);
	flush(dump, PIECE_BYTES);
	return dump->ok;
}

bool
server_dump(const struct server *server, bool with_use,
    bool (*sink)(void *arg, struct slice commands), void *arg)
{
	struct dump dump = {.sink = sink, .arg = arg, .ok = true};

	if (with_use)
		dump.use = evict_counts_uses(server) ? DUMP_LFU : DUMP_LRU;
	for (uint32_t i = 0; i < server->config->databases && dump.ok; i++) {
		dump.db = kv_database(server->kv, i);
		if (kv_db_count(dump.db) == 0)
			continue;
		begin(&dump, 2, "SELECT");
		resp_put_bulk_int(&dump.commands, i);
		kv_each(dump.db, put_key, &dump);
	}
	flush(&dump, 0);
	buffer_release(&dump.commands);
	return dump.ok;
}

size_t
server_key_count(const struct server *server)
{
	size_t count = 0;

	for (uint32_t i = 0; i < server->config->databases; i++)
		count += kv_db_count(kv_database(server->kv, i));
	return count;
}
