#include "config.h"

#include "net/address_limits.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"

static struct address_limits *limits;
static struct address_limits_config config;

static void
setup(void)
{
	limits = address_limits_new();
	config = (struct address_limits_config){.connections = 2, .burst = 1};
}

static void
teardown(void)
{
	address_limits_free(limits);
}

static struct sockaddr_storage
address_of(const char *text)
{
	struct sockaddr_storage out;
	struct sockaddr_in *v4 = (void *)&out;
	struct sockaddr_in6 *v6 = (void *)&out;

	memset(&out, 0, sizeof(out));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(77);
	} else {
		ck_assert_int_eq(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(77);
	}
	return out;
}

static struct address_key
key_of(const char *text)
{
	struct sockaddr_storage address = address_of(text);

	return address_key((const struct sockaddr *)&address);
}

static enum address_verdict
admit(const char *text, uint64_t now_us)
{
	struct address_key key = key_of(text);

	return address_limits_admit(limits, &config, &key, now_us);
}

static void
leave(const char *text, uint64_t now_us)
{
	struct address_key key = key_of(text);

	address_limits_leave(limits, &key, now_us);
}

START_TEST(an_address_has_so_many_connections_and_no_more)
{
	ck_assert_int_eq(admit("10.0.0.1", 1), ADDRESS_ADMITTED);
	ck_assert_int_eq(admit("10.0.0.1", 1), ADDRESS_ADMITTED);
	ck_assert_int_eq(admit("10.0.0.1", 1), ADDRESS_TOO_MANY);
	ck_assert_int_eq(admit("10.0.0.2", 1), ADDRESS_ADMITTED);
	leave("10.0.0.1", 2);
	ck_assert_int_eq(admit("10.0.0.1", 2), ADDRESS_ADMITTED);
	ck_assert_int_eq(admit("10.0.0.1", 2), ADDRESS_TOO_MANY);
}
END_TEST

START_TEST(ipv6_counts_by_its_64_and_mapped_ipv4_as_ipv4)
{
	ck_assert_int_eq(admit("2001:db8::1", 1), ADDRESS_ADMITTED);
	ck_assert_int_eq(admit("2001:db8::ffff:2", 1), ADDRESS_ADMITTED);
	ck_assert_int_eq(admit("2001:db8:0:0:9::", 1), ADDRESS_TOO_MANY);
	ck_assert_int_eq(admit("2001:db8:0:1::1", 1), ADDRESS_ADMITTED);
	ck_assert_int_eq(admit("192.0.2.1", 1), ADDRESS_ADMITTED);
	ck_assert_int_eq(admit("::ffff:192.0.2.1", 1), ADDRESS_ADMITTED);
	ck_assert_int_eq(admit("192.0.2.1", 1), ADDRESS_TOO_MANY);
}
END_TEST

START_TEST(what_has_no_address_is_not_counted)
{
	const struct sockaddr unix_socket = {.sa_family = AF_UNIX};
	struct address_key key = address_key(&unix_socket);

	config.rate = 1;
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(address_limits_admit(limits, &config, &key, 1), ADDRESS_ADMITTED);
	ck_assert_uint_eq(address_limits_count(limits), 0);
	address_limits_leave(limits, &key, 1);
}
END_TEST

START_TEST(an_address_opens_a_burst_and_then_so_many_a_second)
{
	config = (struct address_limits_config){.rate = 10, .burst = 3};
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(admit("10.0.0.1", 1000000), ADDRESS_ADMITTED);
	ck_assert_int_eq(admit("10.0.0.1", 1000000), ADDRESS_TOO_FAST);
	ck_assert_int_eq(admit("10.0.0.2", 1000000), ADDRESS_ADMITTED);
	ck_assert_int_eq(admit("10.0.0.1", 1099999), ADDRESS_TOO_FAST);
	ck_assert_int_eq(admit("10.0.0.1", 1100000), ADDRESS_ADMITTED);
	ck_assert_int_eq(admit("10.0.0.1", 1100000), ADDRESS_TOO_FAST);
}
END_TEST

