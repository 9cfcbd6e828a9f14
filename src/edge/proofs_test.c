#include "config.h"

#include "edge/proofs.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/task.h"
#include "base/testing.h"
#include "edge/session.h"
#include "edge/testing_edge.h"
#include "server/access.h"
#include "server/client.h"
#include "server/server.h"
#include "server/statistics.h"
#include "token/cache.h"
#include "token/keys.h"
#include "token/testing_token.h"

/* Tokens whose signatures another thread verifies. The thread is a list here: run_tasks() does what
 * it and the main loop do with it. */

#define AT_ONCE 64 /* proofs in flight */
#define MANY 192

static EVP_PKEY *pairs[2];
static struct tokens *tokens;
static struct task *tasks, **tasks_end;
static size_t given; /* tasks in all */
static bool has_thread;

static bool
run_task(void *arg, void *conn, struct task *task)
{
	(void)arg;
	ck_assert_ptr_nonnull(conn);
	if (!has_thread)
		return false;
	given++;
	task->next = NULL;
	*tasks_end = task;
	tasks_end = &task->next;
	return true;
}

/* The oldest count tasks; those that they cause come last. */
static void
run_tasks(size_t count)
{
	for (; count > 0 && tasks != NULL; count--) {
		struct task *task = tasks;

		tasks = task->next;
		if (tasks == NULL)
			tasks_end = &tasks;
		task->run(task);
		task->done(task);
	}
}

/* A turn of the loop behind them. */
static void
take_turn(void)
{
	test_turns(1);
	(void)edge_turn(test_edge, clock_mono_us());
}

static void
use_keys(EVP_PKEY *pair)
{
	char *pem = testing_public_pem(pair);
	struct token_key_sources sources = {
	    .public_keys = slice_of(pem), .public_key_path = "key.pem"};
	struct buffer error = {0};
	struct token_keys *keys = token_keys_new(&sources, &error);

	ck_assert_ptr_nonnull(keys);
	tokens_configure(tokens, keys, &(struct token_rules){.leeway_s = 0});
	xfree(pem);
}

static void
setup(void)
{
	test_edge_setup();
	test_config.auth_delay_max_ms = 0;
	test_config.maxclients = 1000;
	test_edge_config.anonymous = false;
	for (int i = 0; i < 2; i++)
		pairs[i] = testing_pair("P-256");
	tokens = tokens_new(TOKENS_CACHE_BYTES);
	use_keys(pairs[0]);
	edge_set_tokens(test_edge, tokens);
	test_edge->io.run_task = run_task;
	tasks = NULL;
	tasks_end = &tasks;
	given = 0;
	has_thread = true;
}

static void
teardown(void)
{
	test_close_all();
	run_tasks(SIZE_MAX);
	test_edge_teardown();
	tokens_free(tokens);
	for (int i = 0; i < 2; i++)
		EVP_PKEY_free(pairs[i]);
}

static char *
token_of(EVP_PKEY *pair, int number)
{
	char *claims = xasprintf("{\"sub\":\"u%d\"}", number);
	char *token = testing_token_signed(pair, "{\"alg\":\"ES256\"}", claims);

	xfree(claims);
	return token;
}

static bool
send_token(struct test_conn *conn, const char *token)
{
	char *line = xasprintf("GET /sse?channel=a&token=%s", token);
	bool is_done = test_edge_send(conn, line, "", "");

	xfree(line);
	return is_done;
}

/* A connection whose request waits for its token, or which is answered. */
static struct test_conn *
ask(EVP_PKEY *pair, int number)
{
	struct test_conn *conn = test_edge_open();
	char *token = token_of(pair, number);

	(void)send_token(conn, token);
	xfree(token);
	return conn;
}

static bool
waits(const struct test_conn *conn)
{
	return client_waits_for(conn->client) == WAIT_TOKEN;
}

static const char *
read_status(struct test_conn *conn)
{
	static char status[4];
	const char *response = test_read(conn);

	ck_assert_msg(strncmp(response, "HTTP/1.1 ", 9) == 0, "'%s'", response);
	memcpy(status, response + 9, 3);
	return status;
}

static const char *
status_of(struct test_conn *conn)
{
	take_turn();
	return read_status(conn);
}

START_TEST(a_request_waits_until_its_token_was_verified)
{
	struct test_conn *conn = ask(pairs[0], 1);

	ck_assert(waits(conn));
	ck_assert_uint_eq(given, 1);
	run_tasks(1);
	ck_assert_str_eq(status_of(conn), "200");
	ck_assert_uint_eq(tokens_figures(tokens)->proved, 1);
	ck_assert_uint_eq(tokens_figures(tokens)->misses, 1);
	ck_assert_uint_eq(tokens_figures(tokens)->faults[TOKEN_OK], 1);
	ck_assert_uint_eq(test_server->statistics->counters.delayed_logins, 0);
}
END_TEST

