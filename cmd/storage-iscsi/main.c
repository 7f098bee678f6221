/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage-iscsi: serves one logical unit of somebody's iSCSI target to the dev-blk of one disk, and by the disk's rates. It
 * has the session and the secrets of CHAP; dev-blk sees neither, nor an address.
 * Trust: the channel HOSTILE, the target HOSTILE, the dialer's answers checked, secrets trusted, argv trusted.
 * Holds: 3 control, 4 channel to the dev-blk, 5 channel to the dialer; until the sandbox the files of secrets.
 */
#include "cmd/storage-iscsi/policy.h"
#include "cmd/storage-iscsi/target.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"
#include "lib/iscsi/secret.h"
#include "lib/storagekit/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

static struct target target;
static struct storage storage;

static struct iscsi_uri uri;
static struct iscsi_who *who; /* in locked memory */

/* Never in a core, and never in swap. */
static int open_who(void)
{
	const size_t len = (sizeof(*who) + 4095) & ~(size_t)4095;
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || madvise(p, len, MADV_DONTDUMP) < 0)
		return -errno;
	(void)mlock(p, len); /* a bound of zero is the user's */
	who = p;
	who->initiator = uri.initiator;
	who->target = uri.target;
	who->user = uri.user;
	/* a random name of the session, the same for all connections: RFC 7143, 10.1.1 */
	if (getrandom(who->isid, sizeof(who->isid), 0) != sizeof(who->isid))
		return -EAGAIN;
	who->isid[0] = 0x80;
	return 0;
}

/* One line of a file, which is closed; nothing where there is none. */
static int read_secret(int fd, const char *word,
		       int (*take)(const char *, size_t, struct iscsi_who *, const char **),
		       struct link_error *e)
{
	_cleanup_(closep) int file = fcntl(fd, F_GETFD) < 0 ? -1 : fd;
	char text[ISCSI_SECRET_FILE_MAX + 1];
	const char *why = "cannot be read";
	ssize_t n;
	int r = 0;

	if (file < 0)
		return 0;
	n = pread(file, text, sizeof(text), 0);
	if (n < 0 || take(text, (size_t)n, who, &why) < 0) {
		snprintf(e->text, sizeof(e->text), "%s= %s", word, why);
		r = -EINVAL;
	}
	explicit_bzero(text, sizeof(text));
	return r;
}

static int read_secrets(struct link_error *e)
{
	int r = read_secret(STORAGE_ISCSI_FD_CHAP, "chap", iscsi_secret_take, e);

	return r < 0 ? r : read_secret(STORAGE_ISCSI_FD_PEER, "chap-target", iscsi_peer_take, e);
}

static int prepare(const struct storage_iscsi_options *o, struct process *c, const char **ret_what)
{
	int r = sandbox_trap_install(FD_CONTROL);

	*ret_what = "connection";
	if (r == 0)
		r = target_open(&target, &uri, who, o->readonly,
				o->logical == DISK_4096 ? 4096 : 512, &c->loop);
	if (r < 0)
		return r;
	link_bound(&target.link, (enum link_away)o->on_error, o->away_s);
	*ret_what = "target";
	return storage_open(&storage, &target.link.lasting.image, &c->loop, &o->rates);
}

int main(int argc, char **argv)
{
	struct storage_iscsi_options options;
	static struct process c;
	struct link_error e = { "" };
	const char *what = "word", *why;
	int r;

	r = args_parse(&storage_iscsi_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = iscsi_uri_parse(options.address, strlen(options.address), &uri, &why);
	if (r == 0)
		r = process_open(&c, &storage_iscsi_declared, &what); /* 2 close others */
	if (r == 0)
		r = open_who();
	if (r == 0 && read_secrets(&e) < 0)
		return control_fail(FD_CONTROL, "storage-iscsi: %s", e.text);
	if (r == 0)
		r = prepare(&options, &c, &what); /* 3 no hostile byte */
	if (r == 0)
		r = process_confine(&c, &storage_iscsi_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail("storage-iscsi", what, r);
	r = storage_ready_linked(&storage, &target.link, &c, STORAGE_ISCSI_FD_CHANNEL,
				 &e); /* 5 the target: hostile from here */
	if (r == -ECANCELED)
		return 0;
	if (r < 0)
		return control_fail(FD_CONTROL, "storage-iscsi: %s", e.text);
	c.why = target.client.why;
	r = storage_serve(&storage, &c); /* 6 the dev-blk */
	if (r == 0)
		iscsi_client_leave(&target.client);
	return r;
}
