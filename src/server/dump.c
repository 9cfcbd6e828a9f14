#include "config.h"

#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/journal.h"
#include "server/state.h"

/* Handed to the sink when there is so much. */
#define PIECE_BYTES 262144

struct dump {
	struct buffer commands;
	bool (*sink)(void *arg, struct slice commands);
	void *arg;
	struct kv_db *db;
	bool ok;
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

static void
put_string(struct dump *dump, const struct kv_key *key)
{
	begin(dump, 3, "SET");
	resp_put_bulk(&dump->commands, kv_name(key));
	resp_put_bulk(&dump->commands, kv_string(key));
}

static void
put_expiry(struct dump *dump, const struct kv_key *key)
{
	int64_t at_ms = kv_expiry(dump->db, key);

	if (at_ms == KV_NEVER)
		return;
	begin(dump, 3, "PEXPIREAT");
	resp_put_bulk(&dump->commands, kv_name(key));
	resp_put_bulk_int(&dump->commands, at_ms);
}

static bool
put_key(struct kv_key *key, void *arg)
{
	struct dump *dump = arg;

	if (kv_type_of(key) == KV_STRING)
		put_string(dump, key);
	put_expiry(dump, key);
	flush(dump, PIECE_BYTES);
	return dump->ok;
}

bool
server_dump(const struct server *server, bool (*sink)(void *arg, struct slice commands), void *arg)
{
	struct dump dump = {.sink = sink, .arg = arg, .ok = true};

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
