/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that becomes larger, as the supervisor sees it: every order of what commands, the launcher, processes and the
 * clock can do, four steps deep from each state on, on a disk of one process and of two. After each step nobody has the file who must
 * not; and from wherever it has come the VM gets its disk back, whoever has gone or is silent.
 */
#include "tests/unit/unit.h"

#include "cmd/supervisor/plug.h"
#include "cmd/supervisor/vm.h"
#include "lib/sandbox/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SILENT_MS 15000
#define DEPTH 4
#define N_CLIENTS 2

enum { VMM, DISK, STORAGE, N_PARTS };

static struct vm vm;
static bool apart; /* the disk has a storage process */
static uint64_t clock_ms;
static unsigned int n_asked; /* questions that the launcher has not answered */
static bool launcher_deaf;
static bool finishing[N_PARTS];
static unsigned int n_lines;
static struct control_msg last[N_CLIENTS]; /* what each was told last */
static unsigned int n_told[N_CLIENTS];

/* ---- what resize.c calls ---- */

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	(void)id;
	*t = (struct timespec){ .tv_sec = (time_t)(clock_ms / 1000),
				.tv_nsec = (long)(clock_ms % 1000) * 1000000 };
	return 0;
}

int tell_peer(int sock, const struct control_msg *m, int fd)
{
	const size_t i = (size_t)sock - 10;

	assert_true(i < N_CLIENTS);
	assert_int_equal(fd, -1);
	last[i] = *m;
	n_told[i]++;
	return 0;
}

void tell(const struct vm *v, const char *who, enum log_level level, const char *text)
{
	(void)v;
	(void)who;
	(void)level;
	assert_true(strstr(text, "process 1") || strstr(text, "another program"));
	n_lines++;
}

int launcher_ask_beside(const struct launcher *l, const int *beside)
{
	(void)l;
	(void)beside;
	return launcher_deaf ? -EAGAIN : 0;
}

int launcher_ask(const struct launcher *l, const struct ask *a, int fd)
{
	(void)l;
	assert_int_equal(a->what, ASK_FIND);
	assert_int_equal(fd, 99);
	n_asked++;
	return 0;
}

bool restart_can(const struct part *p)
{
	return p->device && vm.state == VM_RUNNING && vm.launcher.sock >= 0;
}

void restart_now(struct part *p)
{
	assert_int_equal(p->state, PART_AWAY);
	p->state = PART_ASKED;
}

void restart_await_end(struct part *p)
{
	assert_true(finishing[p - vm.parts]);
}

void restart_remind(struct vm *v)
{
	assert_ptr_equal(v, &vm);
}

void part_finish(struct part *p)
{
	assert_int_equal(p->state, PART_READY);
	finishing[p - vm.parts] = true;
}

void part_lose(struct part *p, enum weight weight, const char *fmt, ...)
{
	(void)weight;
	(void)fmt;
	p->again.is_lost = true;
}

void part_kill(struct part *p)
{
	p->killed = true;
}

void pause_part(struct part *p)
{
	p->state = PART_AWAY;
	p->again.is_lost = false;
}

struct part *pair_device(const struct part *p)
{
	return apart && p == &vm.parts[STORAGE] ? &vm.parts[DISK] : (struct part *)(uintptr_t)p;
}

void plug_ended(struct part *p)
{
	(void)p;
	fail();
}

pid_t peer_pid(int sock)
{
	return 100 + sock;
}

/* ---- a VM ---- */

static const struct device_kind a_kind = { .word = "disk" };

static struct part *disk(void)
{
	return &vm.parts[DISK];
}

static struct part *holder(void)
{
	return &vm.parts[apart ? STORAGE : DISK];
}

static void make(void)
{
	static const struct vm_config config = { .cpus = 1 };

	vm = (struct vm){ .config = &config, .state = VM_RUNNING, .n_parts = N_PARTS };
	vm.launcher.sock = 3;
	for (size_t i = 0; i < N_PARTS; i++) {
		vm.parts[i] = (struct part){ .vm = &vm, .state = PART_READY };
		vm.parts[i].device = i == VMM || (i == STORAGE && !apart) ? NULL : &a_kind;
		vm.parts[i].plug.state = PLUG_FREE;
	}
	snprintf(holder()->format, sizeof(holder()->format), "raw");
	for (size_t i = 0; i < N_CLIENTS; i++)
		vm.clients[i] = (struct client){ .vm = &vm, .src.fd = 10 + (int)i };
	memset(finishing, 0, sizeof(finishing));
	memset(last, 0, sizeof(last));
	memset(n_told, 0, sizeof(n_told));
	n_asked = n_lines = 0;
	launcher_deaf = false;
	clock_ms = 1000;
}

/* ---- what can happen; each does nothing where it cannot ---- */

static bool asked[N_CLIENTS];

