#include "config.h"

#include "rdb/commands.h"

#include <assert.h>

#include "base/alloc.h"
#include "rdb/command_queue.h"
#include "rdb/input.h"
#include "rdb/reader.h"

/* A command of a collection ends with this many arguments or bytes. */
#define BATCH_ARGS 256
#define BATCH_BYTES ((size_t)64 * 1024)

enum key_state {
	KEY_NONE,    /* between keys */
	KEY_SKIPPED, /* it has expired, or is a module's */
	KEY_BEGUN,   /* no command yet */
	KEY_CREATED, /* commands were made */
};

struct rdb_commands {
	struct rdb_commands_config config;
	struct rdb_reader *reader;
	struct rdb_command_queue queue;
	struct rdb_left_out left_out;
	enum key_state state;
	enum rdb_type type;
	struct buffer key;
	bool has_time;
	int64_t time_ms;
	struct buffer group, consumer; /* of the stream */
	bool has_ended;
};

struct rdb_commands *
rdb_commands_new(struct rdb_input *in, const struct rdb_commands_config *config)
{
	struct rdb_commands *c = xcalloc(1, sizeof(*c));

	c->config = *config;
	c->reader = rdb_reader_new(in);
	return c;
}

void
rdb_commands_free(struct rdb_commands *c)
{
	rdb_reader_free(c->reader);
	rdb_queue_release(&c->queue);
	buffer_release(&c->key);
	buffer_release(&c->group);
	buffer_release(&c->consumer);
	xfree(c);
}

const struct rdb_left_out *
rdb_commands_left_out(const struct rdb_commands *c)
{
	return &c->left_out;
}

static void
copy(struct buffer *to, struct slice from)
{
	buffer_clear(to);
	buffer_append_slice(to, from);
}

static bool
has_expired(const struct rdb_commands *c, const struct rdb_event *event)
{
	return event->has_time && !c->config.keeps_expired && event->time_ms <= c->config.now_ms;
}

/* Opens a command for the key. */
static void
begin(struct rdb_commands *c, const char *name, enum rdb_part part)
{
	struct rdb_queued *command = rdb_queue_begin(&c->queue, name, part, c->type);

	command->begins_key = c->state == KEY_BEGUN;
	c->state = KEY_CREATED;
}

/* The same for commands whose first argument is the key. */
static void
begin_with_key(struct rdb_commands *c, const char *name)
{
	begin(c, name, RDB_PART_KEY);
	rdb_queue_add(&c->queue, buffer_slice(&c->key));
}

static void
take_database(struct rdb_commands *c, const struct rdb_event *event)
{
	(void)rdb_queue_begin(&c->queue, "SELECT", RDB_PART_DATABASE, 0);
	rdb_queue_add_u64(&c->queue, event->number);
	rdb_queue_close(&c->queue);
}

static void
take_functions(struct rdb_commands *c, const struct rdb_event *event)
{
	(void)rdb_queue_begin(&c->queue, "FUNCTION", RDB_PART_FUNCTIONS, 0);
	rdb_queue_add_str(&c->queue, "LOAD");
	rdb_queue_add_str(&c->queue, "REPLACE");
	rdb_queue_add(&c->queue, event->first);
	rdb_queue_close(&c->queue);
}

static void
take_key(struct rdb_commands *c, const struct rdb_event *event)
{
	c->state = KEY_SKIPPED;
	if (event->type == RDB_MODULE) {
		c->config.module(c->config.arg, event->second, true);
		return;
	}
	if (has_expired(c, event)) {
		c->left_out.expired_keys++;
		return;
	}
	c->state = KEY_BEGUN;
	c->type = event->type;
	copy(&c->key, event->first);
	c->has_time = event->has_time;
	c->time_ms = event->time_ms;
}

static void
take_string(struct rdb_commands *c, const struct rdb_event *event)
{
	begin_with_key(c, "SET");
	rdb_queue_add(&c->queue, event->first);
	if (c->has_time) {
		rdb_queue_add_str(&c->queue, "PXAT");
		rdb_queue_add_i64(&c->queue, c->time_ms);
	}
	c->has_time = false;
}

