#include "config.h"

#include "app/settings.h"

#include <check.h>
#include <string.h>

#include "app/setting_fault.h"
#include "app/testing_settings.h"
#include "base/testing.h"

/* The settings of HTTP, event streams, WebSocket and tokens. */

static struct settings s;
static struct buffer out;

static void
setup(void)
{
	settings_init(&s);
}

static void
teardown(void)
{
	settings_release(&s);
	buffer_release(&out);
}

static enum setting_fault
set(const char *name, const char *value)
{
	struct slice given = slice_of(value);
	enum setting_fault fault = settings_set(&s, testing_setting(name), &given, 1);

	settings_derive(&s);
	return fault;
}

static void
assert_written(const char *name, const char *line)
{
	buffer_clear(&out);
	settings_write(&s, testing_setting(name), &out);
	ck_assert_uint_eq(out.len, strlen(line));
	ck_assert_mem_eq(out.ptr, line, out.len);
}

static void
assert_explained(const char *name, const char *value, const char *text)
{
	struct slice given = slice_of(value);
	enum setting_fault fault = set(name, value);

	ck_assert_int_ne(fault, SETTING_OK);
	buffer_clear(&out);
	setting_explain_fault(testing_setting(name), fault, &given, 1, &out);
	buffer_append(&out, "", 1);
	ck_assert_str_eq(out.ptr, text);
}

START_TEST(doors_are_names_in_any_order)
{
	ck_assert_uint_eq(
	    s.edge.doors, EDGE_DOOR_SSE | EDGE_DOOR_WS | EDGE_DOOR_PUBLISH | EDGE_DOOR_HEALTH);
	ck_assert_int_eq(set("http-doors", "demo METRICS sse sse"), SETTING_OK);
	ck_assert_uint_eq(s.edge.doors, EDGE_DOOR_SSE | EDGE_DOOR_METRICS | EDGE_DOOR_DEMO);
	assert_written("http-doors", "http-doors sse metrics demo");
	ck_assert_int_eq(set("http-doors", ""), SETTING_OK);
	ck_assert_uint_eq(s.edge.doors, 0);
	assert_written("http-doors", "http-doors \"\"");
	assert_explained("http-doors", "sse gopher",
	    "'sse gopher' is no value for http-doors: allowed is any of sse, ws, publish, health, "
	    "metrics, demo");
	ck_assert_uint_eq(s.edge.doors, 0);
}
END_TEST

START_TEST(origins_are_written_as_browsers_send_them)
{
	static const char *const wrong[] = {"example.com", "https://", "https://example.com/",
	    "https://example.com/app", "https://Example.com", "https://*.example.com", "http:/a",
	    "://a", "https://a b", "null", "https://example.com:", "https://example.com?"};

	ck_assert_int_eq(set("http-allowed-origins",
			     "https://app.example.com http://localhost:3000 http://[::1]:80 "
			     "chrome-extension://abc *"),
	    SETTING_OK);
	ck_assert_uint_eq(s.edge.allowed_origins.count, 5);
	ck_assert_str_eq(s.edge.allowed_origins.items[1], "http://localhost:3000");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct slice value = slice_of(wrong[i]);

		ck_assert_msg(settings_set(&s, testing_setting("http-allowed-origins"), &value,
				  1) == SETTING_BAD_ORIGIN ||
				  strchr(wrong[i], ' ') != NULL,
		    "%s", wrong[i]);
	}
	ck_assert_uint_eq(s.edge.allowed_origins.count, 5);
	assert_explained("http-allowed-origins", "https://a.example/",
	    "'https://a.example/' is no value for http-allowed-origins: allowed is *, or at most "
	    "64 origins as a browser sends them: scheme://host[:port] in lower case, without a "
	    "path");
}
END_TEST

START_TEST(networks_are_ready_to_be_compared)
{
	ck_assert_uint_eq(s.admin_networks.count, 2);
	ck_assert(address_network_has_text(&s.admin_networks.items[0], SLICE("127.0.0.1:5")));
	ck_assert(!address_network_has_text(&s.admin_networks.items[0], SLICE("127.0.0.2:5")));
	ck_assert(address_network_has_text(&s.admin_networks.items[1], SLICE("[::1]:5")));
	ck_assert_uint_eq(s.net.shared_from_count, 0);
	ck_assert_int_eq(set("http-forwarded-from", "10.0.0.0/8 fd00::/8"), SETTING_OK);
	ck_assert_uint_eq(s.net.shared_from_count, 2);
	ck_assert_int_eq(set("http-forwarded-from", "10.0.0.0/33"), SETTING_BAD_NETWORK);
	ck_assert_int_eq(set("http-admin-from", ""), SETTING_OK);
	ck_assert_uint_eq(s.admin_networks.count, 0);
}
END_TEST

