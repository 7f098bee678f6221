/* SPDX-License-Identifier: Apache-2.0 */
/* A connection over TLS; see tls.h. */
#include "lib/tls/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define PIECE 16384U /* bytes of one record */

static struct {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO_METHOD *method;
	bool by_psk;
	int sock;
	int error; /* of the socket: negative, or 0 */
	uint8_t piece[PIECE];
	size_t pending; /* bytes of it that were to be sent, and are to be again */
	struct tls_error why;
} tls = { .sock = -1 };

/* ---- the socket, as a BIO of its own: libssl's makes other calls ---- */

static int move(BIO *b, struct iovec iov, bool send)
{
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	BIO_clear_retry_flags(b);
	do
		n = send ? sendmsg(tls.sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) :
			   recvmsg(tls.sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return (int)n;
	if (errno != EAGAIN)
		tls.error = -errno;
	else if (send)
		BIO_set_retry_write(b);
	else
		BIO_set_retry_read(b);
	return -1;
}

static int bio_write(BIO *b, const char *data, int len)
{
	return move(b, (struct iovec){ (void *)(uintptr_t)data, (size_t)len }, true);
}

static int bio_read(BIO *b, char *data, int len)
{
	return move(b, (struct iovec){ data, (size_t)len }, false);
}

static long bio_ctrl(BIO *b, int command, long number, void *data)
{
	(void)b;
	(void)number;
	(void)data;
	return command == BIO_CTRL_FLUSH;
}

static bool make_method(void)
{
	tls.method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
	return tls.method && BIO_meth_set_write(tls.method, bio_write) == 1 &&
	       BIO_meth_set_read(tls.method, bio_read) == 1 &&
	       BIO_meth_set_ctrl(tls.method, bio_ctrl) == 1;
}

/* ---- opening ---- */

static bool is_address(const char *host)
{
	unsigned char address[16];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static bool expect(SSL_CTX *ctx, const char *host)
{
	X509_VERIFY_PARAM *p = SSL_CTX_get0_param(ctx);

	if (!*host)
		return true;
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return is_address(host) ? X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1 :
				  X509_VERIFY_PARAM_set1_host(p, host, 0) == 1;
}

static bool make_context(const char *host)
{
	tls.ctx = SSL_CTX_new(TLS_client_method());
	if (!tls.ctx || !make_method() || !expect(tls.ctx, host))
		return false;
	SSL_CTX_set_verify(tls.ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls.ctx,
			 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
	SSL_CTX_set_options(tls.ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					     SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(tls.ctx, SSL_SESS_CACHE_OFF);
	return SSL_CTX_set_min_proto_version(tls.ctx, TLS1_2_VERSION) == 1;
}

/* The C library looks for a time zone once, whoever asks for the time of certificates: now, while it may. */
static void look_for_time_zone(void)
{
	struct tm tm;

	(void)gmtime_r(&(time_t){ 0 }, &tm);
}

int tls_open(const struct tls_files *f, const char *host, struct tls_error *e)
{
	int r = tls_arena_open();

	look_for_time_zone();
	if (r < 0)
		return tls_complain(e, r, "%u MiB of memory that is never swapped out: %s",
				    TLS_ARENA >> 20, strerrordesc_np(-r));
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
				     OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ATEXIT,
			     NULL) != 1 ||
	    !make_context(host))
		return tls_complain(e, -ENOMEM, "TLS cannot be set up");
	tls.by_psk = f->psk >= 0;
	r = tls_load(tls.ctx, f, e);
	/* what a connection needs is there once one was made */
	tls_begin(-1);
	return r;
}

/* ---- a connection ---- */

static BIO *make_bio(void)
{
	BIO *b = BIO_new(tls.method);

	if (b)
		BIO_set_init(b, 1);
	return b;
}

void tls_begin(int sock)
{
	BIO *b = make_bio();

	SSL_free(tls.ssl);
	ERR_clear_error();
	tls.sock = sock;
	tls.error = 0;
	tls.pending = 0;
	tls.why.text[0] = '\0';
	tls.ssl = b ? SSL_new(tls.ctx) : NULL;
	if (!tls.ssl) {
		BIO_free(b);
		return;
	}
	SSL_set_bio(tls.ssl, b, b);
	SSL_set_connect_state(tls.ssl);
}

const char *tls_why(void)
{
	return tls.why.text;
}

/* Its last word, before it is forgotten. */
static const char *reason(void)
{
	unsigned long code = ERR_peek_error();
	const char *text = code ? ERR_reason_error_string(code) : NULL;

	return text ? text : "the server ended it";
}

static int broken(void)
{
	long verified = tls.ssl ? SSL_get_verify_result(tls.ssl) : X509_V_OK;

	if (!tls.ssl)
		return tls_complain(&tls.why, -EPROTO, "TLS: no memory is left for it");
	if (verified != X509_V_OK && !tls.by_psk)
		return tls_complain(&tls.why, -EPROTO, "the server's certificate: %s",
				    X509_verify_cert_error_string(verified));
	return tls_complain(&tls.why, -EPROTO, "TLS%s: %s",
			    tls.by_psk ? " with the shared key" : "", reason());
}

/* What libssl says of a call that did nothing. */
static int judge(int r)
{
	switch (SSL_get_error(tls.ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return tls.error ? tls.error : 0;
	default:
		return broken();
	}
}

int tls_handshake(void)
{
	int r;

	if (!tls.ssl)
		return broken();
	ERR_clear_error();
	r = SSL_do_handshake(tls.ssl);
	if (r == 1)
		return 0;
	r = judge(r);
	/* a server that does not like what it sees may say so by leaving */
	return r == 0 || r == -EPIPE || r == -ECONNRESET ? broken() : r;
}

static size_t collect(const struct iovec *iov, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n && len < PIECE; i++) {
		size_t some = iov[i].iov_len < PIECE - len ? iov[i].iov_len : PIECE - len;

		memcpy(tls.piece + len, iov[i].iov_base, some);
		len += some;
	}
	return len;
}

/* A record that was begun is sent as it was, whatever became of the memory meanwhile. */
ssize_t tls_send(const struct iovec *iov, size_t n)
{
	int r;

	if (!tls.ssl)
		return broken();
	if (!tls.pending)
		tls.pending = collect(iov, n);
	ERR_clear_error();
	r = SSL_write(tls.ssl, tls.piece, (int)tls.pending);
	if (r > 0) {
		tls.pending = 0;
		return r;
	}
	r = judge(r);
	return r == 0 ? -EPIPE : r;
}

/* Straight to where it belongs, a piece of memory at a time. */
ssize_t tls_receive(const struct iovec *iov, size_t n)
{
	ssize_t sum = 0;

	if (!tls.ssl)
		return broken();
	for (size_t i = 0; i < n; i++) {
		size_t got = 0;
		int r;

		if (iov[i].iov_len == 0)
			continue;
		ERR_clear_error();
		r = SSL_read_ex(tls.ssl, iov[i].iov_base, iov[i].iov_len, &got);
		if (r != 1)
			return sum ? sum : judge(r);
		sum += (ssize_t)got;
		if (got < iov[i].iov_len)
			break;
	}
	return sum;
}

void tls_end(void)
{
	ERR_clear_error();
	if (tls.ssl && !tls.pending)
		(void)!SSL_shutdown(tls.ssl);
	ERR_clear_error();
}