START_TEST(a_token_that_is_known_is_not_given_away)
{
	char *token = token_of(pairs[0], 1);
	struct test_conn *first = test_edge_open(), *second = test_edge_open();

	ck_assert(!send_token(first, token));
	run_tasks(1);
	ck_assert_str_eq(status_of(first), "200");
	ck_assert(send_token(second, token));
	ck_assert_str_eq(status_of(second), "200");
	ck_assert_uint_eq(given, 1);
	ck_assert_uint_eq(tokens_figures(tokens)->hits, 1);
	xfree(token);
}
END_TEST

START_TEST(without_a_thread_the_main_loop_verifies)
{
	has_thread = false;
	ck_assert_str_eq(status_of(ask(pairs[0], 1)), "200");
	test_edge->io.run_task = NULL;
	ck_assert_str_eq(status_of(ask(pairs[0], 2)), "200");
	ck_assert_uint_eq(tokens_figures(tokens)->misses, 2);
	ck_assert_uint_eq(tokens_figures(tokens)->proved, 0);
}
END_TEST

START_TEST(tokens_that_are_signed_with_a_secret_are_not_given_away)
{
	struct token_key_sources sources = {.hmac_secret = SLICE(TESTING_SECRET)};
	struct buffer error = {0};
	struct test_conn *conn = test_edge_open();
	char *token = test_edge_token("{}");

	tokens_configure(
	    tokens, token_keys_new(&sources, &error), &(struct token_rules){.leeway_s = 0});
	ck_assert(send_token(conn, token));
	ck_assert_str_eq(status_of(conn), "200");
	ck_assert_uint_eq(given, 0);
	xfree(token);
}
END_TEST

START_TEST(behind_a_wrong_signature_the_main_loop_verifies_the_tokens_of_the_address)
{
	struct test_conn *conn = ask(pairs[1], 1);

	run_tasks(1);
	ck_assert_str_eq(status_of(conn), "401");
	ck_assert_uint_eq(tokens_figures(tokens)->faults[TOKEN_BAD_SIGNATURE], 1);
	ck_assert_uint_eq(test_server->statistics->counters.auth_failures, 1);
	ck_assert_uint_eq(test_edge_figures()->denied_tokens, 1);
	ck_assert(access_has_failed(conn->client));
	ck_assert_str_eq(status_of(ask(pairs[0], 2)), "200");
	ck_assert_str_eq(status_of(ask(pairs[1], 3)), "401");
	ck_assert_uint_eq(given, 1);
	ck_assert_uint_eq(tokens_figures(tokens)->proved, 1);
}
END_TEST

START_TEST(a_proof_with_earlier_keys_does_not_count)
{
	struct test_conn *before = ask(pairs[0], 1), *after = ask(pairs[1], 2);

	use_keys(pairs[1]);
	run_tasks(2);
	take_turn();
	ck_assert(waits(before) && waits(after)); /* for the new keys */
	ck_assert_uint_eq(given, 4);
	run_tasks(2);
	ck_assert_str_eq(status_of(before), "401");
	ck_assert_str_eq(status_of(after), "200");
	ck_assert_uint_eq(tokens_figures(tokens)->misses, 2);
}
END_TEST

START_TEST(keys_that_are_replaced_behind_the_proof_refuse_the_token)
{
	struct test_conn *conn = ask(pairs[0], 1);

	run_tasks(1);
	tokens_configure(tokens, NULL, &(struct token_rules){.leeway_s = 0});
	ck_assert_str_eq(status_of(conn), "401");
	ck_assert_uint_eq(tokens_figures(tokens)->faults[TOKEN_NO_KEYS], 1);
}
END_TEST

START_TEST(a_token_that_expires_meanwhile_is_refused)
{
	struct test_conn *conn = test_edge_open();
	char *claims = xasprintf("{\"exp\":%d}", (int)test_wall_s + 1);
	char *token = testing_token_signed(pairs[0], "{\"alg\":\"ES256\"}", claims);

	ck_assert(!send_token(conn, token));
	test_wall_s++;
	run_tasks(1);
	ck_assert_str_eq(status_of(conn), "401");
	ck_assert_uint_eq(tokens_figures(tokens)->faults[TOKEN_EXPIRED], 1);
	xfree(claims);
	xfree(token);
}
END_TEST

