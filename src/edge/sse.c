#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "acl/user.h"
#include "base/log.h"
#include "base/random.h"
#include "edge/call.h"
#include "edge/forms.h"
#include "edge/forwarded.h"
#include "edge/handlers.h"
#include "edge/login.h"
#include "edge/opening.h"
#include "edge/publication.h"
#include "edge/rights.h"
#include "edge/session.h"
#include "edge/stream.h"
#include "http/headers.h"
#include "pubsub/hub_replay.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/io.h"
#include "server/lame_duck.h"
#include "server/request.h"
#include "server/server_config.h"
#include "json/writer.h"

/*
 * Event streams: GET and POST /sse, GET /sse/CHANNEL.
 *
 * The parameters are read once, into an opening, while the request may be executed several times.
 * A refusal that may pass is a response of 200 that asks for another try: after any other status an
 * EventSource never comes back.
 */
enum format { FORMAT_DEFAULT, FORMAT_RAW, FORMAT_JSON };

struct parameters {
	struct edge_opening *opening;
	size_t names; /* also those that were there already */
	struct position_since since;
	enum { SINCE_NONE, SINCE_GIVEN, SINCE_FOREIGN } since_is;
	enum format format;
	bool is_strict, in_form;
	const char *error; /* a literal; NULL: none */
};

static bool
is_true(struct slice value)
{
	return slice_is(value, "1") || slice_is(value, "true") || slice_is(value, "yes");
}

static void
take_format(struct parameters *p, struct slice value)
{
	if (slice_is(value, "raw"))
		p->format = FORMAT_RAW;
	else if (slice_is(value, "json"))
		p->format = FORMAT_JSON;
	else
		p->error = "format must be raw or json";
}

/* An id that is not one of ours comes from another server that this one has replaced: what was
 * missed since then is unknown. */
static void
take_position(struct parameters *p, struct slice value)
{
	if (value.len == 0)
		return;
	p->since_is = position_parse_since(value, &p->since) ? SINCE_GIVEN : SINCE_FOREIGN;
}

/* The parameters but for the names. */
static void
take_option(struct parameters *p, struct slice key, struct slice value)
{
	if (slice_is(key, "format"))
		take_format(p, value);
	else if (slice_is(key, "last_event_id") || slice_is(key, "lastEventId"))
		take_position(p, value);
	else if (slice_is(key, "strict"))
		p->is_strict = is_true(value);
	else if (slice_is(key, "token") && p->in_form) /* it was not looked for there */
		p->error = "a token must be in the header Authorization, a cookie or the URL";
}

static void
add_name(struct edge_call *call, struct parameters *p, struct slice name, bool is_pattern)
{
	size_t max = call->edge->config->max_channels;

	if (name.len == 0)
		p->error = "a channel must have a name";
	else if (name.len > call->rq->server->config->hub.name_bytes)
		p->error = "channel name too long (max-channel-length)";
	else if (p->names++ == max)
		p->error = "too many channels (edge-max-channels)";
	else if (p->since_is == SINCE_FOREIGN)
		edge_opening_add_lost(p->opening, name, is_pattern);
	else
		edge_opening_add(
		    p->opening, name, is_pattern, p->since_is == SINCE_GIVEN ? &p->since : NULL);
}

/* Two passes, because the position may follow the names. False: invalid encoding. */
static bool
read_pairs(struct edge_call *call, struct parameters *p, struct slice text, bool for_names)
{
	struct buffer key = {0}, value = {0};
	enum edge_pair pair = EDGE_PAIR;

	while (p->error == NULL && (pair = edge_next_pair(&text, &key, &value)) == EDGE_PAIR) {
		struct slice name = buffer_slice(&key);

		if (!for_names)
			take_option(p, name, buffer_slice(&value));
		else if (slice_is(name, "channel"))
			add_name(call, p, buffer_slice(&value), false);
		else if (slice_is(name, "pattern"))
			add_name(call, p, buffer_slice(&value), true);
	}
	buffer_release(&key);
	buffer_release(&value);
	return pair != EDGE_PAIR_INVALID;
}

static bool
is_form(const struct edge_call *call)
{
	return slice_is_nocase(http_media_type(edge_call_header(call, "content-type")),
	    "application/x-www-form-urlencoded");
}

/* The header wins: a browser sets it when it comes back, with the URL of the first time. */
static void
read_last_event_id(struct edge_call *call, struct parameters *p)
{
	struct slice value = edge_call_header(call, "last-event-id");

	if (value.len == 0)
		return;
	p->since_is = SINCE_NONE;
	take_position(p, value);
}

static void
read_parameters(struct edge_call *call, struct parameters *p)
{
	bool has_form = slice_is(call->method, "POST") && call->body.len > 0;

	if (has_form && !is_form(call)) {
		p->error = "the body must be application/x-www-form-urlencoded";
		return;
	}
	if (!read_pairs(call, p, call->query, false))
		p->error = "invalid encoding of a parameter";
	p->in_form = true;
	if (p->error == NULL && has_form && !read_pairs(call, p, call->body, false))
		p->error = "invalid encoding of a parameter";
	if (p->error != NULL)
		return;
	read_last_event_id(call, p);
	if (call->subpath.len > 0)
		add_name(call, p, call->subpath, false);
	(void)read_pairs(call, p, call->query, true);
	if (has_form)
		(void)read_pairs(call, p, call->body, true);
	if (p->error == NULL && edge_opening_count(p->opening) == 0)
		p->error = "no channel and no pattern";
}

