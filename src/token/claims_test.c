#include "config.h"

#include "token/claims.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "token/draft.h"
#include "token/grant.h"

static struct token_grant *grant;
static struct token_rules rules;

static void
setup(void)
{
	rules = (struct token_rules){.leeway_s = 5};
}

static void
teardown(void)
{
	token_grant_unref(grant);
	grant = NULL;
}

static enum token_fault
read_text(const char *claims)
{
	teardown();
	return token_claims_read(slice_of(claims), &rules, &grant);
}

static void
expect(const char *claims, enum token_fault fault)
{
	enum token_fault got = read_text(claims);

	ck_assert_msg(got == fault, "%s instead of %s: %s", token_fault_name(got),
	    token_fault_name(fault), claims);
	ck_assert((grant != NULL) == (fault == TOKEN_OK));
}

static bool
allows(enum token_right right, const char *name)
{
	return token_grant_allows(grant, right, slice_of(name), false);
}

static bool
allows_pattern(enum token_right right, const char *name)
{
	return token_grant_allows(grant, right, slice_of(name), true);
}

START_TEST(names_are_read)
{
	expect("{\"sub\":\"alice\",\"fanfare\":{\"user\":\"web\",\"other\":1},\"jti\":\"7\","
	       "\"iat\":1,\"unknown\":{\"sub\":1}}",
	    TOKEN_OK);
	ck_assert(slice_is(grant->subject, "alice"));
	ck_assert(slice_is(grant->user, "web"));
	ck_assert_ptr_null(grant->info.ptr);
	ck_assert(!grant->has_caps && !grant->has_expiry && !grant->has_end);
	ck_assert_uint_eq(grant->refs, 1);
}
END_TEST

START_TEST(names_may_be_escaped)
{
	expect("{\"s\\u0075b\":\"\\u0061l\\u00EFce\"}", TOKEN_OK);
	ck_assert(slice_is(grant->subject, "al\xC3\xAF"
					   "ce"));
}
END_TEST

