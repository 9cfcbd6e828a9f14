#ifndef EDGE_CALL_H
#define EDGE_CALL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "edge/origin.h"

/*
 * Call: one HTTP request while it is handled, and its response. For this layer only.
 *
 * It is made anew each time that the request is executed, also after it has waited.
 */
struct edge;
struct edge_session;
struct request;

struct edge_call {
	struct request *rq;
	struct edge_session *session;
	struct edge *edge;
	struct slice method;
	struct buffer path;   /* decoded */
	struct slice subpath; /* what follows the route's prefix */
	struct slice query;   /* as sent */
	struct slice body;
	struct slice origin; /* as sent; empty: none */
	enum edge_origin origin_verdict;
	bool is_head;
	bool keeps_alive;
	bool is_client_known; /* its address: edge_forwarded_apply() */
};

/* False if the target cannot be decoded: path is empty. Release it in both cases. */
bool edge_call_init(struct edge_call *call, struct request *rq, struct edge_session *s);
void edge_call_release(struct edge_call *call);

/* The value of a header; empty if there is none or an empty one. The first of several. */
struct slice edge_call_header(const struct edge_call *call, const char *name);

/* Takes the next pair of a query or form from *rest and decodes both parts. */
enum edge_pair { EDGE_PAIR, EDGE_PAIRS_END, EDGE_PAIR_INVALID };
enum edge_pair edge_next_pair(struct slice *rest, struct buffer *key, struct buffer *value);

/* The decoded value of a parameter of the query; false: there is none. The first of several. One
 * that cannot be decoded is "%"; others that cannot be are skipped. */
bool edge_call_parameter(const struct edge_call *call, const char *name, struct buffer *value);

/* Queues the whole response. headers are further lines, each with its CRLF, or "". */
void edge_answer(struct edge_call *call, unsigned status, const char *headers,
    const char *content_type, struct slice body);

/* The same with the body {"error":"text"}; printf-checked. */
void edge_answer_error(struct edge_call *call, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Replaces a reply of request_error() ("-CODE text") with a response of the status that fits. */
void edge_answer_refusal(struct edge_call *call);

/* Appends the CORS headers of a response to this call, each with its CRLF. */
void edge_put_cors(const struct edge_call *call, struct buffer *out);

#endif
