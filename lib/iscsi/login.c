/* SPDX-License-Identifier: Apache-2.0 */
/* The login of a session; see login.h. */
#include "lib/iscsi/login.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS_MAX 16U /* of a target that has always one more question */
#define CHAP_MD5 "5"
#define SEND_MAX_UNSAID 8192U
#define BURST_MIN 512U
#define FIRST_BURST 65536U

static int __attribute__((format(printf, 3, 4)))
fail(struct iscsi_login *l, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(l->why, sizeof(l->why), format, args);
	va_end(args);
	for (char *c = l->why; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	l->n_out = 0;
	return r;
}

/* ---- what is sent ---- */

static void say(struct iscsi_login *l, const struct iscsi_text *text, enum iscsi_stage stage,
		enum iscsi_stage next, bool transit)
{
	struct iscsi_login_request q = { .transit = transit,
					 .stage = stage,
					 .next = next,
					 .data_len = (uint32_t)text->len,
					 .at = l->terms.at };

	memcpy(q.isid, l->who->isid, sizeof(q.isid));
	iscsi_login_encode(&q, l->out);
	memcpy(l->out + ISCSI_BHS_LEN, text->bytes, text->len);
	memset(l->out + ISCSI_BHS_LEN + text->len, 0, 4);
	l->n_out = ISCSI_BHS_LEN + iscsi_padded(q.data_len);
}

/* Its question, or its text, is not all there yet. */
static void say_go_on(struct iscsi_login *l, enum iscsi_stage stage)
{
	static const struct iscsi_text nothing = { .len = 0 };

	say(l, &nothing, stage, stage, false);
}

void iscsi_login_begin(struct iscsi_login *l, const struct iscsi_who *who, const uint8_t *random)
{
	static struct iscsi_text t;

	memset(l, 0, sizeof(*l));
	l->who = who;
	l->id = random[0];
	memcpy(l->challenge, random + 1, sizeof(l->challenge));
	l->terms = (struct iscsi_terms){ .send_max = SEND_MAX_UNSAID,
					 .first_burst = FIRST_BURST,
					 .max_burst = ISCSI_BURST_MAX,
					 .immediate = true,
					 .at = { .cmdsn = 1 } };
	t = (struct iscsi_text){ .len = 0 };
	iscsi_text_add(&t, "InitiatorName", who->initiator);
	iscsi_text_add(&t, "SessionType", "Normal");
	iscsi_text_add(&t, "TargetName", who->target);
	iscsi_text_add(&t, "AuthMethod", who->secret.len ? "CHAP" : "None");
	say(l, &t, ISCSI_SECURITY, ISCSI_OPERATIONAL, !who->secret.len);
}

static void ask_challenge(struct iscsi_login *l)
{
	static struct iscsi_text t;

	t = (struct iscsi_text){ .len = 0 };
	iscsi_text_add(&t, "CHAP_A", CHAP_MD5);
	say(l, &t, ISCSI_SECURITY, ISCSI_OPERATIONAL, false);
	l->state = ISCSI_LOGIN_CHALLENGE;
}

static void prove(struct iscsi_login *l, uint8_t id, const uint8_t *challenge, size_t len)
{
	static struct iscsi_text t;
	uint8_t proof[ISCSI_PROOF_LEN];

	t = (struct iscsi_text){ .len = 0 };
	iscsi_chap(id, &l->who->secret, challenge, len, proof);
	iscsi_text_add(&t, "CHAP_N", l->who->user);
	iscsi_text_add_binary(&t, "CHAP_R", proof, sizeof(proof));
	if (l->who->peer_secret.len) {
		iscsi_text_add_number(&t, "CHAP_I", l->id);
		iscsi_text_add_binary(&t, "CHAP_C", l->challenge, sizeof(l->challenge));
	}
	say(l, &t, ISCSI_SECURITY, ISCSI_OPERATIONAL, true);
	l->state = ISCSI_LOGIN_PROOF;
}

static void ask_terms(struct iscsi_login *l)
{
	static const char *const words[][2] = {
		{ "HeaderDigest", "None" },	  { "DataDigest", "None" },
		{ "ErrorRecoveryLevel", "0" },	  { "MaxConnections", "1" },
		{ "InitialR2T", "Yes" },	  { "ImmediateData", "Yes" },
		{ "MaxOutstandingR2T", "1" },	  { "DataPDUInOrder", "Yes" },
		{ "DataSequenceInOrder", "Yes" }, { "DefaultTime2Wait", "0" },
		{ "DefaultTime2Retain", "0" },
	};
	static struct iscsi_text t;

	t = l->answers;
	l->answers.len = 0;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && !l->asked; i++)
		iscsi_text_add(&t, words[i][0], words[i][1]);
	if (!l->asked) {
		iscsi_text_add_number(&t, "MaxRecvDataSegmentLength", ISCSI_RECEIVE_MAX);
		iscsi_text_add_number(&t, "MaxBurstLength", ISCSI_BURST_MAX);
		iscsi_text_add_number(&t, "FirstBurstLength", FIRST_BURST);
	}
	l->asked = true;
	say(l, &t, ISCSI_OPERATIONAL, ISCSI_FULL, true);
	l->state = ISCSI_LOGIN_OPERATIONAL;
}