static void
set_field_time(struct rdb_commands *c, const struct rdb_event *event)
{
	begin(c, "HPEXPIREAT", RDB_PART_FIELD_TIME);
	rdb_queue_add(&c->queue, buffer_slice(&c->key));
	rdb_queue_add_i64(&c->queue, event->time_ms);
	rdb_queue_add_str(&c->queue, "FIELDS");
	rdb_queue_add_str(&c->queue, "1");
	rdb_queue_add(&c->queue, event->first);
	rdb_queue_close(&c->queue);
}

/* The element of a collection, in the open command or in a new one. */
static void
take_element(struct rdb_commands *c, const struct rdb_event *event)
{
	static const char *const names[RDB_TYPES] = {
	    [RDB_LIST] = "RPUSH", [RDB_SET] = "SADD", [RDB_ZSET] = "ZADD", [RDB_HASH] = "HSET"};

	if (has_expired(c, event)) {
		c->left_out.expired_fields++;
		return;
	}
	if (rdb_queue_open_args(&c->queue) == 0) {
		if (c->state == KEY_BEGUN && c->config.replaces) {
			begin_with_key(c, "DEL");
			rdb_queue_close(&c->queue);
		}
		begin_with_key(c, names[c->type]);
	}
	if (c->type == RDB_ZSET)
		rdb_queue_add(&c->queue, event->second);
	rdb_queue_add(&c->queue, event->first);
	if (c->type == RDB_HASH)
		rdb_queue_add(&c->queue, event->second);
	if (rdb_queue_open_args(&c->queue) >= BATCH_ARGS || c->queue.bytes.len >= BATCH_BYTES)
		rdb_queue_close(&c->queue);
	if (event->has_time) {
		rdb_queue_close(&c->queue);
		set_field_time(c, event);
	}
}

static void
take_entry(struct rdb_commands *c, const struct rdb_event *event)
{
	rdb_queue_close(&c->queue);
	if (c->state == KEY_BEGUN && c->config.replaces) {
		begin_with_key(c, "DEL");
		rdb_queue_close(&c->queue);
	}
	begin_with_key(c, "XADD");
	rdb_queue_add_id(&c->queue, event->id);
}

/* A stream without entries is created with one, which is removed at once. Its identifier is that of
 * the last entry, because no later one may be smaller. */
static void
create_empty_stream(struct rdb_commands *c, const struct rdb_event *event)
{
	struct rdb_id id = event->id;

	if (id.ms == 0 && id.seq == 0)
		id.seq = 1;
	if (c->config.replaces) {
		begin_with_key(c, "DEL");
		rdb_queue_close(&c->queue);
	}
	begin_with_key(c, "XADD");
	rdb_queue_add_str(&c->queue, "MAXLEN");
	rdb_queue_add_str(&c->queue, "0");
	rdb_queue_add_id(&c->queue, id);
	rdb_queue_add_str(&c->queue, "x");
	rdb_queue_add_str(&c->queue, "y");
	rdb_queue_close(&c->queue);
}

static void
take_stream(struct rdb_commands *c, const struct rdb_event *event)
{
	rdb_queue_close(&c->queue);
	if (c->state == KEY_BEGUN)
		create_empty_stream(c, event);
	begin_with_key(c, "XSETID");
	rdb_queue_add_id(&c->queue, event->id);
	if (event->has_figures) {
		rdb_queue_add_str(&c->queue, "ENTRIESADDED");
		rdb_queue_add_i64(&c->queue, (int64_t)event->number);
		rdb_queue_add_str(&c->queue, "MAXDELETEDID");
		rdb_queue_add_id(&c->queue, event->deleted_id);
	}
	rdb_queue_close(&c->queue);
}

static void
take_group(struct rdb_commands *c, const struct rdb_event *event)
{
	copy(&c->group, event->first);
	begin(c, "XGROUP", RDB_PART_KEY);
	rdb_queue_add_str(&c->queue, "CREATE");
	rdb_queue_add(&c->queue, buffer_slice(&c->key));
	rdb_queue_add(&c->queue, event->first);
	rdb_queue_add_id(&c->queue, event->id);
	if (event->has_figures) {
		rdb_queue_add_str(&c->queue, "ENTRIESREAD");
		rdb_queue_add_i64(&c->queue, (int64_t)event->number);
	}
	rdb_queue_close(&c->queue);
}

