#include "config.h"

#include "cmd/stream_groups.h"

#include "cmd/stream_reply.h"
#include "kv/keyspace.h"
#include "server/core.h"
#include "server/dump_stream.h"
#include "server/journal.h"
#include "server/notify.h"
#include "server/propagation.h"
#include "server/request_keys.h"

void
stream_note_change(struct request *rq, struct slice name, const char *event)
{
	rq->changes++;
	if (event != NULL)
		notify(rq->server, KEY_STREAM, event, request_db(rq), name);
}

bool
stream_target_find(
    struct request *rq, struct slice key, struct slice group, struct stream_target *target)
{
	void *stream;

	*target = (struct stream_target){.key = key, .group_name = group};
	if (!key_read_value(rq, key, KV_STREAM, &stream))
		return false;
	target->stream = stream;
	if (stream != NULL)
		target->group = stream_groups_find(kv_stream_groups(stream), group);
	return true;
}

bool
stream_target_need(struct request *rq, struct slice key, struct slice group, const char *rest,
    struct stream_target *target)
{
	if (!stream_target_find(rq, key, group, target))
		return false;
	if (target->group != NULL)
		return true;
	request_error(rq, "NOGROUP No such key '%.*s' or consumer group '%.*s'%s", (int)key.len,
	    key.ptr, (int)group.len, group.ptr, rest);
	return false;
}

struct stream_consumer *
stream_consumer_seen(struct request *rq, const struct stream_target *target, struct slice name)
{
	struct stream_consumer *consumer = stream_group_consumer(target->group, name);
	int64_t now_ms = request_now_ms(rq);

	if (consumer == NULL) {
		const struct slice argv[] = {SLICE("XGROUP"), SLICE("CREATECONSUMER"), target->key,
		    target->group_name, name};

		consumer = stream_group_add_consumer(target->group, name, now_ms);
		stream_note_change(rq, target->key, "xgroup-createconsumer");
		request_propagate(rq, argv, 5);
	}
	consumer->seen_ms = now_ms;
	return consumer;
}

void
stream_group_advance(const struct stream_target *target, struct stream_id id)
{
	struct stream_group *group = target->group;
	uint64_t count;

	if (stream_id_compare(id, group->last_id) <= 0)
		return;
	if (group->entries_read != STREAM_READ_UNKNOWN &&
	    !kv_stream_has_gap_from(target->stream, id))
		group->entries_read += group->entries_read < INT64_MAX;
	else if (kv_stream_past(target->stream).added > 0)
		group->entries_read = kv_stream_count_upto(target->stream, id, &count)
					  ? (int64_t)count
					  : STREAM_READ_UNKNOWN;
	group->last_id = id;
}

void
stream_claims_begin(struct stream_claims *claims, struct request *rq,
    const struct stream_target *target, struct slice consumer)
{
	claims->rq = rq;
	claims->target = target;
	claims->consumer = consumer;
	claims->count = 0;
}

/* XCLAIM key group consumer 0 id ... TIME ms RETRYCOUNT n FORCE JUSTID LASTID id */
void
stream_claims_end(struct stream_claims *claims)
{
	struct slice argv[5 + STREAM_CLAIMS_MAX + 8];
	char texts[STREAM_CLAIMS_MAX + 1][STREAM_ID_TEXT_MAX];
	char ms[BYTES_I64_MAX], deliveries[BYTES_U64_MAX];
	const struct stream_target *target = claims->target;
	size_t argc = 0;

	if (claims->count == 0)
		return;
	argv[argc++] = SLICE("XCLAIM");
	argv[argc++] = target->key;
	argv[argc++] = target->group_name;
	argv[argc++] = claims->consumer;
	argv[argc++] = SLICE("0");
	for (size_t i = 0; i < claims->count; i++)
		argv[argc++] = stream_id_text(claims->ids[i], texts[i]);
	argv[argc++] = SLICE("TIME");
	argv[argc++] = (struct slice){ms, bytes_from_i64(ms, claims->delivered_ms)};
	argv[argc++] = SLICE("RETRYCOUNT");
	argv[argc++] = (struct slice){deliveries, bytes_from_u64(deliveries, claims->deliveries)};
	argv[argc++] = SLICE("FORCE");
	argv[argc++] = SLICE("JUSTID");
	argv[argc++] = SLICE("LASTID");
	argv[argc++] = stream_id_text(target->group->last_id, texts[STREAM_CLAIMS_MAX]);
	request_propagate(claims->rq, argv, argc);
	claims->count = 0;
}

void
stream_claims_add(
    struct stream_claims *claims, struct stream_id id, const struct stream_pending *pending)
{
	if (!claims->rq->server->journal->is_on) {
		claims->rq->logged = true;
		return;
	}
	if (claims->count == STREAM_CLAIMS_MAX || pending->delivered_ms != claims->delivered_ms ||
	    pending->deliveries != claims->deliveries)
		stream_claims_end(claims);
	claims->delivered_ms = pending->delivered_ms;
	claims->deliveries = pending->deliveries;
	claims->ids[claims->count++] = id;
}

void
stream_log_times(
    struct request *rq, const struct stream_target *target, const struct stream_consumer *consumer)
{
	char seen[BYTES_I64_MAX], active[BYTES_I64_MAX];
	const struct slice argv[] = {SLICE(DUMP_CONSUMER), target->key, target->group_name,
	    stream_consumer_name(consumer), {seen, bytes_from_i64(seen, consumer->seen_ms)},
	    {active, bytes_from_i64(active, consumer->active_ms)}};

	request_propagate(rq, argv, 6);
}

void
stream_log_position(struct request *rq, const struct stream_target *target)
{
	char id[STREAM_ID_TEXT_MAX], read[BYTES_I64_MAX];
	const struct slice argv[] = {SLICE("XGROUP"), SLICE("SETID"), target->key,
	    target->group_name, stream_id_text(target->group->last_id, id), SLICE("ENTRIESREAD"),
	    {read, bytes_from_i64(read, target->group->entries_read)}};

	request_propagate(rq, argv, 7);
}

void
stream_log_acknowledged(struct request *rq, const struct stream_target *target, struct stream_id id)
{
	char text[STREAM_ID_TEXT_MAX];
	const struct slice argv[] = {
	    SLICE("XACK"), target->key, target->group_name, stream_id_text(id, text)};

	request_propagate(rq, argv, 4);
}