START_TEST(coming_and_going_does_not_make_an_address_forgotten_before_its_rate)
{
	config = (struct address_limits_config){.rate = 1, .burst = 2};
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(admit("10.0.0.1", 1000000), ADDRESS_ADMITTED);
		leave("10.0.0.1", 1000000);
	}
	ck_assert_int_eq(admit("10.0.0.1", 1000000), ADDRESS_TOO_FAST);
	ck_assert_int_eq(admit("10.0.0.2", 1000000), ADDRESS_ADMITTED);
	leave("10.0.0.2", 1000000);
	ck_assert_uint_eq(address_limits_count(limits), 2);
	/* 2 s later both could open a whole burst, so their entries are freed. */
	ck_assert_int_eq(admit("10.0.0.3", 3000000), ADDRESS_ADMITTED);
	ck_assert_uint_eq(address_limits_count(limits), 1);
}
END_TEST

START_TEST(without_a_rate_an_address_is_forgotten_with_its_last_connection)
{
	ck_assert_int_eq(admit("10.0.0.1", 5), ADDRESS_ADMITTED);
	leave("10.0.0.1", 6);
	ck_assert_uint_eq(address_limits_count(limits), 0);
}
END_TEST

START_TEST(a_storm_from_everywhere_does_not_grow_the_table)
{
	struct address_key key = {.len = 4};

	config = (struct address_limits_config){.rate = 1, .burst = 100};
	for (uint32_t i = 0; i < ADDRESS_IDLE_MAX * 3; i++) {
		memcpy(key.bytes, &i, sizeof(i));
		ck_assert_int_eq(
		    address_limits_admit(limits, &config, &key, 1000000), ADDRESS_ADMITTED);
		if (i % 2 == 0)
			address_limits_leave(limits, &key, 1000000);
	}
	ck_assert_uint_eq(
	    address_limits_count(limits), ADDRESS_IDLE_MAX + ADDRESS_IDLE_MAX * 3 / 2);
}
END_TEST

START_TEST(addresses_are_forgotten_though_nobody_comes_any_more)
{
	config = (struct address_limits_config){.rate = 1, .burst = 1};
	for (int i = 1; i < 100; i++) {
		char text[20];

		snprintf(text, sizeof(text), "10.0.0.%d", i);
		ck_assert_int_eq(admit(text, 1000000), ADDRESS_ADMITTED);
		leave(text, 1000000);
	}
	ck_assert_uint_eq(address_limits_count(limits), 99);
	address_limits_expire(limits, 1999999);
	ck_assert_uint_eq(address_limits_count(limits), 99);
	address_limits_expire(limits, 2000000);
	ck_assert_uint_eq(address_limits_count(limits), 0);
}
END_TEST

START_TEST(a_limit_that_changes_holds_at_once)
{
	ck_assert_int_eq(admit("10.0.0.1", 1), ADDRESS_ADMITTED);
	ck_assert_int_eq(admit("10.0.0.1", 1), ADDRESS_ADMITTED);
	config.connections = 3;
	ck_assert_int_eq(admit("10.0.0.1", 1), ADDRESS_ADMITTED);
	config.connections = 1;
	ck_assert_int_eq(admit("10.0.0.1", 1), ADDRESS_TOO_MANY);
	config.connections = 0;
	ck_assert_int_eq(admit("10.0.0.1", 1), ADDRESS_ADMITTED);
}
END_TEST

static bool
has(const char *network_text, const char *address_text)
{
	struct address_network network;
	struct sockaddr_storage address = address_of(address_text);

	ck_assert(address_network_parse(slice_of(network_text), &network));
	return address_network_has(&network, (const struct sockaddr *)&address);
}

START_TEST(a_network_has_the_addresses_that_begin_like_it)
{
	ck_assert(has("10.0.0.0/8", "10.255.1.2") && !has("10.0.0.0/8", "11.0.0.1"));
	ck_assert(has("10.0.0.128/25", "10.0.0.200") && !has("10.0.0.128/25", "10.0.0.100"));
	ck_assert(has("192.0.2.7", "192.0.2.7") && !has("192.0.2.7", "192.0.2.6"));
	ck_assert(has("192.0.2.7", "::ffff:192.0.2.7"));
	ck_assert(has("0.0.0.0/0", "1.2.3.4") && !has("0.0.0.0/0", "2001:db8::1"));
	ck_assert(has("fd00::/9", "fd7f::1") && !has("fd00::/9", "fd80::1"));
	ck_assert(has("::/0", "1.2.3.4") && has("::/0", "2001:db8::1"));
}
END_TEST

