#include "config.h"

#include "cmd/stream_args.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "cmd/args.h"
#include "server/core.h"
#include "server/server_config.h"

/* Redis reads no longer id. */
#define ID_LEN_MAX 127

/* Rough trimming without LIMIT removes at most this many nodes full of entries, and entries. */
#define TRIM_NODES 100
#define TRIM_MAX 1000000
#define TRIM_WITHOUT_NODES 10000

/* As strtoull reads a number, which Redis falls back to: spaces, a sign and leading zeros are
 * allowed. A negative number is not. */
static bool
number_parse(struct slice arg, uint64_t *number)
{
	const char *at = arg.ptr, *end = arg.ptr + arg.len;
	uint64_t v = 0;

	while (at < end && isspace((unsigned char)*at))
		at++;
	if (at < end && *at == '+')
		at++;
	if (at == end)
		return false;
	for (; at < end; at++) {
		if (*at < '0' || *at > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*at - '0'), &v))
			return false;
	}
	*number = v;
	return true;
}

/* Splits MS-SEQ; false if there is no SEQ. */
static bool
split(struct slice arg, struct slice *ms, struct slice *seq)
{
	const char *dash = arg.len > 0 ? memchr(arg.ptr, '-', arg.len) : NULL;

	*ms = arg;
	if (dash == NULL)
		return false;
	ms->len = (size_t)(dash - arg.ptr);
	*seq = (struct slice){dash + 1, arg.len - ms->len - 1};
	return true;
}

bool
stream_id_parse(struct slice arg, uint64_t seq, struct stream_id *id)
{
	struct slice ms_text, seq_text;

	if (arg.len > ID_LEN_MAX)
		return false;
	id->seq = seq;
	if (split(arg, &ms_text, &seq_text) && !number_parse(seq_text, &id->seq))
		return false;
	return number_parse(ms_text, &id->ms);
}

static bool
refuse_id(struct request *rq)
{
	request_error(rq, "ERR Invalid stream ID specified as stream command argument");
	return false;
}

bool
stream_args_id(struct request *rq, struct slice arg, struct stream_id *id)
{
	return stream_id_parse(arg, 0, id) || refuse_id(rq);
}

struct stream_id *
stream_args_ids(struct request *rq, size_t from)
{
	struct stream_id *ids = xmalloc((rq->argc - from) * sizeof(*ids));

	for (size_t i = from; i < rq->argc; i++) {
		if (!stream_args_id(rq, rq->argv[i], &ids[i - from])) {
			xfree(ids);
			return NULL;
		}
	}
	return ids;
}

/* True for - and +. */
static bool
is_end(struct slice arg, struct stream_id *id)
{
	if (slice_is(arg, "-")) {
		*id = STREAM_ID_MIN;
		return true;
	}
	if (slice_is(arg, "+")) {
		*id = STREAM_ID_MAX;
		return true;
	}
	return false;
}

bool
stream_args_id_or_end(struct request *rq, struct slice arg, struct stream_id *id)
{
	return is_end(arg, id) || stream_args_id(rq, arg, id);
}

/* Reads an end of a range without its bracket. */
static bool
range_id(struct request *rq, struct slice arg, bool is_open, uint64_t seq, struct stream_id *id)
{
	if (!is_open && is_end(arg, id))
		return true;
	return stream_id_parse(arg, seq, id) || refuse_id(rq);
}

/* True for (id, and removes the bracket. */
static bool
take_bracket(struct slice *arg)
{
	if (arg->len < 2 || arg->ptr[0] != '(')
		return false;
	arg->ptr++;
	arg->len--;
	return true;
}

bool
stream_args_start(struct request *rq, struct slice arg, struct stream_id *id)
{
	bool is_open = take_bracket(&arg);

	if (!range_id(rq, arg, is_open, 0, id))
		return false;
	if (!is_open || stream_id_next(id))
		return true;
	request_error(rq, "ERR invalid start ID for the interval");
	return false;
}

bool
stream_args_end(struct request *rq, struct slice arg, struct stream_id *id)
{
	bool is_open = take_bracket(&arg);

	if (!range_id(rq, arg, is_open, UINT64_MAX, id))
		return false;
	if (!is_open || stream_id_prev(id))
		return true;
	request_error(rq, "ERR invalid end ID for the interval");
	return false;
}

/* The id of XADD: MS, MS-SEQ, or MS-*. */
static bool
parse_new_id(struct request *rq, struct slice arg, struct stream_new_id *new_id)
{
	struct slice ms, seq;

	if (split(arg, &ms, &seq) && slice_is(seq, "*")) {
		new_id->kind = STREAM_ID_AUTO_SEQ;
		return (arg.len <= ID_LEN_MAX && number_parse(ms, &new_id->id.ms)) || refuse_id(rq);
	}
	new_id->kind = STREAM_ID_GIVEN;
	return stream_args_id(rq, arg, &new_id->id);
}

