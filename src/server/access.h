#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acl/acl_log.h"
#include "acl/check.h"
#include "acl/user.h"
#include "base/bytes.h"
#include "base/rate_limit.h"
#include "base/time_queue.h"
#include "server/request.h"

/*
 * Access: the user of each client, and what that user may do. It connects clients with users
 * (acl/acl.h) and their rules (acl/rules.h).
 */
struct buffer;
struct client;
struct server_config;
struct token_figures;
struct token_grant;
struct tokens;

struct access {
	struct acl *acl;
	struct acl_user *default_user; /* of acl; of clients that did not authenticate */
	struct acl_log log;
	struct login_delays *login_delays;
	char requirepass_hash[ACL_HASH_LEN];
	struct tokens *tokens;        /* borrowed; NULL: none */
	struct time_queue token_ends; /* clients whose token ends, in us, monotonic */
	/* Of signatures that are verified for addresses whose logins are delayed. */
	struct rate_limit late_tokens;
};

void access_init(struct server *server);
void access_release(struct server *server);

/* The configuration may have changed: requirepass, acl-pubsub-default. */
void access_reconfigured(struct server *server);

/* A new client: its user is default. */
void access_attach(struct client *c);

/* The user of clients with a door that have proved no other; NULL: there is none. */
struct acl_user *access_edge_user(const struct server *server);

/* The same, and makes it. NULL: there are too many users, or its name is invalid. */
struct acl_user *access_need_edge_user(struct server *server);

/* A new client with a door: its user is this one. */
void access_attach_edge(struct client *c, struct acl_user *user);
void access_detach(struct client *c);

/*
 * Begins (counts) or ends counting the client as a connection of its user, for limit:connections. A
 * client that still has to authenticate is not counted.
 */
void access_count(struct client *c, bool counts);

/*
 * Called with each request of a client that has not authenticated: a change of the user default may
 * have changed whether the client has to. Tells io, and counts the client if it does not have to.
 */
void access_follow(struct client *c);

/* The user becomes default again, as after RESET. */
void access_reset(struct client *c);

/* True if the user has as many connections as its limit allows. */
bool access_is_full(const struct acl_user *user);

/* True if new clients have to authenticate: the user default has a password or is off. */
bool access_needs_auth(const struct server *server);

/* True if the user default has a password. */
bool server_has_password(const struct server *server);

/* True if the client must authenticate before anything else. */
bool access_needs_login(const struct client *c);

/*
 * Returns false after replying with an error and adding an entry to the ACL log if the client's
 * user may not run the request. Also returns false, with *later set, if there are so many channels
 * to check that the check continues in a later turn: the caller then calls it again.
 */
bool access_allows(struct request *rq, bool *later);

/* The same without *later, for a command of a transaction that was allowed when it was queued. */
bool access_still_allows(struct request *rq);

/* The verdict on a command of a script. A denial is noted, but there is no reply. */
enum acl_verdict access_of_script(struct request *rq);

/*
 * Returns false after replying with an error and adding an entry to the ACL log if the option
 * publish-users of the channel excludes the client's user.
 */
bool access_may_publish(struct request *rq, struct slice channel)
    __attribute__((warn_unused_result));

/*
 * The same for the channels of a command that a transaction is about to queue, if it publishes.
 * Shard channels have no options. Of very many channels only the first ones are checked: all are
 * when the command is executed.
 */
bool access_may_queue(struct request *rq) __attribute__((warn_unused_result));

/* For channels that the command's row does not tell: returns false, as access_allows(), if the user
 * may not receive the messages of each of these arguments. */
bool access_allows_channels(struct request *rq, size_t first, size_t count)
    __attribute__((warn_unused_result));

/* The check of the request has ended: frees the state that it kept between turns. */
void access_check_over(struct client *c);

enum access_login {
	ACCESS_GRANTED,
	ACCESS_DENIED, /* the reply is an error */
	ACCESS_LATER,  /* too many wrong passwords came from its address: the request waits */
};

