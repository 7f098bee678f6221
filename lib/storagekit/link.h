/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection of a storage process to its server: the first one, and another whenever it was lost. In between requests
 * are kept, and done again, after what the server had acknowledged and may have lost (lasting.h): what a guest sees is slow I/O. It is tried at once, then ever more slowly, up to
 * LINK_PAUSE_MAX_MS. Once it is away for too long what waits goes on waiting, or is an error until it is back, or the
 * supervisor is told, and once more when it is back. Sockets come from the dialer (dial.h), connected; what is said over them is the client's.
 */
#ifndef BULKHEAD_STORAGEKIT_LINK_H
#define BULKHEAD_STORAGEKIT_LINK_H

#include "lib/base/loop.h"
#include "lib/storagekit/lasting.h"
#include "lib/storagekit/server.h"

#define LINK_PAUSE_MIN_MS 100U
#define LINK_PAUSE_MAX_MS 15000U
#define LINK_NOTICE_MS 1000U
#define LINK_PATIENCE_MS 30000 /* with a server that says nothing, until it has agreed to serve */

#define LINK_AWAY_MAX 86400U /* seconds, that may be said to be too long */

enum link_state { LINK_GONE, LINK_COMING, LINK_UP };
/* While the server is away for too long. */
enum link_away { LINK_RETRY, LINK_REPORT, LINK_STOP };

struct link_error {
	char text[600];
};

/* A protocol's client, over whose image the link has one that the storage serves. */
struct link_client {
	const char *server; /* what it calls the other side */
	enum link_state (*state)(const void *client);
	/* Takes sock. 0 or a negative errno. */
	int (*connect)(void *client, int sock);
	/* Until it is up: 0, -ECANCELED once control_fd can be read, or what is wrong. */
	int (*await)(void *client, int control_fd, int timeout_ms);
	/* Whether a request was answered over the connection that there is, or was last. NULL: unknown. */
	bool (*served)(const void *client);
	/* Gives the connection up; link_lost is not called. */
	void (*hang_up)(void *client);
	/* While it is gone: what waits completes with result. */
	void (*fail)(void *client, int result);
	/* The server's place and what is wrong, for one line. */
	void (*explain)(const void *client, int error, struct link_error *e);
};

struct link {
	const struct link_client *of;
	void *client;
	struct loop *loop;
	struct storage *storage;
	struct lasting lasting; /* what the storage serves */
	int dialer_fd, timer_fd;
	struct loop_source timer, dialer;
	unsigned int pause_ms;
	unsigned int away_ms,
		armed_ms; /* without a server, as far as the timer has told; what it is set to */
	enum link_away on_away;
	unsigned int bound_ms; /* and what is too long */
	/* LINK_STOP: the supervisor is told that it is, or that the server is back: e NULL. */
	void (*tell)(const struct link_error *e);
	const char **ret_why; /* what ended the loop, where that fails */
	int last;	      /* why there is no connection, as far as is known: a negative errno */
	bool asked;	      /* the dialer owes an answer */
	bool alone;	      /* the dialer has ended */
	bool told;	      /* that the connection is lost */
	bool told_refused;    /* that it does not take again what it has lost */
	bool stopped;	      /* the supervisor was told so, and not that it is back */
};

/* Before the sandbox. The client, whose image that is, is not connected. 0 or a negative errno. */
[[nodiscard]] int link_open(struct link *l, const struct link_client *of, void *client,
			    struct image *image, int dialer_fd, struct loop *loop);
/* Before it is kept: what is done once the server is away for so long. */
void link_bound(struct link *l, enum link_away on_away, unsigned int seconds);
/* In the sandbox: the first connection, as long as nobody ends it by control_fd: -ECANCELED. 0, or a negative errno
 * with the reason in *e. */
[[nodiscard]] int link_connect(struct link *l, int control_fd, struct link_error *e);
/* The server is there, and s serves it: from now on the loop keeps it so. 0 or a negative errno. */
[[nodiscard]] int link_keep(struct link *l, struct storage *s);
/* The client says that its connection has ended, of error. */
void link_lost(struct link *l, int error);
/* The client says that one is up, the first or another. */
void link_found(struct link *l);

#endif
