/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dialer: a child of the supervisor, made before anything hostile is heard, in the network of its user. It connects
 * to the servers of a VM's disks, at first and whenever a connection was lost, for storage processes that have no
 * network. A storage process can ask for one thing, with one byte: a connection to its own server. The addresses
 * were found out before, with its user's rights; they lie in memory that is read-only for good, and the filter lets
 * connect be called with a whole address there alone. So even a dialer that was taken over, which it would have to be by
 * single bytes, reaches the VM's servers and nobody else. It reads nothing that a server sends.
 *
 * For a device whose kind says so it opens one file of the host, whose path is in the table likewise (/dev/vhost-net): each
 * process of it needs a descriptor that nobody had before. Landlock leaves a dialer that file and no other.
 *
 * The same for a device whose guest reaches sockets of the host (dev-vsock): by its byte the device chooses one of those that
 * the configuration names. As a guest may ask without end, these connections have a rate.
 */
#ifndef BULKHEAD_SUPERVISOR_DIALER_H
#define BULKHEAD_SUPERVISOR_DIALER_H

#include "lib/config/config.h"
#include "lib/declared/declared.h"
#include "lib/storagekit/dial.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define DIALER_CLIENTS_MAX 64U

struct open_error;

struct dialer_address {
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct {
			uint8_t before[DIALER_PATH_AT];
			struct sockaddr_un path;
		};
		uint8_t room[DIALER_ADDRESS_LEN];
		char file[DIALER_ADDRESS_LEN];
	};
};
_Static_assert(sizeof(struct dialer_address) == DIALER_ADDRESS_LEN, "as the filter counts them");
_Static_assert(DIALER_CLIENTS_MAX *DIAL_ADDRESSES_MAX *DIALER_ADDRESS_LEN == DIALER_TABLE_LEN,
	       "and no more");

struct dialer_client {
	int sock; /* the dialer's end */
	uint8_t n, next;
	bool chosen; /* by the byte that asks; else in turn */
	bool opens;  /* its address is the path of a file */
	socklen_t len[DIAL_ADDRESSES_MAX];
	struct dialer_address address[DIAL_ADDRESSES_MAX]; /* until it runs */
};

struct dialer {
	size_t n;	   /* 0: there is none */
	int pidfd;	   /* of the process, for whoever takes it; or -1 */
	bool any_local;	   /* an address that is a path */
	const char *opens; /* the file that it opens; NULL: none */
	pid_t supervisor;  /* of one that is not its child, which calls itself after it; else 0 */
	struct dialer_client *clients;
};

/*
 * Finds out the addresses of the device's server. Returns the storage process's end of a channel, or a negative errno
 * with *ret_error.
 */
[[nodiscard]] int dialer_add(struct dialer *d, const struct config_device *device,
			     struct open_error *ret_error);
/* The same of sockets of the host that the device's guest may reach, beside the VM's name; runtime as for open_listeners. */
[[nodiscard]] int dialer_add_reached(struct dialer *d, const struct config_device *device,
				     const char *name, const char *runtime,
				     struct open_error *ret_error);
/* The same of that file. */
[[nodiscard]] int dialer_add_opened(struct dialer *d, const char *path, const char *word,
				    struct open_error *ret_error);
/* As dialer_add with the dialer's end of a channel that is there. */
[[nodiscard]] int dialer_add_channel(struct dialer *d, const struct config_file *address,
				     const char *word, int sock, struct open_error *ret_error);
/* Makes the process, and waits until it is confined; without any device none. As dialer_add. */
[[nodiscard]] int dialer_start(struct dialer *d, struct open_error *ret_error);
/* Forgets everything but the process, which ends once nobody has the other ends of its channels. */
void dialer_close(struct dialer *d);

/* dialer_process.c: the dialer itself, in the child; says a byte to ready once it is confined. */
void dialer_run(struct dialer *d, int ready) __attribute__((noreturn));

/*
 * dial.c: this executable as the dialer of one disk that is attached, started by its user's command, which has the address
 * from its user alone: `supervisor --dial SUPERVISOR WORD ADDRESS`, with the VM's supervisor's process id, with the channel as descriptor 3, and as 4 where it says a byte
 * once it is confined, or in a line why it is not.
 */
#define DIALER_WORD "--dial"

int dial_main(char *const *argv);

#endif
