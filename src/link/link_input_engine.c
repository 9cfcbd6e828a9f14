#include "config.h"

#include "link/conversation.h"
#include "link/engine.h"
#include "link/engine_claims.h"
#include "link/engine_presence.h"
#include "link/engine_script.h"
#include "link/link_input.h"
#include "resp/reply.h"

const char *
link_begin_engine(struct link *link, const struct resp_value *info)
{
	struct slice run = {NULL, 0};

	if (link->peer.is_fanfare)
		return "the upstream is a fanfared, which can have leaves (upstream-mode leaf), "
		       "but is not an engine";
	if (info->type != RESP_TYPE_ERROR)
		run = peer_run_id(info->text);
	if (run.len == 0)
		return "the upstream's reply to INFO has no run_id; its user needs the command";
	peer_warn(info->text, &link->peer);
	engine_opened(link->engine, run);
	if (link->presence != NULL)
		engine_presence_opened(link->presence, run);
	link_send_scripts(link);
	return NULL;
}

static void
on_script(struct link *link, const struct resp_value *value, size_t left)
{
	enum engine_script script = (enum engine_script)(ENGINE_SCRIPTS - 1 - left);
	const char *why = engine_take_script(link->engine, script, value);

	if (why != NULL)
		link_drop(link, why);
	else if (left == 0)
		link_send_greeting(link);
}

static void
on_greeting(struct link *link, const struct resp_value *value, uint64_t now_us)
{
	const char *why = engine_take_greeting(link->engine, value);

	if (why != NULL) {
		link_drop(link, why);
		return;
	}
	link->joined_mark = interest_mark(link->interest);
	if (engine_figures(link->engine).quiet_us > 0)
		link->quiet_until_us = now_us + engine_figures(link->engine).quiet_us;
	catch_up_denied(&link->catch_up);
	link_advance(link, LINK_CHECKED);
	link_send_probe(link, now_us);
	if (link->presence != NULL)
		engine_presence_greeted(link->presence, now_us);
}

void
link_take_presence(struct link *link, enum link_answer_kind answer, const struct resp_value *value,
    uint64_t now_us)
{
	bool is_error = value->type == RESP_TYPE_ERROR;
	const char *why = engine_presence_take(link->presence, answer, value, now_us);

	if (why != NULL && is_error)
		link_drop_for(link, why, value->text);
	else if (why != NULL)
		link_drop(link, why);
	else if (is_error || (value->type == RESP_TYPE_BULK && answer != ANSWER_PRESENCE_SCRIPT))
		link->ops->refused(link->arg, value->text);
}

/* If it is an error, the messages are claimed again later. */
static void
on_claimed(struct link *link, const struct resp_value *value, uint64_t now_us)
{
	const char *why = engine_claims_take(link->config->claims, value, now_us);

	if (why != NULL && value->type == RESP_TYPE_ERROR)
		link_drop_for(link, why, value->text);
	else if (why != NULL)
		link_drop(link, why);
	else if (value->type == RESP_TYPE_ERROR)
		link->ops->refused(link->arg, value->text);
}

void
link_take_engine(struct link *link, enum link_answer_kind answer, const struct resp_value *value,
    uint64_t now_us)
{
	const char *why = NULL;
	bool is_error = value->type == RESP_TYPE_ERROR;

	if (answer == ANSWER_CLAIMED) {
		on_claimed(link, value, now_us);
		return;
	}
	if (answer == ANSWER_AHEAD && is_error) {
		link->skips_loads = true; /* the SUBSCRIBE behind them gets the same error */
		return;
	}
	if (answer == ANSWER_LOADED && link->skips_loads) {
		engine_skip_load(link->engine);
		return;
	}
	if (is_error) {
		link_drop_for(link, ENGINE_CANNOT, value->text);
		return;
	}
	switch (answer) {
	case ANSWER_SCRIPT:
		on_script(link, value, link_count_expected(&link->expected, ANSWER_SCRIPT));
		return;
	case ANSWER_GREETING:
		on_greeting(link, value, now_us);
		return;
	case ANSWER_LOADED:
		why = engine_take_load(link->engine, value);
		break;
	case ANSWER_CHECKED:
		why = engine_take_check(link->engine, value);
		break;
	default:
		why = "the upstream's reply does not fit to the command";
	}
	if (why != NULL)
		link_drop(link, why);
}