/* ---- what comes ---- */

static const char *word_of(uint8_t class, uint8_t detail)
{
	static const struct {
		uint8_t class, detail;
		const char *word;
	} words[] = {
		{ 2, 1, "the target does not take the name and secret" },
		{ 2, 2, "the target does not serve this initiator" },
		{ 2, 3, "there is no target of that name" },
		{ 2, 4, "the target is there no more" },
		{ 2, 6, "the target has too many connections" },
		{ 3, 1, "the target is not in service now" },
		{ 3, 2, "the target is out of resources" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].class == class && words[i].detail == detail)
			return words[i].word;
	return class == 3 ? "the target has failed" : "the target refuses";
}

/* What it calls the initiator's error: CHAP is what it may have wanted. */
static int refused(struct iscsi_login *l, const struct iscsi_in *in)
{
	bool denied = in->response == 2 && in->status <= 2;
	const char *hint = "";

	if (in->response == 1)
		return fail(l, -EREMCHG,
			    "the target sends its initiators to another address: say that one");
	if (denied && l->state != ISCSI_LOGIN_PROOF)
		hint = l->who->secret.len ? "" : ": it may want chap=";
	return fail(l, in->response == 3 ? -EAGAIN : -EACCES, "%s (%u.%u)%s",
		    word_of(in->response, in->status), in->response, in->status, hint);
}

static const char *value_of(const struct iscsi_text *t, const char *key)
{
	struct iscsi_pair p;
	size_t at = 0;

	while (iscsi_text_next(t, &at, &p) == 1)
		if (strcmp(p.key, key) == 0)
			return p.value;
	return "";
}

static int take_offer(struct iscsi_login *l, const struct iscsi_in *in)
{
	const char *method = value_of(&l->in, "AuthMethod");

	if (!l->who->secret.len) {
		if (*method && strcmp(method, "None") != 0)
			return fail(l, -EACCES, "the target wants %.20s: say USER@ and chap=NAME",
				    method);
		if (!in->transit) {
			say_go_on(l, ISCSI_SECURITY);
			return 0;
		}
		ask_terms(l);
		return 0;
	}
	if (strcmp(method, "CHAP") != 0 || in->transit)
		return fail(l, -EACCES,
			    "the target does not ask for CHAP: leave out chap=, or let it ask");
	ask_challenge(l);
	return 0;
}

static int take_challenge(struct iscsi_login *l, const struct iscsi_in *in)
{
	uint8_t challenge[ISCSI_BINARY_MAX];
	uint32_t id;
	int len = iscsi_binary(value_of(&l->in, "CHAP_C"), challenge, sizeof(challenge));

	if (strcmp(value_of(&l->in, "CHAP_A"), CHAP_MD5) != 0)
		return fail(l, -EOPNOTSUPP, "the target's CHAP is not that of MD5");
	if (in->transit || len < 1 || iscsi_number(value_of(&l->in, "CHAP_I"), 255, &id) < 0)
		return fail(l, -EBADMSG, "the target's challenge is none");
	prove(l, (uint8_t)id, challenge, (size_t)len);
	return 0;
}

/* As long for one that is wrong as for one that is right. */
static bool same(const uint8_t *a, const uint8_t *b, size_t len)
{
	unsigned int differs = 0;

	for (size_t i = 0; i < len; i++)
		differs |= (unsigned int)(a[i] ^ b[i]);
	return differs == 0;
}

static bool is_proven(const struct iscsi_login *l)
{
	uint8_t want[ISCSI_PROOF_LEN], got[ISCSI_PROOF_LEN];

	iscsi_chap(l->id, &l->who->peer_secret, l->challenge, sizeof(l->challenge), want);
	return iscsi_binary(value_of(&l->in, "CHAP_R"), got, sizeof(got)) == sizeof(got) &&
	       strcmp(value_of(&l->in, "CHAP_N"), l->who->peer) == 0 &&
	       same(want, got, sizeof(got));
}

static int take_proof(struct iscsi_login *l, const struct iscsi_in *in)
{
	if (l->who->peer_secret.len && !is_proven(l))
		return fail(l, -EACCES,
			    "the target does not show who it is: chap-target= has another name or "
			    "secret, or it has none");
	if (!in->transit || in->next != ISCSI_OPERATIONAL)
		return fail(l, -EBADMSG, "the target does not go on after CHAP");
	ask_terms(l);
	return 0;
}

static int lower(struct iscsi_login *l, const struct iscsi_pair *p, uint32_t least, uint32_t *term)
{
	uint32_t n;

	if (iscsi_number(p->value, ISCSI_DATA_MAX, &n) < 0 || n < least)
		return fail(l, -EBADMSG, "the target says %.40s=%.40s", p->key, p->value);
	if (n < *term)
		*term = n;
	return 0;
}

