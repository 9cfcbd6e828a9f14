#include "config.h"

#include "edge/forwarded.h"

#include <string.h>

#include "base/alloc.h"
#include "edge/edge_io.h"
#include "edge/session.h"
#include "http/headers.h"
#include "http/protocol.h"
#include "server/client.h"
#include "server/client_peer.h"
#include "server/request.h"

/* More proxies than any request passes through. */
#define HOPS_MAX 32

static struct slice
trim(struct slice text)
{
	while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
		text = (struct slice){text.ptr + 1, text.len - 1};
	while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
		text.len--;
	return text;
}

/* Takes the last element from a list, which has one. *has_more: elements are left. */
static struct slice
take_last(struct slice *list, bool *has_more)
{
	size_t begin = list->len;
	struct slice element;

	while (begin > 0 && list->ptr[begin - 1] != ',')
		begin--;
	element = (struct slice){list->ptr + begin, list->len - begin};
	*has_more = begin > 0;
	list->len = begin > 0 ? begin - 1 : 0;
	return trim(element);
}

struct search {
	const struct edge_io *io;
	struct edge_address *address;
	enum edge_forwarded result;
	int hops;
};

/* False: the search is over. Empty elements are allowed in a list. */
static bool
judge(struct search *search, struct slice element)
{
	const struct edge_io *io = search->io;

	if (element.len == 0)
		return true;
	if (++search->hops > HOPS_MAX || !io->read_address(io->arg, element, search->address)) {
		search->result = EDGE_FORWARDED_UNKNOWN;
		return false;
	}
	search->result = EDGE_FORWARDED_KNOWN;
	return io->is_forwarder(io->arg, search->address->text);
}

enum edge_forwarded
edge_forwarded_find(
    const struct slice *args, size_t count, const struct edge_io *io, struct edge_address *address)
{
	struct search search = {.io = io, .address = address, .result = EDGE_FORWARDED_NOT};

	/* Fields with the same name are one list, in their order. */
	for (size_t at = count; at >= HTTP_FIELDS + 2; at -= 2) {
		struct slice list = args[at - 1];
		bool has_more = slice_is_nocase(args[at - 2], "x-forwarded-for");

		while (has_more)
			if (!judge(&search, take_last(&list, &has_more)))
				return search.result;
	}
	return search.result;
}

bool
edge_forwarded_admit(struct edge_session *s)
{
	const struct client_peer *peer = s->client->peer;
	const struct edge_io *io = &s->edge->io;

	if (s->proxy == NULL || s->holds_address)
		return true;
	/* A proxy that names no client stands for all of its own. */
	if (io->is_forwarder(io->arg, client_peer_address(peer)))
		return true;
	s->holds_address =
	    io->admit_address(io->arg, client_peer_address(peer), client_peer_origin(peer));
	return s->holds_address;
}

void
edge_forwarded_leave(struct edge_session *s)
{
	const struct edge_io *io = &s->edge->io;

	if (!s->holds_address)
		return;
	s->holds_address = false;
	io->leave_address(io->arg, client_peer_origin(s->client->peer));
}

/* The proxy itself is the client. */
static void
restore(struct edge_session *s)
{
	if (s->proxy == NULL)
		return;
	edge_forwarded_leave(s);
	xfree(s->client->peer);
	s->client->peer = s->proxy;
	s->proxy = NULL;
}

static void
replace(struct edge_session *s, const struct edge_address *address)
{
	struct client *c = s->client;
	const struct client_peer *proxy = s->proxy != NULL ? s->proxy : c->peer;
	struct client_peer *peer;

	if (s->proxy != NULL && strcmp(client_peer_address(c->peer), address->text) == 0)
		return;
	edge_forwarded_leave(s);
	peer = client_peer_new(address->text, client_peer_local_address(proxy),
	    (struct slice){address->origin, address->origin_len}, proxy->created_us);
	peer->is_loopback = address->is_loopback;
	if (s->proxy == NULL)
		s->proxy = c->peer;
	else
		xfree(c->peer);
	c->peer = peer;
}

static bool
is_forwarded(const struct request *rq)
{
	struct slice value;

	return http_header(rq->argv, rq->argc, "x-forwarded-for", &value) > 0 ||
	       http_header(rq->argv, rq->argc, "forwarded", &value) > 0;
}

bool
edge_forwarded_apply(struct edge_session *s, const struct request *rq)
{
	const struct client_peer *proxy = s->proxy != NULL ? s->proxy : s->client->peer;
	const struct edge_io *io = &s->edge->io;
	enum edge_forwarded found = EDGE_FORWARDED_NOT;
	struct edge_address address;

	/* A peer that is no known proxy may be one all the same, and then its address is not that
	 * of the client. */
	if (io->is_forwarder(io->arg, client_peer_address(proxy)))
		found = edge_forwarded_find(rq->argv, rq->argc, io, &address);
	else if (is_forwarded(rq))
		found = EDGE_FORWARDED_UNKNOWN;
	if (found == EDGE_FORWARDED_KNOWN)
		replace(s, &address);
	else
		restore(s);
	return found != EDGE_FORWARDED_UNKNOWN;
}
