#include "config.h"

#include <inttypes.h>

#include "cmd/handlers.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/client_walk.h"
#include "server/request.h"
#include "server/server_config.h"
#include "server/tracking.h"
#include "server/tracking_prefixes.h"

/*
 * Client-side caching: CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO. There may be very many
 * prefixes, so they are added, removed and listed in slices.
 */

/* An error text repeats at most this many bytes of a prefix. */
#define PREFIX_SHOWN_MAX 128

static int
shown_len(struct slice prefix)
{
	return (int)(prefix.len < PREFIX_SHOWN_MAX ? prefix.len : PREFIX_SHOWN_MAX);
}

/* The arguments of CLIENT TRACKING. Its prefixes are read by next_prefix(). */
struct terms {
	uint8_t options;   /* enum tracking_option */
	uint64_t redirect; /* 0: none */
	bool has_prefixes;
};

static const struct {
	const char *name;
	enum tracking_option option;
} options[] = {
    {"bcast", TRACKING_BCAST},
    {"optin", TRACKING_OPTIN},
    {"optout", TRACKING_OPTOUT},
    {"noloop", TRACKING_NOLOOP},
};

#define OPTIONS (sizeof(options) / sizeof(options[0]))

/* Returns false after replying with the error. */
static bool
parse_redirect(struct request *rq, struct slice text, struct terms *terms)
{
	const struct client *to;
	int64_t id;

	if (terms->redirect != 0) {
		request_error(rq, "ERR A client can only redirect to a single other client");
		return false;
	}
	if (!slice_to_i64(text, &id)) {
		request_error(rq, "ERR value is not an integer or out of range");
		return false;
	}
	to = id > 0 ? client_by_id(rq->server, (uint64_t)id) : NULL;
	if (to == NULL || client_door(to) != NULL) {
		request_error(rq, "ERR The client ID you want redirect to does not exist");
		return false;
	}
	terms->redirect = (uint64_t)id;
	return true;
}

/* Returns false after replying with the error. */
static bool
parse_option(struct request *rq, struct slice name, struct terms *terms)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		if (slice_is_nocase(name, options[i].name)) {
			terms->options |= (uint8_t)options[i].option;
			return true;
		}
	}
	request_syntax_error(rq);
	return false;
}

/* Returns false after replying with the error. */
static bool
parse_terms(struct request *rq, struct terms *terms)
{
	for (size_t i = 3; i < rq->argc; i++) {
		bool has_more = i + 1 < rq->argc;

		if (has_more && slice_is_nocase(rq->argv[i], "redirect")) {
			if (!parse_redirect(rq, rq->argv[++i], terms))
				return false;
		} else if (has_more && slice_is_nocase(rq->argv[i], "prefix")) {
			i++;
			terms->has_prefixes = true;
		} else if (!parse_option(rq, rq->argv[i], terms)) {
			return false;
		}
	}
	return true;
}

/*
 * Sets *prefix to the first prefix at or behind argument *at, and *at behind it. Arguments of
 * REDIRECT are numbers, so they are not taken for the word PREFIX. False: there is none.
 */
static bool
next_prefix(const struct request *rq, size_t *at, struct slice *prefix)
{
	for (; *at + 1 < rq->argc; ++*at) {
		if (!slice_is_nocase(rq->argv[*at], "prefix"))
			continue;
		*prefix = rq->argv[*at + 1];
		*at += 2;
		return true;
	}
	return false;
}

/* What the terms contradict: each other, or what the client has chosen before; NULL: nothing. */
static const char *
contradiction(const struct client *c, const struct terms *terms)
{
	const struct client_tracking *own = tracking_if_on(c);
	const uint8_t either = TRACKING_OPTIN | TRACKING_OPTOUT;
	uint8_t chosen = terms->options, before = own != NULL ? own->options : 0;

	if ((chosen & TRACKING_BCAST) == 0 && terms->has_prefixes)
		return "ERR PREFIX option requires BCAST mode to be enabled";
	if (own != NULL && ((chosen ^ before) & TRACKING_BCAST) != 0)
		return "ERR You can't switch BCAST mode on/off before disabling tracking for this "
		       "client, and then re-enabling it with a different mode.";
	if ((chosen & TRACKING_BCAST) != 0 && (chosen & either) != 0)
		return "ERR OPTIN and OPTOUT are not compatible with BCAST";
	if ((chosen & either) == either)
		return "ERR You can't specify both OPTIN mode and OPTOUT mode";
	if (((chosen | before) & either) == either)
		return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this "
		       "client, and then re-enabling it with a different mode.";
	return NULL;
}