/* The only function that checks passwords. A token (token/cache.h) in place of the password is
 * accepted if the user has the rule jwt and the token names the user; the session then ends with
 * the token. */
enum access_login access_log_in(struct request *rq, struct slice user, struct slice password);

/*
 * For doors: whether the signature of a token may be verified now. ACCESS_LATER: wrong tokens or
 * passwords came from the address; the request waits (rq->waits_for) and then asks again.
 * ACCESS_DENIED: too many logins from such addresses have waited; nothing was replied.
 */
enum access_login access_may_verify(struct request *rq) __attribute__((warn_unused_result));

/* True if a wrong token or password came from the address of the client not long ago. */
bool access_has_failed(const struct client *c);

/* The signature of a token was wrong: delays the next logins from the address
 * (client_peer_origin()) that it came from. */
void access_wrong_token(struct server *server, struct slice origin, uint64_t now_us);

/* What verifies the tokens of access_log_in; borrows until the next call. NULL: no token is
 * accepted. */
void server_set_tokens(struct server *server, struct tokens *tokens);

/* Of the tokens of server_set_tokens(); zeros without them. */
struct token_figures access_token_figures(const struct server *server);
uint64_t access_refused_tokens(const struct server *server);

/* Closes clients whose token has ended. Returns the time until the next one is due, in us. */
uint64_t access_end_tokens(struct server *server, uint64_t now_us);

/* For access_token.c only: the login delay of the address. True: the request waits. */
bool access_must_wait(struct request *rq) __attribute__((warn_unused_result));

/* False: too many signatures of logins that have waited are verified. */
bool access_takes_late_token(struct request *rq) __attribute__((warn_unused_result));

/* In access_token.c, for access.c only. */
void access_tokens_init(struct access *access);
void access_tokens_release(struct access *access);

/* True if it has the form of a token. */
bool access_is_token(struct slice password);

/* NULL: the token lets this user in, and *grant is a reference. Otherwise why not; *is_signed: the
 * peer may be told. user is NULL if it does not exist. */
const char *access_check_token(const struct server *server, const struct acl_user *user,
    struct slice name, struct slice token, struct token_grant **grant, bool *is_signed);

/* The end of the client's session, from the token that it logged in with. */
void access_set_token_end(struct client *c, uint64_t now_us, const struct token_grant *grant);
void access_forget_token_end(struct client *c);

/* Rules or limits of users changed: waiting requests and queued commands are checked again. */
void access_rules_changed(struct server *server);

/* Resumes requests that waited long enough. Returns the time until the next one is due, in us. */
uint64_t access_resume(struct server *server, uint64_t now_us);

/*
 * Closes, in slices, the clients whose user was deleted, and those with a subscription that their
 * user may not have any more: the clients of this user, or of all users for NULL. Then rq
 * gets its reply: OK or, if deleted >= 0, that number; in the second case subscriptions are not
 * checked. rq NULL: no request waits for it.
 */
void access_enforce(
    struct server *server, struct request *rq, struct acl_user *user, int64_t deleted);

/*
 * Logs the client in as this user, without a password, because a certificate, or the door of the
 * client, proved its identity. A client with a door may also become the user of doors, which is
 * off. False: the user does not exist, is off, or has as many connections as its limit allows;
 * nothing changed.
 */
bool server_log_in(struct client *client, struct slice user) __attribute__((warn_unused_result));

/*
 * Replaces all users by those in lines "user NAME rules ...". path is for error messages; config is
 * the configuration in force, or the next one. Closes clients whose user is gone, or that have a
 * subscription that it may not have any more. False: error has the reason and the place, and
 * nothing changed.
 */
bool server_load_users(struct server *server, struct slice text, const char *path,
    const struct server_config *config, struct buffer *error) __attribute__((warn_unused_result));

/*
 * Appends the lines that server_load_users reads. without_default: leaves out the user default if
 * it is as requirepass alone makes it.
 */
void server_describe_users(const struct server *server, bool without_default, struct buffer *out);

#endif
