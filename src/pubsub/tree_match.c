#include "config.h"

#include "pubsub/tree_match.h"

#include <string.h>

#include "pubsub/tree_spellings.h"

/*
 * The walk of one name through the tree.
 *
 * A state is (node, at): the edges from the root to the node matched the bytes before `at`. States
 * still to be followed are on a stack. A star node S that is entered at `at` is put there, too: (S,
 * q) tries the children of S behind bytes q, q + 1, ... of the name, after the star has matched the
 * bytes before.
 *
 * Each star node is entered once in a walk, at the lowest possible position. That is enough,
 * because (S, q) tries all positions from q on. It also means that each state is entered once,
 * because the number of bytes between a node and the last star above it is fixed.
 *
 * The first time is the lowest: by induction over the number of stars above S. With none, there is
 * only one way to S. Else let T be the last star above it; S is entered d bytes behind each
 * position q that T tries and from where the way matches. T itself was entered once and tries its
 * positions in ascending order, because (T, q + 1) is put on the stack before the children at q:
 * the nodes that these lead to, S included, are handled before (T, q + 1) is taken from the stack.
 *
 * So no node is on the stack twice, and the stack is never larger than the tree.
 */
struct tree_state {
	struct tree_node *node;
	size_t at;
};

struct walk {
	struct channel_tree *tree;
	struct slice name;
	struct topic *channel; /* the channel of that name, if it was found */
	size_t matched;        /* patterns, in tree->matched[1] and so on */
	size_t depth;          /* of the stack */
	uint64_t stamp;        /* set in the star nodes that this walk has entered */
	uint64_t steps;
};

/*
 * A stamp is twice the number of the walk that entered the star node last, plus CLOSED if the
 * node's only child leads to a star node that was entered in that walk as well. 63 bits do not
 * overflow.
 */
enum { CLOSED = 1 };

enum { FIRST_ROOM = 16 };

static void
grow(struct tree_memory *memory, void **items, size_t *room, size_t item_len)
{
	size_t more = *room == 0 ? FIRST_ROOM : *room * 2;

	*items = tree_resize(memory, *items, *room * item_len, more * item_len);
	*room = more;
}

static void
push(struct walk *w, struct tree_node *node, size_t at)
{
	struct channel_tree *tree = w->tree;

	if (w->depth == tree->stack_room) {
		void *stack = tree->stack;

		grow(&tree->memory, &stack, &tree->stack_room, sizeof(*tree->stack));
		tree->stack = stack;
	}
	tree->stack[w->depth++] = (struct tree_state){node, at};
}

static void
collect(struct walk *w, const struct tree_node *node)
{
	struct channel_tree *tree = w->tree;
	size_t count;
	struct topic *const *patterns = tree_patterns(node, &count);

	if (count == 0)
		return;
	while (tree->matched_room < 1 + w->matched + count) {
		void *matched = tree->matched;

		grow(&tree->memory, &matched, &tree->matched_room, sizeof(*tree->matched));
		tree->matched = matched;
	}
	memcpy(tree->matched + 1 + w->matched, patterns, count * sizeof(struct topic *));
	w->matched += count;
}

/*
 * Called when star node `star` was entered. If the star above it leads to no other node, that one
 * need not try further positions: it could only enter `star` again. So matching `*a*a*a*b` costs as
 * much as matching its last star alone, not four times as much.
 */
static void
close_star_above(struct tree_node *star)
{
	struct tree_node *up = star->parent;

	while (up->kind != TREE_STAR) {
		if (up->parent == NULL || tree_has_topic(up) || tree_ways(up) > 1)
			return;
		up = up->parent;
	}
	if (tree_ways(up) == 1)
		up->prefix.stamp |= CLOSED;
}

static void
enter_star(struct walk *w, struct tree_node *star, size_t at)
{
	w->steps++;
	if (star->prefix.stamp >= w->stamp)
		return;
	star->prefix.stamp = w->stamp;
	close_star_above(star);
	collect(w, star);
	if (at < w->name.len && tree_ways(star) > 0)
		push(w, star, at);
}

static void
push_classes(struct walk *w, struct tree_classes *classes, unsigned char c, size_t at)
{
	for (uint32_t b = 0; b < classes->block_count; b++) {
		struct tree_block *block = classes->blocks[b];
		uint32_t words = block->room / 64;

		w->steps++;
		if (block->rows == NULL) {
			for (uint32_t i = 0; i < classes->count; i++)
				if (tree_set_has(block->classes[i].set, c))
					push(w, block->classes[i].node, at);
			continue;
		}
		for (uint32_t i = 0; i < words; i++)
			for (uint64_t bits = block->rows[c * words + i]; bits != 0;
			     bits &= bits - 1)
				push(w,
				    block->classes[i * 64 + (uint32_t)__builtin_ctzll(bits)].node,
				    at);
	}
}