START_TEST(a_connection_may_end_before_its_token_was_verified)
{
	struct test_conn *conns[AT_ONCE + 3];

	for (int i = 0; i < AT_ONCE + 3; i++)
		conns[i] = ask(pairs[0], i);
	ck_assert_uint_eq(given, AT_ONCE);
	test_close(conns[0]);
	test_close(conns[AT_ONCE]);
	ck_assert(edge_session_move(test_edge_session(conns[AT_ONCE + 2]), EDGE_EVENT_END));
	run_tasks(SIZE_MAX);
	take_turn();
	ck_assert_uint_eq(given, AT_ONCE + 1);
	run_tasks(SIZE_MAX);
	ck_assert_str_eq(status_of(conns[AT_ONCE + 1]), "200");
	ck_assert_str_eq(status_of(conns[1]), "200");
	ck_assert_uint_eq(tokens_figures(tokens)->misses, AT_ONCE);
}
END_TEST

START_TEST(few_wrong_tokens_of_an_address_are_given_away_before_the_first_answer)
{
	struct test_conn *conns[MANY];

	for (int i = 0; i < MANY; i++)
		conns[i] = ask(pairs[1], i);
	run_tasks(1);
	(void)edge_turn(test_edge, clock_mono_us());
	ck_assert_uint_eq(test_edge->proofs.in_flight, AT_ONCE - 1);
	run_tasks(SIZE_MAX);
	test_turns(1);
	ck_assert_str_eq(read_status(conns[0]), "401");
	ck_assert_uint_eq(given, AT_ONCE);
	for (int i = 1; i < MANY; i++)
		ck_assert_str_eq(read_status(conns[i]), "401");
	ck_assert_uint_eq(tokens_figures(tokens)->faults[TOKEN_BAD_SIGNATURE], MANY);
	ck_assert_uint_eq(test_server->statistics->counters.auth_failures, MANY);
}
END_TEST

START_TEST(a_wrong_signature_counts_though_its_connection_has_ended)
{
	struct test_conn *conn = ask(pairs[1], 1), *other = test_edge_open();

	test_close(conn);
	ck_assert(!access_has_failed(other->client));
	run_tasks(1);
	ck_assert(access_has_failed(other->client));
	ck_assert_uint_eq(test_server->statistics->counters.auth_failures, 1);
}
END_TEST

START_TEST(commands_of_a_websocket_wait_for_their_tokens_one_after_the_other)
{
	struct test_conn *conn = test_edge_join("");
	char *own = token_of(pairs[0], 1);
	char *other = testing_token_signed(
	    pairs[0], "{\"alg\":\"ES256\"}", "{\"sub\":\"u1\",\"channel\":\"a\"}");
	char *text = xasprintf("{\"id\":1,\"connect\":{\"token\":\"%s\"}}\n{\"id\":2,\"subscribe\":"
			       "{\"channel\":\"a\",\"token\":\"%s\"}}",
	    own, other);
	const char *replies;

	ck_assert(!test_edge_frame(conn, 't', text));
	for (size_t i = 1; i <= 2; i++) {
		/* On a slow machine a turn may end between the two. */
		for (int turns = 0; given < i && turns < 1000; turns++)
			take_turn();
		ck_assert(waits(conn));
		ck_assert_uint_eq(given, i);
		run_tasks(1);
		take_turn();
	}
	replies = test_edge_messages(conn);
	ck_assert_ptr_nonnull(strstr(replies, "{\"id\":1,\"connect\":{\"client\":"));
	ck_assert_ptr_nonnull(strstr(replies, "{\"id\":2,\"subscribe\":{}}"));
	ck_assert_uint_eq(test_edge_figures()->commands, 2);
	ck_assert_uint_eq(tokens_figures(tokens)->proved, 2);
	xfree(own);
	xfree(other);
	xfree(text);
}
END_TEST

int
main(void)
{
	return testing_main("edge/proofs", setup, teardown,
	    (const TTest *[]){a_request_waits_until_its_token_was_verified,
		a_token_that_is_known_is_not_given_away, without_a_thread_the_main_loop_verifies,
		tokens_that_are_signed_with_a_secret_are_not_given_away,
		behind_a_wrong_signature_the_main_loop_verifies_the_tokens_of_the_address,
		a_proof_with_earlier_keys_does_not_count,
		keys_that_are_replaced_behind_the_proof_refuse_the_token,
		a_token_that_expires_meanwhile_is_refused,
		a_connection_may_end_before_its_token_was_verified,
		few_wrong_tokens_of_an_address_are_given_away_before_the_first_answer,
		a_wrong_signature_counts_though_its_connection_has_ended,
		commands_of_a_websocket_wait_for_their_tokens_one_after_the_other, NULL});
}
