/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal filter; see termfilter.h. A byte-at-a-time state machine: nothing of a control
 * sequence or a character goes out before all of it is known, so that a cut anywhere in the input
 * changes nothing. Vertical movement is not let through: with it a guest could rewrite what the
 * user's shell, or Bulkhead itself, had shown above. On the cursor's own line it can do so with
 * \r and text anyway.
 */
#include "cmd/bulkhead/termfilter.h"

#include <string.h>

enum state {
	GROUND,
	ESC,	    /* ESC seen */
	ESC_INTER,  /* ESC and intermediates: ends at a final byte */
	CSI_PARAM,  /* parameters are collected */
	CSI_IGNORE, /* not an allowed sequence any more: dropped to its final byte */
	STRING,	    /* OSC, DCS, SOS, PM or APC */
};

struct out {
	uint8_t *at;
};

static void put(struct out *o, uint8_t c)
{
	*o->at++ = c;
}

struct char_range {
	uint32_t first;
	uint32_t last;
};

/* Well-formed characters that may change how others are shown, or are not for showing. */
static const struct char_range refused_chars[] = {
	{ 0x0080, 0x009f },   /* C1 controls */
	{ 0x2028, 0x2029 },   /* line and paragraph separators */
	{ 0x202a, 0x202e },   /* bidirectional embeddings and overrides */
	{ 0x2066, 0x2069 },   /* bidirectional isolates */
	{ 0xfdd0, 0xfdef },   /* noncharacters */
	{ 0xfff9, 0xfffb },   /* interlinear annotation */
	{ 0xe0000, 0xe007f }, /* tags */
};

static bool char_allowed(uint32_t c)
{
	if ((c & 0xfffe) == 0xfffe)
		return false; /* noncharacters at the end of every plane */
	for (size_t i = 0; i < sizeof(refused_chars) / sizeof(refused_chars[0]); i++)
		if (c >= refused_chars[i].first && c <= refused_chars[i].last)
			return false;
	return true;
}