static void
take_consumer(struct rdb_commands *c, const struct rdb_event *event)
{
	copy(&c->consumer, event->first);
	begin(c, "XGROUP", RDB_PART_KEY);
	rdb_queue_add_str(&c->queue, "CREATECONSUMER");
	rdb_queue_add(&c->queue, buffer_slice(&c->key));
	rdb_queue_add(&c->queue, buffer_slice(&c->group));
	rdb_queue_add(&c->queue, event->first);
	rdb_queue_close(&c->queue);
}

static void
take_pending(struct rdb_commands *c, const struct rdb_event *event)
{
	begin_with_key(c, "XCLAIM");
	rdb_queue_add(&c->queue, buffer_slice(&c->group));
	rdb_queue_add(&c->queue, buffer_slice(&c->consumer));
	rdb_queue_add_str(&c->queue, "0");
	rdb_queue_add_id(&c->queue, event->id);
	rdb_queue_add_str(&c->queue, "TIME");
	rdb_queue_add_i64(&c->queue, event->time_ms);
	rdb_queue_add_str(&c->queue, "RETRYCOUNT");
	rdb_queue_add_u64(&c->queue, event->number);
	rdb_queue_add_str(&c->queue, "JUSTID");
	rdb_queue_add_str(&c->queue, "FORCE");
	rdb_queue_close(&c->queue);
}

static void
end_key(struct rdb_commands *c)
{
	if (c->state == KEY_BEGUN) {
		c->left_out.empty_keys++;
		return;
	}
	rdb_queue_close(&c->queue);
	if (!c->has_time)
		return;
	begin_with_key(c, "PEXPIREAT");
	rdb_queue_add_i64(&c->queue, c->time_ms);
	rdb_queue_close(&c->queue);
}

/* An event within a value. */
static void
take_part(struct rdb_commands *c, const struct rdb_event *event)
{
	switch (event->kind) {
	case RDB_EVENT_ENTRY:
		take_entry(c, event);
		break;
	case RDB_EVENT_STREAM:
		take_stream(c, event);
		break;
	case RDB_EVENT_GROUP:
		take_group(c, event);
		break;
	case RDB_EVENT_CONSUMER:
		take_consumer(c, event);
		break;
	case RDB_EVENT_PENDING:
		take_pending(c, event);
		break;
	default:
		if (c->type == RDB_STRING) {
			take_string(c, event);
		} else if (c->type == RDB_STREAM) {
			rdb_queue_add(&c->queue, event->first);
			rdb_queue_add(&c->queue, event->second);
		} else {
			take_element(c, event);
		}
	}
}

static void
take(struct rdb_commands *c, const struct rdb_event *event)
{
	switch (event->kind) {
	case RDB_EVENT_DATABASE:
		take_database(c, event);
		break;
	case RDB_EVENT_KEY:
		take_key(c, event);
		break;
	case RDB_EVENT_KEY_END:
		if (c->state != KEY_SKIPPED)
			end_key(c);
		c->state = KEY_NONE;
		break;
	case RDB_EVENT_FUNCTIONS:
		take_functions(c, event);
		break;
	case RDB_EVENT_MODULE_AUX:
		c->config.module(c->config.arg, event->first, false);
		break;
	case RDB_EVENT_AUX:
		break;
	case RDB_EVENT_END:
		c->has_ended = true;
		break;
	default:
		if (c->state != KEY_SKIPPED)
			take_part(c, event);
	}
}

enum rdb_commands_result
rdb_commands_next(struct rdb_commands *c, struct rdb_command *command)
{
	struct rdb_event event;

	while (!rdb_queue_take(&c->queue, command)) {
		if (c->has_ended)
			return RDB_COMMANDS_END;
		if (!rdb_reader_next(c->reader, &event))
			return RDB_COMMANDS_BAD;
		take(c, &event);
	}
	return RDB_COMMAND;
}
