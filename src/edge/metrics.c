#include "config.h"

#include "edge/metrics.h"

#include <stddef.h>

#include "edge/session.h"
#include "server/metrics.h"
#include "token/cache.h"

/* One row for each member of struct edge_figures. */
static const struct row {
	const char *name;
	enum metrics_type type;
	size_t offset;
	const char *help;
} rows[] = {
#define ROW(name, type, member, help)                                                              \
	{                                                                                          \
		name, type, offsetof(struct edge_figures, member), help                            \
	}
    ROW("edge_streams_opened", METRICS_COUNTER, streams, "Event streams that were opened"),
    ROW("edge_streams", METRICS_GAUGE, streams_now, "Event streams that are open"),
    ROW("edge_sockets_opened", METRICS_COUNTER, sockets, "WebSockets that were opened"),
    ROW("edge_sockets", METRICS_GAUGE, sockets_now, "WebSockets that are open"),
    ROW("edge_commands", METRICS_COUNTER, commands, "Commands of WebSockets"),
    ROW("edge_command_errors", METRICS_COUNTER, command_errors,
	"Commands of WebSockets that were answered with an error"),
    ROW("edge_published", METRICS_COUNTER, published,
	"Messages published by HTTP requests and WebSockets"),
    ROW("edge_resumed", METRICS_COUNTER, resumed,
	"Streams and subscriptions that went on where they were"),
    ROW("edge_lost", METRICS_COUNTER, lost,
	"Streams and subscriptions that were told that messages are missing"),
    ROW("edge_denied_origins", METRICS_COUNTER, denied_origins,
	"Requests from an origin that is not allowed"),
    ROW("edge_denied_rights", METRICS_COUNTER, denied_rights,
	"Channels and patterns that were refused for lack of rights"),
    ROW("edge_denied_tokens", METRICS_COUNTER, denied_tokens, "Tokens that were refused"),
    ROW("edge_broken_requests", METRICS_COUNTER, broken_requests, "Invalid HTTP requests"),
    ROW("edge_broken_frames", METRICS_COUNTER, broken_frames, "Invalid WebSocket frames"),
    ROW("edge_expired_sessions", METRICS_COUNTER, expired_sessions,
	"Connections and subscriptions that ended with their token"),
    ROW("edge_aged_sessions", METRICS_COUNTER, aged_sessions,
	"Connections closed because of edge-max-age"),
    ROW("edge_unanswered_pings", METRICS_COUNTER, unanswered_pings,
	"WebSockets closed because no pong came in time"),
    ROW("edge_flooding_sockets", METRICS_COUNTER, flooding_sockets,
	"WebSockets closed because of edge-command-rate"),
#undef ROW
};

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "rows are read as uint64_t");

static void
put_responses(const struct edge_figures *figures, struct metrics_page *page)
{
	static const char *const classes[EDGE_STATUS_CLASSES] = {
	    NULL, "1xx", "2xx", "3xx", "4xx", "5xx"};

	metrics_begin(page, METRICS_COUNTER, "edge_responses", "", "HTTP responses by status");
	for (int i = 1; i < EDGE_STATUS_CLASSES; i++)
		metrics_put_uint(page, METRICS_LABEL("status", classes[i]), figures->responses[i]);
}

static void
put_tokens(const struct tokens *tokens, struct metrics_page *page)
{
	const struct token_figures *figures = tokens_figures(tokens);

	metrics_begin(
	    page, METRICS_COUNTER, "tokens_checked", "", "Tokens by the result of the check");
	for (int i = 0; i < TOKEN_FAULTS; i++)
		metrics_put_uint(page,
		    METRICS_LABEL(
			"result", i == TOKEN_OK ? "valid" : token_fault_name((enum token_fault)i)),
		    figures->faults[i]);
	metrics_begin(page, METRICS_COUNTER, "token_cache_hits", "",
	    "Tokens whose signature was known from an earlier check");
	metrics_put_uint(page, METRICS_NO_LABEL, figures->hits);
	metrics_begin(page, METRICS_COUNTER, "token_threaded_checks", "",
	    "Tokens whose signature an I/O thread verified");
	metrics_put_uint(page, METRICS_NO_LABEL, figures->proved);
	metrics_begin(page, METRICS_GAUGE, "token_cache_bytes", "bytes",
	    "Memory of the tokens whose signatures are known");
	metrics_put_uint(page, METRICS_NO_LABEL, figures->cached_bytes);
}

static void
put(const struct metrics_source *source, struct metrics_page *page)
{
	const struct edge *edge =
	    (const void *)((const char *)source - offsetof(struct edge, metrics));

	put_responses(&edge->figures, page);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *at = (const char *)&edge->figures + rows[i].offset;

		metrics_begin(page, rows[i].type, rows[i].name, "", rows[i].help);
		metrics_put_uint(page, METRICS_NO_LABEL, *(const uint64_t *)(const void *)at);
	}
	if (edge->tokens != NULL)
		put_tokens(edge->tokens, page);
}

void
edge_metrics_init(struct edge *edge)
{
	edge->metrics.put = put;
	server_add_metrics(edge->server, &edge->metrics);
}