static void ask_by(size_t i)
{
	const struct resize before = vm.resize;

	if (asked[i])
		return;
	asked[i] = resize_ask(&vm, &vm.clients[i], 99) == NULL;
	assert_int_equal(asked[i], before.state == RESIZE_NONE && vm.launcher.sock >= 0);
	if (!asked[i])
		assert_memory_equal(&vm.resize, &before, sizeof(before));
}

static void first_asks(void)
{
	ask_by(0);
}

static void second_asks(void)
{
	ask_by(1);
}

static void answer_as(const struct answer *a)
{
	if (!n_asked)
		return;
	n_asked--;
	assert_int_equal(resize_on_found(&vm, a), vm.launcher.sock < 0 ? -EBADMSG : 0);
}

static void launcher_finds(void)
{
	answer_as(&(struct answer){
		.result = ANSWER_FOUND, .part = (uint8_t)(holder() - vm.parts), .text = "512" });
}

static void launcher_finds_none(void)
{
	answer_as(&(struct answer){ .result = ANSWER_UNFOUND });
}

static void launcher_goes(void)
{
	vm.launcher.sock = -1;
	n_asked = 0;
	resize_alone(&vm);
}

/* As part.c and restart.c have it. */
static void end(struct part *p, int status)
{
	if (!p->device || p->state != PART_READY)
		return;
	p->state = PART_GONE;
	finishing[p - vm.parts] = false;
	if (resize_ended(p, status))
		return;
	if (!restart_can(p)) {
		resize_lost(p, "it is gone");
		return;
	}
	p->state = PART_ASKED;
	p->again.is_lost = p->killed = false;
}

static void disk_ends(void)
{
	if (finishing[DISK])
		end(disk(), 0);
}

static void storage_ends(void)
{
	if (finishing[STORAGE])
		end(&vm.parts[STORAGE], 0);
}

static void disk_dies(void)
{
	end(disk(), 9);
}

static void storage_dies(void)
{
	end(&vm.parts[STORAGE], 9);
}

/* What was asked for is there, and the vmm has it. */
static void all_start(void)
{
	for (size_t i = 0; i < N_PARTS; i++)
		if (vm.parts[i].state == PART_ASKED) {
			vm.parts[i].state = PART_READY;
			vm.parts[i].again.waits = false;
		}
	if (disk()->state == PART_READY)
		resize_served(disk());
}

/* The launcher sees that somebody has the file open to change it, and is asked once more later. */
static void launcher_refuses(void)
{
	if (holder()->state == PART_ASKED)
		resize_hold(holder());
}

static void first_is_done(void)
{
	const bool open = vm.resize.state == RESIZE_OPEN && vm.resize.asker == &vm.clients[0];

	assert_int_equal(resize_done(&vm, &vm.clients[0], true) == NULL, open);
	if (open)
		assert_true(holder()->again.larger);
}

static void second_is_not(void)
{
	const bool open = vm.resize.state == RESIZE_OPEN && vm.resize.asker == &vm.clients[1];

	assert_int_equal(resize_done(&vm, &vm.clients[1], false) == NULL, open);
}

static void first_goes_on(void)
{
	resize_goes_on(&vm, &vm.clients[0]);
}

static void second_goes_on(void)
{
	resize_goes_on(&vm, &vm.clients[1]);
}

static void first_leaves(void)
{
	asked[0] = false;
	resize_leave(&vm, &vm.clients[0]);
}

static void time_passes(void)
{
	clock_ms += SILENT_MS * 2 / 3;
	resize_take_back(&vm);
}

static void (*const events[])(void) = {
	first_asks,    second_asks,   launcher_finds, launcher_finds_none, launcher_goes,
	disk_ends,     storage_ends,  disk_dies,      storage_dies,	   all_start,
	first_is_done, second_is_not, first_goes_on,  second_goes_on,	   launcher_refuses,
	first_leaves,  time_passes,
};

/* ---- what always holds ---- */

static void check(void)
{
	const bool open = vm.resize.state == RESIZE_OPEN;

	if (open) { /* nobody uses the file, and nobody was asked to */
		assert_int_equal(disk()->state, PART_AWAY);
		assert_int_equal(holder()->state, PART_AWAY);
		assert_true(resize_due(&vm) > clock_ms);
		assert_non_null(vm.resize.asker);
	} else {
		assert_int_equal(resize_due(&vm), 0);
	}
	if (vm.resize.state == RESIZE_NONE) { /* nobody waits for nobody */
		assert_int_not_equal(disk()->state, PART_AWAY);
		assert_int_not_equal(holder()->state, PART_AWAY);
	}
	for (size_t i = 0; i < N_CLIENTS; i++)
		if (vm.resize.asker != &vm.clients[i] &&
		    n_told[i]) /* who was asker has his last word */
			assert_true(last[i].type != CTL_RESIZING || !asked[i]);
}

