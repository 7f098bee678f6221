/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One transfer by libcurl, over the one connection that is there: HTTP/1.1, no decoding, no redirect that is followed, no
 * name looked up. Everything that libcurl would find out by itself (proxies, users, certificates' places) is said or shut.
 */
#include "cmd/image-fetch/fetch.h"

#include "lib/base/cleanup.h"
#include "lib/imagefile/fetched.h"
#include "lib/imagekit/process.h"
#include "lib/imagefile/progress.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define CA_MAX (4U << 20)
#define SLOWEST 1024L /* bytes a second; less is silence */
#define POLL_MS 1000

struct transfer {
	const struct image_job *job;
	struct fetch_file *file;
	CURL *curl;
	CURLM *multi;
	int sock; /* -1: libcurl has it */
	bool began;
	bool over;  /* the server has nothing for the file: a redirect, say */
	int status; /* not 0: a line has said why */
	char why[CURL_ERROR_SIZE];
};

static struct transfer the_transfer;

/* ---- what the headers say ---- */

static const char *header(struct transfer *t, const char *name)
{
	struct curl_header *h = NULL;

	return curl_easy_header(t->curl, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value :
										       NULL;
}

/* None is asked for, and none is undone. */
static int check_encodings(struct transfer *t)
{
	static const struct {
		const char *name, *right;
	} rows[] = { { "Content-Encoding", "identity" }, { "Transfer-Encoding", "chunked" } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *said = header(t, rows[i].name);

		if (said && strcasecmp(said, rows[i].right) != 0)
			return file_fail(t->file,
					 "the server sends it encoded (%s: %.40s), which was not "
					 "asked for",
					 rows[i].name, said);
	}
	return 0;
}

static const char *find_validator(struct transfer *t)
{
	const char *tag = header(t, "ETag"), *time = header(t, "Last-Modified");

	if (tag && validator_is_fine(tag, strlen(tag)))
		return tag;
	return time && validator_is_fine(time, strlen(time)) ? time : NULL;
}

static int say(struct transfer *t, enum said_kind kind, const char *text)
{
	image_print("%s %s\n", said_words[kind], text);
	if (kind == SAID_REDIRECT || kind == SAID_AGAIN)
		t->over = true;
	return image_print_end() ? 0 : IMAGE_EXIT_FAILED;
}

static int take_redirect(struct transfer *t)
{
	const char *said = header(t, "Location"), *why = "that is no address";
	CURLU *joined = curl_url();
	char *to = NULL;
	struct url u;
	int r;

	if (said && joined && curl_url_set(joined, CURLUPART_URL, t->job->url, 0) == CURLUE_OK &&
	    curl_url_set(joined, CURLUPART_URL, said, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
		(void)curl_url_get(joined, CURLUPART_URL, &to, 0);
	if (to && url_parse(to, strlen(to), &u, &why) == 0)
		r = say(t, SAID_REDIRECT, to);
	else
		r = file_fail(t->file, "the server redirects to %.80s: %s",
			      to   ? to :
			      said ? said :
				     "nowhere",
			      why);
	curl_free(to);
	curl_url_cleanup(joined);
	return r;
}

/* The file from its beginning, whatever was asked for. */
static int take_whole(struct transfer *t)
{
	const char *validator = find_validator(t);
	curl_off_t len = -1;
	int r = file_empty(t->file);

	(void)curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &len);
	if (r == 0 && len >= 0)
		r = file_expect(t->file, (uint64_t)len);
	if (r == 0 && validator)
		r = say(t, SAID_VALIDATOR, validator);
	t->file->lasts = validator;
	return r;
}

static int read_range(struct transfer *t, struct content_range *ret)
{
	const char *said = header(t, "Content-Range");

	if (said && content_range_parse(said, strlen(said), ret) == 0)
		return 0;
	return file_fail(t->file, "the server does not say which part of it it sends");
}

/* A server that cannot tell whether it is the same may still send a part of another. */
static bool is_same(struct transfer *t)
{
	const char *said = find_validator(t);

	return !said || (*said == '"') != (*t->job->validator == '"') ||
	       strcmp(said, t->job->validator) == 0;
}

static int take_rest(struct transfer *t)
{
	struct content_range c = { 0 };
	int r = read_range(t, &c);

	if (r)
		return r;
	if (c.unsatisfied || !t->job->validator || c.first != t->file->at || c.last + 1 != c.total)
		return file_fail(t->file, "the server sends a part that was not asked for");
	return is_same(t) ? file_expect(t->file, c.total) : say(t, SAID_AGAIN, "");
}

/* Nothing is behind what is there: that was all, or it is something else. */
static int take_no_range(struct transfer *t)
{
	struct content_range c = { 0 };

	if (!t->job->validator || read_range(t, &c))
		return t->job->validator ? IMAGE_EXIT_FAILED :
					   file_fail(t->file, "the server answers 416");
	if (!c.unsatisfied || c.total != t->file->at || !is_same(t))
		return say(t, SAID_AGAIN, "");
	t->over = true;
	return file_expect(t->file, c.total);
}

static int begin(struct transfer *t)
{
	long status = 0;
	int r = check_encodings(t);

	t->began = true;
	(void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	if (r)
		return r;
	switch (status) {
	case 200:
		return take_whole(t);
	case 206:
		return take_rest(t);
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return take_redirect(t);
	case 416:
		return take_no_range(t);
	default:
		return file_fail(t->file, "the server answers %ld%s", status,
				 status == 404			? ": there is no such file" :
				 status == 401 || status == 403 ? ": it is not for everybody" :
								  "");
	}
}

/* ---- what libcurl calls ---- */

static size_t take_body(char *bytes, size_t size, size_t n, void *owner)
{
	struct transfer *t = owner;

	if (!t->began)
		t->status = begin(t);
	if (t->status == 0 && !t->over)
		t->status = file_add(t->file, bytes, size * n);
	return t->status || t->over ? 0 : size * n;
}

static curl_socket_t give_socket(void *owner, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *t = owner;
	int sock = t->sock;

	(void)purpose;
	(void)address;
	t->sock = -1;
	return sock < 0 ? CURL_SOCKET_BAD : sock;
}

static int is_connected(void *owner, curl_socket_t sock, curlsocktype purpose)
{
	(void)owner;
	(void)sock;
	(void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/* ---- before the sandbox ---- */

static bool set_connection(struct transfer *t)
{
	CURL *c = t->curl;

	return !curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, give_socket) &&
	       !curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t) &&
	       !curl_easy_setopt(c, CURLOPT_SOCKOPTFUNCTION, is_connected) &&
	       !curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 0L) &&
	       !curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(c, CURLOPT_PROXY, "") &&
	       !curl_easy_setopt(c, CURLOPT_IPRESOLVE, (long)CURL_IPRESOLVE_WHATEVER) &&
	       !curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)t->job->patience_s) &&
	       !curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, SLOWEST) &&
	       !curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)t->job->patience_s);
}

