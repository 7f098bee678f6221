/* SPDX-License-Identifier: Apache-2.0 */
/* Restricted rings; see uring.h. */
#include "lib/image/uring.h"

#include <errno.h>

/* Threads that the kernel may start for work that would block; unbounded work does not occur. */
#define WORKERS_BOUNDED 8U
#define WORKERS_UNBOUNDED 1U

static int ring_init(struct io_uring *ring, unsigned int entries)
{
	int r = io_uring_queue_init(entries, ring,
				    IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN |
					    IORING_SETUP_SINGLE_ISSUER);

	/* older than Linux 6.0 */
	if (r == -EINVAL)
		r = io_uring_queue_init(entries, ring, IORING_SETUP_R_DISABLED);
	return r;
}

static int restrict_ops(struct io_uring *ring, const uint8_t *ops, size_t n_ops)
{
	struct io_uring_restriction res[URING_MAX_OPS + 1] = { 0 };

	if (n_ops > URING_MAX_OPS)
		return -EINVAL;
	for (size_t i = 0; i < n_ops; i++) {
		res[i].opcode = IORING_RESTRICTION_SQE_OP;
		res[i].sqe_op = ops[i];
	}
	res[n_ops].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	res[n_ops].sqe_flags = IOSQE_FIXED_FILE;
	return io_uring_register_restrictions(ring, res, (unsigned int)n_ops + 1);
}

int uring_open(struct io_uring *ring, unsigned int entries, const int *fds, unsigned int n_fds,
	       const uint8_t *ops, size_t n_ops)
{
	unsigned int workers[2] = { WORKERS_BOUNDED, WORKERS_UNBOUNDED };
	int r = ring_init(ring, entries);

	if (r < 0)
		return r;
	/* before the restrictions: they forbid every later registration */
	(void)io_uring_register_iowq_max_workers(ring, workers); /* a bound, from Linux 5.15 on */
	r = io_uring_register_files(ring, fds, n_fds);
	if (r == 0)
		r = restrict_ops(ring, ops, n_ops);
	if (r == 0)
		r = io_uring_enable_rings(ring);
	if (r < 0)
		io_uring_queue_exit(ring);
	return r < 0 ? r : 0;
}