START_TEST(claims_that_are_no_object_are_refused)
{
	static const char *const texts[] = {"", "[]", "1", "null", "\"sub\"", "{", "{}x",
	    "{\"sub\":\"\xFF\"}", "{'sub':1}", "Example of Ed25519 signing"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		expect(texts[i], TOKEN_MALFORMED);
}
END_TEST

START_TEST(a_claim_with_a_wrong_type_is_refused)
{
	static const char *const texts[] = {"{\"sub\":1}", "{\"sub\":null}",
	    "{\"sub\":\"\\uD800\"}", "{\"jti\":1}", "{\"iss\":1}", "{\"iss\":[\"a\"]}",
	    "{\"aud\":1}", "{\"aud\":[1]}", "{\"aud\":[\"a\",null]}", "{\"aud\":{}}",
	    "{\"iat\":\"1\"}", "{\"channel\":1}", "{\"channels\":\"a\"}", "{\"channels\":[1]}",
	    "{\"channels\":null}", "{\"channels\":{\"a\":{}}}", "{\"caps\":{}}", "{\"caps\":null}",
	    "{\"caps\":[1]}", "{\"fanfare\":\"web\"}", "{\"fanfare\":{\"user\":1}}",
	    "{\"fanfare\":{\"user\":\"\"}}", "{\"mercure\":1}", "{\"mercure\":{\"publish\":\"*\"}}",
	    "{\"mercure\":{\"subscribe\":[1]}}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		expect(texts[i], TOKEN_BAD_CLAIM);
}
END_TEST

START_TEST(a_claim_that_is_there_twice_is_refused)
{
	static const char *const texts[] = {"{\"sub\":\"a\",\"sub\":\"a\"}",
	    "{\"exp\":1,\"\\u0065xp\":2}", "{\"nbf\":1,\"nbf\":1}", "{\"iat\":1,\"iat\":1}",
	    "{\"aud\":\"a\",\"aud\":\"a\"}", "{\"iss\":\"a\",\"iss\":\"a\"}",
	    "{\"jti\":\"a\",\"jti\":\"a\"}", "{\"expire_at\":0,\"expire_at\":0}",
	    "{\"info\":1,\"info\":1}", "{\"channel\":\"a\",\"channel\":\"a\"}",
	    "{\"channels\":[],\"channels\":[]}", "{\"caps\":[],\"caps\":[]}",
	    "{\"mercure\":{},\"mercure\":{}}", "{\"fanfare\":{},\"fanfare\":{}}",
	    "{\"fanfare\":{\"user\":\"a\",\"user\":\"b\"}}",
	    "{\"mercure\":{\"publish\":[],\"publish\":[]}}",
	    "{\"caps\":[{\"channels\":[],\"channels\":[],\"allow\":[]}]}",
	    "{\"caps\":[{\"channels\":[],\"allow\":[],\"allow\":[]}]}",
	    "{\"caps\":[{\"channels\":[],\"allow\":[],\"match\":\"\",\"match\":\"\"}]}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		expect(texts[i], TOKEN_BAD_CLAIM);
}
END_TEST

START_TEST(times_are_numbers_from_0_to_2_to_the_53)
{
	static const char *const refused[] = {"-1", "-0", "-0.5", "\"1700000000\"", "null", "true",
	    "[1]", "1e300", "1e9999", "9007199254740992", "18446744073709551615",
	    "18446744073709551616", "1e16"};
	static const struct {
		const char *text;
		uint64_t seconds;
	} taken[] = {{"0", 0}, {"1700000000", 1700000000}, {"1700000000.75", 1700000000},
	    {"1.7e9", 1700000000}, {"17000000000E-1", 1700000000},
	    {"9007199254740991", TOKEN_TIME_MAX}, {"0.9", 0}};
	static const char *const claims[] = {"exp", "nbf", "iat", "expire_at"};

	for (size_t c = 0; c < sizeof(claims) / sizeof(claims[0]); c++)
		for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
			char *text = xasprintf("{\"%s\":%s}", claims[c], refused[i]);

			expect(text, TOKEN_BAD_CLAIM);
			xfree(text);
		}
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		char *text = xasprintf("{\"exp\":%s}", taken[i].text);

		expect(text, TOKEN_OK);
		ck_assert(grant->has_expiry);
		ck_assert_uint_eq(grant->expires_s, taken[i].seconds);
		xfree(text);
	}
}
END_TEST

START_TEST(exp_ends_the_token_after_the_leeway)
{
	expect("{\"exp\":1000}", TOKEN_OK);
	ck_assert_int_eq(token_grant_at(grant, 0), TOKEN_OK);
	ck_assert_int_eq(token_grant_at(grant, 1004), TOKEN_OK);
	ck_assert_int_eq(token_grant_at(grant, 1005), TOKEN_EXPIRED);
	ck_assert_int_eq(token_grant_at(grant, UINT64_MAX), TOKEN_EXPIRED);
	ck_assert(grant->has_end);
	ck_assert_uint_eq(grant->refresh_s, 1000);
	ck_assert_uint_eq(grant->ends_s, 1005);
}
END_TEST

START_TEST(an_exp_of_0_has_expired)
{
	expect("{\"exp\":0}", TOKEN_OK);
	ck_assert_int_eq(token_grant_at(grant, 1700000000), TOKEN_EXPIRED);
}
END_TEST

START_TEST(nbf_begins_the_token_before_the_leeway)
{
	expect("{\"nbf\":1000}", TOKEN_OK);
	ck_assert_int_eq(token_grant_at(grant, 994), TOKEN_NOT_YET);
	ck_assert_int_eq(token_grant_at(grant, 995), TOKEN_OK);
	expect("{\"nbf\":9007199254740991}", TOKEN_OK);
	ck_assert_int_eq(token_grant_at(grant, 1700000000), TOKEN_NOT_YET);
}
END_TEST

START_TEST(expire_at_ends_sessions_instead_of_exp)
{
	expect("{\"exp\":1000,\"expire_at\":2000}", TOKEN_OK);
	ck_assert(grant->has_end);
	ck_assert_uint_eq(grant->refresh_s, 2000);
	ck_assert_int_eq(token_grant_at(grant, 1500), TOKEN_EXPIRED);
	expect("{\"exp\":1000,\"expire_at\":0}", TOKEN_OK);
	ck_assert(!grant->has_end && grant->has_expiry);
	ck_assert_int_eq(token_grant_at(grant, 1500), TOKEN_EXPIRED);
	expect("{\"exp\":1000,\"expire_at\":500}", TOKEN_OK);
	ck_assert_int_eq(token_grant_at(grant, 504), TOKEN_OK);
	ck_assert_int_eq(token_grant_at(grant, 505), TOKEN_EXPIRED);
}
END_TEST

START_TEST(the_audience_is_a_string_or_an_array)
{
	rules.audience = SLICE("chat");
	expect("{\"aud\":\"chat\"}", TOKEN_OK);
	expect("{\"aud\":[\"shop\",\"chat\"]}", TOKEN_OK);
	expect("{\"aud\":\"shop\"}", TOKEN_AUDIENCE);
	expect("{\"aud\":\"chat \"}", TOKEN_AUDIENCE);
	expect("{\"aud\":\"Chat\"}", TOKEN_AUDIENCE);
	expect("{\"aud\":[]}", TOKEN_AUDIENCE);
	expect("{}", TOKEN_AUDIENCE);
	rules.audience = SLICE("");
	expect("{\"aud\":\"shop\"}", TOKEN_OK);
	expect("{}", TOKEN_OK);
}
END_TEST

START_TEST(the_issuer_is_compared_if_there_is_a_rule)
{
	rules.issuer = SLICE("https://id.example.com");
	expect("{\"iss\":\"https://id.example.com\"}", TOKEN_OK);
	expect("{\"iss\":\"https://id.example.com/\"}", TOKEN_ISSUER);
	expect("{}", TOKEN_ISSUER);
	rules.issuer = SLICE("");
	expect("{\"iss\":\"anyone\"}", TOKEN_OK);
}
END_TEST

START_TEST(info_is_kept_as_it_is)
{
	expect("{\"info\": { \"name\" : \"A\\u0042\",\n\"n\":1.0 } }", TOKEN_OK);
	ck_assert(slice_is(grant->info, "{ \"name\" : \"A\\u0042\",\n\"n\":1.0 }"));
	expect("{\"info\":null}", TOKEN_OK);
	ck_assert_ptr_null(grant->info.ptr);
	expect("{\"info\":\"text\"}", TOKEN_OK);
	ck_assert(slice_is(grant->info, "\"text\""));
}
END_TEST

START_TEST(channels_are_server_side_subscriptions)
{
	expect("{\"channels\":[\"b\",\"a*\",\"\"]}", TOKEN_OK);
	ck_assert(grant->has_caps);
	ck_assert_uint_eq(grant->channel_count, 3);
	ck_assert(slice_is(grant->channels[0], "b"));
	ck_assert(slice_is(grant->channels[1], "a*"));
	ck_assert(allows(TOKEN_SUBSCRIBE, "b") && allows(TOKEN_SUBSCRIBE, "a*"));
	ck_assert(!allows(TOKEN_SUBSCRIBE, "ab") && !allows_pattern(TOKEN_SUBSCRIBE, "a*"));
	ck_assert(!allows(TOKEN_PUBLISH, "b") && !allows(TOKEN_HISTORY, "b"));
	expect("{\"channels\":[]}", TOKEN_OK);
	ck_assert(grant->has_caps && !allows(TOKEN_SUBSCRIBE, "b"));
}
END_TEST

START_TEST(a_subscription_token_allows_its_channel)
{
	expect("{\"channel\":\"room.1\"}", TOKEN_OK);
	ck_assert(grant->has_caps && slice_is(grant->channel, "room.1"));
	ck_assert_uint_eq(grant->channel_count, 0);
	ck_assert(allows(TOKEN_SUBSCRIBE, "room.1") && !allows(TOKEN_SUBSCRIBE, "room.2"));
}
END_TEST

START_TEST(caps_name_channels_exactly_unless_they_say_wildcard)
{
	expect("{\"caps\":[{\"channels\":[\"a*\",\"b\"],\"allow\":[\"sub\"]},"
	       "{\"channels\":[\"news.*\"],\"match\":\"wildcard\",\"allow\":[\"sub\",\"hst\"]},"
	       "{\"channels\":[\"c\"],\"match\":\"\",\"allow\":[\"pub\",\"prs\"]}]}",
	    TOKEN_OK);
	ck_assert(allows(TOKEN_SUBSCRIBE, "a*") && !allows(TOKEN_SUBSCRIBE, "ab"));
	ck_assert(allows(TOKEN_SUBSCRIBE, "news.x") && allows(TOKEN_HISTORY, "news.x"));
	ck_assert(!allows(TOKEN_PUBLISH, "news.x") && !allows(TOKEN_PRESENCE, "news.x"));
	ck_assert(allows(TOKEN_PUBLISH, "c") && allows(TOKEN_PRESENCE, "c"));
	ck_assert(!allows(TOKEN_SUBSCRIBE, "c"));
	ck_assert(!allows(TOKEN_SUBSCRIBE, "news"));
}
END_TEST

START_TEST(a_pattern_must_be_granted_literally)
{
	expect(
	    "{\"caps\":[{\"channels\":[\"news.*\"],\"match\":\"wildcard\",\"allow\":[\"sub\"]}]}",
	    TOKEN_OK);
	ck_assert(allows_pattern(TOKEN_SUBSCRIBE, "news.*"));
	ck_assert(!allows_pattern(TOKEN_SUBSCRIBE, "news.a*"));
	ck_assert(!allows_pattern(TOKEN_SUBSCRIBE, "news.sport"));
	ck_assert(!allows_pattern(TOKEN_SUBSCRIBE, "*"));
	expect("{\"caps\":[{\"channels\":[\"*\"],\"match\":\"wildcard\",\"allow\":[\"sub\"]}]}",
	    TOKEN_OK);
	ck_assert(allows_pattern(TOKEN_SUBSCRIBE, "anything.*") && allows(TOKEN_SUBSCRIBE, "x"));
	ck_assert(!allows_pattern(TOKEN_PUBLISH, "anything.*"));
	expect("{\"caps\":[{\"channels\":[\"*\"],\"allow\":[\"sub\"]}]}", TOKEN_OK);
	ck_assert(allows(TOKEN_SUBSCRIBE, "*") && !allows(TOKEN_SUBSCRIBE, "x"));
	ck_assert(!allows_pattern(TOKEN_SUBSCRIBE, "*"));
}
END_TEST

START_TEST(caps_that_are_not_understood_are_refused)
{
	static const char *const texts[] = {
	    "{\"caps\":[{\"channels\":[\"a\"]}]}",
	    "{\"caps\":[{\"allow\":[\"sub\"]}]}",
	    "{\"caps\":[{\"channels\":\"a\",\"allow\":[\"sub\"]}]}",
	    "{\"caps\":[{\"channels\":[\"a\"],\"allow\":\"sub\"}]}",
	    "{\"caps\":[{\"channels\":[\"a\"],\"allow\":[\"admin\"]}]}",
	    "{\"caps\":[{\"channels\":[\"a\"],\"allow\":[1]}]}",
	    "{\"caps\":[{\"channels\":[\"a\"],\"allow\":[\"sub\"],\"match\":\"prefix\"}]}",
	    "{\"caps\":[{\"channels\":[\"a\"],\"allow\":[\"sub\"],\"match\":null}]}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		expect(texts[i], TOKEN_BAD_CLAIM);
	expect("{\"caps\":[{\"channels\":[\"a\"],\"allow\":[\"sub\"],\"match\":\"regex\"}]}",
	    TOKEN_REGEX);
}
END_TEST

START_TEST(topics_of_mercure_are_rights)
{
	expect("{\"mercure\":{\"publish\":[\"https://a/1\"],\"subscribe\":[\"*\"],\"payload\":{}}}",
	    TOKEN_OK);
	ck_assert(grant->has_caps && allows(TOKEN_PUBLISH, "https://a/1"));
	ck_assert(!allows(TOKEN_PUBLISH, "https://a/2"));
	ck_assert(allows(TOKEN_SUBSCRIBE, "anything") && allows_pattern(TOKEN_SUBSCRIBE, "a*"));
	expect("{\"mercure\":{\"subscribe\":[\"https://a/{id}\",\"b*\"]}}", TOKEN_OK);
	ck_assert(!allows(TOKEN_SUBSCRIBE, "https://a/1") && !allows(TOKEN_SUBSCRIBE, "bb"));
}
END_TEST

START_TEST(a_long_name_is_never_allowed)
{
	char *name = xmalloc(TOKEN_NAME_BYTES_MAX + 1);

	memset(name, 'a', TOKEN_NAME_BYTES_MAX + 1);
	expect("{\"caps\":[{\"channels\":[\"*\"],\"match\":\"wildcard\",\"allow\":[\"sub\"]}]}",
	    TOKEN_OK);
	ck_assert(token_grant_allows(
	    grant, TOKEN_SUBSCRIBE, (struct slice){name, TOKEN_NAME_BYTES_MAX}, false));
	ck_assert(!token_grant_allows(
	    grant, TOKEN_SUBSCRIBE, (struct slice){name, TOKEN_NAME_BYTES_MAX + 1}, false));
	xfree(name);
}
END_TEST

static enum token_fault
fault_of_channels(size_t count)
{
	struct buffer text = {0};
	enum token_fault fault;

	buffer_append_str(&text, "{\"channels\":[");
	for (size_t i = 0; i < count; i++)
		buffer_appendf(&text, "%s\"c%zu\"", i > 0 ? "," : "", i);
	buffer_append(&text, "]}", 3);
	fault = read_text(text.ptr);
	buffer_release(&text);
	return fault;
}

START_TEST(the_number_of_caps_is_bounded)
{
	ck_assert_int_eq(fault_of_channels(TOKEN_CAPS_MAX), TOKEN_OK);
	ck_assert_uint_eq(grant->channel_count, TOKEN_CAPS_MAX);
	ck_assert(slice_is(grant->channels[TOKEN_CAPS_MAX - 1], "c1023"));
	ck_assert_int_eq(fault_of_channels(TOKEN_CAPS_MAX + 1), TOKEN_BAD_CLAIM);
}
END_TEST

START_TEST(a_grant_lives_as_long_as_its_references)
{
	struct token_grant *same;

	expect("{\"sub\":\"alice\"}", TOKEN_OK);
	same = token_grant_ref(grant);
	teardown();
	ck_assert(slice_is(same->subject, "alice"));
	token_grant_unref(same);
	token_grant_unref(NULL);
}
END_TEST

int
main(void)
{
	return testing_main("token/claims", setup, teardown,
	    (const TTest *[]){names_are_read, names_may_be_escaped,
		claims_that_are_no_object_are_refused, a_claim_with_a_wrong_type_is_refused,
		a_claim_that_is_there_twice_is_refused, times_are_numbers_from_0_to_2_to_the_53,
		exp_ends_the_token_after_the_leeway, an_exp_of_0_has_expired,
		nbf_begins_the_token_before_the_leeway, expire_at_ends_sessions_instead_of_exp,
		the_audience_is_a_string_or_an_array, the_issuer_is_compared_if_there_is_a_rule,
		info_is_kept_as_it_is, channels_are_server_side_subscriptions,
		a_subscription_token_allows_its_channel,
		caps_name_channels_exactly_unless_they_say_wildcard,
		a_pattern_must_be_granted_literally, caps_that_are_not_understood_are_refused,
		topics_of_mercure_are_rights, a_long_name_is_never_allowed,
		the_number_of_caps_is_bounded, a_grant_lives_as_long_as_its_references, NULL});
}
