/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that share: atomics of every width, locks, conditions, barriers; results do not depend on
 * who comes first. */
#include "next.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4

static int rounds;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static _Atomic uint8_t c8;
static _Atomic uint16_t c16;
static _Atomic uint32_t c32;
static _Atomic uint64_t c64, bits;
static _Alignas(16) unsigned __int128 wide;
static _Alignas(64) unsigned char lines[128];
static uint64_t under_mutex, under_rwlock;
static int turn;
static __thread uint64_t own;

static void add_wide(uint64_t n)
{
	unsigned __int128 seen = wide, want;

	do
		want = seen + ((unsigned __int128)n << 60);
	while (!({
		uint64_t lo = (uint64_t)seen, hi = (uint64_t)(seen >> 64);
		unsigned char done;

		asm volatile("lock cmpxchg16b %1; setz %0"
			     : "=q"(done), "+m"(wide), "+a"(lo), "+d"(hi)
			     : "b"((uint64_t)want), "c"((uint64_t)(want >> 64))
			     : "memory", "cc");
		seen = (unsigned __int128)hi << 64 | lo;
		done;
	}));
}

/* A locked addition to a number that lies across two cache lines. */
static void add_split(uint32_t n)
{
	asm volatile("lock addl %1, %0"
		     : "+m"(*(uint32_t *)(lines + 62))
		     : "r"(n)
		     : "memory", "cc");
}

static void one_round(uint64_t me, uint64_t n)
{
	atomic_fetch_add(&c8, (uint8_t)n);
	atomic_fetch_sub(&c16, (uint16_t)(n * 3));
	atomic_fetch_add(&c32, (uint32_t)(n * me));
	atomic_fetch_add(&c64, n * n);
	atomic_fetch_xor(&bits, 1ULL << (n % 64));
	add_wide(n);
	add_split((uint32_t)n);
	own += n * me;
	pthread_mutex_lock(&mutex);
	under_mutex += n ^ me;
	pthread_mutex_unlock(&mutex);
	if (n % 8) {
		pthread_rwlock_rdlock(&rwlock);
	} else {
		pthread_rwlock_wrlock(&rwlock);
		under_rwlock += n;
	}
	pthread_rwlock_unlock(&rwlock);
}

/* Each waits for its turn: THREADS switches a round. */
static void in_turn(int me)
{
	pthread_mutex_lock(&mutex);
	while (turn % THREADS != me)
		pthread_cond_wait(&changed, &mutex);
	under_mutex = under_mutex * 31 + (uint64_t)me;
	turn++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

static void *worker(void *arg)
{
	uint64_t me = (uintptr_t)arg;

	for (int i = 0; i < rounds; i++) {
		one_round(me + 1, (uint64_t)i);
		if (i % 64 == 0)
			pthread_barrier_wait(&barrier);
		if (i % 32 == 0)
			in_turn((int)me);
	}
	return (void *)(uintptr_t)own;
}

/* Store buffering, message passing: what x86 forbids is never seen. */
static _Atomic int flag_a, data;
static int bad;

static void *litmus(void *arg)
{
	int me = arg != NULL;

	for (int i = 1; i < rounds * 4; i++) {
		if (me) {
			atomic_store_explicit(&data, i, memory_order_relaxed);
			atomic_store_explicit(&flag_a, i, memory_order_release);
		} else {
			int a = atomic_load_explicit(&flag_a, memory_order_acquire);

			bad += atomic_load_explicit(&data, memory_order_relaxed) < a;
		}
		if (i % 512 == 0)
			sched_yield();
	}
	return NULL;
}

static void messages(void)
{
	pthread_t t[2];

	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, litmus, (void *)i);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	printf("reordered %d\n", bad);
}

/* The same among processes that share a page. */
static void processes(void)
{
	_Atomic uint64_t *shared =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	for (int p = 0; p < THREADS; p++)
		if (fork() == 0) {
			for (int i = 0; i < rounds; i++)
				atomic_fetch_add(&shared[i % 3], (uint64_t)i * (uint64_t)(p + 1));
			_exit(0);
		}
	for (int p = 0; p < THREADS; p++)
		wait(NULL);
	printf("processes %llx %llx %llx\n", (unsigned long long)shared[0],
	       (unsigned long long)shared[1], (unsigned long long)shared[2]);
}

int main(void)
{
	pthread_t t[THREADS];

	rounds = 1000 * scale();
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, worker, (void *)i);
	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(t[i], &result);
		SUM((uint64_t)(uintptr_t)result);
	}
	sum_show("own");
	printf("%x %x %x %llx %llx %016llx%016llx %llx %d\n", c8, c16, c32, (unsigned long long)c64,
	       (unsigned long long)bits, (unsigned long long)(wide >> 64), (unsigned long long)wide,
	       (unsigned long long)under_rwlock, turn);
	sum(lines, sizeof(lines));
	sum_show("split");
	messages();
	processes();
	return 0;
}