/* Returns false after replying with the error. */
static bool
check_prefix(struct request *rq, const struct client_tracking *own, struct slice prefix)
{
	const struct hub_limits *limits = &rq->server->config->hub;
	bool is_new = false;
	struct slice other;

	if (prefix.len > limits->name_bytes) {
		request_error(
		    rq, "ERR prefix too long (max-channel-length %" PRIu32 ")", limits->name_bytes);
		return false;
	}
	if (tracking_prefix_count(own) >= limits->subscriptions) {
		request_error(rq,
		    "ERR max number of prefixes per client reached (max-subscriptions-per-client "
		    "%" PRIu32 ")",
		    limits->subscriptions);
		return false;
	}
	if (!tracking_prefix_overlaps(own, prefix, &other, &is_new))
		return true;
	if (is_new)
		request_error(rq,
		    "ERR Prefix '%.*s' overlaps with another provided prefix '%.*s'. Prefixes for "
		    "a "
		    "single client must not overlap.",
		    shown_len(other), other.ptr, shown_len(prefix), prefix.ptr);
	else
		request_error(rq,
		    "ERR Prefix '%.*s' overlaps with an existing prefix '%.*s'. Prefixes for a "
		    "single client must not overlap.",
		    shown_len(prefix), prefix.ptr, shown_len(other), other.ptr);
	return false;
}

/* Removes the prefixes that this command has added, the last of which was refused. */
static enum command_result
take_back(struct request *rq, struct client_tracking *own)
{
	struct pending *p = rq->client->pending;
	struct slice prefix;

	for (; p->progress > 0; p->progress--) {
		if (request_slice_is_over(rq))
			return COMMAND_AGAIN;
		(void)next_prefix(rq, &p->checked, &prefix);
		tracking_remove_prefix(own, prefix);
	}
	return COMMAND_DONE;
}

/*
 * Adds the prefixes. pending->counted is the argument to go on from, pending->progress the number
 * of prefixes that were added; pending->checked, if not 0, the argument from which they are removed
 * again, because another one was refused.
 */