/* Whoever was there is silent, and all others do what they do. */
static void settle(void)
{
	for (int i = 0; i < 4; i++) {
		launcher_finds();
		disk_ends();
		storage_ends();
		clock_ms += SILENT_MS;
		resize_take_back(&vm);
		all_start();
		check();
	}
	assert_int_equal(vm.resize.state, RESIZE_NONE);
	if (vm.launcher.sock >= 0) {
		assert_int_equal(disk()->state, PART_READY);
		assert_int_equal(holder()->state, PART_READY);
		asked[1] = false;
		second_asks();
		assert_true(asked[1]);
	}
}

/* From one state to the next. */
static void (*const way[])(void) = { first_asks,   launcher_finds, disk_ends,
				     storage_ends, first_is_done,  launcher_refuses };

static void play(size_t start, const unsigned int *order)
{
	make();
	memset(asked, 0, sizeof(asked));
	for (size_t i = 0; i < start; i++)
		way[i]();
	for (size_t i = 0; i < DEPTH; i++) {
		events[order[i]]();
		check();
	}
	settle();
}

static void play_all(size_t start)
{
	unsigned int order[DEPTH] = { 0 };
	size_t at = 0;

	while (at < DEPTH) {
		play(start, order);
		for (at = 0; at < DEPTH && ++order[at] == ARRAY_SIZE(events); at++)
			order[at] = 0;
	}
}

static void test_every_order(void **state)
{
	(void)state;
	for (size_t start = 0; start <= ARRAY_SIZE(way); start++)
		for (int i = 0; i < 2; i++) {
			apart = i;
			play_all(start);
		}
}

/* ---- by itself ---- */

static void open_for_first(void)
{
	make();
	memset(asked, 0, sizeof(asked));
	first_asks();
	launcher_finds();
	disk_ends();
	storage_ends();
	assert_int_equal(vm.resize.state, RESIZE_OPEN);
	assert_int_equal(last[0].type, CTL_RESIZING);
	assert_string_equal(last[0].text, "raw 512");
}

static void test_silence(void **state)
{
	(void)state;
	open_for_first();
	clock_ms += SILENT_MS - 1;
	resize_take_back(&vm);
	assert_int_equal(vm.resize.state, RESIZE_OPEN);
	clock_ms++;
	resize_take_back(&vm);
	assert_int_equal(vm.resize.state, RESIZE_BACK);
	assert_int_equal(last[0].type, CTL_REFUSED);
	assert_false(holder()->again.larger); /* what was noted of its bound stays */
	assert_int_equal(n_lines, 1);
	assert_non_null(resize_done(&vm, &vm.clients[0], true));
	all_start();
	assert_int_equal(vm.resize.state, RESIZE_NONE);
	assert_int_equal(n_told[0], 2);
}

static void test_progress(void **state)
{
	(void)state;
	open_for_first();
	for (int i = 0; i < 100; i++) {
		clock_ms += SILENT_MS - 1;
		resize_goes_on(&vm, &vm.clients[1]); /* another's does not count */
		resize_take_back(&vm);
		assert_int_equal(vm.resize.state, RESIZE_OPEN);
		resize_goes_on(&vm, &vm.clients[0]);
	}
	assert_int_equal(n_lines, 0);
	first_is_done();
	all_start();
	assert_int_equal(last[0].type, CTL_DONE);
}

/* He has the file open, and the line that another gets says who. */
static void test_who_holds_it(void **state)
{
	const char *why;

	(void)state;
	open_for_first();
	why = resize_ask(&vm, &vm.clients[1], 99);
	assert_non_null(strstr(
		why, "another command changes the size of a disk: try again once process 110"));
	clock_ms += SILENT_MS;
	resize_take_back(&vm);
	for (int i = 0; i < 3; i++)
		launcher_refuses();
	assert_int_equal(n_lines, 2); /* said once */
	why = resize_ask(&vm, &vm.clients[1], 99);
	assert_non_null(strstr(why, "process 110 was to change the size of a disk, and still has"));
	all_start();
	assert_null(resize_ask(&vm, &vm.clients[1], 99));
}

static void test_late_launcher(void **state)
{
	(void)state;
	make();
	memset(asked, 0, sizeof(asked));
	first_asks();
	clock_ms += 1000 * SILENT_MS;
	resize_take_back(&vm);
	assert_int_equal(vm.resize.state, RESIZE_SOUGHT); /* the disk is served meanwhile */
	first_leaves();
	launcher_finds(); /* for nobody */
	assert_int_equal(vm.resize.state, RESIZE_NONE);
	assert_int_equal(disk()->state, PART_READY);
	assert_false(finishing[DISK]);
	assert_int_equal(resize_on_found(&vm, &(struct answer){ .result = ANSWER_UNFOUND }),
			 -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_order),   cmocka_unit_test(test_silence),
		cmocka_unit_test(test_progress),      cmocka_unit_test(test_who_holds_it),
		cmocka_unit_test(test_late_launcher),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
