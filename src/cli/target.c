#include "config.h"

#include "cli/target.h"

#include "base/alloc.h"
#include "base/redis_url.h"

static bool
parse_url(struct target *target, const char *text, const char **error)
{
	struct redis_url url;

	if (!redis_url_parse(&url, text, error))
		return false;
	*target = (struct target){.host = url.host,
	    .port = url.port,
	    .socket_path = url.socket_path,
	    .user = url.user,
	    .password = url.password,
	    .database = url.database,
	    .tls.enabled = url.is_tls};
	return true;
}

static void
replace(char **field, const char *text)
{
	if (text == NULL)
		return;
	xfree(*field);
	*field = xstrdup(text);
}

/* The option --socket replaces a whole URL, including its TLS. */
static const char *
choose_tls(struct target *t, const struct target_choice *choice)
{
	bool by_url = t->tls.enabled && t->socket_path == NULL;

	t->tls = choice->tls;
	t->tls.enabled = choice->tls.enabled || by_url;
	if (t->tls.enabled && t->socket_path != NULL)
		return "TLS is for TCP, not for Unix sockets";
	return tls_options_fault(&t->tls);
}

static bool
is_said(const char *text)
{
	return text != NULL && text[0] != '\0';
}

bool
target_choose(struct target *target, const struct target_choice *choice, const char **error)
{
	const char *url = choice->url != NULL ? choice->url : choice->env_url;
	struct target t = {.port = REDIS_URL_DEFAULT_PORT};

	if (choice->socket_path != NULL && (choice->host != NULL || choice->port != 0)) {
		*error = "--socket excludes --host and --port";
		return false;
	}
	if ((choice->url != NULL || is_said(url)) && !parse_url(&t, url, error))
		return false;
	if (choice->host != NULL || choice->port != 0) {
		xfree(t.socket_path);
		t.socket_path = NULL;
	}
	replace(&t.host, choice->host);
	if (choice->port != 0)
		t.port = (uint16_t)choice->port;
	replace(&t.socket_path, choice->socket_path);
	replace(&t.user, choice->user);
	replace(&t.password, choice->password);
	if (t.host == NULL)
		t.host = xstrdup(REDIS_URL_DEFAULT_HOST);
	if (t.password == NULL && is_said(choice->env_password))
		t.password = xstrdup(choice->env_password);
	*error = choose_tls(&t, choice);
	if (*error == NULL && t.user != NULL && t.password == NULL)
		*error = "a user needs a password: --password, the URL or FANFARE_PASSWORD";
	if (*error != NULL) {
		target_release(&t);
		return false;
	}
	*target = t;
	return true;
}

void
target_release(struct target *target)
{
	xfree(target->host);
	xfree(target->socket_path);
	xfree(target->user);
	xfree(target->password);
	*target = (struct target){0};
}

void
target_describe(const struct target *target, struct buffer *out)
{
	const struct redis_url url = {
	    .host = target->host, .port = target->port, .socket_path = target->socket_path};

	redis_url_describe(&url, out);
}