static enum command_result
add_prefixes(struct request *rq, struct client_tracking *own)
{
	struct pending *p = rq->client->pending;
	struct slice prefix;

	if (p->checked == 0 && p->progress == 0) {
		p->counted = 3;
		own->batch++;
	}
	while (p->checked == 0 && next_prefix(rq, &p->counted, &prefix)) {
		if (!check_prefix(rq, own, prefix)) {
			p->checked = 3;
			break;
		}
		tracking_add_prefix(own, prefix);
		p->progress++;
		if (request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	return p->checked != 0 ? take_back(rq, own) : COMMAND_DONE;
}

/* The terms are kept with the client, because reading them takes longer than a slice if there are
 * many prefixes. */
static bool
begin_switching_on(struct request *rq)
{
	struct terms terms = {0};
	struct client_tracking *own;
	const char *error;

	if (!parse_terms(rq, &terms))
		return false;
	error = contradiction(rq->client, &terms);
	if (error != NULL) {
		request_error(rq, "%s", error);
		return false;
	}
	own = tracking_need(rq->client);
	own->new_options = terms.options;
	own->new_redirect = terms.redirect;
	return true;
}

static enum command_result
switch_on(struct request *rq)
{
	struct client *c = rq->client;
	struct client_tracking *own;

	if (c->pending->progress == 0 && !begin_switching_on(rq))
		return COMMAND_DONE;
	own = tracking_need(c);
	if ((own->new_options & TRACKING_BCAST) != 0) {
		if (add_prefixes(rq, own) == COMMAND_AGAIN)
			return COMMAND_AGAIN;
		if (c->pending->checked != 0) /* a prefix was refused */
			return COMMAND_DONE;
		if (c->pending->progress == 0)
			tracking_add_prefix(own, SLICE(""));
	}
	tracking_switch_on(c, own->new_options, own->new_redirect);
	request_ok(rq);
	return COMMAND_DONE;
}

bool
client_tracking_end(struct request *rq)
{
	size_t budget = 1;

	for (; !tracking_switch_off(rq->client, &budget); budget = 1) {
		rq->client->pending->progress++;
		if (request_slice_is_over(rq))
			return false;
	}
	return true;
}

static enum command_result
switch_off(struct request *rq)
{
	if (!client_tracking_end(rq))
		return COMMAND_AGAIN;
	request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_client_tracking(struct request *rq)
{
	struct terms unused = {0};

	if (slice_is_nocase(rq->argv[2], "on"))
		return switch_on(rq);
	if (rq->client->pending->progress == 0 && !parse_terms(rq, &unused))
		return COMMAND_DONE;
	if (slice_is_nocase(rq->argv[2], "off"))
		return switch_off(rq);
	request_syntax_error(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_client_caching(struct request *rq)
{
	struct client_tracking *own = tracking_if_on(rq->client);
	bool yes = slice_is_nocase(rq->argv[2], "yes");

	if (own == NULL) {
		request_error(rq,
		    "ERR CLIENT CACHING can be called only when the client is in tracking mode "
		    "with OPTIN or OPTOUT mode enabled");
		return COMMAND_DONE;
	}
	if (!yes && !slice_is_nocase(rq->argv[2], "no")) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if ((own->options & (yes ? TRACKING_OPTIN : TRACKING_OPTOUT)) == 0) {
		request_error(rq,
		    "ERR CLIENT CACHING %s is only valid when tracking is enabled in %s mode.",
		    yes ? "YES" : "NO", yes ? "OPTIN" : "OPTOUT");
		return COMMAND_DONE;
	}
	own->caching = true;
	request_ok(rq);
	return COMMAND_DONE;
}

static int64_t
redirect_of(const struct client_tracking *own)
{
	return own != NULL ? (int64_t)own->redirect : -1;
}

enum command_result
cmd_client_getredir(struct request *rq)
{
	resp_put_int(rq->reply, redirect_of(tracking_if_on(rq->client)));
	return COMMAND_DONE;
}

#define FLAGS_MAX 5

/* In Redis's order; returns their number. */
static size_t
list_flags(const struct client_tracking *own, const char *flags[FLAGS_MAX])
{
	size_t count = 0;

	flags[count++] = own != NULL ? "on" : "off";
	if (own == NULL)
		return count;
	if ((own->options & TRACKING_BCAST) != 0)
		flags[count++] = "bcast";
	if ((own->options & TRACKING_OPTIN) != 0)
		flags[count++] = "optin";
	if ((own->options & TRACKING_OPTOUT) != 0)
		flags[count++] = "optout";
	if (own->caching)
		flags[count++] =
		    (own->options & TRACKING_OPTIN) != 0 ? "caching-yes" : "caching-no";
	if ((own->options & TRACKING_NOLOOP) != 0)
		flags[count++] = "noloop";
	if (own->is_broken)
		flags[count++] = "broken_redirect";
	return count;
}

static void
put_head(struct request *rq, const struct client_tracking *own)
{
	const char *flags[FLAGS_MAX];
	size_t count = list_flags(own, flags), i;

	resp_put_map(rq->reply, rq->proto, 3);
	resp_put_bulk_str(rq->reply, "flags");
	resp_put_set(rq->reply, rq->proto, count);
	for (i = 0; i < count; i++)
		resp_put_bulk_str(rq->reply, flags[i]);
	resp_put_bulk_str(rq->reply, "redirect");
	resp_put_int(rq->reply, redirect_of(own));
	resp_put_bulk_str(rq->reply, "prefixes");
	resp_put_array(rq->reply, tracking_prefix_count(own));
}

/* Its own prefixes cannot change before it is done, and so own->listed stays valid. */
enum command_result
cmd_client_trackinginfo(struct request *rq)
{
	struct client_tracking *own = tracking_if_on(rq->client);

	if (rq->client->pending->progress == 0) {
		put_head(rq, own);
		if (own != NULL)
			own->listed = (struct slice){0};
	}
	while (own != NULL && tracking_next_prefix(own, own->listed, &own->listed)) {
		resp_put_bulk(rq->reply, own->listed);
		rq->client->pending->progress++;
		if (request_slice_is_over(rq))
			return COMMAND_AGAIN;
	}
	return COMMAND_DONE;
}
