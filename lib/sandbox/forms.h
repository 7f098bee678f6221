/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that take flags, in the exact forms in which the processes make them: rows of a policy. A form
 * is a list of values, no mask, so that what passes can be counted and held against a list
 * (tests/unit/test_surface.c does). What a kernel learns to do for another flag stays out of reach.
 *
 * Some are the C library's own choice: they are of glibc 2.36, whose threads wait with the forms of
 * SB_FUTEX and whose malloc maps with SB_MMAP_HEAP.
 */
#ifndef BULKHEAD_SANDBOX_FORMS_H
#define BULKHEAD_SANDBOX_FORMS_H

#include "lib/sandbox/sandbox.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

/* One form: SB_FORM(accept4, SB_IS(1, 0), SB_IS(3, SOCK_CLOEXEC)). */
#define SB_FORM(name, ...)                                 \
	{                                                  \
		.nr = __NR_##name, .args = { __VA_ARGS__ } \
	}
#define SB_IS(i, v)                          \
	{                                    \
		SB_EQ, (i), (uint64_t)(v), 0 \
	}

/* ---- waiting ---- */

#define SB_EPOLL_CTL                                                                              \
	SB_FORM(epoll_ctl, SB_IS(1, EPOLL_CTL_MOD)), SB_FORM(epoll_ctl, SB_IS(1, EPOLL_CTL_ADD)), \
		SB_FORM(epoll_ctl, SB_IS(1, EPOLL_CTL_DEL))
/* without a signal mask */
#define SB_PPOLL SB_FORM(ppoll, SB_IS(3, 0))
/* private to the process: mutexes, and untimed waits for a condition, which glibc writes like that;
 * these have all bits of their last argument */
#define SB_FUTEX                                                                           \
	SB_FORM(futex, SB_IS(1, FUTEX_WAIT_PRIVATE)),                                      \
		SB_FORM(futex, SB_IS(1, FUTEX_WAKE_PRIVATE)),                              \
		SB_FORM(futex, SB_IS(1, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME), \
			SB_IS(5, FUTEX_BITSET_MATCH_ANY))
#define SB_TIMERFD_SETTIME SB_FORM(timerfd_settime, SB_IS(1, 0), SB_IS(3, 0)) /* relative */
#define SB_TIMERFD_CREATE \
	SB_FORM(timerfd_create, SB_IS(0, CLOCK_MONOTONIC), SB_IS(1, TFD_CLOEXEC | TFD_NONBLOCK))
#define SB_TIMER_RELATIVE SB_FORM(timer_settime, SB_IS(1, 0), SB_IS(3, 0))
#define SB_TIMER_ABSOLUTE SB_FORM(timer_settime, SB_IS(1, TIMER_ABSTIME), SB_IS(3, 0))
#define SB_CLOCK_MONOTONIC SB_FORM(clock_gettime, SB_IS(0, CLOCK_MONOTONIC))
#define SB_CLOCK_REALTIME SB_FORM(clock_gettime, SB_IS(0, CLOCK_REALTIME))

/* ---- messages: above all no MSG_OOB, which had AF_UNIX use memory that it had freed ---- */

#define SB_SENDMSG                                \
	SB_FORM(sendmsg, SB_IS(2, MSG_NOSIGNAL)), \
		SB_FORM(sendmsg, SB_IS(2, MSG_NOSIGNAL | MSG_DONTWAIT))
#define SB_RECVMSG                                    \
	SB_FORM(recvmsg, SB_IS(2, MSG_CMSG_CLOEXEC)), \
		SB_FORM(recvmsg, SB_IS(2, MSG_CMSG_CLOEXEC | MSG_DONTWAIT))
/* one message, whose length the kernel writes beside it */
#define SB_SENDMMSG SB_FORM(sendmmsg, SB_IS(2, 1), SB_IS(3, MSG_DONTWAIT | MSG_NOSIGNAL))
#define SB_RECVMMSG \
	SB_FORM(recvmmsg, SB_IS(2, 1), SB_IS(3, MSG_CMSG_CLOEXEC | MSG_DONTWAIT), SB_IS(4, 0))
/* without an address */
#define SB_SEND SB_FORM(sendto, SB_IS(3, MSG_DONTWAIT | MSG_NOSIGNAL), SB_IS(4, 0))
#define SB_RECV SB_FORM(recvfrom, SB_IS(3, MSG_DONTWAIT), SB_IS(4, 0))
#define SB_RECV_PEEK SB_FORM(recvfrom, SB_IS(3, MSG_DONTWAIT | MSG_PEEK), SB_IS(4, 0))

/* ---- descriptors ---- */

/* of one that came in a message: it does not block, and has no other flag, whatever it had */
#define SB_SET_NONBLOCK SB_FORM(fcntl, SB_IS(1, F_SETFL), SB_IS(2, O_NONBLOCK))
#define SB_GET_SEALS SB_FORM(fcntl, SB_IS(1, F_GET_SEALS), SB_IS(2, 0))
#define SB_EVENTFD SB_FORM(eventfd2, SB_IS(0, 0), SB_IS(1, EFD_CLOEXEC | EFD_NONBLOCK))

/* ---- less than before ---- */

/* a further filter, for the calling thread */
#define SB_NARROW SB_FORM(seccomp, SB_IS(0, SECCOMP_SET_MODE_FILTER), SB_IS(1, 0))

/* ---- memory: no code, no huge pages of the host's pool, nothing locked; the kernel chooses where ---- */

#define SB_MMAP_HEAP                                                 \
	SB_FORM(mmap, SB_IS(0, 0), SB_IS(2, PROT_READ | PROT_WRITE), \
		SB_IS(3, MAP_PRIVATE | MAP_ANONYMOUS))
/* a file's own pages */
#define SB_MMAP_FILE \
	SB_FORM(mmap, SB_IS(0, 0), SB_IS(2, PROT_READ | PROT_WRITE), SB_IS(3, MAP_SHARED))
#define SB_MMAP_FILE_READ SB_FORM(mmap, SB_IS(0, 0), SB_IS(2, PROT_READ), SB_IS(3, MAP_SHARED))

#endif
