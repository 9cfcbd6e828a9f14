#include "config.h"

#include "base/alloc.h"
#include "server/client.h"
#include "server/door.h"

struct session *
session_of(struct client *c)
{
	if (c->session == NULL) {
		c->session = xcalloc(1, sizeof(*c->session));
		presence_owner_init(&c->session->presence);
	}
	return c->session;
}

static bool
is_used(const struct client *c)
{
	const struct session *s = c->session;

	return s->transaction != NULL || s->watch.keys != NULL || s->name != NULL ||
	       s->lib_name != NULL || s->lib_version != NULL || s->chosen != 0 ||
	       s->soft_since_us != 0 || s->token_ends_us != 0 || c->is_monitor ||
	       s->presence.count > 0 || s->armed[HUB_CHANNEL] != NULL ||
	       s->armed[HUB_PATTERN] != NULL || s->door != NULL || s->tracking != NULL ||
	       s->late.len > 0 || s->pushed_bytes > 0;
}

void
session_trim(struct client *c)
{
	if (c->session == NULL || is_used(c))
		return;
	xfree(c->session);
	c->session = NULL;
}

/* Proto 3: what is sent between the replies is for the door to decide, not a mode of the client. */
void
client_set_door(struct client *c, struct door *door)
{
	session_of(c)->door = door;
	client_set_proto(c, 3);
}

void
session_drop(struct client *c)
{
	struct session *s = c->session;

	if (s == NULL)
		return;
	if (s->door != NULL)
		s->door->ops->freed(c);
	buffer_release(&s->late);
	xfree(s->name);
	xfree(s->lib_name);
	xfree(s->lib_version);
	xfree(s);
	c->session = NULL;
}

const char *
client_name(const struct client *c)
{
	return c->session != NULL && c->session->name != NULL ? c->session->name : "";
}
