/* SPDX-License-Identifier: Apache-2.0 */
/* The files behind a guest's RAM and behind state, made before anything hostile runs. */
#ifndef BULKHEAD_SUPERVISOR_RAM_H
#define BULKHEAD_SUPERVISOR_RAM_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A shared-memory file of so many zero bytes, a multiple of 4096, without a name in any file system
 * that a process can reach. Returns its descriptor or a negative errno.
 *
 * huge: the file of a tmpfs of its own, to which the kernel gives pages of 2 MiB as they are first
 * touched, by its mount option alone (Linux, Documentation/admin-guide/mm/transhuge.rst): a memfd
 * gets them only if the host's administrator says so. Needs CAP_SYS_ADMIN in this user and mount
 * namespace. The file has no seals, which only a memfd can have: whoever holds it could shrink it,
 * were ftruncate in any process's filter. So not for a VM of which a program without one gets it.
 * Not huge: a memfd, sealed against changes of its size. Also what a kernel without huge pages gets.
 */
[[nodiscard]] int ram_create(uint64_t size_bytes, bool huge);
/* A memfd of that name and so many zero bytes, sealed against changes of its size. */
[[nodiscard]] int ram_create_sealed(const char *name, uint64_t size_bytes);
/* The same without a seal yet: whoever has it may seal it, against writes, too. */
[[nodiscard]] int ram_create_unsealed(const char *name, uint64_t size_bytes);
/* The same, sealed against changes of its size, and against no more: who writes it adds the rest. */
[[nodiscard]] int ram_create_sized(const char *name, uint64_t size_bytes);

#endif
