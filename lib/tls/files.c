/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and keys, out of files that are open; see tls.h. */
#include "lib/tls/internal.h"

#include "lib/base/hex.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PSK_NAME_MAX 128U
#define PSK_KEY_MAX 64U

/* In the arena. */
struct psk {
	char name[PSK_NAME_MAX + 1];
	unsigned char key[PSK_KEY_MAX];
	unsigned int key_len;
};

static struct psk *psk;

int tls_complain(struct tls_error *e, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return error;
}

/* A copy in the arena, NUL-terminated; NULL with the reason in *e. */
static char *read_file(int fd, const char *what, size_t *ret_len, struct tls_error *e)
{
	char *text = OPENSSL_malloc(TLS_FILE_MAX + 1);
	size_t n = 0;
	ssize_t r = 1;

	while (text && n <= TLS_FILE_MAX &&
	       (r = pread(fd, text + n, TLS_FILE_MAX + 1 - n, (off_t)n)) > 0)
		n += (size_t)r;
	if (text && r >= 0 && n && n <= TLS_FILE_MAX) {
		text[n] = '\0';
		*ret_len = n;
		return text;
	}
	(void)tls_complain(e, -EINVAL, "%s= %s", what,
			   !text  ? "does not fit" :
			   r < 0  ? "cannot be read" :
			   n == 0 ? "is empty" :
				    "has more than 64 KiB");
	OPENSSL_free(text);
	return NULL;
}

/* ---- a shared key ---- */

static bool take_key(const char *hex, struct psk *ret)
{
	unsigned int n = 0;

	for (; n < PSK_KEY_MAX; hex += 2) {
		int byte = hex_byte(hex);

		if (byte < 0)
			break;
		ret->key[n++] = (unsigned char)byte;
	}
	ret->key_len = n;
	return n >= 16 && (!*hex || *hex == '\n' || *hex == '\r');
}

static unsigned int give_psk(SSL *ssl, const char *hint, char *identity, unsigned int name_max,
			     unsigned char *key, unsigned int key_max)
{
	(void)ssl;
	(void)hint;
	if (strlen(psk->name) >= name_max || psk->key_len > key_max)
		return 0;
	memcpy(identity, psk->name, strlen(psk->name) + 1);
	memcpy(key, psk->key, psk->key_len);
	return psk->key_len;
}

/* One line; what is behind it would be another user's, and is no error of a file that a server has, too. */
static int load_psk(SSL_CTX *ctx, int fd, struct tls_error *e)
{
	size_t len = 0, name;
	char *text = read_file(fd, "tls-psk", &len, e);
	bool fine;

	if (!text)
		return -EINVAL;
	psk = OPENSSL_zalloc(sizeof(*psk));
	name = strcspn(text, ":\n");
	fine = psk && text[name] == ':' && name && name <= PSK_NAME_MAX;
	if (fine) {
		memcpy(psk->name, text, name);
		fine = take_key(text + name + 1, psk);
	}
	OPENSSL_free(text); /* and wiped */
	if (!fine)
		return tls_complain(
			e, -EINVAL,
			"tls-psk= has no line NAME:KEY, KEY 32 to 128 hexadecimal digits: "
			"psktool makes one");
	SSL_CTX_set_psk_client_callback(ctx, give_psk);
	/* in TLS 1.3 such a key goes with SHA-256 */
	if (SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256") !=
		    1 ||
	    SSL_CTX_set_cipher_list(ctx, "kECDHEPSK:kDHEPSK:!SHA1:!eNULL") != 1)
		return tls_complain(e, -EINVAL, "tls-psk= has no ciphers in this libssl");
	return 0;
}

/* ---- certificates ---- */

static int add_ca(X509_STORE *store, BIO *bio)
{
	int n = 0;

	for (;;) {
		X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

		if (!x)
			break;
		n += X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	return n;
}

/* Its own, then those between it and the ca. */
static int add_cert(SSL_CTX *ctx, BIO *bio)
{
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	int r = x ? SSL_CTX_use_certificate(ctx, x) : 0;

	X509_free(x);
	while (r == 1 && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		r = (int)SSL_CTX_add0_chain_cert(ctx, x);
	return r;
}

/* No password: nobody is there to be asked. */
static int no_password(char *buf, int size, int writing, void *owner)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)owner;
	return -1;
}

static int add_key(SSL_CTX *ctx, BIO *bio)
{
	EVP_PKEY *k = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	int r = k ? SSL_CTX_use_PrivateKey(ctx, k) : 0;

	EVP_PKEY_free(k);
	return r;
}

enum what { CA, CERT, KEY };

static int load(SSL_CTX *ctx, enum what what, int fd, struct tls_error *e)
{
	static const char *const words[] = { "tls-ca", "tls-cert", "tls-key" };
	static const char *const right[] = { "certificate in PEM", "certificate in PEM",
					     "private key in PEM without a password" };
	size_t len = 0;
	char *text;
	BIO *bio;
	int r = 0;

	if (fd < 0)
		return 0;
	text = read_file(fd, words[what], &len, e);
	if (!text)
		return -EINVAL;
	bio = BIO_new_mem_buf(text, (int)len);
	if (bio)
		r = what == CA	 ? add_ca(SSL_CTX_get_cert_store(ctx), bio) :
		    what == CERT ? add_cert(ctx, bio) :
				   add_key(ctx, bio);
	BIO_free(bio);
	OPENSSL_free(text);
	ERR_clear_error(); /* the end of a file is an error, too */
	return r > 0 ? 0 : tls_complain(e, -EINVAL, "%s= has no %s", words[what], right[what]);
}

int tls_load(SSL_CTX *ctx, const struct tls_files *f, struct tls_error *e)
{
	int r = f->psk < 0 ? 0 : load_psk(ctx, f->psk, e);

	if (r == 0)
		r = load(ctx, CA, f->ca, e);
	if (r == 0)
		r = load(ctx, CERT, f->cert, e);
	if (r == 0)
		r = load(ctx, KEY, f->key, e);
	if (r == 0 && f->key >= 0 && SSL_CTX_check_private_key(ctx) != 1)
		return tls_complain(e, -EINVAL, "tls-key= is not the key of tls-cert=");
	return r;
}
