/* The checked longjmp takes a jump to another stack for an error. */
#undef _FORTIFY_SOURCE

#include "config.h"

#include "base/fiber.h"

#include <assert.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/alloc.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
#define WITH_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define WITH_TSAN 1
#endif

/*
 * The first switch is made by makecontext and swapcontext, which set up the stack. Each later one
 * is a pair of _setjmp and _longjmp: swapcontext would save the signal mask, by a system call.
 */
struct fiber {
	enum fiber_state state;
	void (*function)(void *arg);
	void *arg;
	char *mapping; /* the guard page, then the stack */
	size_t mapping_bytes;
	size_t stack_bytes;
	jmp_buf inside;  /* where the fiber goes on */
	jmp_buf outside; /* where its caller goes on */
	ucontext_t start_of_fiber, caller;
	bool has_started;
#ifdef WITH_ASAN
	void *fake_stack; /* of the caller */
	const void *caller_stack;
	size_t caller_stack_bytes;
#endif
#ifdef WITH_TSAN
	void *tsan_fiber, *tsan_caller;
#endif
};

/* The sanitizers have to know on which stack the program is. */
static void
announce_entry(struct fiber *f)
{
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(
	    &f->fake_stack, f->mapping + f->mapping_bytes - f->stack_bytes, f->stack_bytes);
#endif
#ifdef WITH_TSAN
	f->tsan_caller = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->tsan_fiber, 0);
#endif
	(void)f;
}

static void
note_entered(struct fiber *f, void *fake_stack)
{
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(fake_stack, &f->caller_stack, &f->caller_stack_bytes);
#endif
	(void)f;
	(void)fake_stack;
}

static void
announce_exit(struct fiber *f, void **fake_stack)
{
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(fake_stack, f->caller_stack, f->caller_stack_bytes);
#endif
#ifdef WITH_TSAN
	__tsan_switch_to_fiber(f->tsan_caller, 0);
#endif
	(void)f;
	(void)fake_stack;
}

static void
note_left(struct fiber *f)
{
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(f->fake_stack, NULL, NULL);
#endif
	(void)f;
}

/* From the fiber to its caller; returns when it is entered again. */
static void
leave(struct fiber *f)
{
	void *fake_stack = NULL;

	announce_exit(f, &fake_stack);
	if (_setjmp(f->inside) == 0)
		_longjmp(f->outside, 1);
	note_entered(f, fake_stack);
}

/* The bottom of the fiber's stack; makecontext passes only ints. */
static void
serve(unsigned high, unsigned low)
{
	struct fiber *f = (struct fiber *)(uintptr_t)(((uint64_t)high << 32) | low);

	note_entered(f, NULL);
	for (;;) {
		f->function(f->arg);
		f->state = FIBER_IDLE;
		leave(f);
	}
}

static void
start(struct fiber *f)
{
	uint64_t self = (uint64_t)(uintptr_t)f;

	f->has_started = true;
	(void)getcontext(&f->start_of_fiber);
	f->start_of_fiber.uc_stack.ss_sp = f->mapping + f->mapping_bytes - f->stack_bytes;
	f->start_of_fiber.uc_stack.ss_size = f->stack_bytes;
	f->start_of_fiber.uc_link = NULL;
	makecontext(
	    &f->start_of_fiber, (void (*)(void))serve, 2, (unsigned)(self >> 32), (unsigned)self);
	(void)swapcontext(&f->caller, &f->start_of_fiber);
}

static bool
enter(struct fiber *f)
{
	f->state = FIBER_RUNNING;
	announce_entry(f);
	if (_setjmp(f->outside) == 0) {
		if (f->has_started)
			_longjmp(f->inside, 1);
		start(f);
	}
	note_left(f);
	return f->state == FIBER_IDLE;
}

struct fiber *
fiber_new(size_t stack_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t rounded = (stack_bytes + page - 1) / page * page;
	struct fiber *f;
	char *mapping = mmap(NULL, rounded + page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (mapping == MAP_FAILED)
		return NULL;
	if (mprotect(mapping, page, PROT_NONE) != 0) {
		munmap(mapping, rounded + page);
		return NULL;
	}
	f = xcalloc(1, sizeof(*f));
	f->mapping = mapping;
	f->mapping_bytes = rounded + page;
	f->stack_bytes = rounded;
#ifdef WITH_TSAN
	f->tsan_fiber = __tsan_create_fiber(0);
#endif
	return f;
}

void
fiber_free(struct fiber *f)
{
	if (f == NULL)
		return;
	assert(f->state == FIBER_IDLE);
#ifdef WITH_TSAN
	__tsan_destroy_fiber(f->tsan_fiber);
#endif
	munmap(f->mapping, f->mapping_bytes);
	xfree(f);
}

enum fiber_state
fiber_state(const struct fiber *f)
{
	return f->state;
}

bool
fiber_run(struct fiber *f, void (*function)(void *arg), void *arg)
{
	assert(f->state == FIBER_IDLE);
	f->function = function;
	f->arg = arg;
	return enter(f);
}

bool
fiber_resume(struct fiber *f)
{
	assert(f->state == FIBER_SUSPENDED);
	return enter(f);
}

void
fiber_suspend(struct fiber *f)
{
	assert(f->state == FIBER_RUNNING);
	f->state = FIBER_SUSPENDED;
	leave(f);
}