START_TEST(limits_and_times_of_the_services_follow)
{
	const struct protocol_limits *http = &s.net.limits[SERVICE_HTTP],
				     *ws = &s.net.limits[SERVICE_WS];

	ck_assert_int_eq(set("http-max-head", "8kb"), SETTING_OK);
	ck_assert_int_eq(set("http-max-body", "2mb"), SETTING_OK);
	ck_assert_int_eq(set("http-keepalive", "7"), SETTING_OK);
	ck_assert_int_eq(set("http-request-timeout", "3"), SETTING_OK);
	ck_assert_int_eq(set("edge-max-message", "1mb"), SETTING_OK);
	ck_assert_int_eq(set("timeout", "9"), SETTING_OK);
	ck_assert_uint_eq(http->line_bytes, 8192);
	ck_assert_uint_eq(http->arg_bytes, 2 << 20);
	ck_assert_uint_ge(http->request_bytes, (2 << 20) + 8192);
	ck_assert_uint_ge(ws->arg_bytes, 1 << 20);
	ck_assert_mem_eq(ws, &s.net.limits[SERVICE_WS_DEFLATE], sizeof(*ws));
	ck_assert_uint_eq(s.net.times[SERVICE_RESP].idle_s, 9);
	ck_assert_uint_eq(s.net.times[SERVICE_RESP].request_s, 0);
	ck_assert_uint_eq(s.net.times[SERVICE_HTTP].idle_s, 7);
	ck_assert_uint_eq(s.net.times[SERVICE_HTTP].request_s, 3);
	ck_assert_uint_eq(s.edge.connect_timeout_s, 3);
	ck_assert_uint_eq(s.net.times[SERVICE_WS].idle_s, 0);
	ck_assert_uint_eq(s.net.times[SERVICE_WS].request_s, 0);
}
END_TEST

START_TEST(a_copy_has_strings_of_its_own)
{
	struct settings copy;

	ck_assert_int_eq(set("http-allowed-origins", "https://a.example"), SETTING_OK);
	settings_copy(&copy, &s);
	ck_assert_str_eq(copy.edge.allowed_origins.items[0], "https://a.example");
	ck_assert_ptr_ne(copy.edge.allowed_origins.items, s.edge.allowed_origins.items);
	ck_assert_str_eq(copy.edge.user, "edge");
	ck_assert_ptr_ne(copy.edge.user, s.edge.user);
	ck_assert_str_eq(copy.edge.ws_glob_prefix, "glob:");
	settings_release(&copy);
}
END_TEST

START_TEST(the_times_of_retries_must_agree)
{
	const char *blamed = NULL;

	ck_assert(settings_agree(&s, &blamed, &out));
	ck_assert_int_eq(set("sse-retry-min", "6000"), SETTING_OK);
	ck_assert(!settings_agree(&s, &blamed, &out));
	ck_assert_str_eq(blamed, "sse-retry-max");
	buffer_append(&out, "", 1);
	ck_assert_str_eq(out.ptr, "sse-retry-max 5000 is below sse-retry-min 6000");
}
END_TEST

START_TEST(the_name_of_edge_user_has_no_blanks)
{
	const char *blamed = NULL;

	ck_assert_int_eq(set("edge-user", "web"), SETTING_OK);
	ck_assert(settings_agree(&s, &blamed, &out));
	ck_assert_int_eq(set("edge-user", "the web"), SETTING_OK);
	ck_assert(!settings_agree(&s, &blamed, &out));
	ck_assert_int_eq(set("edge-user", "default"), SETTING_OK);
	ck_assert(!settings_agree(&s, &blamed, &out));
	ck_assert_str_eq(blamed, "edge-user");
}
END_TEST

START_TEST(the_prefix_of_patterns_is_utf_8)
{
	const char *blamed = NULL;

	ck_assert_int_eq(set("ws-glob-prefix", "\xe2\x98\x85"), SETTING_OK);
	ck_assert(settings_agree(&s, &blamed, &out));
	ck_assert_int_eq(set("ws-glob-prefix", "glob\xff"), SETTING_OK);
	ck_assert(!settings_agree(&s, &blamed, &out));
	ck_assert_str_eq(blamed, "ws-glob-prefix");
}
END_TEST

int
main(void)
{
	return testing_main("app/settings_edge", setup, teardown,
	    (const TTest *[]){doors_are_names_in_any_order,
		origins_are_written_as_browsers_send_them, networks_are_ready_to_be_compared,
		limits_and_times_of_the_services_follow, a_copy_has_strings_of_its_own,
		the_times_of_retries_must_agree, the_name_of_edge_user_has_no_blanks,
		the_prefix_of_patterns_is_utf_8, NULL});
}
