#include "config.h"

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "cmd/list_pop.h"
#include "resp/writer.h"

/* Lists: commands that search for a value. */

enum command_result
cmd_linsert(struct request *rq)
{
	bool after = slice_is_nocase(rq->argv[2], "after");
	struct kv_list_place place;
	struct kv_key *key;
	void *list;
	bool more;

	if (!after && !slice_is_nocase(rq->argv[2], "before")) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (!key_write_value(rq, rq->argv[1], KV_LIST, &key, &list))
		return COMMAND_DONE;
	if (list == NULL) {
		resp_put_int(rq->reply, 0);
		return COMMAND_DONE;
	}
	more = kv_list_at_end(list, KV_LIST_HEAD, &place);
	while (more && !slice_eq(place.value, rq->argv[3]))
		more = kv_list_step(&place, KV_LIST_HEAD);
	if (!more) {
		resp_put_int(rq->reply, -1);
		return COMMAND_DONE;
	}
	kv_list_insert(list, &place, after, rq->argv[4]);
	resp_put_int(rq->reply, (int64_t)kv_list_count(list));
	key_changed(rq, rq->argv[1], KEY_LIST, "linsert");
	return COMMAND_DONE;
}

/* Removes up to `most` values and returns how many were removed. */
static uint64_t
remove_values(struct kv_list *list, enum kv_list_end from, uint64_t most, struct slice value)
{
	struct kv_list_place place;
	uint64_t removed = 0;
	bool more = kv_list_at_end(list, from, &place);

	while (more && removed < most) {
		if (slice_eq(place.value, value)) {
			more = kv_list_remove(list, &place, from);
			removed++;
		} else {
			more = kv_list_step(&place, from);
		}
	}
	return removed;
}

enum command_result
cmd_lrem(struct request *rq)
{
	struct kv_key *key;
	void *list;
	int64_t count;
	uint64_t most, removed = 0;

	if (!args_i64(rq, rq->argv[2], &count) ||
	    !key_write_value(rq, rq->argv[1], KV_LIST, &key, &list))
		return COMMAND_DONE;
	most = count == 0 ? UINT64_MAX : count < 0 ? -(uint64_t)count : (uint64_t)count;
	if (list != NULL)
		removed =
		    remove_values(list, count < 0 ? KV_LIST_TAIL : KV_LIST_HEAD, most, rq->argv[3]);
	resp_put_int(rq->reply, (int64_t)removed);
	if (removed == 0)
		return COMMAND_DONE;
	key_changed(rq, rq->argv[1], KEY_LIST, "lrem");
	list_settle(rq, key);
	return COMMAND_DONE;
}

struct lpos {
	enum kv_list_end from;
	uint64_t rank;  /* at least 1 */
	uint64_t most;  /* UINT64_MAX: all */
	uint64_t looks; /* UINT64_MAX: all */
	bool has_count;
};

static bool
parse_rank(struct request *rq, struct slice arg, struct lpos *lpos)
{
	int64_t rank;

	if (!args_i64(rq, arg, &rank))
		return false;
	if (rank == INT64_MIN) {
		request_error(rq,
		    "ERR value is out of range, value must between -9223372036854775807 and "
		    "9223372036854775807");
		return false;
	}
	if (rank == 0) {
		request_error(rq,
		    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the "
		    "second ... or use negative to start from the end of the list");
		return false;
	}
	lpos->from = rank < 0 ? KV_LIST_TAIL : KV_LIST_HEAD;
	lpos->rank = (uint64_t)(rank < 0 ? -rank : rank);
	return true;
}

static bool
parse_lpos(struct request *rq, struct lpos *lpos)
{
	int64_t number;
	size_t i;

	*lpos = (struct lpos){KV_LIST_HEAD, 1, 1, UINT64_MAX, false};
	for (i = 3; i < rq->argc; i += 2) {
		bool is_count = slice_is_nocase(rq->argv[i], "count");

		if (i + 1 < rq->argc && slice_is_nocase(rq->argv[i], "rank")) {
			if (!parse_rank(rq, rq->argv[i + 1], lpos))
				return false;
			continue;
		}
		if (i + 1 == rq->argc || (!is_count && !slice_is_nocase(rq->argv[i], "maxlen"))) {
			request_syntax_error(rq);
			return false;
		}
		if (!args_at_least(rq, rq->argv[i + 1], 0,
			is_count ? "COUNT can't be negative" : "MAXLEN can't be negative", &number))
			return false;
		lpos->has_count |= is_count;
		*(is_count ? &lpos->most : &lpos->looks) =
		    number == 0 ? UINT64_MAX : (uint64_t)number;
	}
	return true;
}

/* Writes the positions to out and returns their number. */
static uint64_t
find_positions(
    const struct lpos *lpos, const struct kv_list *list, struct slice value, struct buffer *out)
{
	uint64_t count = kv_list_count(list), matches = 0, found = 0, i;
	struct kv_list_place place;
	bool more = kv_list_at_end(list, lpos->from, &place);

	for (i = 0; more && i < lpos->looks && found < lpos->most; i++) {
		if (slice_eq(place.value, value) && ++matches >= lpos->rank) {
			resp_put_int(
			    out, (int64_t)(lpos->from == KV_LIST_HEAD ? i : count - 1 - i));
			found++;
		}
		more = kv_list_step(&place, lpos->from);
	}
	return found;
}

enum command_result
cmd_lpos(struct request *rq)
{
	struct buffer positions = {0};
	struct lpos lpos;
	uint64_t found = 0;
	void *list;

	if (!parse_lpos(rq, &lpos) || !key_read_value(rq, rq->argv[1], KV_LIST, &list))
		return COMMAND_DONE;
	if (list != NULL)
		found = find_positions(&lpos, list, rq->argv[2], &positions);
	if (lpos.has_count)
		resp_put_array(rq->reply, (size_t)found);
	else if (found == 0)
		resp_put_null(rq->reply, rq->proto);
	buffer_append_slice(rq->reply, buffer_slice(&positions));
	buffer_release(&positions);
	return COMMAND_DONE;
}
