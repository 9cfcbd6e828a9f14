#ifndef WASM_INCLUDE_SYS_QUEUE_H
#define WASM_INCLUDE_SYS_QUEUE_H

#include <stddef.h>

/*
 * Lists and tail queues with the names and the meaning of queue(3), as far as the core uses them,
 * for wasi-libc, which has no <sys/queue.h>. A LIST's elements know the pointer that points to
 * them, so they are removed in constant time without the head; a TAILQ also knows its last element.
 */

#define LIST_HEAD(name, type)                                                                      \
	struct name {                                                                              \
		struct type *lh_first;                                                             \
	}
#define LIST_ENTRY(type)                                                                           \
	struct {                                                                                   \
		struct type *le_next;                                                              \
		struct type **le_prev; /* what points to this element */                           \
	}

#define LIST_FIRST(head) ((head)->lh_first)
#define LIST_NEXT(elm, field) ((elm)->field.le_next)
#define LIST_EMPTY(head) (LIST_FIRST(head) == NULL)
#define LIST_FOREACH(var, head, field)                                                             \
	for ((var) = LIST_FIRST(head); (var) != NULL; (var) = LIST_NEXT(var, field))

#define LIST_INIT(head)                                                                            \
	do {                                                                                       \
		(head)->lh_first = NULL;                                                           \
	} while (0)

#define LIST_INSERT_HEAD(head, elm, field)                                                         \
	do {                                                                                       \
		(elm)->field.le_next = (head)->lh_first;                                           \
		if ((head)->lh_first != NULL)                                                      \
			(head)->lh_first->field.le_prev = &(elm)->field.le_next;                   \
		(head)->lh_first = (elm);                                                          \
		(elm)->field.le_prev = &(head)->lh_first;                                          \
	} while (0)

#define LIST_REMOVE(elm, field)                                                                    \
	do {                                                                                       \
		if ((elm)->field.le_next != NULL)                                                  \
			(elm)->field.le_next->field.le_prev = (elm)->field.le_prev;                \
		*(elm)->field.le_prev = (elm)->field.le_next;                                      \
	} while (0)

/* TAILQ_LAST and TAILQ_PREV read an entry as a head, so the two have the same layout. */
#define TAILQ_HEAD(name, type)                                                                     \
	struct name {                                                                              \
		struct type *tqh_first;                                                            \
		struct type **tqh_last; /* the last element's next */                              \
	}
#define TAILQ_ENTRY(type)                                                                          \
	struct {                                                                                   \
		struct type *tqe_next;                                                             \
		struct type **tqe_prev; /* what points to this element */                          \
	}

#define TAILQ_FIRST(head) ((head)->tqh_first)
#define TAILQ_NEXT(elm, field) ((elm)->field.tqe_next)
#define TAILQ_EMPTY(head) (TAILQ_FIRST(head) == NULL)
#define TAILQ_LAST(head, headname) (*(((struct headname *)((head)->tqh_last))->tqh_last))
#define TAILQ_PREV(elm, headname, field) (*(((struct headname *)((elm)->field.tqe_prev))->tqh_last))
#define TAILQ_FOREACH(var, head, field)                                                            \
	for ((var) = TAILQ_FIRST(head); (var) != NULL; (var) = TAILQ_NEXT(var, field))

#define TAILQ_INIT(head)                                                                           \
	do {                                                                                       \
		(head)->tqh_first = NULL;                                                          \
		(head)->tqh_last = &(head)->tqh_first;                                             \
	} while (0)

#define TAILQ_INSERT_HEAD(head, elm, field)                                                        \
	do {                                                                                       \
		(elm)->field.tqe_next = (head)->tqh_first;                                         \
		if ((head)->tqh_first != NULL)                                                     \
			(head)->tqh_first->field.tqe_prev = &(elm)->field.tqe_next;                \
		else                                                                               \
			(head)->tqh_last = &(elm)->field.tqe_next;                                 \
		(head)->tqh_first = (elm);                                                         \
		(elm)->field.tqe_prev = &(head)->tqh_first;                                        \
	} while (0)

#define TAILQ_INSERT_TAIL(head, elm, field)                                                        \
	do {                                                                                       \
		(elm)->field.tqe_next = NULL;                                                      \
		(elm)->field.tqe_prev = (head)->tqh_last;                                          \
		*(head)->tqh_last = (elm);                                                         \
		(head)->tqh_last = &(elm)->field.tqe_next;                                         \
	} while (0)

#define TAILQ_INSERT_AFTER(head, at, elm, field)                                                   \
	do {                                                                                       \
		(elm)->field.tqe_next = (at)->field.tqe_next;                                      \
		if ((elm)->field.tqe_next != NULL)                                                 \
			(elm)->field.tqe_next->field.tqe_prev = &(elm)->field.tqe_next;            \
		else                                                                               \
			(head)->tqh_last = &(elm)->field.tqe_next;                                 \
		(at)->field.tqe_next = (elm);                                                      \
		(elm)->field.tqe_prev = &(at)->field.tqe_next;                                     \
	} while (0)

#define TAILQ_INSERT_BEFORE(at, elm, field)                                                        \
	do {                                                                                       \
		(elm)->field.tqe_prev = (at)->field.tqe_prev;                                      \
		(elm)->field.tqe_next = (at);                                                      \
		*(at)->field.tqe_prev = (elm);                                                     \
		(at)->field.tqe_prev = &(elm)->field.tqe_next;                                     \
	} while (0)

#define TAILQ_REMOVE(head, elm, field)                                                             \
	do {                                                                                       \
		if ((elm)->field.tqe_next != NULL)                                                 \
			(elm)->field.tqe_next->field.tqe_prev = (elm)->field.tqe_prev;             \
		else                                                                               \
			(head)->tqh_last = (elm)->field.tqe_prev;                                  \
		*(elm)->field.tqe_prev = (elm)->field.tqe_next;                                    \
	} while (0)

#endif