/* What stands for the server's address is never connected to. */
static bool set_address(struct transfer *t)
{
	char line[URL_HOST_MAX + 32];
	const char *why;
	struct url u;

	if (url_parse(t->job->url, strlen(t->job->url), &u, &why) < 0)
		return false;
	snprintf(line, sizeof(line), "%s:%u:127.0.0.1", u.host, u.port);
	if (!u.v6 && curl_easy_setopt(t->curl, CURLOPT_RESOLVE, curl_slist_append(NULL, line)))
		return false;
	return !curl_easy_setopt(t->curl, CURLOPT_URL, t->job->url) &&
	       !curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS_STR, "http,https");
}

static bool set_request(struct transfer *t)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Accept-Encoding: identity");
	char line[VALIDATOR_MAX + 32];
	CURL *c = t->curl;

	if (t->job->validator) {
		snprintf(line, sizeof(line), "If-Range: %s", t->job->validator);
		headers = curl_slist_append(headers, line);
		snprintf(line, sizeof(line), "%llu-", (unsigned long long)t->job->offset);
		if (curl_easy_setopt(c, CURLOPT_RANGE, line))
			return false;
	}
	return headers && !curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers) &&
	       !curl_easy_setopt(c, CURLOPT_USERAGENT, "bulkhead/" BULKHEAD_VERSION) &&
	       !curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       !curl_easy_setopt(c, CURLOPT_HTTP_CONTENT_DECODING, 0L) &&
	       !curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) &&
	       !curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 262144L) &&
	       !curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->why) &&
	       !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body) &&
	       !curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
}