static bool
has_text(const char *network_text, const char *address_text)
{
	struct address_network network;

	ck_assert(address_network_parse(slice_of(network_text), &network));
	return address_network_has_text(&network, slice_of(address_text));
}

START_TEST(a_network_has_addresses_given_as_text)
{
	static const char *const wrong[] = {"", ":", "::", "[", "[]", "[:5", "10.1.2.3:5:6",
	    "10.1.2", "10.0.0.0/8", "/run/fanfare.sock:0", "?:0", "[10.1.2.3", "localhost:80"};

	ck_assert(has_text("10.0.0.0/8", "10.1.2.3:50000"));
	ck_assert(has_text("10.0.0.0/8", "10.1.2.3"));
	ck_assert(has_text("10.0.0.0/8", "[::ffff:10.1.2.3]:5"));
	ck_assert(!has_text("10.0.0.0/8", "11.1.2.3:50000"));
	ck_assert(has_text("fd00::/16", "[fd00::1]:5"));
	ck_assert(has_text("fd00::/16", "fd00::1"));
	ck_assert(!has_text("fd00::/16", "[fe00::1]:5"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		ck_assert_msg(!has_text("10.0.0.0/8", wrong[i]), "%s", wrong[i]);
}
END_TEST

START_TEST(what_is_no_network_is_refused)
{
	static const char *const wrong[] = {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "::1/129",
	    "10.0.0/8", "10.0.0.0/8/8", "10.0.0.0/-1", "10.0.0.0/+8", "localhost", "10.0.0.0/08",
	    "::1%lo", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
	struct address_network network;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		ck_assert_msg(!address_network_parse(slice_of(wrong[i]), &network), "%s", wrong[i]);
}
END_TEST

START_TEST(an_address_is_shown_with_its_port)
{
	struct sockaddr_storage four = address_of("10.0.0.1"), six = address_of("2001:db8::1");
	const struct sockaddr none = {.sa_family = AF_UNIX};
	char text[64];

	address_format((const struct sockaddr *)&four, text, sizeof(text));
	ck_assert_str_eq(text, "10.0.0.1:77");
	address_format((const struct sockaddr *)&six, text, sizeof(text));
	ck_assert_str_eq(text, "[2001:db8::1]:77");
	address_format(&none, text, sizeof(text));
	ck_assert_str_eq(text, "?:0");
}
END_TEST

START_TEST(loopback_is_known_in_all_its_forms)
{
	static const char *const yes[] = {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"};
	static const char *const no[] = {"128.0.0.1", "::2", "::", "::ffff:10.0.0.1"};

	for (size_t i = 0; i < 4; i++) {
		struct sockaddr_storage a = address_of(yes[i]), b = address_of(no[i]);

		ck_assert(address_is_loopback((const struct sockaddr *)&a));
		ck_assert(!address_is_loopback((const struct sockaddr *)&b));
	}
}
END_TEST

int
main(void)
{
	return testing_main("net/address_limits", setup, teardown,
	    (const TTest *[]){an_address_has_so_many_connections_and_no_more,
		ipv6_counts_by_its_64_and_mapped_ipv4_as_ipv4, what_has_no_address_is_not_counted,
		an_address_opens_a_burst_and_then_so_many_a_second,
		coming_and_going_does_not_make_an_address_forgotten_before_its_rate,
		without_a_rate_an_address_is_forgotten_with_its_last_connection,
		a_storm_from_everywhere_does_not_grow_the_table, a_limit_that_changes_holds_at_once,
		addresses_are_forgotten_though_nobody_comes_any_more,
		a_network_has_the_addresses_that_begin_like_it,
		a_network_has_addresses_given_as_text, what_is_no_network_is_refused,
		an_address_is_shown_with_its_port, loopback_is_known_in_all_its_forms, NULL});
}