struct parsing {
	struct stream_trim_args *args;
	bool has_limit;
	int64_t limit;
};

/* MAXLEN or MINID at *at, which moves to the last of its arguments. */
static bool
parse_strategy(struct request *rq, size_t *at, struct stream_trim *trim)
{
	bool by_length = slice_is_nocase(rq->argv[*at], "maxlen");
	struct slice next = rq->argv[*at + 1];
	int64_t keep;

	if (trim->by != STREAM_TRIM_NOT) {
		request_error(rq, "ERR syntax error, MAXLEN and MINID options at the same time are "
				  "not compatible");
		return false;
	}
	trim->is_rough = *at + 2 < rq->argc && slice_is(next, "~");
	*at += trim->is_rough || (*at + 2 < rq->argc && slice_is(next, "=")) ? 2 : 1;
	if (!by_length) {
		trim->by = STREAM_TRIM_ID;
		return stream_args_id(rq, rq->argv[*at], &trim->from);
	}
	if (!args_i64(rq, rq->argv[*at], &keep))
		return false;
	if (keep < 0) {
		request_error(rq, "ERR The MAXLEN argument must be >= 0.");
		return false;
	}
	trim->by = STREAM_TRIM_LENGTH;
	trim->keep = (uint64_t)keep;
	return true;
}

static bool
parse_limit(struct request *rq, struct slice arg, struct parsing *p)
{
	if (!args_i64(rq, arg, &p->limit))
		return false;
	if (p->limit < 0) {
		request_error(rq, "ERR The LIMIT argument must be >= 0.");
		return false;
	}
	p->has_limit = true;
	return true;
}

/* Reads the option at *at, with its arguments. *is_id: it is the id of XADD instead. */
static bool
parse_option(struct request *rq, size_t *at, bool is_add, struct parsing *p, bool *is_id)
{
	struct slice word = rq->argv[*at];
	bool has_more = *at + 1 < rq->argc;

	if (is_add && slice_is(word, "*")) {
		p->args->new_id.kind = STREAM_ID_AUTO;
		*is_id = true;
	} else if (has_more &&
		   (slice_is_nocase(word, "maxlen") || slice_is_nocase(word, "minid"))) {
		return parse_strategy(rq, at, &p->args->trim);
	} else if (has_more && slice_is_nocase(word, "limit")) {
		return parse_limit(rq, rq->argv[++*at], p);
	} else if (is_add && slice_is_nocase(word, "nomkstream")) {
		p->args->no_new_key = true;
	} else if (is_add) {
		*is_id = true;
		return parse_new_id(rq, word, &p->args->new_id);
	} else {
		request_syntax_error(rq);
		return false;
	}
	return true;
}

/* As in Redis, so that rough trimming takes a short time. */
static uint64_t
usual_limit(const struct request *rq)
{
	uint64_t entries = rq->server->config->kv.stream_node_entries;

	if (entries == 0)
		return TRIM_WITHOUT_NODES;
	return entries < TRIM_MAX / TRIM_NODES ? entries * TRIM_NODES : TRIM_MAX;
}

static bool
check_limit(struct request *rq, bool is_add, const struct parsing *p)
{
	struct stream_trim *trim = &p->args->trim;
	const char *wrong = NULL;

	if (p->limit > 0 && trim->by == STREAM_TRIM_NOT)
		wrong = "LIMIT cannot be used without specifying a trimming strategy";
	else if (!is_add && trim->by == STREAM_TRIM_NOT)
		wrong = "XTRIM must be called with a trimming strategy";
	else if (p->has_limit && !trim->is_rough)
		wrong = "LIMIT cannot be used without the special ~ option";
	if (wrong != NULL) {
		request_error(rq, "ERR syntax error, %s", wrong);
		return false;
	}
	trim->most = p->has_limit ? (uint64_t)p->limit : usual_limit(rq);
	return true;
}

bool
stream_args_trim(struct request *rq, bool is_add, struct stream_trim_args *args)
{
	struct parsing p = {.args = args};
	bool is_id = false;
	size_t at;

	*args = (struct stream_trim_args){.id_at = rq->argc};
	for (at = 2; at < rq->argc; at++) {
		if (!parse_option(rq, &at, is_add, &p, &is_id))
			return false;
		if (is_id) {
			args->id_at = at;
			break;
		}
	}
	return check_limit(rq, is_add, &p);
}
