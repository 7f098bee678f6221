/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage-nbd: serves one export of somebody's NBD server to the dev-blk of one disk, and by the disk's rates. It has the
 * connection and what shows who asks; dev-blk sees neither, nor an address.
 * Trust: the channel HOSTILE, the server HOSTILE, the dialer's answers checked, keys and certificates trusted, argv
 * trusted.
 * Holds: 3 control, 4 channel to the dev-blk, 5 channel to the dialer; until the sandbox keys and certificates.
 */
#include "cmd/storage-nbd/policy.h"
#include "cmd/storage-nbd/server.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"
#include "lib/storagekit/serve.h"
#include "lib/tls/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static struct server server;
static struct storage storage;

/* What they are is in memory afterwards, and in no file. */
static int read_secrets(const struct nbd_uri *u, struct tls_error *e)
{
	struct tls_files f = { STORAGE_NBD_FD_PSK, STORAGE_NBD_FD_CA, STORAGE_NBD_FD_CERT,
			       STORAGE_NBD_FD_KEY };
	int *const all[] = { &f.psk, &f.ca, &f.cert, &f.key };
	int r;

	if (!u->tls)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (fcntl(*all[i], F_GETFD) < 0)
			*all[i] = -1;
	r = tls_open(&f, u->host, e);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		closep(all[i]);
	return r;
}

static int prepare(const struct storage_nbd_options *o, struct process *c, const struct nbd_uri *u,
		   const char **ret_what)
{
	int r = sandbox_trap_install(FD_CONTROL);

	*ret_what = "connection";
	if (r == 0)
		r = server_open(&server, u, o->readonly, &c->loop);
	if (r < 0)
		return r;
	link_bound(&server.link, (enum link_away)o->on_error, o->away_s);
	*ret_what = "server";
	return storage_open(&storage, &server.link.lasting.image, &c->loop, &o->rates);
}

int main(int argc, char **argv)
{
	struct storage_nbd_options options;
	static struct process c;
	struct nbd_uri uri = { .tls = false };
	struct tls_error te = { "" };
	struct link_error e = { "" };
	const char *what = "word", *why;
	int r;

	r = args_parse(&storage_nbd_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = nbd_uri_parse(options.address, strlen(options.address), &uri, &why);
	if (r == 0)
		r = process_open(&c, &storage_nbd_declared, &what); /* 2 close others */
	if (r == 0 && read_secrets(&uri, &te) < 0)
		return control_fail(FD_CONTROL, "storage-nbd: %s", te.text);
	if (r == 0)
		r = prepare(&options, &c, &uri, &what); /* 3 no hostile byte */
	if (r == 0)
		r = process_confine(&c, &storage_nbd_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail("storage-nbd", what, r);
	r = storage_ready_linked(&storage, &server.link, &c, STORAGE_NBD_FD_CHANNEL,
				 &e); /* 5 the server: hostile from here */
	if (r == -ECANCELED)
		return 0;
	if (r < 0)
		return control_fail(FD_CONTROL, "storage-nbd: %s", e.text);
	r = storage_serve(&storage, &c); /* 6 the dev-blk */
	if (r == 0)
		nbd_client_leave(&server.client);
	return r;
}