/* The node behind byte at - 1 over a literal edge; if it is a channel that matches, records it. */
static struct tree_node *
follow(struct walk *w, struct tree_edge *edge, size_t at)
{
	if (edge == NULL)
		return NULL;
	if (!tree_edge_is_topic(*edge))
		return tree_edge_node(*edge);
	struct topic *topic = tree_edge_topic(*edge);

	if (topic->name_len == w->name.len &&
	    memcmp(topic->name + at, w->name.ptr + at, w->name.len - at) == 0)
		w->channel = topic;
	return NULL;
}

/* Follows the edges of a node that is not a star: one child is returned, the others are put on the
 * stack. */
static struct tree_node *
leave(struct walk *w, const struct tree_node *node, size_t at)
{
	unsigned char c = (unsigned char)w->name.ptr[at];

	if (node->wild != NULL) {
		if (node->wild->star != NULL)
			enter_star(w, node->wild->star, at);
		if (node->wild->any != NULL)
			push(w, node->wild->any, at + 1);
		if (node->wild->classes != NULL)
			push_classes(w, node->wild->classes, c, at + 1);
	}
	return follow(w, tree_child(node->children, c), at + 1);
}

/* Lets the star match bytes, from *at on, until it has a child over the next one, and then does as
 * leave(). */
static struct tree_node *
leave_star(struct walk *w, struct tree_node *star, size_t *at)
{
	struct tree_classes *classes = star->wild != NULL ? star->wild->classes : NULL;
	const char *name = w->name.ptr;
	struct tree_edge *edge = NULL;
	size_t q = *at;

	if ((star->prefix.stamp & CLOSED) != 0)
		return NULL;
	if (classes == NULL && star->children->count == 1) {
		const char *found =
		    memchr(name + q, tree_child_keys(star->children)[0], w->name.len - q);

		if (found == NULL)
			return NULL;
		q = (size_t)(found - name);
		edge = star->children->edges;
	} else {
		while ((edge = tree_child(star->children, (unsigned char)name[q])) == NULL &&
		       classes == NULL) {
			w->steps++;
			if (++q == w->name.len)
				return NULL;
		}
	}
	*at = q + 1;
	if (*at < w->name.len)
		push(w, star, *at);
	if (classes != NULL)
		push_classes(w, classes, (unsigned char)name[q], *at);
	return follow(w, edge, *at);
}

static void
arrive(struct walk *w, const struct tree_node *node)
{
	if (node->channel != NULL)
		w->channel = node->channel;
	collect(w, node);
	/* As in Redis, an empty name is not matched by `*`. */
	if (node->wild != NULL && node->wild->star != NULL && w->name.len > 0)
		enter_star(w, node->wild->star, w->name.len);
}

static void
walk(struct walk *w)
{
	struct tree_node *node = &w->tree->root;
	size_t at = 0;

	for (;;) {
		w->steps++;
		if (node->kind == TREE_STAR) {
			node = leave_star(w, node, &at);
		} else if (!tree_pass_prefix(node, w->name, &at)) {
			node = NULL;
		} else if (at == w->name.len) {
			arrive(w, node);
			node = NULL;
		} else {
			node = leave(w, node, at);
			at++;
		}
		if (node != NULL)
			continue;
		if (w->depth == 0)
			return;
		struct tree_state *state = &w->tree->stack[--w->depth];

		node = state->node;
		at = state->at;
	}
}

struct topic **
channel_tree_match(struct channel_tree *tree, struct slice channel, size_t *count)
{
	struct walk w = {.tree = tree, .name = channel, .stamp = 2 * ++tree->walk};

	walk(&w);
	tree->steps += w.steps;
	*count = w.matched + (w.channel != NULL);
	if (w.channel == NULL)
		return w.matched > 0 ? tree->matched + 1 : NULL;
	if (tree->matched == NULL) {
		void *matched = NULL;

		grow(&tree->memory, &matched, &tree->matched_room, sizeof(*tree->matched));
		tree->matched = matched;
	}
	tree->matched[0] = w.channel;
	return tree->matched;
}

void
tree_match_release(struct channel_tree *tree)
{
	tree_release(&tree->memory, tree->matched, tree->matched_room * sizeof(*tree->matched));
	tree_release(&tree->memory, tree->stack, tree->stack_room * sizeof(*tree->stack));
	tree->matched = NULL;
	tree->stack = NULL;
	tree->matched_room = tree->stack_room = 0;
}

void
tree_match_shrink(struct channel_tree *tree)
{
	size_t topics = tree->root.channels + tree->patterns;

	if (topics == 0 || tree->matched_room / 8 > topics + FIRST_ROOM ||
	    tree->stack_room / 8 > tree->nodes + FIRST_ROOM)
		tree_match_release(tree);
}
