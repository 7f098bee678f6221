/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process that has a disk's files is declared to be, as far as they go: rows and policies for its
 * policy.c. Its files have the same numbers in each.
 */
#ifndef BULKHEAD_DISKKIT_POLICY_H
#define BULKHEAD_DISKKIT_POLICY_H

#include "lib/declared/blocks.h"
#include "lib/diskkit/options.h"

enum {
	DISK_FD_IMAGE = 5,
	DISK_FD_BACKING,
	DISK_FD_DATA = DISK_FD_BACKING + DISK_BACKING_MAX,
	DISK_FD_SECRETS, /* a shared key, the trusted certificates, the own one, its key, and those of CHAP: of a server's client */
	DISK_FD_BOUND = DISK_FD_SECRETS + 6, /* how far the image may grow */
	DISK_FD_REDO,			     /* entries that are settled and not in the image yet */
};

struct disk_note {
	uint64_t bound; /* bytes that a file may have by this process, and the disk's: what its first process found */
	uint64_t size;
};

#define DISK_BOUND_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

#define DISK_POOL_THREADS 4U
#define DISK_REDO_BYTES (UINT64_C(1) << 20)

/* of the threads that do everything, where there is no io_uring */
extern const struct sandbox_policy disk_pool_policy;
/* of the thread that punches holes */
extern const struct sandbox_policy disk_puncher_policy;
/* of the thread that has a format's metadata, while it opens the image and afterwards */
extern const struct sandbox_policy disk_opening_policy, disk_volume_policy;

/* clang-format off */
/* of the main thread: a ring that is closed to all but reads, writes and syncs of the files */
#define DISK_RING_CALLS                                                        \
	SB_FORM(io_uring_enter, SB_IS(3, 0), SB_IS(4, 0)),                      \
	SB_FORM(io_uring_enter, SB_IS(3, IORING_ENTER_GETEVENTS), SB_IS(4, 0))

#define DISK_POOL { .name = "pool", .policy = &disk_pool_policy, .n = DISK_POOL_THREADS, .no_ring = true }
#define DISK_THREADS                                                                  \
	DISK_POOL,                                                                    \
	{ .name = "puncher", .policy = &disk_puncher_policy },                        \
	{ .name = "volume", .policy = &disk_volume_policy, .at_first = &disk_opening_policy }

#define DISK_BACKING_FD(i) { DISK_FD_BACKING + (i), FD_FILE, true, "backing file" }
/* beside the image */
#define DISK_MORE_FDS                                                                 \
	DISK_BACKING_FD(0), DISK_BACKING_FD(1), DISK_BACKING_FD(2), DISK_BACKING_FD(3), \
	DISK_BACKING_FD(4), DISK_BACKING_FD(5), DISK_BACKING_FD(6),                    \
	{ DISK_FD_DATA, FD_FILE, true, "data file" },                                 \
	{ DISK_FD_BOUND, FD_FILE, true, "how far the image may grow" },                \
	{ DISK_FD_REDO, FD_FILE, true, "the image's redo log" }

#define DISK_RING_HELD { "anon_inode:[io_uring]", 1, "ring, restricted to the image" }
#define DISK_RING_MAP { "anon_inode:[io_uring]", true, "the ring's queues" }

#define DISK_REDO_NAME "image-redo"
#define DISK_REDO_MAP { "/memfd:" DISK_REDO_NAME, true, "the image's redo log" }

/* How far its file grows, by what its first process found. */
#define DISK_BOUND(wanted_)                                                                     \
	{ .fd = DISK_FD_BOUND, .name = "image-bound", .size = sizeof(struct disk_note), .once = true, \
	  .of_file = true, .size_at = offsetof(struct disk_note, size), .wanted = (wanted_) }
/* What a process that is killed had not written into its file. */
#define DISK_REDO(wanted_)                                                                      \
	{ .fd = DISK_FD_REDO, .name = DISK_REDO_NAME, .size = DISK_REDO_BYTES, .of_file = true,     \
	  .wanted = (wanted_) }

#define DISK_RING_TASKS 9U /* lib/image/uring.c: 8 and 1 */
#define DISK_PAGES (UINT64_C(8) << 20) /* of an image, which the kernel can take back */
/* What a process that serves an image to a guest takes beside what it is; its thread punches holes, or has the metadata. */
#define DISK_TAKES \
	.memory = DISK_PAGES + DISK_REDO_BYTES, .threads = 1, .tasks_each_node = DISK_RING_TASKS

/* Of such a process: its calls, and all that is declared of it, but for what its own bus makes. */
#define DISK_DEVICE_CALLS                                                                       \
	BLOCK_LOOP_CALLS, BLOCK_CHANNEL_CALLS, BLOCK_EVENTFD_CALLS, BLOCK_RECEIVED_FD_CALLS,        \
	BLOCK_GUEST_RAM_CALLS, DISK_RING_CALLS, BLOCK_END_CALLS
/* tasks: the kernel's own workers of the ring count. fsize is the image's, set by disk_confine. */
#define DISK_DEVICE_LIMITS \
	{ .nofile = 128, .nproc = 32, .as = SB_UNSET, .fsize = 0, .memlock = SB_UNSET }
#define DISK_DEVICE_FDS(vhost_user_)                                                            \
	BLOCK_CONTROL_FD, BLOCK_VHOST_USER_FD(vhost_user_),                                         \
	{ DISK_FD_IMAGE, FD_STORE, false,                                                           \
	  "image, or a channel to the storage process that has it" },                               \
	DISK_MORE_FDS
#define DISK_DEVICE_HELD                                                                        \
	BLOCK_LOOP_HELD, BLOCK_VHOST_USER_HELD, DISK_RING_HELD,                                     \
	BLOCK_EVENTFD_HELD("kicks and calls of the queues, holes to punch and punched")
#define DISK_DEVICE_MAPS \
	BLOCK_GUEST_RAM_MAPS, BLOCK_VHOST_USER_MAPS, DISK_RING_MAP, DISK_REDO_MAP
#define DISK_DEVICE_GAINS                                                                       \
	BLOCK_GUEST_RAM_GAIN,                                                                       \
	{ "one image, as the VM may use it", "through its disk", NULL },                            \
	DISK_METADATA_GAINS,                                                                        \
	{ "an io_uring", NULL,                                                                      \
	  "reads and writes without a call each; registered for the one image and restricted to "   \
	  "read, write and flush on it" },                                                          \
	BLOCK_EVENTFD_GAIN("the queues' eventfds"), BLOCK_VHOST_USER_GAIN("the vhost-user channel"), \
	{ "the channel to a storage process, in place of the image", NULL,                          \
	  "the requests that its guest could make, by the disk's rates, and hostile ones, which are read as such" }, \
	BLOCK_CONTROL_GAIN

#define DISK_METADATA_GAINS \
	{ "the image's metadata, where its format has any", NULL, \
	  "what it says is read in the filters alone; the file grows no further than its disk and " \
	  "metadata came to when the VM started, or its user made it larger" }, \
	{ "the image's redo log, which outlives the process", NULL, \
	  "the next process writes what it says into the image, as this one can, and no further than its file reaches" }, \
	{ "its backing files, to be read", "through its disk", NULL }, \
	{ "their metadata, and what they keep out of the disk's sight", NULL, \
	  "one that is shared by VMs has nothing of any of them: none may write it" }
/* clang-format on */
_Static_assert(DISK_BACKING_MAX == 7, "a row for each");

#endif
