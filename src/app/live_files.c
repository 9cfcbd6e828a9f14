#include "config.h"

#include "app/live_files.h"

#include "app/listening.h"
#include "app/live_config.h"
#include "app/token_files.h"
#include "net/net.h"
#include "token/keys.h"

void
live_files_release(struct live_files *files)
{
	tls_unref(files->tls);
	token_keys_unref(files->keys);
}

bool
live_files_read_tls(const struct live_config *live, const struct settings *next,
    struct live_files *files, struct buffer *error)
{
	char text[512] = "";

	if (live->net == NULL || !listening_has_tls(live->settings) || files->tls != NULL)
		return true;
	files->tls = listening_make_tls(live->settings, &next->net_tls, text, sizeof(text));
	if (files->tls == NULL)
		buffer_append_str(error, text);
	return files->tls != NULL;
}

bool
live_files_read_keys(const struct live_config *live, const struct settings *next,
    struct live_files *files, struct buffer *error)
{
	if (live->tokens == NULL || files->keys != NULL)
		return true;
	files->keys = token_files_read(next, error);
	return files->keys != NULL;
}

void
live_files_use(struct live_config *live, struct live_files *files, const struct settings *next)
{
	if (files->tls != NULL)
		net_take_tls(live->net, files->tls);
	if (files->keys != NULL)
		token_files_use(live->tokens, files->keys, next);
}

bool
live_files_read(const struct live_config *live, const struct settings *next,
    struct live_files *files, struct buffer *error)
{
	struct buffer text = {0};
	bool ok = live_files_read_tls(live, next, files, &text);

	if (!ok)
		buffer_appendf(error, "TLS: %.*s", (int)text.len, text.ptr);
	buffer_release(&text);
	return ok && live_files_read_keys(live, next, files, error);
}