static void *read_ca(int ca, size_t *ret_len)
{
	uint8_t *text = malloc(CA_MAX);
	size_t n = 0;
	ssize_t r = 1;

	while (text && n < CA_MAX && (r = pread(ca, text + n, CA_MAX - n, (off_t)n)) > 0)
		n += (size_t)r;
	*ret_len = r < 0 || n == CA_MAX ? 0 : n;
	return text;
}

static bool set_trust(struct transfer *t, int ca)
{
	struct curl_blob blob = { .flags = CURL_BLOB_NOCOPY };
	CURL *c = t->curl;

	if (ca >= 0) {
		blob.data = read_ca(ca, &blob.len);
		close(ca);
	}
	if (blob.len && curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &blob))
		return false;
	return !curl_easy_setopt(c, CURLOPT_CAINFO, NULL) &&
	       !curl_easy_setopt(c, CURLOPT_CAPATH, NULL) &&
	       !curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) &&
	       !curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L) &&
	       !curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       !curl_easy_setopt(c, CURLOPT_SSL_ENABLE_ALPN, 0L) &&
	       !curl_easy_setopt(c, CURLOPT_SSL_SESSIONID_CACHE, 0L) &&
	       (blob.len || strncasecmp(t->job->url, "https", 5) != 0);
}

/* OpenSSL's configuration is nobody's here; the C library looks for a time zone once. */
static bool begin_libraries(void)
{
	struct tm tm;

	(void)gmtime_r(&(time_t){ 0 }, &tm);
	return OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
					OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ATEXIT,
				NULL) == 1 &&
	       curl_global_init(CURL_GLOBAL_DEFAULT) == 0;
}

int transfer_prepare(const struct image_job *job, struct fetch_file *f, int sock, int ca,
		     struct transfer **ret)
{
	struct transfer *t = &the_transfer;

	*t = (struct transfer){ .job = job, .file = f, .sock = sock };
	if (begin_libraries()) {
		t->curl = curl_easy_init();
		t->multi = curl_multi_init();
	}
	if (!t->curl || !t->multi || !set_address(t) || !set_request(t) || !set_connection(t))
		return image_fail(job->url, "libcurl cannot be set up");
	if (!set_trust(t, ca))
		return image_fail(job->url, "the certificates that are trusted cannot be read: "
					    "they are up to 4 MiB of PEM");
	if (curl_multi_add_handle(t->multi, t->curl) != CURLM_OK)
		return image_fail(job->url, "libcurl cannot be set up");
	*ret = t;
	return 0;
}

/* ---- with the server ---- */

static int say_why(struct transfer *t, CURLcode code)
{
	const char *why = *t->why ? t->why : curl_easy_strerror(code);

	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return file_fail(t->file,
				 "the server has sent less than 1 KiB a second for %u seconds",
				 t->job->patience_s);
	case CURLE_OUT_OF_MEMORY:
		return file_fail(t->file, "a header of the server is too large");
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
		return file_fail(t->file, "the connection broke (%.100s)", why);
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return file_fail(t->file, "TLS: %.120s", why);
	default:
		return file_fail(t->file, "%.120s", why);
	}
}

static CURLcode carry_out(struct transfer *t)
{
	int running = 1, left;
	CURLMsg *m;

	while (running && curl_multi_perform(t->multi, &running) == CURLM_OK && running)
		if (curl_multi_poll(t->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
			break;
	m = curl_multi_info_read(t->multi, &left);
	return m ? m->data.result : CURLE_FAILED_INIT;
}

int transfer_run(struct transfer *t)
{
	CURLcode code = carry_out(t);

	if (t->status)
		return t->status;
	if (code == CURLE_OK && !t->began)
		t->status = begin(t);
	if (t->status || (t->over && t->file->at != t->file->total))
		return t->status;
	return t->over || code == CURLE_OK ? file_end(t->file) : say_why(t, code);
}