/* Keys that nobody answers, or that answer ours with nothing to learn. */
static bool is_silent(const char *key)
{
	static const char *const keys[] = {
		"ErrorRecoveryLevel",	"MaxConnections",     "InitialR2T",
		"MaxOutstandingR2T",	"DataPDUInOrder",     "DataSequenceInOrder",
		"DefaultTime2Wait",	"DefaultTime2Retain", "TargetAlias",
		"TargetPortalGroupTag", "TargetAddress",      "AuthMethod",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

static int take_term(struct iscsi_login *l, const struct iscsi_pair *p)
{
	uint32_t n;

	if (strcmp(p->key, "MaxRecvDataSegmentLength") == 0) {
		l->terms.send_max = ISCSI_DATA_MAX;
		return lower(l, p, BURST_MIN, &l->terms.send_max);
	}
	if (strcmp(p->key, "MaxBurstLength") == 0)
		return lower(l, p, BURST_MIN, &l->terms.max_burst);
	if (strcmp(p->key, "FirstBurstLength") == 0)
		return lower(l, p, BURST_MIN, &l->terms.first_burst);
	if (strcmp(p->key, "ImmediateData") == 0) {
		l->terms.immediate = strcmp(p->value, "Yes") == 0;
		return 0;
	}
	if (strcmp(p->key, "HeaderDigest") == 0 || strcmp(p->key, "DataDigest") == 0)
		return strcmp(p->value, "None") == 0 ?
			       0 :
			       fail(l, -EOPNOTSUPP, "the target wants digests");
	if (strcmp(p->key, "ErrorRecoveryLevel") == 0 && iscsi_number(p->value, 2, &n) < 0)
		return fail(l, -EBADMSG, "the target says %.40s=%.40s", p->key, p->value);
	if (!is_silent(p->key) && strcmp(p->value, "NotUnderstood") != 0)
		iscsi_text_add(&l->answers, p->key, "NotUnderstood");
	return l->answers.failed ? fail(l, -EBADMSG, "the target asks too much") : 0;
}

static int take_terms(struct iscsi_login *l, const struct iscsi_in *in)
{
	struct iscsi_pair p;
	size_t at = 0;

	while (iscsi_text_next(&l->in, &at, &p) == 1) {
		int r = take_term(l, &p);

		if (r < 0)
			return r;
	}
	if (in->transit && in->next == ISCSI_FULL)
		return 1;
	ask_terms(l);
	return 0;
}

/* In its first answer, or of none that is told. */
static int take_group(struct iscsi_login *l)
{
	const char *group = value_of(&l->in, "TargetPortalGroupTag");

	if (!*group || iscsi_number(group, UINT16_MAX, &l->terms.group) == 0)
		return 0;
	return fail(l, -EBADMSG, "the target says TargetPortalGroupTag=%.40s", group);
}

static int take_text(struct iscsi_login *l, const struct iscsi_in *in)
{
	int r = l->state == ISCSI_LOGIN_OFFER ? take_group(l) : 0;

	if (r < 0)
		return r;
	switch (l->state) {
	case ISCSI_LOGIN_OFFER:
		return take_offer(l, in);
	case ISCSI_LOGIN_CHALLENGE:
		return take_challenge(l, in);
	case ISCSI_LOGIN_PROOF:
		return take_proof(l, in);
	case ISCSI_LOGIN_OPERATIONAL:
		break;
	}
	return take_terms(l, in);
}

/* Text that every step may rely on. */
static int check_text(struct iscsi_login *l)
{
	struct iscsi_pair p;
	size_t at = 0;
	int r;

	do
		r = iscsi_text_next(&l->in, &at, &p);
	while (r == 1);
	return r < 0 ? fail(l, r, "the target's text is not of pairs KEY=VALUE") : 0;
}

static int check_header(struct iscsi_login *l, const struct iscsi_in *in)
{
	const enum iscsi_stage stage = l->state == ISCSI_LOGIN_OPERATIONAL ? ISCSI_OPERATIONAL :
									     ISCSI_SECURITY;

	if (in->opcode != ISCSI_LOGIN_RESPONSE || in->itt != 0)
		return fail(l, -EBADMSG, "it is no iSCSI target, or breaks the protocol");
	if (in->response)
		return refused(l, in);
	if (in->version || in->stage != stage || (in->more && in->transit) ||
	    (in->transit && (in->next <= stage || in->next == 2)))
		return fail(l, -EBADMSG, "the target's login goes another way");
	if (++l->rounds > ROUNDS_MAX)
		return fail(l, -EBADMSG, "the target's login has no end");
	if (in->data_len > sizeof(l->in.bytes) - l->in.len)
		return fail(l, -EBADMSG, "the target's text has no end");
	return 0;
}

int iscsi_login_take(struct iscsi_login *l, const struct iscsi_in *in, const uint8_t *data)
{
	int r = check_header(l, in);

	if (r < 0)
		return r;
	l->terms.at.expstatsn = in->statsn + 1;
	l->terms.maxcmdsn = in->maxcmdsn;
	memcpy(l->in.bytes + l->in.len, data, in->data_len);
	l->in.len += in->data_len;
	if (in->more) {
		say_go_on(l, in->stage);
		return 0;
	}
	r = check_text(l);
	if (r == 0)
		r = take_text(l, in);
	l->in.len = 0;
	return r;
}
