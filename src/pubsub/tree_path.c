#include "config.h"

#include "pubsub/tree_path.h"

#include "base/alloc.h"

void
tree_path_init(struct tree_path *path, struct slice pattern)
{
	*path = (struct tree_path){.rest = pattern, .run = xmalloc(pattern.len)};
}

void
tree_path_release(struct tree_path *path)
{
	xfree(path->run);
}

/* The number of bytes in a set; *one is set to one of them. */
static int
set_count(const uint64_t set[4], unsigned char *one)
{
	int count = 0;

	for (int w = 0; w < 4; w++) {
		count += __builtin_popcountll(set[w]);
		if (set[w] != 0)
			*one = (unsigned char)(w * 64 + __builtin_ctzll(set[w]));
	}
	return count;
}

static size_t
next_token(struct slice rest, struct glob_token *token)
{
	size_t len = glob_next(rest, token);
	int count = token->kind == GLOB_CLASS ? set_count(token->set, &token->literal) : 0;

	if (count == 1)
		token->kind = GLOB_LITERAL;
	else if (count == 256)
		token->kind = GLOB_ANY;
	return len;
}

static void
skip(struct tree_path *path, size_t len)
{
	path->rest.ptr += len;
	path->rest.len -= len;
}

static void
take_run(struct tree_path *path, struct tree_step *step)
{
	struct glob_token token;
	size_t len, count = 0;

	while (path->rest.len > 0) {
		len = next_token(path->rest, &token);
		if (token.kind != GLOB_LITERAL)
			break;
		path->run[count++] = (char)token.literal;
		skip(path, len);
	}
	step->run = (struct slice){path->run, count};
}

static void
take_wild_run(struct tree_path *path)
{
	struct glob_token token;
	size_t len;

	while (path->rest.len > 0) {
		len = next_token(path->rest, &token);
		if (token.kind == GLOB_STAR)
			path->star = true;
		else if (token.kind == GLOB_ANY)
			path->any++;
		else
			break;
		skip(path, len);
	}
}

bool
tree_path_next(struct tree_path *path, struct tree_step *step)
{
	struct glob_token token = {.kind = GLOB_ANY};
	size_t len = 0;

	if (path->any == 0 && !path->star) {
		if (path->rest.len == 0)
			return false;
		len = next_token(path->rest, &token);
	}
	if (token.kind == GLOB_LITERAL) {
		step->kind = TREE_LITERAL;
		take_run(path, step);
		return true;
	}
	if (token.kind == GLOB_CLASS) {
		step->kind = TREE_CLASS;
		for (int w = 0; w < 4; w++)
			step->set[w] = token.set[w];
		skip(path, len);
		return true;
	}
	if (len > 0)
		take_wild_run(path);
	if (path->any > 0) {
		step->kind = TREE_ANY;
		path->any--;
	} else {
		step->kind = TREE_STAR;
		path->star = false;
	}
	return true;
}