static void put_char(struct out *o, uint32_t c)
{
	if (c < 0x800) {
		put(o, (uint8_t)(0xc0 | c >> 6));
	} else if (c < 0x10000) {
		put(o, (uint8_t)(0xe0 | c >> 12));
		put(o, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
	} else {
		put(o, (uint8_t)(0xf0 | c >> 18));
		put(o, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		put(o, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
	}
	put(o, (uint8_t)(0x80 | (c & 0x3f)));
}

static void utf8_start(struct termfilter *f, struct out *o, uint8_t c)
{
	if (f->utf8 && c >= 0xc2 && c <= 0xdf) {
		f->utf8_left = 1;
		f->utf8_char = c & 0x1f;
		f->utf8_least = 0x80;
	} else if (f->utf8 && c >= 0xe0 && c <= 0xef) {
		f->utf8_left = 2;
		f->utf8_char = c & 0x0f;
		f->utf8_least = 0x800;
	} else if (f->utf8 && c >= 0xf0 && c <= 0xf4) {
		f->utf8_left = 3;
		f->utf8_char = c & 0x07;
		f->utf8_least = 0x10000;
	} else {
		put(o, '?');
	}
}

static void utf8_end(const struct termfilter *f, struct out *o)
{
	uint32_t c = f->utf8_char;

	if (c < f->utf8_least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || !char_allowed(c))
		put(o, '?');
	else
		put_char(o, c);
}

static void ground(struct termfilter *f, struct out *o, uint8_t c)
{
	if (c == 0x1b)
		f->state = ESC;
	else if (c >= 0x80)
		utf8_start(f, o, c);
	else if ((c >= 0x20 && c <= 0x7e) || c == '\n' || c == '\r' || c == '\t' || c == '\b')
		put(o, c);
}

static void csi_start(struct termfilter *f)
{
	f->state = CSI_PARAM;
	f->n_param = 0;
}

static void string_start(struct termfilter *f)
{
	f->state = STRING;
	f->n_string = 0;
}

/* A control or 8-bit byte within a sequence ends it, and is then what it is outside of one. */
static void abandon(struct termfilter *f, struct out *o, uint8_t c)
{
	f->state = GROUND;
	ground(f, o, c);
}

static void esc(struct termfilter *f, struct out *o, uint8_t c)
{
	if (c < 0x20 || c > 0x7e)
		abandon(f, o, c);
	else if (c <= 0x2f)
		f->state = ESC_INTER;
	else if (c == '[')
		csi_start(f);
	else if (strchr("]PX^_", c))
		string_start(f);
	else
		f->state = GROUND;
}

static void esc_inter(struct termfilter *f, struct out *o, uint8_t c)
{
	if (c < 0x20 || c > 0x7e)
		abandon(f, o, c);
	else if (c >= 0x30)
		f->state = GROUND;
}

/* Digits in runs of at most four, between separators. */
static bool params_allowed(const struct termfilter *f, bool colon)
{
	unsigned int run = 0;

	for (unsigned int i = 0; i < f->n_param; i++) {
		uint8_t c = f->params[i];

		if (c >= '0' && c <= '9') {
			if (++run > 4)
				return false;
			continue;
		}
		run = 0;
		if (c != ';' && !(c == ':' && colon))
			return false;
	}
	return true;
}

static bool csi_allowed(const struct termfilter *f, uint8_t final)
{
	switch (final) {
	case 'm':
		return params_allowed(f, true);
	case 'C':
	case 'D':
	case 'G':
	case 'K':
	case '@':
	case 'P':
	case 'X':
		return params_allowed(f, false);
	case 'J':
		/* 1, 2 and 3 would erase what is above, 3 even the terminal's history */
		return f->n_param == 0 || (f->n_param == 1 && f->params[0] == '0');
	default:
		return false;
	}
}

static void csi_end(struct termfilter *f, struct out *o, uint8_t final)
{
	f->state = GROUND;
	if (!csi_allowed(f, final))
		return;
	put(o, 0x1b);
	put(o, '[');
	for (unsigned int i = 0; i < f->n_param; i++)
		put(o, f->params[i]);
	put(o, final);
}

static void csi_param(struct termfilter *f, struct out *o, uint8_t c)
{
	if (c < 0x20 || c > 0x7e)
		abandon(f, o, c);
	else if (c >= 0x40)
		csi_end(f, o, c);
	else if (c >= 0x30 && c <= 0x3b && f->n_param < TERMFILTER_PARAM_MAX)
		f->params[f->n_param++] = c;
	else
		f->state = CSI_IGNORE; /* private parameters, intermediates, too long */
}

static void csi_ignore(struct termfilter *f, struct out *o, uint8_t c)
{
	if (c < 0x20 || c > 0x7e)
		abandon(f, o, c);
	else if (c >= 0x40)
		f->state = GROUND;
}

/*
 * Nothing of a string reaches the terminal, so where it ends is ours to say: at its terminator (ESC,
 * of which the backslash is dropped as a sequence of its own, or BEL), or at what no proper string
 * holds, so that a stray start hides little.
 */
static void string(struct termfilter *f, struct out *o, uint8_t c)
{
	if (c == 0x1b || c == '\n' || c == '\r')
		abandon(f, o, c);
	else if (c == 0x07 || c == 0x18 || c == 0x1a || ++f->n_string >= TERMFILTER_STRING_MAX)
		f->state = GROUND;
}

static void step(struct termfilter *f, struct out *o, uint8_t c)
{
	if (f->utf8_left) {
		if ((c & 0xc0) == 0x80) {
			f->utf8_char = f->utf8_char << 6 | (c & 0x3f);
			if (!--f->utf8_left)
				utf8_end(f, o);
			return;
		}
		f->utf8_left = 0;
		put(o, '?');
	}
	switch ((enum state)f->state) {
	case GROUND:
		ground(f, o, c);
		break;
	case ESC:
		esc(f, o, c);
		break;
	case ESC_INTER:
		esc_inter(f, o, c);
		break;
	case CSI_PARAM:
		csi_param(f, o, c);
		break;
	case CSI_IGNORE:
		csi_ignore(f, o, c);
		break;
	case STRING:
		string(f, o, c);
		break;
	}
}

void termfilter_init(struct termfilter *f, bool utf8)
{
	*f = (struct termfilter){ .utf8 = utf8, .state = GROUND };
}

size_t termfilter_feed(struct termfilter *f, const void *in, size_t len, void *out)
{
	const uint8_t *bytes = in;
	struct out o = { out };

	for (size_t i = 0; i < len; i++)
		step(f, &o, bytes[i]);
	return (size_t)(o.at - (uint8_t *)out);
}
