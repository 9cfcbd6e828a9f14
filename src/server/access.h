#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acl/acl_log.h"
#include "acl/user.h"
#include "base/bytes.h"
#include "server/request.h"

/*
 * Access: who a client is, and what that lets it do. The language of rules is acl_rules.h's, the
 * users are acl.h's; here they meet clients.
 */
struct buffer;
struct client;
struct server_config;

struct access {
	struct acl *acl;
	struct acl_user *default_user; /* of acl: the user of clients that did not authenticate */
	struct acl_log log;
	struct login_delays *login_delays;
	char requirepass_hash[ACL_HASH_LEN];
};

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

/* The user default has a password. */
bool server_has_password(const struct server *server);

/* True if the client must authenticate before anything else. */
bool access_needs_login(const struct client *c);

/* False, and answered and noted, where the client's user may not do that; or *later is set, and it
 * is to be asked again in another turn, for there are many channels to look at. */
bool access_allows(struct request *rq, bool *later);

/* The same for a command that was allowed when it was queued, of a transaction, all at once. */
bool access_still_allows(struct request *rq);

/* The check of the request is over: what it kept between turns is freed. */
void access_check_over(struct client *c);

enum access_login {
	ACCESS_GRANTED,
	ACCESS_DENIED, /* answered */
	ACCESS_LATER,  /* too many wrong passwords came from there: the request waits */
};

/* The one place where passwords are looked at. */
enum access_login access_log_in(struct request *rq, struct slice user, struct slice password);

/* Rules or limits of users changed: what was allowed before is checked again. */
void access_rules_changed(struct server *server);

/* Requests that waited long enough are resumed. Returns in how many us the next one is due. */
uint64_t access_resume(struct server *server, uint64_t now_us);

/*
 * Closes, in slices, clients whose user was deleted, and those who hear what their user no longer
 * may: of this user, or of all for NULL. rq is then answered, with OK or, if deleted >= 0, with
 * that number (then only deleted users matter). rq NULL: nobody asked.
 */
void access_enforce(
    struct server *server, struct request *rq, struct acl_user *user, int64_t deleted);

/*
 * The client is this user from now on, whom someone else has vouched for (a certificate). False:
 * there is no such user, he is off, or has as many connections as he may; nothing is changed.
 */
bool server_log_in(struct client *client, struct slice user) __attribute__((warn_unused_result));

/*
 * All users anew, from lines "user NAME rules ..."; path is for errors, config is what is in force
 * or will be next. Clients whose user is gone, or that hear what he no longer may, are closed.
 * False: error says what is wrong and where, and nothing is changed.
 */
bool server_load_users(struct server *server, struct slice text, const char *path,
    const struct server_config *config, struct buffer *error) __attribute__((warn_unused_result));

/* Appends what that reads; without_default: without the line of the user default, where he is as
 * requirepass alone makes him. */
void server_describe_users(const struct server *server, bool without_default, struct buffer *out);

#endif
