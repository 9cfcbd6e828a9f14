#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/command.h"
#include "server/server.h"

/*
 * Access: who a client is, and what that lets it do. The language of rules is acl_rules.h's, the
 * users are acl.h's; here they meet clients.
 */
struct acl_user;
struct client;

void access_init(struct server *server);
void access_release(struct server *server);

/* The configuration may have changed: requirepass, acl-pubsub-default. */
void access_reconfigured(struct server *server);

/* A new client: it is the user default. */
void access_attach(struct client *c);
void access_detach(struct client *c);

/* The client counts for its user from now on, or no more; never while it has to authenticate. */
void access_count(struct client *c, bool counts);

/* To be called with each request of a client that did not authenticate: it may have to by now, or
 * no more, for the user default has changed. */
void access_follow(struct client *c);

/* Back to the user default, as after RESET. */
void access_reset(struct client *c);

/* True if the user's limit of connections leaves no room for one more. */
bool access_is_full(const struct acl_user *user);

/* True where new clients have to authenticate: the user default has a password or is off. */
bool access_needs_auth(const struct server *server);

/* False, and answered and noted, where the client's user may not do that; or *later is set, and it
 * is to be asked again in another turn, for there are many channels to look at. */
bool access_allows(struct request *rq, bool *later);

/* The same for a command that was allowed when it was queued, of a transaction, all at once. */
bool access_still_allows(struct request *rq);

/* The request was allowed or not: nothing is left of a look at it. */
void access_asked(struct client *c);

enum access_login {
	ACCESS_GRANTED,
	ACCESS_DENIED, /* answered */
	ACCESS_LATER,  /* too many wrong passwords came from there: the request waits */
};

/* The one place where passwords are looked at. */
enum access_login access_log_in(struct request *rq, struct slice user, struct slice password);

/* Requests that waited long enough are resumed. Returns in how many us the next one is due. */
/* Rules or limits of users changed: what was allowed before is asked for anew. */
void access_rules_changed(struct server *server);

uint64_t access_resume(struct server *server, uint64_t now_us);

/*
 * Closes, in slices, clients whose user was deleted, and those who hear what their user no longer
 * may: of this user, or of all for NULL. rq is then answered, with OK or, if deleted >= 0, with
 * that number (then only deleted users matter). rq NULL: nobody asked.
 */
void access_enforce(
    struct server *server, struct request *rq, struct acl_user *user, int64_t deleted);

#endif