static void
refuse_name(struct edge_call *call, const struct edge_name *name)
{
	call->edge->figures.denied_rights++;
	edge_answer_error(call, 403, "no permission for %s '%.*s'",
	    name->is_pattern ? "pattern" : "channel",
	    (int)(name->name.len < 128 ? name->name.len : 128), name->name.ptr);
}

enum check { CHECK_ALLOWED, CHECK_DENIED, CHECK_GOES_ON };

/* Bytes of a name whose comparison with the rules counts as one unit of work. */
#define CHECKED_A_UNIT 16

/* Whether each name is allowed, in slices; again if rules have changed since. CHECK_DENIED: the
 * request has its answer. */
static enum check
check_rights(struct edge_call *call, struct edge_opening *opening)
{
	struct edge_check *check = edge_opening_check(opening);

	if (check->version != call->rq->server->limits_version)
		*check = (struct edge_check){.version = call->rq->server->limits_version};
	for (; check->done < edge_opening_count(opening); check->done++) {
		const struct edge_name *name = edge_opening_name(opening, check->done);

		if (!edge_may(call->session, EDGE_SUBSCRIBE, name->name, name->is_pattern)) {
			refuse_name(call, name);
			return CHECK_DENIED;
		}
		if (request_units_are_over(call->rq, 1 + name->name.len / CHECKED_A_UNIT)) {
			check->done++;
			return CHECK_GOES_ON;
		}
	}
	return CHECK_ALLOWED;
}

static bool
is_json(const struct parameters *p)
{
	if (p->format != FORMAT_DEFAULT)
		return p->format == FORMAT_JSON;
	return edge_opening_count(p->opening) > 1 || edge_opening_name(p->opening, 0)->is_pattern;
}

static uint32_t
retry_ms(const struct edge *edge)
{
	uint32_t min = edge->config->sse_retry_min_ms, max = edge->config->sse_retry_max_ms;

	return min + (uint32_t)random_below(edge->server->random, (uint64_t)(max - min) + 1);
}

/* The head of a stream; its end is the end of the connection. */
static void
put_head(struct edge_call *call)
{
	struct buffer *out = call->rq->reply;

	buffer_append_str(out, "HTTP/1.1 200 OK\r\n"
			       "Content-Type: text/event-stream\r\n"
			       "Cache-Control: no-cache, no-store, no-transform\r\n"
			       "X-Accel-Buffering: no\r\n");
	edge_put_cors(call, out);
	buffer_append_str(out, "Connection: close\r\n\r\n");
	if (!call->is_head)
		buffer_appendf(out, "retry: %" PRIu32 "\n", retry_ms(call->edge));
	call->edge->figures.responses[2]++;
}

static void
end_stream(struct edge_call *call)
{
	(void)edge_session_move(call->session, EDGE_EVENT_END);
	client_finish(call->rq->client);
}

/* Asks the browser to come back: see the comment at the top. */
static enum command_result
refuse_for_now(struct edge_call *call, const char *why)
{
	edge_opening_drop(&call->session->opening);
	if (call->session->is_strict) {
		(void)edge_session_move(call->session, EDGE_EVENT_REFUSE);
		edge_answer_error(call, 503, "%s", why);
		return COMMAND_DONE;
	}
	put_head(call);
	buffer_appendf(call->rq->reply, ": %s\n\n", why);
	end_stream(call);
	return COMMAND_DONE;
}

/* Tells which channels cannot be resumed. */
static void
put_lost(struct edge_session *s, struct buffer *out)
{
	const struct edge_opening *opening = s->opening;
	bool is_first = true;

	for (size_t i = 0; i < edge_opening_count(opening); i++) {
		const struct edge_name *name = edge_opening_name(opening, i);

		if (name->verdict != HUB_LOST)
			continue;
		buffer_append_str(out, is_first ? "event: lagged\ndata: {\"channels\":[" : ",");
		is_first = false;
		edge_put_name(out, name->name);
	}
	if (is_first) {
		s->edge->figures.resumed++;
		return;
	}
	s->edge->figures.lost++;
	buffer_append_str(out, "],\"reload\":true}\n\n");
}

static bool
keeps_any(const struct edge_opening *opening)
{
	for (size_t i = 0; i < edge_opening_count(opening); i++)
		if (edge_opening_name(opening, i)->keeps)
			return true;
	return false;
}

static const char *
refusal_of(enum hub_result result)
{
	return result == HUB_TOO_MANY_SUBSCRIBERS ? "max number of subscribers reached"
						  : "max number of subscriptions reached";
}

