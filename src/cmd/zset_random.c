#include "config.h"

#include "base/alloc.h"
#include "base/random.h"
#include "cmd/handlers.h"
#include "cmd/random_pick.h"
#include "kv/keyspace.h"
#include "kv/zset.h"
#include "resp/writer.h"
#include "server/request_keys.h"

/* ZRANDMEMBER. */
struct choice {
	const struct kv_zset *z;
	bool with_scores;
};

static void
put_rank(struct request *rq, const struct choice *choice, uint64_t rank)
{
	struct kv_zset_cursor cursor;
	struct kv_zset_entry entry;

	kv_zset_seek(choice->z, (size_t)rank, &cursor);
	if (!kv_zset_next(&cursor, &entry))
		return;
	if (choice->with_scores && rq->proto >= 3)
		resp_put_array(rq->reply, 2);
	resp_put_bulk(rq->reply, entry.member);
	if (choice->with_scores)
		resp_put_double(rq->reply, rq->proto, entry.score);
}

/*
 * Draws `wanted` distinct ranks of `all` by Floyd's algorithm (Bentley, Floyd: "A sample of
 * brilliance", 1987), with one bit for each rank.
 */
static void
sample(struct request *rq, const struct choice *choice, uint64_t wanted, uint64_t all)
{
	unsigned char *taken = xcalloc(all / 8 + 1, 1);
	uint64_t i, rank;

	for (i = all - wanted; i < all; i++) {
		rank = random_below(rq->server->random, i + 1);
		if ((taken[rank / 8] >> rank % 8 & 1) != 0)
			rank = i;
		taken[rank / 8] |= (unsigned char)(1 << rank % 8);
		put_rank(rq, choice, rank);
	}
	xfree(taken);
}

static void
reply_choices(struct request *rq, const struct choice *choice, int64_t count)
{
	uint64_t all = kv_zset_count(choice->z), i;
	uint64_t wanted = count < 0 ? (uint64_t)-count : (uint64_t)count;
	size_t from_len = rq->reply->len;
	bool pairs = choice->with_scores && rq->proto >= 3;

	if (count > 0 && wanted > all)
		wanted = all;
	resp_put_array(rq->reply, wanted * (choice->with_scores && !pairs ? 2 : 1));
	if (count > 0) {
		sample(rq, choice, wanted, all);
		return;
	}
	for (i = 0; draw_fits(wanted) && i < wanted && draw_may_go_on(rq); i++)
		put_rank(rq, choice, random_below(rq->server->random, all));
	if (i < wanted)
		draw_refuse(rq, from_len);
}

enum command_result
cmd_zrandmember(struct request *rq)
{
	struct choice choice = {.with_scores = rq->argc == 4};
	int64_t count = 0;
	void *z;

	if (rq->argc > 2) {
		/*
		 * As in Redis, the count is parsed before the syntax is checked, and its range with
		 * scores is checked last.
		 */
		if (!draw_count(rq, rq->argv[2], false, &count))
			return COMMAND_DONE;
		if (rq->argc > 4 ||
		    (rq->argc == 4 && !slice_is_nocase(rq->argv[3], "withscores"))) {
			request_syntax_error(rq);
			return COMMAND_DONE;
		}
		if (rq->argc == 4 && !draw_count(rq, rq->argv[2], true, &count))
			return COMMAND_DONE;
	}
	if (!key_read_value(rq, rq->argv[1], KV_ZSET, &z))
		return COMMAND_DONE;
	choice.z = z;
	if (z == NULL && rq->argc > 2)
		resp_put_array(rq->reply, 0);
	else if (z == NULL)
		resp_put_null(rq->reply, rq->proto);
	else if (rq->argc > 2)
		reply_choices(rq, &choice, count);
	else
		put_rank(rq, &choice, random_below(rq->server->random, kv_zset_count(z)));
	return COMMAND_DONE;
}
