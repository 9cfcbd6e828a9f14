#include "config.h"

#include "persist/key_stream.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "persist/aof.h"
#include "persist/aof_load.h"
#include "persist/keyspace.h"

/* No batch is longer: one command has at most 64 elements, and the changes of a turn are bounded by
 * what the clients may send. The reader allocates only for bytes that have arrived. */
#define BATCH_MAX (UINT64_C(1) << 38)

/* Memory kept for the next batch. */
#define KEEP_BYTES ((size_t)1 << 20)

void
key_stream_put(struct buffer *out, uint64_t *offset, struct slice commands)
{
	char header[AOF_HEADER_LEN];

	aof_header_write(header, *offset, commands);
	buffer_append(out, header, sizeof(header));
	buffer_append_slice(out, commands);
	*offset += sizeof(header) + commands.len;
}

struct writer {
	bool (*send)(void *arg, struct slice part);
	void *arg;
	uint64_t offset;
};

static bool
write_batch(void *arg, struct slice commands)
{
	struct writer *w = arg;
	char header[AOF_HEADER_LEN];

	aof_header_write(header, w->offset, commands);
	w->offset += sizeof(header) + commands.len;
	return w->send(w->arg, (struct slice){header, sizeof(header)}) && w->send(w->arg, commands);
}

bool
key_stream_write(
    const struct persist_keyspace *keyspace, bool (*send)(void *arg, struct slice part), void *arg)
{
	struct writer w = {.send = send, .arg = arg};
	char mark[64];
	int len = snprintf(mark, sizeof(mark), AOF_END_MARK "%llu\r\n",
	    (unsigned long long)(clock_wall_us() / 1000000));

	return keyspace->dump(keyspace->arg, true, write_batch, &w) &&
	       write_batch(&w, (struct slice){mark, (size_t)len});
}

static bool
replay(struct key_stream_reader *r, const struct persist_keyspace *keyspace, struct slice commands,
    struct buffer *error)
{
	struct aof_commands taken = {0};
	enum aof_command_result result;
	char why[256] = "";

	r->has_end_mark = commands.len >= sizeof(AOF_END_MARK) - 1 &&
			  memcmp(commands.ptr, AOF_END_MARK, sizeof(AOF_END_MARK) - 1) == 0;
	while ((result = aof_command_next(&taken, &commands)) == AOF_COMMAND) {
		if (!keyspace->replay(keyspace->arg, taken.args, taken.count, why, sizeof(why)))
			break;
		r->commands++;
	}
	if (result == AOF_COMMAND_BAD)
		snprintf(why, sizeof(why), "%s", taken.reason);
	else if (result == AOF_COMMAND_PARTIAL)
		snprintf(why, sizeof(why), "incomplete command");
	aof_commands_release(&taken);
	if (result == AOF_COMMAND_NONE)
		return true;
	buffer_appendf(error, "at offset %llu: %s", (unsigned long long)r->offset, why);
	return false;
}

enum progress { PROGRESS_MORE, PROGRESS_WAITS, PROGRESS_FAILED };

/* Carries out the first batch of *bytes and removes it, if all of it is there. */
static enum progress
take_batch(struct key_stream_reader *r, const struct persist_keyspace *keyspace,
    struct slice *bytes, struct buffer *error)
{
	uint64_t len, checksum;
	struct slice batch;

	if (bytes->len < AOF_HEADER_LEN)
		return PROGRESS_WAITS;
	if (!aof_header_read(bytes->ptr, r->offset, &len, &checksum) || len == 0 ||
	    len > BATCH_MAX) {
		buffer_appendf(error, "at offset %llu: header checksum mismatch",
		    (unsigned long long)r->offset);
		return PROGRESS_FAILED;
	}
	if (bytes->len - AOF_HEADER_LEN < len)
		return PROGRESS_WAITS;
	batch = (struct slice){bytes->ptr + AOF_HEADER_LEN, (size_t)len};
	if (aof_checksum(batch, r->offset) != checksum) {
		buffer_appendf(error, "at offset %llu: batch checksum mismatch",
		    (unsigned long long)r->offset);
		return PROGRESS_FAILED;
	}
	if (!replay(r, keyspace, batch, error))
		return PROGRESS_FAILED;
	r->offset += AOF_HEADER_LEN + len;
	*bytes = (struct slice){batch.ptr + batch.len, bytes->len - AOF_HEADER_LEN - batch.len};
	return PROGRESS_MORE;
}

bool
key_stream_read(struct key_stream_reader *r, const struct persist_keyspace *keyspace,
    struct slice part, struct buffer *error)
{
	enum progress progress;
	struct slice bytes;

	buffer_append_slice(&r->rest, part);
	bytes = buffer_slice(&r->rest);
	do
		progress = take_batch(r, keyspace, &bytes, error);
	while (progress == PROGRESS_MORE);
	if (progress == PROGRESS_FAILED)
		return false;
	if (bytes.len > 0 && bytes.len < r->rest.len)
		memmove(r->rest.ptr, bytes.ptr, bytes.len);
	r->rest.len = bytes.len;
	buffer_shrink(&r->rest, KEEP_BYTES);
	return true;
}

bool
key_stream_is_whole(const struct key_stream_reader *r)
{
	return r->rest.len == 0;
}

void
key_stream_release(struct key_stream_reader *r)
{
	buffer_release(&r->rest);
}