/* The subscriptions exist: the stream begins. */
static void
begin_stream(struct edge_call *call)
{
	struct edge_session *s = call->session;
	struct client *c = call->rq->client;
	struct buffer *out = call->rq->reply;

	put_head(call);
	if (s->has_since)
		put_lost(s, out);
	s->has_kept = keeps_any(s->opening);
	if (s->has_kept)
		edge_stream_put_position(s, out);
	else
		buffer_append_str(out, "\n");
	hub_start_replay(&c->subscriber);
	edge_opening_drop(&s->opening);
	(void)edge_session_move(s, EDGE_EVENT_STREAM);
	edge_stream_began(s, call->rq->now_us);
}

static enum command_result
open_stream(struct edge_call *call)
{
	struct edge_session *s = call->session;
	struct client *c = call->rq->client;
	const struct edge_name *failed;
	enum hub_result result;

	hub_set_form(
	    &c->subscriber, (uint8_t)(call->edge->first_form +
				      (s->wants_json ? EDGE_FORM_SSE_JSON : EDGE_FORM_SSE)));
	hub_set_dedup(&c->subscriber, edge_opening_count(s->opening) > 1);
	result = edge_opening_subscribe(s->opening, call->rq->now_us, &failed);
	if (result != HUB_OK) {
		/* The connection may go on with another request: nothing of the replay is left. */
		hub_start_replay(&c->subscriber);
		hub_set_dedup(&c->subscriber, false);
		return refuse_for_now(call, refusal_of(result));
	}
	client_subscriptions_changed(c);
	begin_stream(call);
	return COMMAND_DONE;
}

/* False: the request has its answer. */
static bool
begin_opening(struct edge_call *call)
{
	struct edge_session *s = call->session;
	uint32_t limit = call->rq->client->user->limits.subscriptions;
	struct parameters p = {.opening = edge_opening_new(&call->rq->client->subscriber)};

	read_parameters(call, &p);
	if (p.error == NULL && limit > 0 && edge_opening_count(p.opening) > limit)
		p.error = "too many channels for this user (limit:subscriptions)";
	if (p.error != NULL) {
		edge_answer_error(call, 400, "%s", p.error);
		edge_opening_free(p.opening);
		return false;
	}
	s->opening = p.opening;
	s->wants_json = is_json(&p);
	s->is_strict = p.is_strict;
	s->has_since = p.since_is != SINCE_NONE;
	(void)edge_session_move(s, EDGE_EVENT_OPEN);
	return true;
}

static bool
is_strict(struct edge_call *call)
{
	struct parameters p = {.opening = edge_opening_new(&call->rq->client->subscriber)};

	read_parameters(call, &p);
	edge_opening_free(p.opening);
	return p.is_strict;
}

/* An EventSource must not give up because of what others do at its address. */
static enum command_result
refuse_login(struct edge_call *call, enum edge_login login, const char *why)
{
	if (login != EDGE_LOGIN_TOO_MANY || call->is_head || is_strict(call))
		return edge_call_refuse_login(call, login, why);
	call->session->is_strict = false;
	return refuse_for_now(call, why);
}

static enum command_result
go_on(struct edge_call *call)
{
	call->rq->client->pending->progress = 1;
	return COMMAND_AGAIN;
}

static enum command_result
answer_head(struct edge_call *call)
{
	edge_opening_drop(&call->session->opening);
	call->keeps_alive = false;
	put_head(call);
	end_stream(call);
	return COMMAND_DONE;
}

static enum command_result
serve(struct edge_call *call)
{
	struct edge_session *s = call->session;
	const char *why = "";

	if (s->state == EDGE_REQUESTS) {
		enum edge_login login = edge_call_log_in(call, &why);

		if (login != EDGE_LOGIN_OK)
			return refuse_login(call, login, why);
		if (!begin_opening(call))
			return COMMAND_DONE;
	}
	if (call->rq->server->lame_duck->state != LAME_DUCK_NOT)
		return refuse_for_now(call, "the server is shutting down");
	if (!call->is_head && !edge_forwarded_admit(s))
		return refuse_for_now(call, EDGE_FORWARDED_REFUSAL);
	switch (check_rights(call, s->opening)) {
	case CHECK_DENIED:
		edge_opening_drop(&s->opening);
		(void)edge_session_move(s, EDGE_EVENT_REFUSE);
		return COMMAND_DONE;
	case CHECK_GOES_ON:
		return go_on(call);
	default:
		break;
	}
	if (call->is_head)
		return answer_head(call);
	switch (edge_opening_link(s->opening, call->rq)) {
	case UPSTREAM_ASKED:
		return go_on(call);
	case UPSTREAM_REFUSES:
		edge_opening_drop(&s->opening);
		(void)edge_session_move(s, EDGE_EVENT_REFUSE);
		edge_answer_error(call, 403, UPSTREAM_REFUSAL);
		return COMMAND_DONE;
	default:
		break;
	}
	if (!edge_opening_step(s->opening, call->rq))
		return go_on(call);
	return open_stream(call);
}

enum command_result
edge_sse(struct edge_call *call)
{
	enum command_result result = serve(call);

	if (call->session->state == EDGE_REQUESTS) /* refused: the next request may be another's */
		edge_forwarded_leave(call->session);
	return result;
}
